"""The ablation of a zero-order recipe: nothing is evaluated."""

import pytest
import torch
from test_bilevel import TRAIN, VAL, Quadratic

import zarts
from small import small
from zarts.api._ranks import candidates
from zarts.arch_optim import ZeroOrderArchOptimizer, zero_order
from zarts.bilevel import first_order_gradient
from zarts.config import dump, search_settings
from zarts.errors import SettingsError
from zarts.methods import LIBRARIES
from zarts.zo import OPTIMIZERS

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture
def unevaluated(monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("a candidate was evaluated")

    monkeypatch.setattr(zero_order, "Evaluator", refuse)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name not in LIBRARIES])
def test_nothing_is_evaluated_and_what_is_left_is_the_proposal(name, unevaluated):
    """MGS: pairs of opposite noise cancel, and the move is minus the gradient. RS and GLD have nothing to go by."""
    toy, start = Quadratic(), torch.ones(4, dtype=torch.float64)
    options = {"mixture_lambda": 0.0} if name == "mgs" else {}
    optimizer = OPTIMIZERS[name](start, torch.Generator().manual_seed(0), **options)
    update = ZeroOrderArchOptimizer(optimizer, inner_steps=3, uses_losses=False)
    assert update.train_batches == 0
    outcome = update.step(toy.problem, [TRAIN] * 3, [VAL])
    assert outcome["losses"] == []
    expected = -first_order_gradient(toy.problem, start, [VAL])[1] if name == "mgs" else torch.zeros(4)
    torch.testing.assert_close(update.alpha - start, expected.double())


def test_a_search(tmp_path, unevaluated):
    settings = {k: v for k, v in small("zarts-mgs").items() if k not in ("inner_steps", "esr_target")}
    result = zarts.search(out=tmp_path / "run", **settings, ablation="uniform")
    steps = [e for e in result.history if e["event"] == "alpha_step"]
    assert [step["weights"] for step in steps] == [[0.5, 0.5]] * 2
    assert all(step["move_norm"] > 0 for step in steps)


def test_settings():
    settings = search_settings({"method": "zarts-mgs", "ablation": "uniform"})
    assert not {"inner_steps", "inner_learning_rate", "tau", "esr_target"} & set(dump(settings))
    assert search_settings(dump(settings)) == settings
    assert candidates(settings) == 0
    for method in ("darts", "gdas", "rsps", "enas"):
        with pytest.raises(SettingsError, match=r"^ablation [^;]* zero-order"):
            search_settings({"method": method, "ablation": "uniform"})
    with pytest.raises(SettingsError, match="nevergrad:DE"):
        search_settings({"arch_optimizer": "nevergrad:DE", "ablation": "uniform"})
    with pytest.raises(SettingsError, match="weights = exact"):
        search_settings({"method": "zarts-mgs", "ablation": "uniform", "importance_weights": "exact"})
    with pytest.raises(SettingsError, match="inner_steps"):
        search_settings({"method": "zarts-mgs", "ablation": "uniform", "inner_steps": 3})
