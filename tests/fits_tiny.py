"""A finished fit that takes seconds, for tests that only read it; import the fixture `tiny_fit` to use it."""

from contextlib import contextmanager

import pytest
import torch
from jaxtyping import config

from zarts.planner.time_plan import TimePlan

PLAN = TimePlan(0.8, (("T/9", 0.1), ("T/3", 0.2)), handmade=2, searched=8, seeds=1, second_seeds=0, why="")
SETTINGS = {"data": "digits", "max_params": "3k", "processes": 1, "time": 120, "input": "uint8", "int8": True}


@contextmanager
def tiny_trainings():
    """Inside, trainings of fits take fractions of a second."""
    torch.set_num_threads(1)
    config.update("jaxtyping_disable", True)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("zarts.planner.fit.plan_time", lambda *left, **options: PLAN)
            for name, value in (("rounds._QUIET", 1), ("rounds._ROUND", 2), ("fit.MOST", 3), ("fit._LAST", 2)):
                patch.setattr(f"zarts.planner.{name}", value)
            patch.setattr("zarts.planner.first_steps._LEAST", 0.1)
            patch.setattr("zarts.planner.first_steps._MOST", 0.1)
            patch.setattr("zarts.planner.finals._is_too_little", lambda *promises: False)  # both are trained to the end
            patch.setattr("zarts.planner.candidates._LEAST", 0.0)  # a few steps need not take just these seconds
            patch.setattr("zarts.planner.candidates._MOST", 1e9)
            patch.setattr("zarts.planner.torch_baselines._EQUAL", 0.0)  # nor just as many as the finalists
            yield
    finally:
        config.update("jaxtyping_disable", False)


def fit_in(folder, **settings):
    """A fit of `SETTINGS`, see `tiny_trainings`."""
    import zarts

    with tiny_trainings():
        return zarts.fit(out=folder, quiet=True, **{**SETTINGS, **settings})


@pytest.fixture(scope="session")
def tiny_fit(tmp_path_factory):
    """The result of a fit with uint8 images and 8-bit files."""
    return fit_in(tmp_path_factory.mktemp("fit") / "run")
