"""The best of drawn cells."""

from __future__ import annotations

import torch

from zarts.select.context import Selected, SelectionContext

__all__ = ["best_of"]


def best_of(context: SelectionContext, *, select_samples: int = 100) -> Selected:
    """The best of K cells drawn from what the search has learnt, each evaluated with the weights that all share.

    Args:
        context: the search.
        select_samples: K.

    Source: Li and Talwalkar (UAI 2019), section 3.2; Dong and Yang, SETN (ICCV 2019) and NAS-Bench-201 (ICLR 2020).
    Differs: all cells are evaluated on the same images; the released code of NAS-Bench-201 takes others for each.
    """
    cells = [context.draw() for _ in range(select_samples)]
    weights = torch.stack([context.space.flatten(context.space.one_hot(cell)) for cell in cells])
    scores = context.evaluate(weights).nan_to_num(torch.inf)
    best = int(scores.argmin())
    return Selected(cells[best], {"scores": scores.tolist(), "best": best})
