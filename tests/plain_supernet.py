"""Which tensor of the textbook supernet, the oracle, is which of the product's one."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.textbook import PlainSuperNet
from zarts.nets import SuperNet

__all__ = ["copy_plain", "same_tensors"]


def same_tensors(plain: PlainSuperNet, fast: SuperNet) -> Iterator[tuple[str, Tensor, Tensor, slice]]:
    """Every parameter and running statistic: name, tensor of the plain one, and rows of which tensor of the fast one.

    Outside the edges the names are the same in both.
    """
    theirs, every = dict(fast.named_parameters()) | dict(fast.named_buffers()), slice(None)
    for name, tensor in [*plain.named_parameters(), *plain.named_buffers()]:
        if ".edges." not in name and not name.endswith("num_batches_tracked"):
            yield name, tensor, theirs[name], every
    for index, (old, _new) in enumerate(zip(plain.cells, fast.cells, strict=True)):
        for number, group in enumerate(fast.layouts[fast.kinds[index]]):
            for op, places in group.places.items():
                for slot, place in enumerate(places):
                    edge = old.edges[place.edge].ops[place.op]
                    prefix = f"cells.{index}.groups.{number}.ops.{op}."
                    for name, tensor in [*edge.named_parameters(), *edge.named_buffers()]:
                        if name.endswith("num_batches_tracked"):
                            continue
                        target = theirs[prefix + _translate(name, op)]
                        rows = target.shape[0] // len(places)
                        view = slice(slot, slot + 1) if "running" in name else slice(slot * rows, (slot + 1) * rows)
                        yield f"cell {index} edge {place.edge} {op} {name}", tensor, target, view


def _translate(name: str, op: str) -> str:
    """Name of a tensor within the fast supernet's stack, from that within the plain operation."""
    if "pool" in op:
        return name.replace("1.running_", "")
    name = name.replace("0.", "first.", 1) if name.startswith("0.") else name.replace("1.", "second.", 1)
    name = name.replace("depthwise.weight", "depthwise").replace("even.weight", "even").replace("odd.weight", "odd")
    return name.replace("running_", "")


def copy_plain(plain: PlainSuperNet, fast: SuperNet) -> None:
    """Give the fast supernet the parameters and statistics of the plain one."""
    with torch.no_grad():
        for _, tensor, target, rows in same_tensors(plain, fast):
            target[rows] = tensor.view_as(target[rows])
