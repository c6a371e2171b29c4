"""Trainings of candidates: their time, their continuation, and their repetition to the bit."""

import time

import pytest
import torch

from trainings import CANDIDATE, digits, task
from zarts.data import load_data
from zarts.errors import DataError, Interrupted
from zarts.planner.training import train_candidate
from zarts.training import load_model


@pytest.fixture(scope="module")
def pictures():
    return digits()


def train(one, pictures):
    return train_candidate(one, pictures[8], lambda: False)


def test_parts_are_disjoint_stratified_and_without_the_test(pictures):
    images, digits = pictures[8], load_data("digits")
    assert len(images.train) + len(images.val) == len(digits.train)
    assert len(images.val) == pytest.approx(0.2 * len(digits.train), rel=0.02)  # few images: a fifth validates
    counts = torch.bincount(images.val.labels)
    assert counts.max() - counts.min() <= 3
    assert not {tuple(row) for row in digits.train.images[images.train].flatten(1).tolist()} & {
        tuple(row) for row in images.val.images.flatten(1).tolist()
    }
    with pytest.raises(DataError, match="test images"):
        images.data.test()


def test_a_continued_training_is_a_whole_one_and_can_be_repeated(pictures, tmp_path):
    short = train(task(tmp_path, "short"), pictures)
    long = train(task(tmp_path, "long", 1.2, continues=tmp_path / "short.pt"), pictures)
    assert long.schedule.falls_at > short.schedule.falls_at
    again = train(task(tmp_path, "again", 1.2, repeats=long.schedule), pictures)
    assert torch.equal(again.logits, long.logits)
    assert again.schedule.steps == long.schedule.steps
    _network, card = load_model(tmp_path / "long.safetensors")
    assert (card.architecture, card.image_size) == (CANDIDATE.chain, 8)
    right = (long.logits.argmax(1) == pictures[8].val.labels).float().mean()
    assert right > 0.5  # chance is 0.1
    assert long.seconds == pytest.approx(1.2, rel=0.25)  # of the processor; a long one keeps it much closer


def test_a_deadline_ends_a_training_whatever_is_left(pictures, tmp_path):
    begun = time.monotonic()
    found = train(task(tmp_path, "late", 1000.0, deadline=begun + 1.0), pictures)
    assert time.monotonic() - begun < 20
    assert found.schedule.steps > found.schedule.falls_at


def test_a_request_to_stop_is_heard_at_the_next_step(pictures, tmp_path):
    asked = []
    with pytest.raises(Interrupted):
        train_candidate(task(tmp_path, "stopped", 60.0), pictures[8], lambda: bool(asked.append(1)) or len(asked) > 3)
    assert len(asked) == 4
    assert not (tmp_path / "stopped.safetensors").exists()
