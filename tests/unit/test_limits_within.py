"""Genotypes within limits: the best of all that are, checked by evaluating them all."""

from itertools import combinations, product

import pytest
import torch

from zarts.errors import SettingsError
from zarts.limits import Constraints, Cost, Limit, count_costs
from zarts.select import SelectionContext, best_of, evolution, perturbation
from zarts.select.connectivity import best_connected
from zarts.spaces import Choice, Genotype, Space, get_space

pytestmark = pytest.mark.usefixtures("unchecked")

FORM = {"channels": 4, "cells": 4, "num_classes": 7, "in_channels": 1, "image_size": 12, "stem": "cifar"}
OPS = ("none", "skip_connect", "sep_conv_3x3")
TINY = Space("tiny", {"normal": (OPS,) * 5, "reduce": (OPS,) * 5}, "these tests", nodes=2)


def every(space):
    """All genotypes of a space that keeps two edges a node, inputs in order."""
    allowed = space.allowed("normal")
    by_node = []
    for node in range(space.inputs, space.inputs + space.nodes):
        pairs = combinations(range(node), 2)
        by_node.append(
            [tuple(map(Choice, ops, pair)) for pair in pairs for ops in product(*(allowed[node, s] for s in pair))]
        )
    cells = list(product(*by_node))
    return [Genotype(space.name, {"normal": normal, "reduce": reduced}) for normal, reduced in product(cells, cells)]


def limited(space, name, share, form=FORM):
    """A limit at a share of the way from the cheapest network to the dearest."""
    cost = count_costs(space, **form)[name]
    dearest = cost.of(space.derive(cost.operations))
    return Limit(f"max_{name}", cost, round(cost.cheapest() + share * (dearest - cost.cheapest())))


def worth(space, strengths, genotype):
    chosen = space.one_hot(genotype)
    return sum((strengths[kind].double() * chosen[kind].double()).sum().item() for kind in strengths)


@pytest.fixture(scope="module")
def genotypes():
    """All of the tiny space: a row of its one-hot weights for each."""
    return torch.stack([TINY.flatten(TINY.one_hot(genotype)).double() for genotype in every(TINY)])


@pytest.mark.parametrize("names", [["parameters"], ["macs"], ["parameters", "macs"]])
@pytest.mark.parametrize("seed", range(4))
def test_the_strongest_genotype_within_the_limits_is_found(names, seed, genotypes):
    generator = torch.Generator().manual_seed(seed)
    strengths = {kind: torch.rand(shape, generator=generator) for kind, shape in TINY.shapes.items()}
    limits = [limited(TINY, name, 0.2 + 0.1 * seed) for name in names]
    constraints = Constraints(TINY, limits)
    found = constraints.derive(strengths)
    TINY.check(found)
    assert constraints.holds(found)
    costs = [limit.cost.base + genotypes @ TINY.flatten(limit.cost.operations).double() for limit in limits]
    allowed = torch.stack([cost <= limit.most for cost, limit in zip(costs, limits, strict=True)]).all(0)
    best = (genotypes @ TINY.flatten(strengths).double())[allowed].max().item()
    assert best < worth(TINY, strengths, TINY.derive(strengths)), "the limits decide nothing"
    assert worth(TINY, strengths, found) == pytest.approx(best, abs=1e-9)


def test_the_same_in_a_space_that_keeps_all_edges():
    space = get_space("nasbench201")
    generator = torch.Generator().manual_seed(0)
    strengths = {"normal": torch.rand(6, 5, generator=generator)}
    limit = limited(space, "parameters", 0.2)
    codes = torch.cartesian_prod(*[torch.arange(5)] * 6)
    edges = torch.arange(6)
    allowed = limit.cost.base + limit.cost.operations["normal"][edges, codes].sum(-1) <= limit.most
    best = strengths["normal"].double()[edges, codes].sum(-1)[allowed].max().item()
    found = Constraints(space, [limit]).derive(strengths)
    assert limit.cost.of(found) <= limit.most
    assert worth(space, strengths, found) == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("space", ["s1", "darts-zero", "nasbench201"])
def test_a_limit_above_all_networks_changes_nothing(space):
    space = get_space(space)
    alpha = torch.randn(space.dimension, generator=torch.Generator().manual_seed(0))
    constraints = Constraints(space, [limited(space, "macs", 1.0)])
    assert constraints.derive(space.split(alpha)) == space.derive(space.split(alpha))


def test_the_smallest_limit_leaves_the_cheapest():
    space = get_space("darts-zero")
    limit = limited(space, "parameters", 0.0)
    alpha = torch.randn(space.dimension, generator=torch.Generator().manual_seed(0))
    assert limit.cost.of(Constraints(space, [limit]).derive(space.split(alpha))) == limit.cost.cheapest() == limit.most


def test_a_limit_below_all_networks_is_refused():
    space = get_space("s2")
    limit = limited(space, "parameters", 0.0)
    with pytest.raises(SettingsError, match=f"max_parameters = {limit.most - 1}: .* {limit.most}"):
        Constraints(space, [Limit(limit.name, limit.cost, limit.most - 1)])


def test_limits_that_only_hold_alone_are_refused():
    """By hand: what is cheap in one is dear in the other."""
    space = get_space("s2")
    cheap = {kind: torch.zeros(shape, dtype=torch.float64) for kind, shape in space.shapes.items()}
    costs = []
    for column in (0, 1):
        table = {kind: matrix.clone() for kind, matrix in cheap.items()}
        for matrix in table.values():
            matrix[:, column] = 10
        costs.append(Cost(space, 0, table))
    limits = [Limit("max_params", costs[0], 70), Limit("max_macs", costs[1], 80)]
    with pytest.raises(SettingsError, match="max_params = 70"):
        Constraints(space, limits)
    Constraints(space, [limits[0], Limit("max_macs", costs[1], 90)])


def context(constraints, loss):
    space = constraints.space
    matrices = {kind: torch.full(shape, 1 / shape[1]) for kind, shape in space.shapes.items()}
    generator = torch.Generator().manual_seed(0)
    return SelectionContext(
        constraints,
        matrices,
        generator,
        space.random,
        loss,
        lambda *_: None,
        lambda candidates, _: loss(candidates),
    )


@pytest.mark.parametrize("space", ["s2", "darts-zero", "nasbench201"])
def test_cells_beyond_the_limit_are_never_evaluated_nor_chosen(space):
    space = get_space(space)
    limit = limited(space, "parameters", 0.15)
    table = space.flatten(limit.cost.operations).float()

    def evaluate(candidates):
        costs = limit.cost.base + candidates @ table
        assert (costs <= limit.most).all()
        return -costs  # the dearest is the best

    constraints = Constraints(space, [limit])
    few = {"select_samples": 12, "select_generations": 2, "select_parents": 4}
    for found in (
        best_of(context(constraints, evaluate), select_samples=20),
        evolution(context(constraints, evaluate), **few),
    ):
        space.check(found.genotype)
        assert constraints.holds(found.genotype)


@pytest.mark.parametrize("space", ["s2", "darts-zero", "nasbench201"])
def test_operations_that_are_missed_most_are_chosen_within_the_limit(space):
    space = get_space(space)
    limit = limited(space, "macs", 0.3)
    table = space.flatten(limit.cost.operations).float()
    constraints = Constraints(space, [limit])
    found = perturbation(context(constraints, lambda candidates: -(candidates @ table) / table.max())).genotype
    space.check(found)
    assert constraints.holds(found)
    unlimited = perturbation(
        context(Constraints(space), lambda candidates: -(candidates @ table) / table.max())
    ).genotype
    assert not constraints.holds(unlimited)


def test_the_best_connected_cell_within_the_limit():
    space = get_space("nasbench201")
    scores = torch.zeros(6, 5)
    scores[:, 0], scores[3, 3] = 1.0, 0.9  # none everywhere; a convolution from the input to the output costs least
    limit = limited(space, "parameters", 0.1)
    constraints = Constraints(space, [limit])
    cell = best_connected(constraints, scores.flatten()).cells["normal"]
    assert limit.cost.cheapest() + limit.cost.operations["normal"][3, 3] > limit.most
    assert constraints.holds(Genotype("nasbench201", {"normal": cell}))
    assert [op for op, _ in cell[2]].count("none") < 3


def test_the_nearest_genotype_keeps_what_it_can():
    space = get_space("s2")
    dear = space.derive({kind: torch.tensor([[0.0, 1.0]] * 14) for kind in space.shapes})
    limit = limited(space, "parameters", 0.5)
    constraints = Constraints(space, [limit])
    near = {constraints.nearest(dear, torch.Generator().manual_seed(seed)) for seed in range(6)}
    assert len(near) > 1, "drawn among equals"
    kept = {sum(near.count(kind, frozenset({"sep_conv_3x3"})) for kind in near.cells) for near in near}
    assert len(kept) == 1
    assert all(constraints.holds(genotype) for genotype in near)
    inside = space.derive({kind: torch.tensor([[1.0, 0.0]] * 14) for kind in space.shapes})
    assert constraints.nearest(inside, torch.Generator()) is inside
