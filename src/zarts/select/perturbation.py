"""What a trained mixture misses most: operations and edges are taken away, and those that hurt stay."""

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
    """Alternatives, each by its entries in the flat operation weights; the `keep` that are missed most stay.

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
    """On each edge the operation, and into each node the edges, whose removal from the mixture hurts most.

    The mixture is softmax(alpha), times the weights of the edges if they have some; what is taken away gets weight 0,
    and the rest stays as it is. Where all edges of a node are kept, the cell is the best one, by the sum of its
    operations' losses, whose output hangs on its input.

    Args:
        context: the search.
        select_order: `one-pass` judges everything on the whole mixture. `progressive` decides edge after edge, in
            random order, then node after node; what is decided is alone, with weight 1 or that of its edge, from then
            on, and the weights are trained further before the next decision.
        select_tune_steps: weight steps after each of these decisions.

    Source: Wang et al., DARTS-PT (ICLR 2021), algorithm 1, which is `progressive`.
    Differs: one pass, and the loss as the judge (`select_metric`), unless others are asked for; the paper trains for
        several epochs between decisions. Running statistics (`select_batch_norm`) are what its code judges by.
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
    """What each operation on each edge is missed by: that of the edge, less what its best operation has before it."""
    of_operations, of_edges = (losses.double().clamp_max(MOST) for losses in (of_operations, of_edges))
    by_kind = torch.split(of_edges, [edges for edges, _ in space.shapes.values()])
    matrices = zip(space.split(of_operations).items(), by_kind, strict=True)
    return {kind: edges[:, None] + rows - rows.amax(-1, keepdim=True) for (kind, rows), edges in matrices}


def _operations(context: SelectionContext) -> list[_Decision]:
    """For each edge of each cell type, its operations."""
    space = context.space
    places = space.split(torch.arange(space.dimension).float())
    decisions = []
    for kind, rows in places.items():
        betas = context.betas[kind].tolist() if context.betas else [1.0] * len(rows)
        edges = zip(rows.long(), space.allowed(kind).values(), space.candidates[kind], betas, strict=True)
        for row, allowed, ops, beta in edges:
            decisions.append(_Decision([row[i : i + 1] for i, op in enumerate(ops) if op in allowed], 1, beta))
    return decisions


def _edges(space: Space) -> list[_Decision]:
    """For each node of each cell type, the edges into it, if it does not keep them all."""
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
    """The loss without each of these entries; inf if it is none."""
    points = weights.repeat(len(alternatives), 1)
    for point, entries in zip(points, alternatives, strict=True):
        point[entries] = 0
    losses = context.judge(points).cpu()
    return torch.where(losses.isfinite(), losses, torch.inf)


def _progressive(
    context: SelectionContext,
    weights: Float[Tensor, " d"],
    operations: Sequence[_Decision],
    edges: Sequence[_Decision],
    steps: int,
) -> list[Tensor]:
    """The losses of each decision, taken after the weights were trained on at the decisions before it."""
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
