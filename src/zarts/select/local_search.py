"""Local search: discrete zero-order steps from the cell of `perturbation` to neighbours that learn faster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch

from zarts.select.context import Selected, SelectionContext
from zarts.select.perturbation import perturbation
from zarts.spaces import Choice, Genotype, Space

__all__ = ["local_search", "neighbours"]


def local_search(
    context: SelectionContext,
    *,
    ablation: Literal["none", "uniform"] = "none",
    select_rounds: int = 1,
    select_samples: int = 100,
    select_screen_steps: int = 50,
    select_finalists: int = 3,
    select_early_steps: int = 150,
) -> Selected:
    """From the cell of `perturbation` to the neighbour that learns fastest; neighbours differ in one choice.

    The shared weights of a shallow supernet cannot tell all, such as that a deep network learns by its skips. So each
    candidate is a deep network of its own, evaluated by its mean training loss over its first steps. All networks of
    an evaluation start from the same weights and see the same batches. The first evaluation is short and leaves some
    finalists. The second one, from other weights and on other batches, includes the present cell.

    Args:
        context: the search.
        ablation: `uniform` evaluates no neighbour, and draws one of the first round's candidates or the present cell.
        select_rounds: largest number of moves; a round that finds nothing better is the last.
        select_samples: candidates a round; if more are within the limits, this many are drawn.
        select_screen_steps: weight steps of each candidate in the first evaluation.
        select_finalists: number of candidates in the second evaluation, beside the present cell.
        select_early_steps: weight steps of each in the second evaluation.

    Source: this project. A step of gradientless descent (Golovin et al., ICLR 2020) with a ball of Hamming distance 1;
        the sum of training losses as the metric: Ru et al., Speedy Performance Estimation (NeurIPS 2021).
    """
    cell = perturbation(context).genotype
    rounds = []
    for _ in range(select_rounds):
        around = _draw(context, cell, select_samples)
        if ablation == "uniform":
            drawn = int(torch.randint(1 + len(around), (1,), generator=context.generator))
            return Selected([cell, *around][drawn], {"candidates": 1 + len(around)})
        screened = _losses(context, around, select_screen_steps) if around else []
        order = sorted(range(len(around)), key=screened.__getitem__)
        finalists = [cell, *(around[i] for i in order[:select_finalists])]
        losses = _losses(context, finalists, select_early_steps)
        rounds.append({"cells": [_plain(c) for c in finalists], "losses": losses, "screened": screened})
        best = losses.index(min(losses))
        if best == 0:
            break
        cell = finalists[best]
    return Selected(cell, {"rounds": rounds})


def neighbours(space: Space, genotype: Genotype) -> Iterator[Genotype]:
    """All genotypes of a space that differ from one in one choice: another operation, or another source, or both."""
    for kind, nodes in genotype.cells.items():
        allowed = space.allowed(kind)
        for number, chosen in enumerate(nodes):
            for slot, old in enumerate(chosen):
                taken = {choice.source for choice in chosen} - {old.source}
                sources = [s for s in range(space.inputs + number) if s not in taken]
                for new in (Choice(op, s) for s in sources for op in allowed[space.inputs + number, s]):
                    if new != old:
                        node = (*chosen[:slot], new, *chosen[slot + 1 :])
                        cells = {**genotype.cells, kind: (*nodes[:number], node, *nodes[number + 1 :])}
                        yield Genotype(genotype.space, cells)


def _draw(context: SelectionContext, cell: Genotype, most: int) -> list[Genotype]:
    """At most `most` of the neighbours within the limits, drawn, in their order."""
    around = [other for other in neighbours(context.space, cell) if context.constraints.holds(other)]
    drawn = torch.randperm(len(around), generator=context.generator)[:most].sort().values
    return [around[i] for i in drawn.tolist()]


def _losses(context: SelectionContext, cells: Sequence[Genotype], steps: int) -> list[float]:
    """The mean training loss of each cell; inf where it is nan."""
    weights = torch.stack([context.space.flatten(context.space.one_hot(cell)) for cell in cells])
    return [float(loss) for loss in context.early(weights, steps).nan_to_num(torch.inf)]


def _plain(cell: Genotype) -> dict[str, str]:
    return {kind: cell.describe(kind) for kind in cell.cells}
