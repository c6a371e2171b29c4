"""Proposals are new and valid, better than their start; direct search beats random points."""

import math
from dataclasses import replace

import pytest
import torch

from zarts.errors import SettingsError
from zarts.planner.chain_space import ChainSpace
from zarts.planner.chain_words import chain_key, difference
from zarts.planner.proposals import Proposals
from zarts.spaces import handmade

SPACE = ChainSpace([24, 28, 32])
START = (handmade("resnet8", 1.0, 1), 32)
pytestmark = pytest.mark.usefixtures("unchecked")


def loss(point):
    """Least for three stages (residual, inverted, inverted), two layers each, a stem of stride 2, images of 28."""
    chain, size = point
    wanted = ("residual", "inverted", "inverted")
    kinds = sum(stage.kind != kind for stage, kind in zip(chain.stages, wanted, strict=False))
    kinds += abs(len(chain.stages) - 3)
    depths = sum(abs(stage.depth - 2) for stage in chain.stages) / 3
    widths = abs(math.log2(chain.stages[-1].width / 100))
    return 0.3 * kinds + 0.2 * depths + 0.2 * widths + 0.4 * (chain.stem.stride != 2) + 0.1 * (size != 28)


def run(name, rounds=10, n=8, seed=0, **settings):
    proposals = Proposals(SPACE, [(START, loss(START))], name, seed, **settings)
    losses = []
    for _ in range(rounds):
        points = proposals.ask(n)
        proposals.tell(points, [loss(point) for point in points])
        losses += map(loss, points)
    return proposals, losses


def test_direct_search_beats_as_many_random_points():
    """In the mean of two seeds; every other optimiser improves on its start."""
    best = {name: [min(run(name, seed=seed)[1]) for seed in range(2)] for name in ("gld", "random")}
    assert sum(best["gld"]) < sum(best["random"]) - 0.2
    assert max(best["gld"]) < loss(START) / 2
    for name in ("mgs", "rs", "cmaes"):
        assert min(run(name, rounds=4)[1]) < loss(START), name


@pytest.mark.parametrize("name", ["gld", "mgs", "rs", "cmaes", "nevergrad", "random"])
def test_points_are_new_valid_and_within_limits(name):
    """Half as wide as proposed, as a limit would; none twice, none that was started from."""

    def fit(chain, size, share):
        return None if len(chain.stages) == 2 else replace(chain.scaled(0.5), name="")

    proposals = Proposals(SPACE, [(START, 1.0)], name, fit=fit)
    keys = {chain_key(*START)}
    for _ in range(4):
        points = proposals.ask(5)
        assert points
        for chain, size in points:
            assert SPACE.valid(chain, size)
            assert len(chain.stages) != 2
        keys |= (new := {chain_key(*point) for point in points})
        proposals.tell(points, [1.0 + number for number in range(len(points))])
        assert len(new) == len(points)
    assert len(keys) == 1 + len(proposals._seen - {chain_key(*START)})


def test_direct_search_stands_at_the_best_and_near_it():
    proposals = Proposals(SPACE, [(START, 1.0), ((handmade("vgg"), 32), 2.0)])
    assert proposals._start == START
    points = proposals.ask(8)
    counts = [len(difference(START, point)) for point in points]
    assert min(counts) == 1
    proposals.tell(points[:3], [1.5, 0.5, math.nan])
    assert proposals._start == points[1]
    points = proposals.ask(4)
    proposals.tell(points, [0.5, math.inf, 0.6, 0.7])  # as good is not better
    assert proposals._start not in points


def test_a_ranking_optimiser_is_told_when_all_its_points_are_evaluated():
    """What one of its asks has of new networks is handed out by threes, each once; then it moves."""
    proposals = Proposals(SPACE, [(START, 1.0)], "cmaes")
    stood, points, rows = proposals._members[0].x, [], set()
    while torch.equal(proposals._members[0].x, stood):
        new = proposals.ask(3)
        rows = rows or {key for key in proposals._rows if key} - {chain_key(*START)}
        points += new
        proposals.tell(new, [float(len(chain.stages)) for chain, _ in new])
    assert {chain_key(*point) for point in points} == rows
    assert 3 < len(points) == len(rows) <= 8


def test_errors():
    with pytest.raises(SettingsError, match="did you mean 'gld'"):
        Proposals(SPACE, [(START, 1.0)], "gldd")
    with pytest.raises(SettingsError, match="finite"):
        Proposals(SPACE, [(START, math.nan)])
