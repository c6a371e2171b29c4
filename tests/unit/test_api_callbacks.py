"""Live curves: what a logger is handed, and what TensorBoard reads back."""

import math
import sys

import pytest

from small import SMALL, TRAIN, small
from zarts.api import resume_search, retrain, search
from zarts.callbacks import scalars, to_logger
from zarts.errors import SettingsError

pytestmark = pytest.mark.usefixtures("unchecked")

BRIEF = {**SMALL, "epochs": 2}


def test_numbers_by_name():
    event = {"event": "genotype", "epoch": 2, "parameterless": {"normal": 3, "reduce": 1}, "skip": {"normal": 0}}
    assert scalars(event) == {
        "cell/parameterless/normal": 3.0,
        "cell/parameterless/reduce": 1.0,
        "cell/skip/normal": 0.0,
    }
    step = {"event": "alpha_step", "epoch": 1, "step": 4, "update": 7, "losses": [1.0, None, 3.0], "ess": 2.5}
    assert scalars(step) == {"alpha/ess": 2.5, "alpha/loss": 2.0}
    assert scalars({"event": "weight_epoch", "epoch": 1, "train_loss": math.nan, "note": "a", "flag": True}) == {}
    assert scalars({"event": "note", "text": "of no number", "n": 3}) == {}


class Wandb:
    def __init__(self):
        self.rows = []

    def log(self, data):
        self.rows.append(data)


def test_a_logger_of_wandbs_shape_has_all_numbers_and_their_places(tmp_path):
    logger = Wandb()
    history = search(**BRIEF, out=tmp_path / "run", callbacks=[to_logger(logger)]).history
    assert logger.rows == [{k: e[k] for k in ("epoch", "update") if k in e} | scalars(e) for e in history if scalars(e)]
    moves = [row for row in logger.rows if "alpha/ess" in row]
    assert [row["update"] for row in moves] == list(range(1, len(moves) + 1))
    assert [row["epoch"] for row in logger.rows if "weights/train_loss" in row] == [1, 2]


def read_back(run):
    """Name to (place, value) of every scalar in the run's TensorBoard folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(run / "tensorboard")).Reload()
    return {name: [(e.step, e.value) for e in found.Scalars(name)] for name in found.Tags()["scalars"]}


def expected(history):
    found = {}
    for event in history:
        for name, value in scalars(event).items():
            found.setdefault(name, []).append((event.get("update", event.get("epoch")), pytest.approx(value)))
    return found


@pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:google")
def test_tensorboard_shows_what_was_logged_also_of_a_run_that_goes_on(tmp_path):
    result = search(**BRIEF, logger="tensorboard", out=tmp_path / "run")
    assert read_back(result.run) == expected(result.history)
    (result.run / "result.json").unlink()
    again = resume_search(result.run, logger="tensorboard")
    assert read_back(result.run) == expected(again.history), "nothing twice"
    trained = retrain(
        result, **{k: v for k, v in TRAIN.items() if k != "data"}, logger="tensorboard", out=tmp_path / "t"
    )
    assert read_back(trained.run)["train/test_accuracy"][-1] == (2, pytest.approx(trained.test_accuracy))


def test_a_run_goes_on_without_the_logger_it_began_with(tmp_path):
    result = search(**small("darts"), logger="tensorboard", out=tmp_path / "run")
    (result.run / "result.json").unlink()
    assert resume_search(result.run).genotype == result.genotype


def test_tensorboard_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(SettingsError, match="logger = tensorboard"):
        search(**BRIEF, logger="tensorboard", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
