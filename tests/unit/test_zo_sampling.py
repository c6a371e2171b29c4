"""Directions, and the decay of their size."""

import math

import pytest
import torch

from zarts.zo import OPTIMIZERS
from zarts.zo.sampling import sample_ball, sample_gaussian, sample_sphere
from zarts.zo.validation import DECAY_FLOOR, decay

N = 40_000


def test_moments_of_all_samplers(generator):
    """E[v] = 0; E[v v^T] = I, I / d and I / (d + 2) for Gaussian, sphere and ball."""
    d = 4
    like = torch.zeros(d, dtype=torch.float64)
    for sample, second in ((sample_gaussian, 1), (sample_sphere, 1 / d), (sample_ball, 1 / (d + 2))):
        v = sample(N, like, generator)
        products = v[:, :, None] * v[:, None, :]
        for values, expected in ((v, torch.zeros(d)), (products, second * torch.eye(d))):
            error = (values.mean(0) - expected) / (values.std(0) / math.sqrt(N))
            assert error.abs().max() < 4.5, sample.__name__


def test_sphere_has_unit_rows_and_ball_radii_are_uniform_in_volume(generator):
    like = torch.zeros(3)
    torch.testing.assert_close(sample_sphere(100, like, generator).norm(dim=1), torch.ones(100))
    volumes = sample_ball(N, like, generator).norm(dim=1) ** 3
    assert volumes.max() <= 1 + 1e-6
    grid = torch.linspace(0, 1, N)
    assert (volumes.sort().values - grid).abs().max() < 2 / math.sqrt(N)  # Kolmogorov-Smirnov, p = 7e-4


@pytest.mark.parametrize(("epoch", "factor"), [(11, 1.0), (20, 0.880), (30, 0.539), (40, 0.175), (49, 0.00616)])
def test_cosine_is_the_released_schedule(epoch, factor):
    """The factors of sigma in the released code, over 50 epochs with 10 of warm-up."""
    assert decay("cosine", (epoch - 11) / 40) == pytest.approx(factor, rel=2e-3)


def test_decay_ends_at_its_floor_and_constant_stays():
    assert decay("cosine", 1.0) == DECAY_FLOOR > 0
    assert decay("constant", 1.0) == decay("cosine", 0.0) == 1.0


@pytest.mark.parametrize(("name", "size"), [("mgs", "sigma"), ("gld", "radius")])
def test_annealed_points_shrink_and_stay_apart(name, size):
    optimizer = OPTIMIZERS[name](torch.zeros(50), torch.Generator().manual_seed(0))
    spreads, sizes = [], []
    for progress in (0.0, 0.5, 1.0):
        optimizer.anneal(progress)
        points = optimizer.ask(torch.zeros(50))
        spreads.append(float((points - optimizer.x).norm(dim=1).max()))
        assert len(torch.unique(points, dim=0)) == len(points)
        sizes.append(optimizer.tell(torch.zeros(len(points))).info[size])
        optimizer.x = torch.zeros(50)
    assert sizes == pytest.approx([sizes[0], sizes[0] / 2, sizes[0] * DECAY_FLOOR])
    assert spreads[1] / spreads[0] == pytest.approx(0.5, rel=0.25)
    assert spreads[2] / spreads[0] == pytest.approx(DECAY_FLOOR, rel=0.25)


def test_random_search_is_not_annealed():
    rs = [OPTIMIZERS["rs"](torch.zeros(5), torch.Generator().manual_seed(0)) for _ in range(2)]
    rs[1].anneal(1.0)
    assert torch.equal(rs[0].ask(), rs[1].ask())
