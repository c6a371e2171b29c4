"""A metric of your own on uneven classes: networks are compared by their worst class.

python examples/uneven_classes.py
"""

import numpy as np
from sklearn.datasets import load_digits

import zarts


def uneven_digits() -> zarts.ImageParts:
    """The digits; of 8 and 9 a tenth of the training images."""
    digits = load_digits()
    images, labels = (digits.images * 15.9).astype(np.uint8), digits.target
    test = np.arange(len(labels)) % 4 == 0
    rare = (labels >= 8) & (np.arange(len(labels)) % 10 != 1)
    keep = ~test & ~rare
    print("training images of each class:", np.bincount(labels[keep]).tolist())
    return zarts.ImageParts(train=(images[keep], labels[keep]), test=(images[test], labels[test]))


def worst_recall(logits, labels) -> float:
    """The recall of the class with the lowest one; no gradient is needed."""
    right = logits.argmax(1) == labels
    return min(float(right[labels == label].float().mean()) for label in labels.unique())


worst_recall.larger_is_better = True


if __name__ == "__main__":
    images = uneven_digits()
    # `criterion="balanced"`: each class counts alike in the loss that trains the weights, however few images it has
    options = {"time": "30s", "search": False, "criterion": "balanced", "quiet": True}
    result = zarts.fit(images, objective=worst_recall, out="runs/uneven", **options)
    print(result)
    for row in zarts.examine(result, data=images)["per_class"]:
        print(f"class {row['class']}: {row['accuracy']:.1f} % of {row['images']} test images are right")
