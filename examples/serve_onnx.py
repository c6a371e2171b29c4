"""The accuracy of an exported ONNX model on a folder of images, with onnxruntime, NumPy and Pillow alone.

    zarts export RUN --format onnx --out exported
    python examples/serve_onnx.py exported path/to/images/test

The folder has one sub-folder for each class. The pixels are those of training and of `zarts predict`, by the file
`preprocess.py` of the exported folder. As in a server, whose images are anybody's, a file is refused by its size before
it is read, and an image by its number of pixels before it is unpacked.
"""

import json
import os
import sys
from pathlib import Path

import onnxruntime

MOST_BYTES = 20_000_000
MOST_PIXELS = 50_000_000
os.environ.setdefault("ZARTS_MAX_PIXELS", str(MOST_PIXELS))  # which preprocess.py reads

model, images = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(model))
import preprocess  # noqa: E402 (it is in the exported folder)

card = json.loads((model / "config.json").read_text(encoding="utf-8"))
session = onnxruntime.InferenceSession(model / "model.onnx")
levels = session.get_inputs()[0].type == "tensor(uint8)"

right = total = 0
for label, name in enumerate(card["classes"]):
    files = []
    for path in sorted(path for path in (images / name).iterdir() if path.is_file()):
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        try:
            if len(content) > MOST_BYTES:
                raise preprocess.NotReadable(f"more than {MOST_BYTES:,} bytes")
            preprocess.check_image(content, path.name)
            files.append(path)
        except preprocess.NotReadable as error:
            print(f"{path}: left out ({error.reason})", file=sys.stderr)
    for start in range(0, len(files), 64):
        pixels = preprocess.prepare(files[start : start + 64], card)
        (logits,) = session.run(None, {"images": (255 * pixels).round().astype("uint8") if levels else pixels})
        right += int((logits.argmax(1) == label).sum())
    total += len(files)
print(f"{right} of {total} images: {100 * right / total:.2f} %")
