"""Where a network errs, counted by hand; and what a run and its report say of it."""

import json

import pytest
import torch

import zarts
from zarts.errors import RunError
from zarts.reports import write_report
from zarts.reports.error_section import read_tested
from zarts.training import error_details
from zarts.training.error_analysis import confusion
from zarts.training.evaluate import Answers

CLASSES = ("ant", "bee", "cat", "dog")
ANSWERS = Answers(
    torch.tensor([0, 0, 0, 1, 1, 2, 2, 2]),
    torch.tensor([0, 1, 1, 1, 0, 2, 1, 2]),
    torch.tensor([0.1, 2.0, 3.0, 0.2, 4.0, 0.3, 1.0, 9.0], dtype=torch.float64),
)


def test_by_hand():
    assert ANSWERS.accuracy == 50
    assert confusion(ANSWERS, 4).tolist() == [[1, 2, 0, 0], [1, 1, 0, 0], [0, 1, 2, 0], [0, 0, 0, 0]]
    found = error_details(ANSWERS, CLASSES, [f"{i}.png" for i in range(8)])
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


def test_of_many_classes_there_is_no_matrix():
    answers = Answers(torch.arange(150), torch.arange(150).roll(1), torch.ones(150, dtype=torch.float64))
    found = error_details(answers, [str(i) for i in range(150)])
    assert "confusion" not in found
    assert (len(found["confused"]), len(found["worst"])) == (50, 24)


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
