"""The best cell of an evolution."""

from __future__ import annotations

from itertools import chain

import torch

from zarts.select.context import Selected, SelectionContext
from zarts.spaces import Genotype

__all__ = ["cross", "evolution"]

_TRIES = 10
"""Draws of a child that has not been evaluated yet; after as many, a random cell is drawn instead, as often."""


def evolution(
    context: SelectionContext,
    *,
    select_samples: int = 100,
    select_generations: int = 20,
    select_parents: int = 10,
    select_mutation: float = 0.1,
) -> Selected:
    """The best cell of an evolution, evaluated with the weights that all cells share.

    The first generation is drawn from what the search has learnt. Half of each further one are mutations of the best
    cells so far, half are crossings of two of them; the unit of inheritance is a node with its edges. Random cells
    replace children that have been evaluated before.

    Args:
        context: the search.
        select_samples: cells a generation; fewer if no more new ones are found.
        select_generations: generations after the first.
        select_parents: how many of the best cells so far have children.
        select_mutation: probability that a node is drawn anew in a mutation.

    Source: Guo et al., SPOS (ECCV 2020), algorithm 1.
    Differs: no cell is evaluated twice.
    """
    space, generator = context.space, context.generator
    losses: dict[Genotype, float] = {}
    history: list[float] = []

    def child(mutates: bool) -> Genotype:
        parents = sorted(losses, key=losses.__getitem__)[:select_parents]
        if not parents:
            return context.draw()
        a, b = (parents[i] for i in torch.randint(len(parents), (2,), generator=generator).tolist())
        other, share = (space.random(generator), select_mutation) if mutates else (b, 0.5)
        return context.constraints.nearest(cross(a, other, share, generator), generator)

    for _ in range(select_generations + 1):
        cells: list[Genotype] = []
        for number in range(select_samples):
            children = (child(mutates=number % 2 == 0) for _ in range(_TRIES))
            tries = chain(children, (context.draw_uniformly() for _ in range(_TRIES)))
            new = next((cell for cell in tries if cell not in losses and cell not in cells), None)
            cells += [] if new is None else [new]
        if cells:
            scores = context.evaluate(torch.stack([space.flatten(space.one_hot(cell)) for cell in cells]))
            losses.update(zip(cells, scores.nan_to_num(torch.inf).tolist(), strict=True))
        history.append(min(losses.values()))
    best = min(losses, key=losses.__getitem__)
    return Selected(best, {"best_of_generation": history, "evaluated": len(losses)})


def cross(a: Genotype, b: Genotype, share: float, generator: torch.Generator) -> Genotype:
    """The cells of `a`, with each node replaced by that of `b` with probability `share`."""
    cells = {}
    for kind, nodes in a.cells.items():
        other = (torch.rand(len(nodes), generator=generator) < share).tolist()
        cells[kind] = tuple(
            theirs if takes else own for own, theirs, takes in zip(nodes, b.cells[kind], other, strict=True)
        )
    return Genotype(a.space, cells)
