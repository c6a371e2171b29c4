"""The accuracy of an exported ONNX model on a folder of images, with onnxruntime, numpy and Pillow alone.

    zarts export RUN --format onnx --out exported
    python examples/serve_onnx.py exported path/to/images/test

The folder has one sub-folder a class. Images are cropped as for networks trained with `--crop pad`, the default.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

model, images = Path(sys.argv[1]), Path(sys.argv[2])
card = json.loads((model / "config.json").read_text(encoding="utf-8"))
session = onnxruntime.InferenceSession(model / "model.onnx")
size, mode = card["image_size"], "L" if len(card["mean"]) == 1 else "RGB"


def read(path: Path) -> np.ndarray:
    """Upright, the central square, resized; (channels, size, size) in [0, 1]."""
    image = ImageOps.exif_transpose(Image.open(path)).convert(mode)
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
    return np.atleast_3d(np.asarray(image, np.float32)).transpose(2, 0, 1) / 255


right = total = 0
for label, name in enumerate(card["classes"]):
    files = sorted(path for path in (images / name).iterdir() if path.is_file())
    for start in range(0, len(files), 64):
        batch = np.stack([read(path) for path in files[start : start + 64]])
        (logits,) = session.run(None, {"images": batch})
        right += int((logits.argmax(1) == label).sum())
    total += len(files)
print(f"{right} of {total} images: {100 * right / total:.2f} %")
