"""Costs of networks without building them: the same as of the networks that are built."""

import pytest
import torch

from small import often
from zarts.limits import count_costs, count_macs, count_parameters
from zarts.networks import create_model, create_nasbench201
from zarts.spaces import SPACES, get_space, published

FORM = {"channels": 4, "cells": 4, "num_classes": 7, "in_channels": 1, "image_size": 12, "stem": "cifar"}


def built(genotype, *, image_size, stem, in_channels, **form):
    if genotype.space == "nasbench201":
        network = create_nasbench201(genotype, in_channels=in_channels, **form)
    else:
        network = create_model(genotype, stem=stem, in_channels=in_channels, **form)
    shape = (in_channels, image_size, image_size)
    return {"parameters": count_parameters(network), "macs": count_macs(network, shape)}


OTHER_FORM = {"stem": "imagenet", "image_size": 33, "in_channels": 3}


@pytest.mark.parametrize(
    ("space", "form"),
    [
        ("darts-zero", OTHER_FORM),
        *((space, {}) for space in ("darts-zero", "s4", "nasbench201")),
        *(pytest.param(space, OTHER_FORM, marks=pytest.mark.long) for space in SPACES if space != "darts-zero"),
        *(
            pytest.param(space, {}, marks=pytest.mark.long)
            for space in SPACES
            if space not in ("darts-zero", "s4", "nasbench201")
        ),
    ],
)
def test_the_cost_of_a_genotype_is_that_of_its_network(space, form):
    form, space = {**FORM, **form}, get_space(space)
    if space.skeleton == "nasbench201":
        form = {**form, "stem": "cifar"}
    costs = count_costs(space, **form)
    for seed in range(3):
        genotype = space.random(torch.Generator().manual_seed(seed))
        assert {name: cost.of(genotype) for name, cost in costs.items()} == built(genotype, **form)


def test_published_counts():
    form = {"channels": 36, "cells": 20, "num_classes": 10, "in_channels": 3, "image_size": 32, "stem": "cifar"}
    costs = count_costs(get_space("darts-zero"), **form)
    assert costs["parameters"].of(published("DARTS_V2")) == 3_349_342


def test_nothing_is_drawn():
    before = torch.get_rng_state()
    count_costs(get_space("s4"), **FORM)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("space", ["darts-zero", "nasbench201"])
def test_the_expected_cost_is_the_sum_by_hand(space):
    space = get_space(space)
    cost = count_costs(space, **FORM)["macs"]
    alpha = torch.randn(space.dimension, generator=torch.Generator().manual_seed(0)).double()
    weights = {kind: matrix.softmax(-1) for kind, matrix in space.split(alpha).items()}
    by_hand = float(cost.base)
    for kind, ops in space.candidates.items():
        for node in range(space.inputs, space.inputs + space.nodes):
            total = mass = 0.0
            for row, (target, _) in enumerate(space.edges):
                for column, op in enumerate(ops[row]):
                    if target == node and (space.keep is None or op != "none"):
                        total += float(weights[kind][row, column] * cost.operations[kind][row, column])
                        mass += float(weights[kind][row, column])
            by_hand += total if space.keep is None else space.keep * total / mass
    torch.testing.assert_close(cost.expected(weights).item(), by_hand)


def test_the_expected_cost_has_the_gradient_of_its_differences():
    space = get_space("s3")
    cost = count_costs(space, **FORM)["parameters"]
    alpha = torch.randn(space.dimension, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda point: cost.expected({kind: m.softmax(-1) for kind, m in space.split(point).items()}) / cost.base, alpha
    )


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("space", often(["s1", "darts-zero", "nasbench201"], "darts-zero", "nasbench201"))
def test_no_network_is_cheaper_than_the_cheapest(space):
    space = get_space(space)
    generator = torch.Generator().manual_seed(0)
    for cost in count_costs(space, **FORM).values():
        assert cost.cheapest() <= min(cost.of(space.random(generator)) for _ in range(200))
        assert cost.cheapest() == cost.of(space.derive({kind: -table for kind, table in cost.operations.items()}))
