"""The report section on the errors of a trained network, from `test.json`."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, NamedTuple

from zarts.readers import malformed
from zarts.runtime.io import read_mapping
from zarts.runtime.paths import printable

__all__ = ["ConfusionCell", "Tested", "WorstImage", "read_tested"]

_MATRIX = 30  # largest number of classes for which the matrix is shown


class ConfusionCell(NamedTuple):
    """A field of the matrix: images, their share of the row in percent, whether the class is right, and its title."""

    images: int
    share: float
    right: bool
    title: str


class WorstImage(NamedTuple):
    """A misclassified image as a data URL, with its classes and loss."""

    url: str
    name: str
    true: str
    predicted: str
    loss: str


class Tested(NamedTuple):
    """The contents of the section."""

    images: int
    classes: list[tuple[str, int, float | None]]
    matrix: list[tuple[str, list[ConfusionCell]]]
    confused: list[tuple[str, str, int]]
    worst: list[WorstImage]


def read_tested(folder: Path) -> Tested | None:
    """Read the section from `test.json`; None where a run has no such file.

    Raises:
        RunError: the file is damaged.
    """
    path = folder / "test.json"
    data = read_mapping(path)
    if not data:
        return None
    with malformed(path, "the error details of a test"):
        return Tested(
            int(data["images"]),
            [(printable(row["class"]), int(row["images"]), row["accuracy"]) for row in data["per_class"]],
            _matrix(data),
            [(printable(row["true"]), printable(row["predicted"]), int(row["images"])) for row in data["confused"]],
            [_worst(folder, number, row) for number, row in enumerate(data["worst"])],
        )


def _matrix(data: dict[str, Any]) -> list[tuple[str, list[ConfusionCell]]]:
    names = [printable(row["class"]) for row in data["per_class"]]
    if len(names) > _MATRIX or "confusion" not in data:
        return []
    rows = []
    for true, counts in zip(names, data["confusion"], strict=True):
        total = max(1, sum(counts))
        rows.append(
            (
                true,
                [
                    ConfusionCell(
                        count,
                        100 * count / total,
                        true == predicted,
                        f"{count} of {total} images of {true} predicted as {predicted}",
                    )
                    for predicted, count in zip(names, counts, strict=True)
                ],
            )
        )
    return rows


def _worst(folder: Path, number: int, row: dict[str, Any]) -> WorstImage:
    file = folder / "worst" / f"{number:02}.png"
    image = base64.b64encode(file.read_bytes()).decode() if file.exists() else ""
    return WorstImage(
        f"data:image/png;base64,{image}" if image else "",
        printable(row["image"]),
        printable(row["true"]),
        printable(row["predicted"]),
        "not finite" if row["loss"] is None else f"{row['loss']:.2f}",  # JSON has no nan
    )
