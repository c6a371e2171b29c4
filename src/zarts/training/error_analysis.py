"""Error analysis of a network: accuracy of each class, confused classes, and the images with the largest losses."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int64
from PIL import Image
from torch import Tensor

from zarts.data import Batches
from zarts.training.evaluate import Answers
from zarts.training.model_file import ModelCard

__all__ = ["confusion", "error_details", "worst_images"]

_MATRIX = 100  # the whole matrix is written for up to so many classes
_PAIRS = 50
_WORST = 24
_SIDE = 96  # larger images are scaled to so many pixels a side, because the report contains them all


def confusion(answers: Answers, classes: int) -> Int64[Tensor, "classes classes"]:
    """Number of images of each class (row) that are taken for each class (column)."""
    pairs = answers.labels * classes + answers.predicted
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes)


def error_details(answers: Answers, classes: Sequence[str], names: Sequence[str] | None = None) -> dict[str, Any]:
    """Error analysis as plain data for `test.json`.

    Args:
        answers: answers to all test images.
        classes: names of the classes.
        names: names of the images, if they are files.

    Returns:
        `images`, `accuracy`; `per_class`: name, images and accuracy of each class; `confusion`, for up to a hundred
        classes: the matrix, whose rows are true classes; `confused`: the most frequent pairs of a true and another
        predicted class; `worst`: the wrong answers with the largest losses. Accuracies are percentages.
    """
    matrix = confusion(answers, len(classes))
    images, right = matrix.sum(1).tolist(), matrix.diagonal().tolist()
    wrong = matrix.clone().fill_diagonal_(0)
    order = wrong.flatten().argsort(descending=True, stable=True)[:_PAIRS].tolist()
    found: dict[str, Any] = {
        "images": len(answers.labels),
        "accuracy": answers.accuracy,
        "per_class": [
            {"class": name, "images": count, "accuracy": 100 * hits / count if count else None}
            for name, count, hits in zip(classes, images, right, strict=True)
        ],
        "confused": [
            {"true": classes[pair // len(classes)], "predicted": classes[pair % len(classes)], "images": count}
            for pair in order
            if (count := int(wrong.flatten()[pair])) > 0
        ],
        "worst": [
            {
                "image": index if names is None else names[index],
                "true": classes[int(answers.labels[index])],
                "predicted": classes[int(answers.predicted[index])],
                "loss": float(answers.losses[index]),
            }
            for index in _worst(answers)
        ],
    }
    if len(classes) <= _MATRIX:
        found["confusion"] = matrix.tolist()
    return found


def _worst(answers: Answers) -> list[int]:
    """Indices of the wrong answers with the largest losses, in descending order; NaN counts as the largest loss."""
    wrong = (answers.predicted != answers.labels).nonzero().flatten()
    return wrong[answers.losses[wrong].argsort(descending=True, stable=True)[:_WORST]].tolist()


def worst_images(answers: Answers, batches: Batches, card: ModelCard) -> list[bytes]:
    """The images of `worst` as given to the network, each as a PNG; large images are scaled down."""
    return [
        _png(batches[index // batches.batch_size][0][index % batches.batch_size], card) for index in _worst(answers)
    ]


def _png(image: Float[Tensor, "channels height width"], card: ModelCard) -> bytes:
    mean, std = (torch.tensor(values)[:, None, None] for values in (card.mean, card.std))
    pixels = ((image.cpu() * std + mean) * 255).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    picture.thumbnail((_SIDE, _SIDE))
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return stream.getvalue()
