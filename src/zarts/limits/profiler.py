"""Costs of the derived networks of a space: a sum over the operations of their cells, and a base that all share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zarts.limits.macs import count_macs, count_parameters
from zarts.networks import STEMS, build_operation, cell_channels, create_model, create_nasbench201, seeded
from zarts.networks.macro import plan_cells
from zarts.networks.nasbench201 import build_edge
from zarts.spaces import Genotype, Space

__all__ = ["Cost", "count_costs"]

Weights = Mapping[str, Float[Tensor, "_ _"]]


@dataclass(frozen=True)
class Cost:
    """A cost of all networks of a space.

    Args:
        space: the space.
        base: cost of a network without the operations of its cells: stem, preprocessing, classifier.
        operations: cell type to the cost of each operation on each edge, `(edges, ops)`, in all cells of the type.
    """

    space: Space
    base: int
    operations: Weights

    def of(self, genotype: Genotype) -> int:
        """The cost of one network."""
        return round(self.expected(self.space.one_hot(genotype)).item())

    def expected(self, weights: Weights) -> Float[Tensor, ""]:
        """The expected cost of operation weights, differentiable in them.

        A node that keeps k of its edges costs k times the mean of the costs of the operations into it, weighted by
        their weights, without `none`; one that keeps all costs their weighted sum. For the one-hot weights of a
        genotype this is its cost.

        Args:
            weights: cell type to the weight of every operation on every edge.
        """
        total = torch.tensor(float(self.base), dtype=torch.float64)
        for kind, costs in self.operations.items():
            kept = weights[kind].cpu().double() * self.kept(kind)
            for node in range(self.space.inputs, self.space.inputs + self.space.nodes):
                rows = [row for row, (target, _) in enumerate(self.space.edges) if target == node]
                weighted, mass = (kept[rows] * costs[rows]).sum(), kept[rows].sum()
                if self.space.keep is not None:
                    weighted = weighted * min(self.space.keep, node) / mass.clamp_min(torch.finfo(mass.dtype).tiny)
                total = total + weighted
        return total

    def kept(self, kind: str) -> Float[Tensor, "edges ops"]:
        """1 for each operation that a derived cell may have, 0 for the others."""
        pairs = zip(self.space.allowed(kind).values(), self.space.candidates[kind], strict=True)
        return torch.tensor([[float(op in allowed) for op in ops] for allowed, ops in pairs], dtype=torch.float64)

    def cheapest(self) -> int:
        """The smallest cost of any network of the space."""
        strengths = {kind: -costs for kind, costs in self.operations.items()}
        return self.of(self.space.derive(strengths))


@dataclass(frozen=True)
class _Place:
    """A cell in the network: its type, channels of its nodes, and sides of its inputs' and of its nodes' images."""

    kind: str
    channels: int
    inputs: int
    nodes: int


def count_costs(
    space: Space, *, channels: int, cells: int, num_classes: int, in_channels: int, image_size: int, stem: str
) -> dict[str, Cost]:
    """Parameters and MACs, as `count_parameters` and `count_macs` count them, of all networks of a space.

    Args:
        space: the cells.
        channels: channels of a node in the first cells.
        cells: number of cells; of cells a stage where the skeleton is `nasbench201`.
        num_classes: number of logits.
        in_channels: channels of the images.
        image_size: pixels a side.
        stem: `cifar` or `imagenet`.

    Returns:
        `parameters` and `macs`.

    Raises:
        SettingsError: a number or name that cannot be used.
    """
    form: dict[str, Any] = {
        "channels": channels,
        "cells": cells,
        "num_classes": num_classes,
        "in_channels": in_channels,
    }
    reference = space.derive({kind: torch.zeros(shape) for kind, shape in space.shapes.items()})
    shape = (in_channels, image_size, image_size)
    with seeded(0), torch.device("meta"):  # computes nothing, and leaves torch's random state as it was
        if space.skeleton == "nasbench201":
            network: nn.Module = create_nasbench201(reference, **form)
            places = list(_stages(channels, cells, image_size))
        else:
            network = create_model(reference, stem=stem, **form)
            places = list(_stack(space, channels, cells, image_size, stem))
        whole = (count_parameters(network), count_macs(network, shape))
        tables = _tables(space, places)
    chosen = space.one_hot(reference)
    costs = {}
    for name, total, table in zip(("parameters", "macs"), whole, tables, strict=True):
        base = total - round(sum((table[kind] * chosen[kind].double()).sum().item() for kind in table))
        costs[name] = Cost(space, base, table)
    return costs


def _stack(space: Space, channels: int, cells: int, image_size: int, stem: str) -> Iterator[_Place]:
    larger = STEMS[stem].first_larger
    side = _half(_half(_half(image_size))) if larger else image_size
    for plan in plan_cells(cells, channels, channels, space.nodes, larger):
        after = _half(side) if plan.kind == "reduce" else side
        yield _Place(plan.kind, plan.channels, side, after)
        side = after


def _stages(channels: int, cells: int, image_size: int) -> Iterator[_Place]:
    side = image_size
    for stage, width in enumerate(cell_channels(channels)):
        side = _half(side) if stage else side
        yield from [_Place("normal", width, side, side)] * cells


def _half(side: int) -> int:
    return (side + 1) // 2


def _tables(space: Space, places: list[_Place]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Parameters and MACs of every operation on every edge, over all cells of a type."""

    @cache
    def count(op: str, channels: int, stride: int, side: int) -> tuple[int, int]:
        if space.skeleton == "nasbench201":
            module = build_edge(op, channels, affine=True)
        else:
            module = build_operation(op, channels, stride, affine=True)
        return count_parameters(module), count_macs(module, (channels, side, side))

    def of_edge(op: str, kind: str, source: int) -> tuple[int, int]:
        counts = []
        for place in places:
            if place.kind == kind:
                from_input = source < space.inputs
                stride = 2 if from_input and place.kind == "reduce" else 1
                counts.append(count(op, place.channels, stride, place.inputs if from_input else place.nodes))
        return sum(parameters for parameters, _ in counts), sum(macs for _, macs in counts)

    def table(which: int) -> dict[str, Tensor]:
        tables = {}
        for kind, lists in space.candidates.items():
            pairs = zip(space.edges, lists, strict=True)
            rows = [[of_edge(op, kind, source)[which] for op in ops] for (_, source), ops in pairs]
            tables[kind] = torch.tensor(rows, dtype=torch.float64, device="cpu")
        return tables

    return table(0), table(1)
