"""Perturbation-based selection: keeps the operations and edges whose removal from the supernet hurts most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zarts.select.connectivity import MOST, best_connected
from zarts.select.context import Selected, SelectionContext
from zarts.spaces import Space

__all__ = ["perturbation"]


class _Decision(NamedTuple):
    """Alternatives, each by its entries in the flat operation weights; the `keep` whose removal hurts most stay.

    An operation that is alone on its edge has the weight `whole`.
    """

    alternatives: Sequence[Int[Tensor, " _"]]
    keep: int
    whole: float = 1.0


def perturbation(
    context: SelectionContext,
    *,
    select_order: Literal["one-pass", "progressive"] = "one-pass",
    select_tune_steps: int = 100,
) -> Selected:
    """On each edge the operation, and into each node the edges, whose removal from the supernet hurts most.

    Operation weights are softmax(alpha), times the weights of the edges if they have some; what is removed gets weight
    0, and the other weights stay. Where nodes keep all their edges, the result is the cell with the largest sum of its
    operations' losses among those whose output depends on their input.

    Args:
        context: the search.
        select_order: `one-pass` evaluates every removal from the whole supernet. `progressive` decides edge after edge,
            in random order, then node after node; from then on only the decided operation is left, with weight 1 or
            that of its edge, and the weights are trained further before the next decision.
        select_tune_steps: weight steps after each of these decisions.

    Source: Wang et al., DARTS-PT (ICLR 2021), algorithm 1, which is `progressive`.
    Differs: the defaults are one pass and the loss (`select_metric`); the paper trains for several epochs between
        decisions. Its code evaluates by running statistics, as the default of `select_batch_norm`.
    """
    space = context.space
    weights = space.flatten(context.strengths).detach().cpu()
    operations, edges = _operations(context), _edges(space)
    if select_order == "one-pass":
        decisions = [*operations, *edges]
        alternatives = [entries for decision in decisions for entries in decision.alternatives]
        lengths = [len(decision.alternatives) for decision in decisions]
        losses = list(torch.split(_without(context, weights, alternatives), lengths))
    else:
        losses = _progressive(context, weights, operations, edges, select_tune_steps)
    of_operations = torch.full_like(weights, -torch.inf)
    for decision, loss in zip(operations, losses[: len(operations)], strict=True):
        of_operations[torch.cat(list(decision.alternatives))] = loss
    of_edges = torch.cat([loss.new_empty(0), *losses[len(operations) :]])
    rows = {kind: matrix.tolist() for kind, matrix in space.split(of_operations).items()}
    if space.keep is None:
        genotype = best_connected(context.constraints, of_operations)
    else:
        genotype = context.constraints.derive(_strengths(space, of_operations, of_edges))
    return Selected(genotype, {"operations": rows, "edges": of_edges.tolist()})


def _strengths(
    space: Space, of_operations: Float[Tensor, " d"], of_edges: Float[Tensor, " all_edges"]
) -> dict[str, Float[Tensor, "edges ops"]]:
    """The strength of each operation on each edge: the loss without its edge, less its distance to the edge's best."""
    of_operations, of_edges = (losses.double().clamp_max(MOST) for losses in (of_operations, of_edges))
    by_kind = torch.split(of_edges, [edges for edges, _ in space.shapes.values()])
    matrices = zip(space.split(of_operations).items(), by_kind, strict=True)
    return {kind: edges[:, None] + rows - rows.amax(-1, keepdim=True) for (kind, rows), edges in matrices}


def _operations(context: SelectionContext) -> list[_Decision]:
    """For each edge of each cell type, its operations."""
    space = context.space
    entries = space.split(torch.arange(space.dimension).float())
    decisions = []
    for kind, rows in entries.items():
        betas = context.betas[kind].tolist() if context.betas else [1.0] * len(rows)
        edges = zip(rows.long(), space.allowed(kind).values(), space.candidates[kind], betas, strict=True)
        for row, allowed, ops, beta in edges:
            decisions.append(_Decision([row[i : i + 1] for i, op in enumerate(ops) if op in allowed], 1, beta))
    return decisions


def _edges(space: Space) -> list[_Decision]:
    """For each node of each cell type, the edges into it, unless nodes keep all their edges."""
    if space.keep is None:
        return []
    decisions = []
    for rows in space.split(torch.arange(space.dimension).float()).values():
        for node in range(space.inputs, space.inputs + space.nodes):
            into = [edge for edge, (target, _) in enumerate(space.edges) if target == node]
            decisions.append(_Decision([rows[edge].long() for edge in into], space.keep))
    return decisions


def _without(
    context: SelectionContext, weights: Float[Tensor, " d"], alternatives: Sequence[Int[Tensor, " _"]]
) -> Float[Tensor, " n"]:
    """The loss without each of these entries; inf where it is not finite."""
    removed = weights.repeat(len(alternatives), 1)
    for row, entries in zip(removed, alternatives, strict=True):
        row[entries] = 0
    losses = context.evaluate(removed).cpu()
    return torch.where(losses.isfinite(), losses, torch.inf)


def _progressive(
    context: SelectionContext,
    weights: Float[Tensor, " d"],
    operations: Sequence[_Decision],
    edges: Sequence[_Decision],
    steps: int,
) -> list[Tensor]:
    """The losses of each decision, evaluated after the weights were tuned to the decisions before it."""
    decisions = [*operations, *edges]
    orders = [torch.randperm(len(group), generator=context.generator) for group in (operations, edges)]
    weights, losses = weights.clone(), [torch.empty(0) for _ in decisions]
    for number in torch.cat([orders[0], len(operations) + orders[1]]).tolist():
        alternatives, keep, whole = decisions[number]
        losses[number] = _without(context, weights, alternatives)
        kept = losses[number].topk(keep).indices.tolist()
        for i, entries in enumerate(alternatives):
            if i not in kept:
                weights[entries] = 0
            elif number < len(operations):
                weights[entries] = whole
        context.tune(weights, steps)
    return losses
