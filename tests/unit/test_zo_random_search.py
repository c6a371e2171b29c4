"""RS: its estimate is the gradient, with the known bias and variance."""

import math

import pytest
import torch

from zarts.errors import DivergedError
from zarts.zo import RandomSearch

D, N = 5, 60_000
ESTIMATORS = ["antithetic", "forward", "one-point"]
DIRECTIONS = ["sphere", "gaussian"]


def search(x, generator, **settings):
    return RandomSearch(x, generator, **{"samples": N, "arch_learning_rate": 1.0, "smoothing": 0.3, **settings})


def terms_of(x, points, losses, phi, delta, estimator):
    """Each direction's own estimate of the gradient, from the textbook formula and the points alone."""
    if estimator == "antithetic":
        half = len(points) // 2
        v = (points[:half] - x) / delta
        return phi / (2 * delta) * (losses[:half] - losses[half:])[:, None] * v
    if estimator == "forward":
        v = (points[1:] - x) / delta
        return phi / delta * (losses[1:] - losses[0])[:, None] * v
    v = (points - x) / delta
    return phi / delta * losses[:, None] * v


@pytest.mark.parametrize("directions", DIRECTIONS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_estimate_is_the_gradient_of_a_quadratic(generator, estimator, directions):
    x = torch.linspace(-1, 1, D, dtype=torch.float64)
    matrix = torch.randn(D, D, generator=generator, dtype=torch.float64)
    hessian, slope = matrix @ matrix.T / D, torch.arange(D, dtype=torch.float64) / D
    optimizer = search(x, generator, estimator=estimator, directions=directions)
    points = optimizer.ask()
    losses = 0.5 * ((points @ hessian) * points).sum(1) + points @ slope
    terms = terms_of(x, points, losses, D if directions == "sphere" else 1, 0.3, estimator)
    step = optimizer.tell(losses)
    torch.testing.assert_close(-step.move, terms.mean(0))
    error = (-step.move - (hessian @ x + slope)) / (terms.std(0) / math.sqrt(N))
    assert error.abs().max() < 4.5
    assert step.info["gradient_norm"] == pytest.approx(step.move.norm().item())


@pytest.mark.parametrize(("estimator", "count"), [("antithetic", 8), ("forward", 5), ("one-point", 4)])
def test_points_that_are_asked(generator, estimator, count):
    x = torch.arange(3.0)
    points = RandomSearch(x, generator, samples=4, estimator=estimator, smoothing=0.5).ask()
    assert len(points) == count
    lengths = (points - x).norm(dim=1)
    if estimator == "forward":
        assert torch.equal(points[0], x)
        lengths = lengths[1:]
    torch.testing.assert_close(lengths, torch.full_like(lengths, 0.5))
    if estimator == "antithetic":
        torch.testing.assert_close(points[:4] + points[4:], (2 * x).expand(4, 3))


def test_antithetic_sphere_error_on_a_cubic_is_of_second_order(generator):
    """f = sum x^3: E[estimate] = f' + d delta^2 E[v_i^4], and E[v_i^4] = 3 / (d (d + 2)) on the sphere."""
    x = torch.full((D,), 0.5, dtype=torch.float64)
    true = 3 * x**2
    bias = {}
    for delta in (0.5, 1.0):
        expected = 3 / (D + 2) * delta**2
        optimizer = search(x, generator, smoothing=delta)
        points = optimizer.ask()
        losses = points.pow(3).sum(1)
        terms = terms_of(x, points, losses, D, delta, "antithetic")
        error = -optimizer.tell(losses).move - true
        assert ((error - expected) / (terms.std(0) / math.sqrt(N))).abs().max() < 4.5
        bias[delta] = float(error.mean())
    assert bias[1.0] / bias[0.5] == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize("directions", DIRECTIONS)
def test_antithetic_differences_kill_even_terms(generator, directions):
    """Around its centre an even function gives no move at all; the forward form is only right on average."""
    x = torch.full((D,), 0.5, dtype=torch.float64)
    moves = {}
    for estimator in ("antithetic", "forward"):
        optimizer = search(x, generator, samples=4, estimator=estimator, directions=directions)
        moves[estimator] = optimizer.tell((optimizer.ask() - x).pow(4).sum(1)).move
    assert moves["antithetic"].abs().max() < 1e-12
    assert moves["forward"].abs().max() > 1e-4


def test_second_moment_of_the_gaussian_estimate(generator):
    """E|ghat|^2 = (d + 2) |g|^2 for one direction on a linear loss; Nesterov and Spokoiny bound it by (d + 4) |g|^2."""
    g = torch.linspace(0.5, 1.5, D, dtype=torch.float64)
    x = torch.zeros(D, dtype=torch.float64)
    optimizer = search(x, generator, directions="gaussian", smoothing=1e-4, estimator="forward")
    points = optimizer.ask()
    squares = terms_of(x, points, points @ g, 1, 1e-4, "forward").square().sum(1)
    error = squares.std() / math.sqrt(N)
    assert abs(squares.mean() - (D + 2) * g.square().sum()) < 4.5 * error
    assert squares.mean() <= (D + 4) * g.square().sum()


@pytest.mark.parametrize("directions", DIRECTIONS)
def test_mean_squared_norm_of_the_move_with_few_directions(generator, directions):
    """E|ghat|^2 = (d + N - 1) |g|^2 / N on the sphere, (d + N + 1) |g|^2 / N for Gaussian directions: about d / N."""
    d, n = 40, 4
    g = torch.ones(d, dtype=torch.float64)
    optimizer = RandomSearch(
        torch.zeros(d).double(), generator, samples=n, directions=directions, arch_learning_rate=1.0
    )
    squares = torch.tensor([float(optimizer.tell(optimizer.ask() @ g).move.square().sum()) for _ in range(800)])
    expected = (d + n + (-1 if directions == "sphere" else 1)) / n * d
    assert abs(squares.mean() - expected) < 4.5 * squares.std() / math.sqrt(800)


def test_default_move_is_as_long_as_the_docstring_says_so(generator):
    g = torch.ones(200) * 0.05 / math.sqrt(200)
    optimizer = RandomSearch(torch.zeros(200), generator)
    lengths = [float(optimizer.tell(optimizer.ask() @ g).move.norm()) for _ in range(200)]
    assert sum(lengths) / 200 == pytest.approx(0.35, rel=0.1)


@pytest.mark.parametrize(("rate", "curvature", "shrinks"), [(1.0, 0.01, True), (1.0, 0.06, False), (4.5, 0.01, False)])
def test_default_rate_is_stable_up_to_the_curvature_that_the_docstring_gives(generator, rate, curvature, shrinks):
    """E|x'|^2 / |x|^2 = 1 - 2 xi h + (xi h)^2 (d + N - 1) / N on h |x|^2 / 2."""
    d, n = 200, 4
    optimizer = RandomSearch(torch.ones(d, dtype=torch.float64), generator, arch_learning_rate=rate)
    for _ in range(200):
        optimizer.tell(curvature / 2 * optimizer.ask().square().sum(1))
    measured = optimizer.x.square().mean().log().item() / 200
    factor = 1 - 2 * rate * curvature + (rate * curvature) ** 2 * (d + n - 1) / n
    assert (factor < 1) is shrinks is (measured < 0)
    assert math.exp(measured) == pytest.approx(factor, abs=0.02)


def test_alpha_lr_multiplies_the_move():
    moves = []
    for rate in (1.0, 2.0):
        optimizer = RandomSearch(torch.zeros(4), torch.Generator().manual_seed(1), arch_learning_rate=rate)
        moves.append(optimizer.tell(optimizer.ask().sum(1)).move)
    torch.testing.assert_close(moves[1], 2 * moves[0])


def test_weights_are_the_shares_of_the_coefficients(generator):
    optimizer = RandomSearch(torch.zeros(3), generator, samples=4)
    optimizer.ask()
    step = optimizer.tell(torch.tensor([1.0, 5.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]))
    torch.testing.assert_close(step.weights, torch.tensor([0.25, 0.75, 0, 0]))
    assert step.ess == pytest.approx(1.6)


def test_flat_losses_give_no_move_and_equal_weights(generator):
    optimizer = RandomSearch(torch.zeros(3), generator)
    optimizer.ask()
    step = optimizer.tell(torch.ones(8))
    assert torch.equal(step.move, torch.zeros(3))
    assert torch.equal(step.weights, torch.full((4,), 0.25))


def test_dropped_pairs_do_not_count():
    """With losses of one pair gone the estimate is the mean over the pairs that are left."""
    optimizer = RandomSearch(
        torch.zeros(3), torch.Generator().manual_seed(0), samples=4, arch_learning_rate=1.0, smoothing=0.5
    )
    points = optimizer.ask()
    losses = points.sum(1)
    expected = terms_of(torch.zeros(3), points, losses, 3, 0.5, "antithetic")[[0, 2, 3]].mean(0)
    losses[5] = torch.nan
    step = optimizer.tell(losses)
    torch.testing.assert_close(-step.move, expected)
    assert step.weights[1] == 0


def test_no_pair_left_is_an_error(generator):
    optimizer = RandomSearch(torch.zeros(3), generator, samples=2)
    optimizer.ask()
    with pytest.raises(DivergedError, match="4 losses"):
        optimizer.tell(torch.tensor([1.0, torch.nan, torch.inf, 1.0]))
    forward = RandomSearch(torch.zeros(3), generator, samples=2, estimator="forward")
    forward.ask()
    with pytest.raises(DivergedError, match="3 losses"):
        forward.tell(torch.tensor([torch.nan, 1.0, 1.0]))
    assert torch.equal(forward.x, torch.zeros(3))
