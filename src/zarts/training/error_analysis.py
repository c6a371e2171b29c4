"""Where a network errs: accuracy of each class, what is taken for what, and the images that it is worst at."""

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

_MATRIX = 100  # classes up to which the whole matrix is written down
_PAIRS = 50
_WORST = 24
_SIDE = 96  # pixels a side that larger images are brought to: the report holds them all


def confusion(answers: Answers, classes: int) -> Int64[Tensor, "classes classes"]:
    """How many images of each class (row) are taken for each class (column)."""
    pairs = answers.labels * classes + answers.predicted
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes)


def error_details(answers: Answers, classes: Sequence[str], names: Sequence[str] | None = None) -> dict[str, Any]:
    """Plain data for `test.json`.

    Args:
        answers: of all test images.
        classes: their names.
        names: of the images, where they are files.

    Returns:
        `images`, `accuracy`; `per_class`: name, images and accuracy of each; `confusion`, the matrix of up to a hundred
        classes, rows are true; `confused`: the most frequent pairs of a true and another predicted class; `worst`: the
        wrong answers of the largest loss. Accuracies are percentages.
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
    """The wrong answers of the largest loss, the largest first; a loss that is no number is beyond all others."""
    wrong = (answers.predicted != answers.labels).nonzero().flatten()
    return wrong[answers.losses[wrong].argsort(descending=True, stable=True)[:_WORST]].tolist()


def worst_images(answers: Answers, batches: Batches, card: ModelCard) -> list[bytes]:
    """The images of `worst` as the network has seen them, each a PNG; large ones made smaller."""
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
