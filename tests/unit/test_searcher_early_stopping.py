"""Searches that watch the dominant eigenvalue, and end when it has grown."""

import math
import sys

import pytest
import torch

import zarts
from small import outcome, small, stop_at
from zarts.config import search_settings
from zarts.errors import Interrupted, SettingsError
from zarts.searcher.early_stopping import EarlyStopping
from zarts.spaces import Genotype, get_space

pytestmark = pytest.mark.usefixtures("no_pictures", "unchecked")
WATCHED = {"eigenvalue_every": 1, "eigenvalue_growth": 1.0001, "eigenvalue_after": 1, "epochs": 9, "warmup_epochs": 0}


def cell(number):
    return get_space("s2").random(torch.Generator().manual_seed(number))


def watch(values, **settings):
    """The epochs at which a search with these eigenvalues ends, and with whose cell it does."""
    given = {"method": "darts", "eigenvalue_every": 2, "eigenvalue_growth": 1.3, **settings}
    stop = EarlyStopping(search_settings(given))
    for number, value in enumerate(values, start=1):
        epoch = 2 * number
        assert [stop.measures(epoch - back, 3, 4) for back in (1, 2)] == [True, False]
        assert not stop.measures(epoch - 1, 2, 4)
        assert stop.end_epoch(epoch - 1, cell(epoch - 1)) == {}
        stop.add(epoch, value)
        event = stop.end_epoch(epoch, cell(epoch))
        if stop.chosen is not None:
            assert event == {"eigenvalue": value, "stopped": True, "genotype_of_epoch": stop.chosen}
            assert stop.genotype == cell(stop.chosen)
            return epoch, stop.chosen
    return None


def test_the_rule_by_hand():
    """Local means are of five; those of epochs 10 and 18 can be compared when there is an eigenvalue of epoch 22."""
    flat = [1.0] * 25
    assert watch(flat) is None
    assert watch([*flat[:11], *[2.0] * 9]) == (26, 14), "the mean at epoch 22 is 1.6, that at 20 is 1.4"
    assert watch([1.0] * 10 + [2.6] * 10) == (22, 10), "1.32 at epoch 18"
    assert watch([1.0] * 10 + [2.5] * 10) == (24, 12), "1.3 at epoch 18 is not more than 1.3 times 1"
    assert watch([0.1] * 2 + [1.0] * 18) is None, "growth before epoch 10"
    assert watch([0.1] * 2 + [1.0] * 18, eigenvalue_after=2) == (14, 2)


def test_what_cannot_have_grown():
    assert watch([-20.0 + i for i in range(20)]) is None
    assert watch([1.0] * 12 + [math.nan] + [1.0] * 7) is None
    assert watch([1.0] * 10 + [99.0] * 10, eigenvalue_growth=None) is None


def test_one_that_never_fires_changes_nothing(tmp_path):
    for method in ("darts", "zarts-mgs"):
        plain = zarts.search(out=tmp_path / f"{method}", **small(method))
        for growth in (None, 1e6) if method == "darts" else (1e6,):
            more = {"eigenvalue_every": 1, **({"eigenvalue_growth": growth, "eigenvalue_after": 1} if growth else {})}
            watched = zarts.search(out=tmp_path / f"{method}-{growth}", **small(method, **more))
            ours, theirs = outcome(watched.run), outcome(plain.run)
            events = [event for event in ours["metrics"] if event["event"] == "eigenvalue"]
            assert [event["epoch"] for event in events] == [1, 2]
            assert all(math.isfinite(event["eigenvalue"]) for event in events)
            ours["metrics"] = [event for event in ours["metrics"] if event["event"] != "eigenvalue"]
            assert ours == theirs


@pytest.fixture
def growing(monkeypatch):
    """Eigenvalues that grow by a half from epoch to epoch."""
    values = []
    module = sys.modules["zarts.searcher.early_stopping"]
    monkeypatch.setattr(module, "dominant_eigenvalue", lambda *_: values.append(0) or 1.5 ** len(values))


def test_a_search_that_ends_early(tmp_path, growing):
    result = zarts.search(out=tmp_path / "run", **small("darts", **WATCHED))
    events = [event for event in result.history if event["event"] == "eigenvalue"]
    assert [event["epoch"] for event in events] == list(range(1, 8))
    assert events[-1]["genotype_of_epoch"] == 1
    assert [event["epoch"] for event in result.history if event["event"] == "weight_epoch"] == list(range(1, 8))
    assert result.genotype == Genotype.load(result.run / "genotypes/epoch_001.json")


def test_it_is_resumed_with_what_it_has_seen(tmp_path, monkeypatch):
    """Stopped while the first eigenvalue is computed, and the last one."""
    trainer = sys.modules["zarts.training.trainer"]
    settings = small("r-darts", drop_path=0.0, **{**WATCHED, "epochs": 2})
    count = stop_at(0)
    monkeypatch.setattr(trainer, "stop_request", count)
    straight = zarts.search(out=tmp_path / "straight", **settings)
    for number in (4, count.stop.calls):
        monkeypatch.setattr(trainer, "stop_request", stop_at(number))
        with pytest.raises(Interrupted):
            zarts.search(out=tmp_path / f"{number}", **settings)
        monkeypatch.setattr(trainer, "stop_request", stop_at(0))
        zarts.api.resume_search(tmp_path / f"{number}")
        assert outcome(tmp_path / f"{number}") == outcome(straight.run)


def test_a_search_that_has_ended_does_not_go_on(tmp_path, monkeypatch, growing):
    result = zarts.search(out=tmp_path / "run", **small("darts", **WATCHED))
    before = outcome(result.run)
    (result.run / "result.json").unlink()
    zarts.api.resume_search(result.run)
    assert outcome(result.run) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "r-darts", "relaxation": "gumbel"}, "eigenvalue_every = 2"),
        ({"method": "r-darts", "select": "best-of"}, r"eigenvalue_growth = 1\.3"),
        ({"method": "r-darts", "compile": True}, "eigenvalue_every = 2"),
        ({"method": "darts", "eigenvalue_growth": 1.3}, "eigenvalue_growth"),
        ({"method": "r-darts", "eigenvalue_growth": 1.0}, r"eigenvalue_growth = 1\.0"),
        ({"method": "spos", "eigenvalue_every": 1}, "eigenvalue_every"),
        ({"method": "enas", "max_skips": 1}, "max_skips"),
        ({"method": "random", "drop_path": 0.1}, "drop_path"),
    ],
)
def test_refused(options, message):
    with pytest.raises(SettingsError, match=message):
        search_settings(options)


def test_r_darts_beside_other_axes():
    for more in ({"relaxation": "gumbel"}, {"select": "best-of"}, {"compile": True}):
        assert search_settings({"method": "r-darts", "eigenvalue_every": 0, **more}).drop_path == 0.2
    assert search_settings({"method": "r-darts", "arch_optimizer": "mgs"}).eigenvalue_growth == 1.3


def test_drop_path_without_any_is_the_plain_search(tmp_path):
    """R-DARTS with nothing to drop and nothing to watch is DARTS of second order."""
    plain = zarts.search(out=tmp_path / "plain", **small("darts-2nd", space="s4"))
    other = small("r-darts", space="s4", drop_path=0.0, eigenvalue_every=0)
    ours, theirs = outcome(zarts.search(out=tmp_path / "other", **other).run), outcome(plain.run)
    assert ours["result"].pop("method") == "r-darts"
    theirs["result"].pop("method")
    assert ours == theirs


def test_drop_path_grows_along_the_search(tmp_path, monkeypatch):
    module, seen = sys.modules["zarts.searcher.supernet_loss"], []
    forward = module.SupernetLoss._loss

    def watched(self, weights, batch):
        seen.append(self.supernet.drop.path if self.supernet.drop.active(self.supernet) else None)
        return forward(self, weights, batch)

    monkeypatch.setattr(module.SupernetLoss, "_loss", watched)
    settings = small("zarts-mgs", drop_path=0.4, epochs=4, mixture_lambda=1.0)
    zarts.search(out=tmp_path / "run", **settings)
    trained = [p for p in seen if p is not None]
    assert sorted(set(trained)) == pytest.approx([0.4 / 3, 0.8 / 3, 0.4]), "e / (E - 1) of it"
    assert seen[:2] == [None, None], "the first epoch drops nothing"
    assert None in seen[3:], "and what is only evaluated never does"


def test_few_skips_of_any_method(tmp_path):
    result = zarts.search(out=tmp_path / "run", **small("zarts-gld", space="s2", max_skips=0))
    for file in (result.run / "genotypes").iterdir():
        assert Genotype.load(file).count("normal", frozenset({"skip_connect"})) == 0
    assert result.genotype.count("normal", frozenset({"skip_connect"})) == 0
