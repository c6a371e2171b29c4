"""The parameters that the textbook supernet of NAS-Bench-201 and the fast one share."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.textbook_nasbench201 import PlainNasBench201
from zarts.supernet import NasBench201SuperNet

__all__ = ["copy_plain", "same_tensors"]


def same_tensors(plain: PlainNasBench201, fast: NasBench201SuperNet) -> Iterator[tuple[str, Tensor, Tensor, slice]]:
    """Every parameter and running statistic: name, tensor of the plain one, rows of which tensor of the fast one."""
    theirs, space = dict(fast.named_parameters()) | dict(fast.named_buffers()), fast.space
    stacked = {"conv.weight": "weight", "norm.running_mean": "norm.mean", "norm.running_var": "norm.var"}
    for name, tensor in [*plain.named_parameters(), *plain.named_buffers()]:
        cell, _, rest = name.partition(".edges.")
        if name.endswith("num_batches_tracked"):
            continue
        if not rest:
            yield name, tensor, theirs[f"skeleton.{name}"], slice(None)
        else:
            edge, op, what = rest.split(".", 2)
            node, source = space.edges[int(edge)]
            target = theirs[
                f"skeleton.{cell}.nodes.{source}.convolutions.{space.candidates['normal'][0][int(op)]}.{stacked[what]}"
            ]
            slot, rows = node - source - 1, target.shape[0] // (space.nodes - source)
            yield name, tensor, target, slice(slot * rows, (slot + 1) * rows)


def copy_plain(plain: PlainNasBench201, fast: NasBench201SuperNet) -> None:
    """Give the fast supernet the parameters and statistics of the plain one."""
    with torch.no_grad():
        for _, tensor, target, rows in same_tensors(plain, fast):
            target[rows] = tensor.view_as(target[rows])
