"""MGS: proposal, weights and move against their formulas."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Normal

from zarts.zo import GuidedSearch
from zarts.zo.mgs_weights import effective_samples, solve_tau

N = 60_000
G3 = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64)


def search(generator, d=3, dtype=torch.float64, **given):
    plain = {"sigma_decay": "constant", "antithetic": False, "tau": 1.0}
    return GuidedSearch(torch.zeros(d, dtype=dtype), generator, **{**plain, **given})


def z_scores(step, moves, expected):
    """Error of a self-normalised mean in its own standard errors."""
    spread = (step.weights[:, None] * (moves - step.move)).square().sum(0).sqrt()
    return (step.move - expected) / spread


# --- proposal


@pytest.mark.parametrize("mix", [0.0, 0.3, 1.0])
def test_moments_of_the_mixture(generator, mix):
    """Mean -(1 - lambda) g, covariance sigma^2 I + lambda (1 - lambda) g g^T (eq. 8: centred at MINUS g)."""
    u = search(generator, samples=N, sigma=0.4, mixture_lambda=mix).ask(G3)
    assert ((u.mean(0) + (1 - mix) * G3) / (u.std(0) / math.sqrt(N))).abs().max() < 4.5
    covariance = 0.16 * torch.eye(3) + mix * (1 - mix) * torch.outer(G3, G3)
    torch.testing.assert_close(torch.cov(u.T), covariance, atol=0.006, rtol=0)


@pytest.mark.parametrize("mix", [0.0, 0.3, 1.0])
def test_moments_of_the_sum(generator, mix):
    """One Gaussian N(-(1 - lambda) g, ((1 - lambda)^2 + lambda^2) sigma^2 I)."""
    u = search(generator, samples=N, sigma=0.4, mixture_lambda=mix, proposal="sum").ask(G3)
    assert ((u.mean(0) + (1 - mix) * G3) / (u.std(0) / math.sqrt(N))).abs().max() < 4.5
    variance = ((1 - mix) ** 2 + mix**2) * 0.16
    torch.testing.assert_close(torch.cov(u.T), variance * torch.eye(3).double(), atol=0.006, rtol=0)


def test_mixture_draws_each_sample_from_one_component(generator):
    """With sigma far below |g| a sample is at 0 or at -g, lambda of them at 0; a sum is in between."""
    u = search(generator, samples=10_000, sigma=1e-3, mixture_lambda=0.3).ask(G3)
    at_zero, at_gradient = u.norm(dim=1) < 0.01, (u + G3).norm(dim=1) < 0.01
    assert (at_zero | at_gradient).all()
    assert at_zero.double().mean().item() == pytest.approx(0.3, abs=4.5 * math.sqrt(0.21 / 10_000))
    summed = search(generator, samples=100, sigma=1e-3, mixture_lambda=0.3, proposal="sum").ask(G3)
    assert ((summed + 0.7 * G3).norm(dim=1) < 0.01).all()


@pytest.mark.parametrize("proposal", ["mixture", "sum"])
def test_antithetic_pairs_have_one_centre_and_opposite_noise(generator, proposal):
    u = search(generator, samples=200, sigma=1e-3, mixture_lambda=0.4, proposal=proposal, antithetic=True).ask(G3)
    middle = (u[:100] + u[100:]) / 2
    assert ((u[:100] - u[100:]).norm(dim=1) > 1e-5).all()
    centres = [torch.zeros(3), -G3] if proposal == "mixture" else [-0.6 * G3]
    found = torch.stack([(middle - centre).norm(dim=1) < 1e-9 for centre in centres])
    assert (found.sum(0) == 1).all()
    assert found.any(1).all()


@pytest.mark.parametrize(("mix", "needs"), [(0.0, True), (1e-3, True), (1.0, False)])
def test_gradient_is_needed_unless_lambda_is_one(generator, mix, needs):
    optimizer = search(generator, mixture_lambda=mix)
    assert optimizer.uses_gradient is needs
    if not needs:
        state = generator.get_state()
        points = optimizer.ask()
        generator.set_state(state)
        assert torch.equal(optimizer.ask(100 * G3), points)


# --- move


def test_linear_loss_moves_by_the_gradient(generator):
    """Weights softmax, L = g.u: E[u] = m - (sigma^2 / tau) g."""
    slope = torch.tensor([1.0, -0.5, 0.2], dtype=torch.float64)
    optimizer = search(generator, samples=N, sigma=0.5, tau=0.4, mixture_lambda=0.0)
    u = optimizer.ask(G3)
    step = optimizer.tell(u @ slope)
    expected = -G3 - 0.25 / 0.4 * slope
    assert z_scores(step, u, expected).abs().max() < 4.5
    torch.testing.assert_close(step.move, expected, atol=0.02, rtol=0)


def test_quadratic_loss_moves_by_damped_newton(generator):
    """Weights softmax, L = g.u + u.Hu / 2, m = 0: E[u] = -(H + (tau / sigma^2) I)^-1 g."""
    hessian = torch.tensor([[2.0, 0.5, 0.0], [0.5, 1.0, 0.3], [0.0, 0.3, 0.5]], dtype=torch.float64)
    optimizer = search(generator, samples=N, sigma=0.7, tau=0.5, mixture_lambda=1.0)
    u = optimizer.ask()
    step = optimizer.tell(u @ G3 + 0.5 * ((u @ hessian) * u).sum(1))
    expected = -torch.linalg.solve(hessian + 0.5 / 0.49 * torch.eye(3), G3)
    assert z_scores(step, u, expected).abs().max() < 4.5
    torch.testing.assert_close(step.move, expected, atol=0.02, rtol=0)


@pytest.mark.parametrize("proposal", ["mixture", "sum"])
@pytest.mark.parametrize("antithetic", [False, True])
def test_exact_weights_give_the_mean_of_p_whatever_the_proposal(generator, proposal, antithetic):
    """p = exp(-L / tau) / Z with L = g.u + |u|^2 / 2 is N(-g, tau I): the move is -g for each q (eq. 7)."""
    slope = torch.tensor([0.2, -0.4, 0.1], dtype=torch.float64)
    optimizer = search(
        generator, samples=N, sigma=0.8, tau=0.3, mixture_lambda=0.3, proposal=proposal, importance_weights="exact",
        antithetic=antithetic,
    )  # fmt: skip
    u = optimizer.ask(G3)
    step = optimizer.tell(u @ slope + 0.5 * u.square().sum(1))
    assert z_scores(step, u, -slope).abs().max() < 4.5
    torch.testing.assert_close(step.move, -slope, atol=0.02, rtol=0)


@pytest.mark.parametrize("weights", ["softmax", "released", "exact"])
def test_move_is_the_weighted_mean_of_the_samples_times_the_rate(weights):
    steps = []
    for rate in (1.0, 0.3):
        optimizer = search(
            torch.Generator().manual_seed(3), importance_weights=weights, arch_learning_rate=rate, mixture_lambda=0.2
        )
        u = optimizer.ask(G3)
        steps.append(optimizer.tell(u.square().sum(1)))
    torch.testing.assert_close(steps[0].move, (steps[0].weights[:, None] * u).sum(0))
    torch.testing.assert_close(steps[1].move, 0.3 * steps[0].move)
    assert torch.equal(steps[1].weights, steps[0].weights)


# --- weights


def told(losses, seed=0, gradient=None, d=3, **given):
    optimizer = search(torch.Generator().manual_seed(seed), d=d, samples=len(losses), **given)
    u = optimizer.ask(torch.zeros(d, dtype=optimizer.x.dtype) if gradient is None else gradient)
    return u, optimizer.tell(losses)


LOSSES = torch.tensor([0.9, 1.3, 0.7, 1.1, 1.0, 2.0], dtype=torch.float64)


def test_softmax_weights():
    _, step = told(LOSSES, tau=0.2)
    expected = [math.exp(-value / 0.2) for value in LOSSES.tolist()]
    torch.testing.assert_close(step.weights, torch.tensor(expected, dtype=torch.float64) / sum(expected))


@pytest.mark.parametrize("mix", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("proposal", ["mixture", "sum"])
def test_exact_weights_are_boltzmann_over_density(mix, proposal):
    """Against the densities of torch.distributions, normalised, without the log domain."""
    given = {"tau": 0.4, "sigma": 0.6, "mixture_lambda": mix, "proposal": proposal}
    u, step = told(LOSSES, gradient=G3, importance_weights="exact", **given)
    centre = torch.zeros(3, dtype=torch.float64) if mix == 1 else G3

    def density(mean, sigma):
        return Normal(mean, torch.tensor(sigma, dtype=torch.float64)).log_prob(u).sum(1).exp()

    if proposal == "mixture":
        q = (1 - mix) * density(-centre, 0.6) + mix * density(torch.zeros(3).double(), 0.6)
    else:
        q = density(-(1 - mix) * centre, math.sqrt((1 - mix) ** 2 + mix**2) * 0.6)
    expected = torch.exp(-LOSSES / 0.4) / q
    torch.testing.assert_close(step.weights, expected / expected.sum())
    assert "ess_exact" not in step.info
    for weights in ("softmax", "released"):
        _, other = told(LOSSES, gradient=G3, importance_weights=weights, **given)
        assert other.info["ess_exact"] == pytest.approx(step.ess)
        assert other.ess != pytest.approx(step.ess, rel=1e-3)


def test_released_weights_are_the_released_lines():
    """`cnn/train_search.py:390-397`: precedence mistake, floor and all, in float32."""
    std, tau, mix = 0.6, 0.4, 0.2
    losses, gradient = LOSSES.float(), G3.float()
    given = {"tau": tau, "sigma": std, "mixture_lambda": mix, "dtype": torch.float32}
    u, step = told(losses, gradient=gradient, importance_weights="released", **given)
    var = std * std
    gauss_prob = (1 - mix) * torch.exp(-((u + gradient) ** 2).sum(1) / (2 * var)) + mix * torch.exp(
        -(u**2).sum(1) / 2.0 * var
    )
    weight = torch.exp(-(losses - 0.8) / tau) / (gauss_prob + 1e-4)
    torch.testing.assert_close(step.weights, weight / weight.sum())
    _, right = told(losses, gradient=gradient, importance_weights="exact", **given)
    _, soft = told(losses, gradient=gradient, importance_weights="softmax", **given)
    assert (step.weights - right.weights).abs().max() > 0.01
    assert (step.weights - soft.weights).abs().max() > 0.01


def test_released_weights_are_softmax_at_196_dimensions():
    """In 196 dimensions the density underflows to a constant; at sigma 0.025 the weights agree to 1 %."""
    given = {"d": 196, "sigma": 0.025, "tau": 0.2, "dtype": torch.float32, "mixture_lambda": 1e-3}
    _, released = told(LOSSES.float(), importance_weights="released", **given)
    _, soft = told(LOSSES.float(), importance_weights="softmax", **given)
    torch.testing.assert_close(released.weights, soft.weights, atol=0, rtol=0.01)


def test_exact_weights_degenerate_at_196_dimensions(generator):
    """Of N = 4, N_e is 1.18 on average, though the loss is flat; softmax keeps 4."""
    optimizer = search(
        generator, d=196, samples=4, sigma=0.2, tau=0.01, mixture_lambda=1e-3, importance_weights="exact"
    )
    gradient = torch.full((196,), 0.003, dtype=torch.float64)
    sizes = []
    for _ in range(700):
        optimizer.ask(gradient)
        sizes.append(optimizer.tell(torch.ones(4)).ess)
    assert sum(sizes) / len(sizes) == pytest.approx(1.18, abs=0.04)
    _, soft = told(torch.ones(4), d=196, gradient=gradient)
    assert soft.ess == pytest.approx(4)


@pytest.mark.parametrize("weights", ["softmax", "released", "exact"])
def test_small_tau_takes_the_best_and_large_tau_forgets_the_losses(weights):
    given = {"importance_weights": weights, "gradient": G3, "sigma": 0.3, "mixture_lambda": 0.5}
    u, best = told(LOSSES, tau=1e-4, **given)
    torch.testing.assert_close(best.move, u[2])
    _, flat = told(torch.ones(6), tau=1.0, **given)
    u, hot = told(LOSSES, tau=1e9, **given)
    torch.testing.assert_close(hot.move, flat.move, atol=1e-6, rtol=0)
    if weights == "softmax":
        torch.testing.assert_close(hot.move, u.mean(0), atol=1e-6, rtol=0)


@pytest.mark.parametrize("tau", [0.05, "auto"])
@pytest.mark.parametrize("weights", ["softmax", "released", "exact"])
def test_a_constant_added_to_all_losses_changes_nothing(weights, tau):
    given = {"importance_weights": weights, "gradient": G3, "tau": tau}
    _, step = told(LOSSES, **given)
    _, shifted = told(LOSSES + 64.0, **given)
    torch.testing.assert_close(shifted.weights, step.weights, atol=1e-6, rtol=1e-5)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=12), st.floats(0.01, 10), st.sampled_from([0.0, 0.1, 1.0]))
@settings(max_examples=40, deadline=None)
def test_weights_are_a_distribution_and_ess_counts_them(values, tau, mix):
    """c_i >= 0 with sum 1, so the move is in the convex hull; 1 <= N_e = N / (1 + CV^2) <= N."""
    losses = torch.tensor(values, dtype=torch.float64)
    for weights in ("softmax", "released", "exact"):
        _, step = told(losses, gradient=G3, tau=tau, importance_weights=weights, mixture_lambda=mix)
        assert step.weights.min() >= 0
        assert step.weights.sum().item() == pytest.approx(1, abs=1e-6)
        n, c = len(values), step.weights
        assert 1 - 1e-6 <= step.ess <= n * (1 + 1e-6)
        variation = (c.std(correction=0) / c.mean()).item()
        assert step.ess == pytest.approx(n / (1 + variation**2), rel=1e-5)


# --- tau "auto"


@given(
    st.lists(st.floats(-5, 5, width=32), min_size=2, max_size=16, unique=True),
    st.sampled_from([1e-6, 1.0, 1e5]),
    st.floats(0.05, 0.95),
)
@settings(max_examples=80, deadline=None)
def test_solved_tau_hits_the_target(values, unit, part):
    """For different losses, at any unit, N_e / N is what was asked for."""
    losses = torch.tensor(values, dtype=torch.float64) * unit
    n = len(values)
    target = 1 / n + part * (1 - 1 / n)
    gaps = (losses - losses.min()).sort().values
    weights = torch.softmax(-gaps / solve_tau(losses, target), 0)
    if gaps[1] > 1e-9 * gaps[-1]:
        assert effective_samples(weights) == pytest.approx(target * n, rel=1e-6)


def test_auto_tau_scales_with_the_losses():
    assert solve_tau(1000 * LOSSES, 0.5) == pytest.approx(1000 * solve_tau(LOSSES, 0.5))


@pytest.mark.parametrize("target", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("weights", ["softmax", "released", "exact"])
def test_auto_tau_at_a_step(weights, target):
    _, step = told(LOSSES, tau="auto", esr_target=target, importance_weights=weights, gradient=G3)
    assert effective_samples(torch.softmax(-LOSSES / step.info["tau"], 0)) == pytest.approx(6 * target)
    if weights == "softmax":
        assert step.esr == pytest.approx(target)


def test_auto_tau_is_solved_at_every_step(generator):
    optimizer = search(generator, samples=6, tau="auto", mixture_lambda=1.0)
    taus = []
    for unit in (1.0, 100.0):
        optimizer.ask()
        taus.append(optimizer.tell(unit * LOSSES).info["tau"])
    assert taus[1] == pytest.approx(100 * taus[0])


@pytest.mark.parametrize("value", [0.0, 1.0, -1e30])
def test_equal_losses_have_uniform_weights(value):
    _, step = told(torch.full((6,), value).double(), tau="auto")
    torch.testing.assert_close(step.weights, torch.full((6,), 1 / 6).double())


def test_ties_for_the_best_share_all_weight_if_the_target_is_below():
    _, step = told(torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0, 1.0]), tau="auto", esr_target=0.5)
    torch.testing.assert_close(step.weights, torch.tensor([0, 1, 1, 1, 1, 0]).double() / 4, atol=1e-6, rtol=0)


def test_losses_that_are_not_finite_do_not_count_in_the_target():
    losses = LOSSES.clone()
    losses[[0, 5]] = torch.tensor([torch.nan, torch.inf], dtype=torch.float64)
    _, step = told(losses, tau="auto", esr_target=0.5)
    assert step.ess == pytest.approx(2)
    losses[:5] = torch.nan
    losses[5] = 3.0
    u, step = told(losses, tau="auto", esr_target=0.5)
    torch.testing.assert_close(step.move, u[5])


def test_losses_steer_with_the_defaults(generator):
    """Without a gradient, on slopes of 0.05 over 200 dimensions, most moves go down."""
    slope = torch.full((200,), 0.05 / math.sqrt(200))
    optimizer = GuidedSearch(torch.zeros(200), generator, mixture_lambda=1.0)
    moves = torch.stack([optimizer.tell(optimizer.ask() @ slope).move for _ in range(100)])
    assert ((moves @ slope) < 0).double().mean() > 0.9


@pytest.mark.parametrize("samples", [1, 2])
def test_auto_tau_with_few_samples_lets_the_best_take_all(samples):
    losses = torch.tensor([0.3, 0.1])[:samples]
    u, step = told(losses, tau="auto", esr_target=0.5, antithetic=False)
    assert step.ess == pytest.approx(1.0)
    assert step.weights[losses.argmin()] == 1
    torch.testing.assert_close(step.move, u[losses.argmin()])


@pytest.mark.parametrize("samples", [1, 5])
def test_an_odd_sample_stays_without_its_opposite(samples):
    optimizer = search(torch.Generator().manual_seed(0), d=3, samples=samples, antithetic=True, mixture_lambda=1.0)
    moves = optimizer.ask() - optimizer.x
    assert len(moves) == samples
    pairs = samples // 2
    torch.testing.assert_close(moves[-pairs:] if pairs else moves[:0], -moves[:pairs])
    assert moves.unique(dim=0).shape[0] == samples
