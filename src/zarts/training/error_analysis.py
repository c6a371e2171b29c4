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
from zarts.runs import Run
from zarts.training.evaluate import Answers
from zarts.training.model_file import ModelCard

__all__ = ["error_details", "worst_images", "write_details"]

_MATRIX = 100  # the whole matrix is written for up to so many classes
_PAIRS = 50
_WORST = 24
_SIDE = 96  # larger images are scaled to so many pixels a side, because the report contains them all


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
    labels, predicted, number = answers.labels, answers.predicted, len(classes)
    images = torch.bincount(labels, minlength=number).tolist()
    right = torch.bincount(labels[predicted == labels], minlength=number).tolist()
    found: dict[str, Any] = {
        "images": len(answers.labels),
        "accuracy": answers.accuracy,
        "per_class": [
            {"class": name, "images": count, "accuracy": 100 * hits / count if count else None}
            for name, count, hits in zip(classes, images, right, strict=True)
        ],
        "confused": [
            {"true": classes[true], "predicted": classes[taken_for], "images": count}
            for true, taken_for, count in _confused(labels, predicted, number)
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
    if number <= _MATRIX:
        pairs = torch.bincount(labels * number + predicted, minlength=number**2)
        found["confusion"] = pairs.view(number, number).tolist()
    return found


def _confused(labels: Int64[Tensor, " n"], predicted: Int64[Tensor, " n"], classes: int) -> list[tuple[int, int, int]]:
    """The most frequent pairs of a true and another predicted class, with their number of images.

    Only pairs that occur are counted: their number is at most that of the images, whatever that of the classes is.
    """
    wrong = predicted != labels
    pairs, counts = torch.unique(labels[wrong] * classes + predicted[wrong], return_counts=True)
    order = counts.argsort(descending=True, stable=True)[:_PAIRS].tolist()
    return [(int(pairs[i]) // classes, int(pairs[i]) % classes, int(counts[i])) for i in order]


def write_details(
    run: Run, answers: Answers, batches: Batches, card: ModelCard, names: Sequence[str] | None = None
) -> None:
    """Write `test.json` and the images of `worst` into the folder of a retraining."""
    run.write_json("test.json", error_details(answers, card.classes, names))
    for number, image in enumerate(worst_images(answers, batches, card)):
        run.write(f"worst/{number:02}.png", image)


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
