"""What every zero-order optimiser promises, over the whole registry."""

import io
import sys

import numpy as np
import pytest
import torch

from zarts import zo
from zarts.errors import DivergedError, RunError, SettingsError
from zarts.zo import OPTIMIZERS

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
CASES = [  # every way through the code, by method
    ("mgs", {}),
    (
        "mgs",
        {
            "mixture_lambda": 1.0,
            "tau": 0.05,
            "importance_weights": "exact",
            "antithetic": False,
            "sigma_decay": "constant",
        },
    ),
    ("mgs", {"proposal": "sum", "importance_weights": "released", "mixture_lambda": 0.1}),
    ("rs", {}),
    ("rs", {"estimator": "forward", "directions": "gaussian"}),
    ("rs", {"estimator": "one-point", "arch_learning_rate": 0.05}),
    ("gld", {}),
    ("gld", {"directions": "ball", "radius_decay": "constant"}),
    ("cmaes", {}),
    ("nevergrad", {}),
    ("nevergrad", {"name": "TwoPointsDE", "samples": 5}),
]
every_case = pytest.mark.parametrize(("name", "settings"), CASES)
every_method = pytest.mark.parametrize("name", list(OPTIMIZERS))


def loss(points):
    """A shallow bowl around 2: slopes and curvature as small as those of a supernet's loss."""
    return 0.05 * (points - 2).square().sum(-1)


def gradient_for(optimizer):
    return 0.1 * (optimizer.x - 2) if optimizer.uses_gradient else None


def make(method, seed=0, d=6, dtype=torch.float32, device="cpu", **settings):
    generator = torch.Generator(device).manual_seed(seed)
    return OPTIMIZERS[method](torch.zeros(d, dtype=dtype, device=device), generator, **settings)


def run(optimizer, steps, start=0, total=100):
    for step in range(start, start + steps):
        optimizer.anneal(step / total)
        optimizer.tell(loss(optimizer.ask(gradient_for(optimizer))))
    return optimizer.x


def test_the_cases_cover_the_registry():
    assert {name for name, _ in CASES} == set(OPTIMIZERS)


@every_case
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_and_step_have_the_shape_kind_and_place_of_x(name, settings, dtype, device):
    optimizer = make(name, dtype=dtype, device=device, **settings)
    before = optimizer.x.clone()
    points = optimizer.ask(gradient_for(optimizer))
    assert points.shape == (len(points), 6)
    assert (points.dtype, points.device.type) == (dtype, device)
    assert len(torch.unique(points, dim=0)) == len(points)
    assert torch.equal(optimizer.x, before)
    step = optimizer.tell(loss(points))
    assert torch.equal(optimizer.x, before + step.move)
    assert (optimizer.x.dtype, optimizer.x.device.type) == (dtype, device)
    assert step.move.isfinite().all()
    assert step.weights.min() >= 0
    torch.testing.assert_close(step.weights.sum().item(), 1.0)
    assert 1 - 1e-6 <= step.ess <= len(step.weights) + 1e-5
    assert step.esr == step.ess / len(step.weights)
    assert step.info
    assert all(isinstance(value, float) for value in step.info.values())


@every_method
@pytest.mark.parametrize("device", DEVICES)
def test_minimises_a_quadratic_with_its_defaults(name, device):
    optimizer = make(name, device=device)
    start = loss(optimizer.x)
    run(optimizer, 100)
    assert loss(optimizer.x) < 0.03 * start


@every_case
def test_same_seed_same_path_and_other_seed_other_path(name, settings):
    first, same, other = (run(make(name, seed, **settings), 5) for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@every_case
def test_global_random_state_is_untouched(name, settings):
    before = torch.get_rng_state()
    run(make(name, **settings), 3)
    assert torch.equal(torch.get_rng_state(), before)


@every_method
def test_start_vector_is_copied(name):
    x = torch.zeros(6)
    optimizer = OPTIMIZERS[name](x, torch.Generator().manual_seed(0))
    run(optimizer, 3)
    assert torch.equal(x, torch.zeros(6))
    fresh = OPTIMIZERS[name](x, torch.Generator().manual_seed(0))
    x.fill_(1.0)
    assert torch.equal(fresh.x, torch.zeros(6))


def through_a_file(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@every_case
def test_resume_equals_straight_run(name, settings):
    straight = run(make(name, **settings), 8)
    half = make(name, **settings)
    run(half, 4)
    resumed = make(name, seed=99, **settings)
    resumed.load_state_dict(through_a_file(half.state_dict()))
    assert resumed.progress == half.progress
    assert torch.equal(run(resumed, 4, start=4), straight)


@every_case
def test_resume_between_ask_and_tell_equals_straight_run(name, settings):
    half = make(name, **settings)
    run(half, 3)
    half.anneal(0.6)
    points = half.ask(gradient_for(half))
    half.anneal(0.7)  # must not touch what has been asked
    state = through_a_file(half.state_dict())
    steps = [half.tell(loss(points))]
    resumed = make(name, seed=99, **settings)
    resumed.load_state_dict(state)
    steps.append(resumed.tell(loss(points)))
    assert torch.equal(steps[0].move, steps[1].move)
    assert steps[0].info == steps[1].info
    assert torch.equal(run(half, 3, start=70), run(resumed, 3, start=70))


@every_method
def test_state_is_a_snapshot(name):
    optimizer = make(name)
    state = optimizer.state_dict()
    run(optimizer, 2)
    restored = make(name, seed=5)
    restored.load_state_dict(state)
    assert torch.equal(run(restored, 2), optimizer.x)
    assert torch.equal(state["x"], torch.zeros(6))


@every_method
def test_asking_again_draws_anew(name):
    optimizer = make(name)
    first = optimizer.ask(gradient_for(optimizer))
    second = optimizer.ask(gradient_for(optimizer))
    assert not torch.equal(first, second)
    torch.testing.assert_close(optimizer.state_dict()["pending"]["moves"], second - optimizer.x)


@every_case
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_one_loss_that_is_not_finite_has_no_say(name, settings, bad):
    optimizer = make(name, **settings)
    points = optimizer.ask(gradient_for(optimizer))
    losses = loss(points)
    losses[-1] = bad
    step = optimizer.tell(losses)
    assert step.move.isfinite().all()
    assert step.weights[-1] == 0
    torch.testing.assert_close(step.weights.sum().item(), 1.0)


@every_case
def test_no_finite_loss_is_an_error_that_changes_nothing(name, settings):
    optimizer = make(name, **settings)
    run(optimizer, 2)
    points = optimizer.ask(gradient_for(optimizer))
    before = optimizer.state_dict()
    with pytest.raises(DivergedError, match=f"{len(points)} losses"):
        optimizer.tell(torch.full((len(points),), torch.nan))
    after = optimizer.state_dict()
    assert torch.equal(after["x"], before["x"])
    assert torch.equal(after["generator"], before["generator"])
    untroubled = make(name, **settings)
    run(untroubled, 2)
    untroubled.ask(gradient_for(untroubled))
    assert torch.equal(optimizer.tell(loss(points)).move, untroubled.tell(loss(points)).move)


@every_method
def test_tell_before_ask_and_twice_is_refused(name):
    optimizer = make(name)
    with pytest.raises(SettingsError, match="call ask first"):
        optimizer.tell(torch.zeros(8))
    run(optimizer, 1)
    with pytest.raises(SettingsError, match="call ask first"):
        optimizer.tell(torch.zeros(8))


@every_method
def test_wrong_number_of_losses_is_refused(name):
    optimizer = make(name)
    points = optimizer.ask(gradient_for(optimizer))
    with pytest.raises(SettingsError, match=r"\(3,\)"):
        optimizer.tell(torch.zeros(3))
    optimizer.tell(loss(points))


@every_method
def test_wrong_gradients_are_refused(name):
    optimizer = make(name)
    if not optimizer.uses_gradient:
        points = optimizer.ask(torch.full((6,), torch.nan))  # ignored
        assert points.isfinite().all()
        return
    with pytest.raises(SettingsError, match=r"\(2, 3\)"):
        optimizer.ask(torch.zeros(2, 3))
    with pytest.raises(DivergedError, match="gradient"):
        optimizer.ask(torch.full((6,), torch.inf))


@every_method
@pytest.mark.parametrize("vector", [torch.tensor, np.array, list], ids=["tensor", "array", "list"])
def test_a_function_of_plain_numbers_is_minimised_by_the_class_alone(name, vector):
    """Settings by name, a seed or none, floats in and out: a bowl's 0.76 falls below 0.06 from any kind of vector."""
    optimizer = OPTIMIZERS[name](vector([0.5, -1.0, 0.0]))
    for step in range(100):
        optimizer.anneal(step / 100)
        optimizer.tell([float(0.05 * ((point - 2) ** 2).sum()) for point in optimizer.ask()])
    assert 0.05 * float((optimizer.x - 2).square().sum()) < 0.06
    seeded = [OPTIMIZERS[name](vector([0.0, 0.0]), seed).ask() for seed in (0, 0, 1)]
    by_generator = OPTIMIZERS[name](vector([0.0, 0.0]), torch.Generator().manual_seed(0)).ask()
    assert torch.equal(seeded[0], seeded[1])
    assert torch.equal(seeded[0], by_generator)
    assert not torch.equal(seeded[0], seeded[2])


def test_the_short_names_of_the_papers():
    assert {zo.MGS, zo.RS, zo.GLD, zo.CMAES, zo.Nevergrad} == set(OPTIMIZERS.values())


@every_case
def test_no_gradient_is_a_gradient_of_zero(name, settings):
    """With g = 0 both parts of eq. 8 are N(0, sigma^2)."""
    without, zero = make(name, **settings), make(name, **settings)
    assert torch.equal(without.ask(), zero.ask(torch.zeros(6)))
    if name == "mgs" and settings.get("proposal") != "sum":
        unguided = make(name, **{**settings, "mixture_lambda": 1.0})
        assert torch.equal(unguided.ask(), make(name, **settings).ask())


@every_method
def test_wrong_starts_are_refused(name):
    generator = torch.Generator()
    for x in (torch.zeros(2, 3), torch.zeros(0), torch.zeros(3, dtype=torch.int64), np.zeros((2, 3))):
        with pytest.raises(SettingsError, match="flat vector"):
            OPTIMIZERS[name](x, generator)
    with pytest.raises(SettingsError, match="'meta'"):
        OPTIMIZERS[name](torch.zeros(3, device="meta"), generator)


@every_method
@pytest.mark.parametrize("progress", [-0.1, 1.1, float("nan")])
def test_progress_outside_is_refused(name, progress):
    with pytest.raises(SettingsError, match=r"\[0, 1\]"):
        make(name).anneal(progress)


@every_method
def test_state_of_another_run_is_refused(name):
    other = next(known for known in OPTIMIZERS if known != name)
    with pytest.raises(RunError, match="settings"):
        make(name).load_state_dict(make(other).state_dict())
    with pytest.raises(RunError, match=r"\(7,\)"):
        make(name).load_state_dict(make(name, d=7).state_dict())


WRONG = [
    ("mgs", {"samples": 0}, "samples needs a whole number >= 1, got 0: the paper has 4"),
    ("mgs", {"sigma": 0.0}, r"sigma needs a number > 0, got 0\.0"),
    ("mgs", {"sigma": float("inf")}, r"sigma needs a number > 0, got inf"),
    ("mgs", {"sigma_decay": "cosin"}, "unknown sigma_decay 'cosin': did you mean 'cosine'"),
    ("mgs", {"tau": "automatic"}, "tau .*'automatic'"),
    ("mgs", {"tau": 0.0}, r"tau .*0\.0"),
    ("mgs", {"esr_target": 0.0}, r"esr_target .*0\.0"),
    ("mgs", {"esr_target": 1.0}, r"esr_target .*1\.0"),
    ("mgs", {"mixture_lambda": 1.5}, r"mixture_lambda .*1\.5"),
    ("mgs", {"proposal": "mix"}, "'mixture'"),
    ("mgs", {"importance_weights": "soft-max"}, "'softmax'"),
    ("mgs", {"arch_learning_rate": float("nan")}, "arch_learning_rate .*nan"),
    ("rs", {"samples": 0}, "samples .*0"),
    ("rs", {"estimator": "two-point"}, "'one-point'"),
    ("rs", {"directions": "ball"}, "directions 'ball'"),
    ("rs", {"smoothing": -1.0}, r"smoothing .*-1\.0"),
    ("rs", {"arch_learning_rate": 0.0}, r"arch_learning_rate .*0\.0"),
    ("gld", {"radius_max": 0.0}, r"radius_max .*0\.0"),
    (
        "gld",
        {"radius_min": 3.0},
        r"radius_min .*3\.0",
    ),
    ("gld", {"directions": "gaussian"}, "directions 'gaussian'"),
    ("gld", {"radius_decay": "linear"}, "radius_decay 'linear'"),
    ("cmaes", {"samples": 3}, "samples .*3"),
    ("nevergrad", {"samples": 1}, "samples .*1"),
    ("cmaes", {"d": 1}, "two coordinates"),
    ("nevergrad", {"sigma": -1.0}, r"sigma .*-1\.0"),
    ("nevergrad", {"name": "CMAA"}, r"'CMAA'"),
    ("nevergrad", {"name": "SPSA"}, "SPSA"),
]


@pytest.mark.parametrize(("name", "settings", "message"), WRONG)
def test_wrong_settings_are_refused(name, settings, message):
    with pytest.raises(SettingsError, match=message):
        make(name, **settings)


@pytest.mark.parametrize("name", ["cmaes", "nevergrad"])
def test_a_library_that_is_not_there(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SettingsError, match=rf"{name}.*zarts\[zo\]"):
        make(name)


@pytest.mark.parametrize("name", ["DE", "TBPSA", "OnePlusOne", "DiagonalCMA"])
def test_other_optimizers_of_nevergrad_minimise_and_resume(name):
    optimizer, start = make("nevergrad", name=name), loss(torch.zeros(6))
    run(optimizer, 60)
    assert loss(optimizer.x) < 0.3 * start
    resumed = make("nevergrad", seed=99, name=name)
    resumed.load_state_dict(through_a_file(optimizer.state_dict()))
    assert torch.equal(run(optimizer, 3), run(resumed, 3))


def test_cmaes_asks_what_the_package_asks():
    import cmaes
    import numpy as np

    ours = make("cmaes", dtype=torch.float64)
    theirs = cmaes.CMA(np.zeros(6), 0.2, seed=ours.state_dict()["seed"], population_size=8)
    for _ in range(10):
        points = ours.ask()
        theirs_points = [theirs.ask() for _ in range(8)]
        torch.testing.assert_close(points, torch.from_numpy(np.stack(theirs_points)))
        theirs.tell([(p, float(loss(torch.from_numpy(p)))) for p in theirs_points])
        weights = ours.tell(loss(points)).weights
        torch.testing.assert_close(
            weights.sort(descending=True).values[:4].numpy(), theirs._weights[:4], atol=1e-6, rtol=0
        )
        torch.testing.assert_close(ours.x, torch.from_numpy(theirs.mean))
