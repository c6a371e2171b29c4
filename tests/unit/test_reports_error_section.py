"""Where a network errs, in the report: whatever the file holds, legible, and small."""

import base64
import io
import json
import math
import re

import numpy as np
import pytest
import torch
from PIL import Image

from reports import EVIL, Checker, write_run
from zarts.data import ImageSet
from zarts.errors import RunError
from zarts.reports import write_report
from zarts.reports.error_section import read_tested
from zarts.reports.theme import ROLES
from zarts.runs import Run
from zarts.spaces import SPACES
from zarts.training import ModelCard, error_details
from zarts.training.error_analysis import worst_images
from zarts.training.evaluate import Answers, test_batches

batches_of = test_batches
del test_batches  # pytest would take it for a test


def answers(losses, predicted=None):
    """Of as many images of the classes 0, 1, 2, 0, …; all wrong unless said otherwise."""
    labels = torch.arange(len(losses)) % 3
    return Answers(labels, (labels + 1) % 3 if predicted is None else predicted, torch.tensor(losses).double())


def write(folder, answers, classes=("ant", "bee", "cat"), names=None):
    Run(folder).write_json("test.json", error_details(answers, classes, names))
    return folder


def of_size(side):
    """Colour images of noise, 30 of them, that compress badly, as their network sees them."""
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(0, 256, (30, 3, side, side), dtype=torch.uint8, generator=generator)
    genotype = SPACES["s2"].random(generator)
    mean, std = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
    card = ModelCard(genotype, 2, 3, "cifar", ("ant", "bee", "cat"), side, mean, std)
    return levels, batches_of(ImageSet(levels, torch.arange(30) % 3), card, torch.device("cpu")), card


def test_pictures_are_the_images_before_they_were_normalised():
    levels, batches, card = of_size(8)
    losses = [float(i) for i in range(30)]
    for place, png in enumerate(worst_images(answers(losses), batches, card)):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(png))), levels[29 - place].permute(1, 2, 0).numpy())


def test_a_report_of_large_images_stays_small(tmp_path):
    """24 pictures of 224 pixels a side would alone be more than the five million bytes that a report may have."""
    _, batches, card = of_size(224)
    found = answers([1.0] * 30)
    pictures = worst_images(found, batches, card)
    assert {Image.open(io.BytesIO(png)).size for png in pictures} == {(96, 96)}
    run = write(write_run(tmp_path, {"command": "retrain"}, command="retrain"), found)
    for number, png in enumerate(pictures):
        Run(run).write(f"worst/{number:02}.png", png)
    assert write_report(run).stat().st_size < 5_000_000


def test_a_loss_that_is_no_number_is_the_worst_and_is_told(tmp_path):
    run = write(write_run(tmp_path, {"command": "retrain"}, command="retrain"), answers([2.0, math.nan, math.inf]))
    assert [row["loss"] for row in json.loads((run / "test.json").read_text())["worst"]] == [None, None, 2.0]
    assert [image.loss for image in read_tested(run).worst] == ["not finite", "not finite", "2.00"]
    assert "not finite" in write_report(run).read_text(encoding="utf-8")


def test_names_are_text(tmp_path):
    run = write_run(tmp_path, {"command": "retrain"}, command="retrain")
    text = write_report(write(run, answers([1.0] * 3), ("ant", "bee", EVIL), [f"{EVIL}.png"] * 3)).read_text("utf-8")
    assert EVIL not in text
    page = Checker(text)
    assert page.words.count(EVIL) >= 3
    assert ("href", "#errors") in page.attributes


def test_more_than_thirty_classes_have_pairs_in_the_place_of_the_matrix(tmp_path):
    run = write_run(tmp_path, {"command": "retrain"}, command="retrain")
    found = answers([1.0] * 3)
    thirty = write_report(write(run, found, tuple(map(str, range(30))))).read_text("utf-8")
    more = write_report(write(run, found, tuple(map(str, range(31))))).read_text("utf-8")
    assert ("table matrix" in thirty, "Most frequent confusions" in thirty) == (True, False)
    assert ("table matrix" in more, "Most frequent confusions" in more) == (False, True)


def luminance(colour):
    """Source: WCAG 2.1, relative luminance."""
    parts = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def rgb(text):
    return [int(text[place : place + 2], 16) / 255 for place in (1, 3, 5)]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_deepest_fields_of_the_matrix_can_be_read(tmp_path, theme):
    """Contrast of 4.5 or more, of fields that are all right and all wrong, on both papers."""
    run = write_run(tmp_path, {"command": "retrain"}, command="retrain")
    text = write_report(write(run, answers([1.0] * 3, torch.tensor([0, 2, 2])))).read_text("utf-8")
    mixes = set(re.findall(r"color-mix\(in srgb, var\(--(\w+)\) (\d+)%, transparent\)", text))
    deepest = {role: max(int(share) for name, share in mixes if name == role) for role, _ in mixes}
    assert set(deepest) == {"sep", "dil"}
    colours = {name: rgb(getattr(role, theme)) for name, role in ROLES.items()}
    for role, share in deepest.items():
        assert share > 30
        field = [share / 100 * a + (1 - share / 100) * b for a, b in zip(colours[role], colours["paper"], strict=True)]
        low, high = sorted((luminance(field), luminance(colours["ink"])))
        assert (high + 0.05) / (low + 0.05) >= 4.5


@pytest.mark.parametrize("change", [{"per_class": 3}, {"confused": [{}]}, {"worst": [{"loss": 1.0}]}, {"images": None}])
def test_a_damaged_file(tmp_path, change):
    data = json.loads((write(tmp_path, answers([1.0] * 3)) / "test.json").read_text())
    (tmp_path / "test.json").write_text(json.dumps({**data, **change}))
    with pytest.raises(RunError, match=r"test\.json"):
        read_tested(tmp_path)


def test_a_picture_that_is_gone(tmp_path):
    run = write(write_run(tmp_path, {"command": "retrain"}, command="retrain"), answers([1.0] * 3))
    Run(run).write("worst/01.png", b"png")
    urls = [image.url for image in read_tested(run).worst]
    assert urls == ["", "data:image/png;base64," + base64.b64encode(b"png").decode(), ""]
    assert write_report(run).read_text("utf-8").count("<img") == 1
