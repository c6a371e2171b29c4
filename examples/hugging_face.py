"""A Hugging Face data set as the images of a search.

pip install datasets
python examples/hugging_face.py
"""

import sys

from PIL import Image
from sklearn.datasets import load_digits

import zarts

try:
    import datasets
except ImportError:
    sys.exit("skipped: pip install datasets")


def tiny_data_set() -> "datasets.DatasetDict":
    """Digits as a data set with the parts train and test; `datasets.load_dataset("mnist")` is of the same form."""
    digits = load_digits(n_class=3)
    pictures = [Image.fromarray((pixels * 15.9).astype("uint8")) for pixels in digits.images]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["0", "1", "2"])})
    columns = {"image": pictures, "label": digits.target.tolist()}
    return datasets.Dataset.from_dict(columns, features=features).train_test_split(0.25, seed=0)


if __name__ == "__main__":
    data = tiny_data_set()
    small = {"channels": 4, "cells": 3, "batch_size": 16, "epochs": 2, "image_size": 8}
    found = zarts.search(data, space="s2", method="darts", preset="quick", quiet=True, **small)
    trained = found.retrain(auxiliary_weight=0, cutout=0, quiet=True, **small)
    print(trained)
    first = trained.predict(data["test"][0]["image"])[0]
    print(f"test accuracy {trained.evaluate():.1f} %; the first image: {first.label}")
