"""Where a network errs, counted by hand; and what a run and its report say of it."""

import json

import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

import zarts
from zarts.config import UserFunction
from zarts.errors import RunError
from zarts.reports import write_report
from zarts.reports.error_section import read_tested
from zarts.training import error_details
from zarts.training.criterion import criterion_of
from zarts.training.evaluate import Answers

MEAN_LOSS = UserFunction("python:loss", function=functional.cross_entropy)
CLASSES = ("ant", "bee", "cat", "dog")
ANSWERS = Answers(
    torch.tensor([0, 0, 0, 1, 1, 2, 2, 2]),
    torch.tensor([0, 1, 1, 1, 0, 2, 1, 2]),
    torch.tensor([0.1, 2.0, 3.0, 0.2, 4.0, 0.3, 1.0, 9.0], dtype=torch.float64),
)


def test_by_hand():
    assert ANSWERS.accuracy == 50
    found = error_details(ANSWERS, CLASSES, [f"{i}.png" for i in range(8)])
    assert found["confusion"] == [[1, 2, 0, 0], [1, 1, 0, 0], [0, 1, 2, 0], [0, 0, 0, 0]]
    assert [(row["class"], row["images"], row["accuracy"]) for row in found["per_class"]] == [
        ("ant", 3, pytest.approx(100 / 3)),
        ("bee", 2, 50),
        ("cat", 3, pytest.approx(200 / 3)),
        ("dog", 0, None),
    ]
    assert [(row["true"], row["predicted"], row["images"]) for row in found["confused"]] == [
        ("ant", "bee", 2),
        ("bee", "ant", 1),
        ("cat", "bee", 1),
    ]
    assert [(row["image"], row["loss"]) for row in found["worst"]] == [
        ("4.png", 4),
        ("2.png", 3),
        ("1.png", 2),
        ("6.png", 1),
    ]


@pytest.mark.parametrize(("classes", "images"), [(2, 9), (7, 400), (100, 3000), (150, 5000)])
def test_as_by_the_whole_matrix(classes, images, generator):
    """All figures are those of a matrix of all classes, filled image by image."""
    labels, predicted = (torch.randint(classes, (images,), generator=generator) for _ in range(2))
    right = torch.rand(images, generator=generator) < 0.7
    answers = Answers(labels, torch.where(right, labels, predicted), torch.ones(images, dtype=torch.float64))
    matrix = [[0] * classes for _ in range(classes)]
    for true, taken_for in zip(answers.labels.tolist(), answers.predicted.tolist(), strict=True):
        matrix[true][taken_for] += 1
    found = error_details(answers, [str(i) for i in range(classes)])
    assert found.get("confusion") == (matrix if classes <= 100 else None)
    for i, row in enumerate(found["per_class"]):
        accuracy = 100 * matrix[i][i] / sum(matrix[i]) if sum(matrix[i]) else None
        assert (row["class"], row["images"], row["accuracy"]) == (str(i), sum(matrix[i]), accuracy)
    pairs = [(-matrix[i][j], i, j) for i in range(classes) for j in range(classes) if i != j and matrix[i][j]]
    expected = [{"true": str(i), "predicted": str(j), "images": -count} for count, i, j in sorted(pairs)[:50]]
    assert found["confused"] == expected


class _Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation of torch makes."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        found = made if isinstance(made, tuple | list) else [made]
        self.elements = max([self.elements, *(t.numel() for t in found if isinstance(t, torch.Tensor))])
        return made


def test_memory_in_proportion_to_images_and_classes(generator):
    """15,000 classes x 15,000 classes were 225,000,000 numbers."""
    classes = 15_000
    labels, predicted = (torch.randint(classes, (30_000,), generator=generator) for _ in range(2))
    answers = Answers(labels, predicted, torch.rand(30_000, dtype=torch.float64, generator=generator))
    with _Largest() as largest:
        found = error_details(answers, [str(i) for i in range(classes)])
        criterion_of(MEAN_LOSS, labels, classes, torch.device("cpu"), 0.0)
    assert (len(found["per_class"]), len(found["confused"]), len(found["worst"])) == (classes, 50, 24)
    assert largest.elements <= 400 * classes  # a hundred classes are tried with four images each


def test_a_retraining_writes_them_down(retrained):
    data = json.loads((retrained.run / "test.json").read_text())
    assert data["accuracy"] == retrained.test_accuracy
    assert data["images"] == sum(map(sum, data["confusion"])) == 359
    assert sum(row[i] for i, row in enumerate(data["confusion"])) / 359 == pytest.approx(retrained.test_accuracy / 100)
    assert len(list((retrained.run / "worst").glob("*.png"))) == len(data["worst"]) == 24
    details = zarts.api.examine(retrained.run)
    assert details["confusion"] == data["confusion"]
    assert (
        details["worst"] == [pytest.approx(row) for row in data["worst"]]
        or details["worst"][0]["image"] == data["worst"][0]["image"]
    )


def test_the_report_shows_them(tmp_path, retrained):
    text = write_report(retrained.run).read_text()
    assert text.count('src="data:image/png;base64,') == 24
    assert "images of 3 predicted as 3" in text
    assert read_tested(tmp_path) is None
    (tmp_path / "test.json").write_text('{"images": 3}')
    with pytest.raises(RunError, match=r"test\.json"):
        read_tested(tmp_path)
