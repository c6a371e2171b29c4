"""A search as its checkpoint left it: the same weights and alpha, and nothing of the run is changed."""

import pytest
import torch

from tests.small import SMALL, small
from zarts.api import search, searched_settings
from zarts.errors import RunError
from zarts.runs import Run
from zarts.searcher import restore_search


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return search(**SMALL, out=tmp_path_factory.mktemp("opened") / "run").run


def files(run):
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in run.rglob("*") if path.is_file()}


def opened(run):
    return restore_search(searched_settings(run), Run(run), lambda event: None)


def test_the_state_is_that_of_the_checkpoint_and_the_run_is_left_alone(run):
    before = files(run)
    saved = torch.load(run / "checkpoint.pt", weights_only=True)["job"]
    with opened(run) as found:
        assert torch.equal(found.alpha, saved["arch_optimizer"]["x"])
        for name, value in found.problem.model.state_dict().items():
            assert torch.equal(value, saved["model"][name])
        assert found.problem.optimizer.param_groups[0]["lr"] == saved["optimizer"]["param_groups"][0]["lr"]
        assert found.epoch == SMALL["epochs"]
        assert found.global_step == found.epoch * len(found.train)
        found.problem.weight_step(found.alpha, found.train[found.global_step])
    assert files(run) == before


def test_the_size_of_perturbations_and_no_draw(run):
    with opened(run) as found, opened(run) as again:
        assert found.perturbation_size == again.perturbation_size
        assert 0.1 < found.perturbation_size < 0.3  # sigma is 0.2, and the cosine has only begun to fall


def test_what_cannot_be_opened(run, tmp_path):
    drawn = search(method="random", data="digits", out=tmp_path / "random").run
    with pytest.raises(RunError, match="'random'"), opened(drawn):
        pass
    other = search(**{**small("darts"), "epochs": 1, "warmup_epochs": 0}, out=tmp_path / "darts").run
    with opened(other) as found:
        assert found.perturbation_size is None
    (other / "checkpoint.pt").unlink()
    with pytest.raises(RunError, match="checkpoint"), opened(other):
        pass
