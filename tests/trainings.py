"""Short trainings of a small candidate of a fit."""

import pytest

from zarts.config.fit import fit_settings
from zarts.data import load_data
from zarts.planner.pictures import Pictures
from zarts.planner.records import Candidate
from zarts.planner.training import Task
from zarts.spaces import handmade

CANDIDATE = Candidate(1, "r8", "hand-made", handmade("resnet8", 0.25), 8)


def digits():
    """The digits, of which a fifth validates."""
    return Pictures(lambda size: pytest.fail("one size is enough"), [8], 0, load_data("digits"))


def task(folder, name, seconds=0.6, **changes):
    """A training of `CANDIDATE` on them."""
    recipe = fit_settings({"data": "digits"}).recipe(
        batch_size=32, learning_rate=0.05, kernels="torch", precision="32", layout="nchw"
    )
    given = {
        "length": name,
        "seed": 3,
        "warmup": 0.05,
        "pace": None,
        "repeats": None,
        "deadline": None,
        "continues": None,
    }
    given |= {"keeps": folder / f"{name}.pt", "model": folder / f"{name}.safetensors"}
    return Task(candidate=CANDIDATE, seconds=seconds, recipe=recipe, **{**given, **changes})
