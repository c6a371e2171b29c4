"""The best small network for a folder of images, in a given time.

python examples/fit_folder.py path/to/images 30m     # without a folder: the digits of scikit-learn, in 30 seconds
"""

import sys
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

import zarts


def digits_as_folder(folder: Path) -> Path:
    """1,797 images of 8x8 pixels, one sub-folder for each class."""
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        file = folder / str(label) / f"{number:04d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15.9).astype("uint8")).save(file)
    return folder


if __name__ == "__main__":  # the networks are trained in processes of their own, which import this file
    images = sys.argv[1] if len(sys.argv) > 1 else digits_as_folder(Path("my-images"))
    result = zarts.fit(images, time=sys.argv[2] if len(sys.argv) > 2 else "30s", out="runs/fit-folder")
    print(result)  # the verdict, and where the files are
    photo = next(Path(images).rglob("*.png"))
    print(f"{photo}: {result.predict(photo)[0].label}")
