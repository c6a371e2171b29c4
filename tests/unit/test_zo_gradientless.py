"""GLD: radii, acceptance and invariance."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zarts.zo import GradientlessDescent


def rough(points):
    """A fixed function with many local minima and a kink."""
    return (points - 1).abs().sum(-1) + torch.sin(3 * points).sum(-1)


def path(function, steps=40, seed=0, **given):
    optimizer = GradientlessDescent(torch.zeros(5, dtype=torch.float64), torch.Generator().manual_seed(seed), **given)
    xs = [optimizer.x]
    for step in range(steps):
        optimizer.anneal(step / steps)
        optimizer.tell(function(optimizer.ask()))
        xs.append(optimizer.x)
    return torch.stack(xs)


@pytest.mark.parametrize(
    ("largest", "smallest", "count"),
    [(2.8, 0.04, 7), (8.0, 1.0, 4), (8.0, 1.01, 3), (1.0, 1.0, 1), (2.4, 0.3, 4), (28.0, 0.01 / math.sqrt(98), 15)],
)
def test_radii(generator, largest, smallest, count):
    """R / 2^k for k = 0..floor(log2(R / r)), after the incumbent; the last row is the released code's 15 candidates."""
    x = torch.arange(20, dtype=torch.float64)
    points = GradientlessDescent(x, generator, radius_max=largest, radius_min=smallest).ask()
    assert torch.equal(points[0], x)
    radii = (points[1:] - x).norm(dim=1)
    torch.testing.assert_close(radii, torch.tensor([largest / 2**k for k in range(count)], dtype=torch.float64))
    assert radii[-1] >= smallest * (1 - 1e-9) > radii[-1] / 2 * (1 - 1e-6)


def test_ball_steps_are_within_their_radii(generator):
    optimizer = GradientlessDescent(torch.zeros(3), generator, directions="ball")
    parts = torch.stack([optimizer.ask()[1:].norm(dim=1) for _ in range(300)]) / (2.8 * 0.5 ** torch.arange(7))
    assert parts.max() <= 1 + 1e-6
    error = (parts.mean(0) - 3 / 4) / (parts.std(0) / math.sqrt(300))  # E|v| = d / (d + 1)
    assert error.abs().max() < 4.5


@given(st.integers(0, 1000), st.sampled_from(["sphere", "ball"]))
@settings(max_examples=15, deadline=None)
def test_never_worse(seed, directions):
    values = rough(path(rough, steps=25, seed=seed, directions=directions))
    assert (values.diff() <= 0).all()
    assert values[-1] < values[0]


@pytest.mark.parametrize("transform", [torch.exp, lambda v: v**3, torch.atan], ids=["exp", "cube", "atan"])
def test_invariant_under_monotone_transforms(transform):
    assert torch.equal(path(lambda points: transform(rough(points))), path(rough))
    assert not torch.equal(path(lambda points: -rough(points)), path(rough))


@pytest.mark.parametrize(
    ("losses", "chosen"),
    [
        ([1.0, 2.0, 0.5, 0.4], 3),
        ([1.0, 0.2, 0.5, 0.4], 1),
        ([1.0, 1.0, 2.0, 1.0], 0),
        ([1.0, torch.nan, torch.inf, -torch.inf], 0),
        ([torch.nan, 7.0, 6.0, torch.nan], 2),
        ([torch.inf, torch.nan, 9e9, torch.nan], 2),
    ],
)
def test_takes_the_best_strictly_below_the_incumbent(generator, losses, chosen):
    """Ties stay; losses that are not finite count as infinite, the incumbent's too."""
    optimizer = GradientlessDescent(torch.ones(4), generator, radius_max=4.0, radius_min=1.0)
    points = optimizer.ask()
    step = optimizer.tell(torch.tensor(losses))
    assert torch.equal(optimizer.x, points[chosen])
    assert step.weights.tolist() == [float(i == chosen) for i in range(4)]
    assert step.ess == 1
    assert step.info["radius"] == 4.0
    assert step.info["taken"] == pytest.approx([0.0, 4.0, 2.0, 1.0][chosen])
