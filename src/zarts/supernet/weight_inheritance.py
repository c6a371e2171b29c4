"""Inherited weights: a supernet's tensors for the operations of a genotype, under the derived network's names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from torch import Tensor

from zarts.errors import SettingsError
from zarts.networks import Network
from zarts.spaces import Choice, Genotype
from zarts.supernet.mixed_cell import MixedCell
from zarts.supernet.supernet import SuperNet

__all__ = ["supernet_weights"]

_NORM = {"running_mean": "mean", "running_var": "var"}
_WITHOUT_NORM = ("max_pool_3x3", "avg_pool_3x3")  # in the derived network


def supernet_weights(supernet: SuperNet, genotype: Genotype, network: Network) -> dict[str, Tensor]:
    """Parameters and running statistics for a network of the same depth and width, by their names in it.

    What the supernet does not have stays out: scales and shifts of batch norms but the stem's, an auxiliary head. The
    supernet's batch norms behind its pools have no counterpart in the network, so operations behind a pool see other
    scales than they were trained with.

    Args:
        supernet: trained; its operations see all channels and are not merged.
        genotype: of its space.
        network: of the genotype.

    Raises:
        SettingsError: a supernet of another kind, depth, width or stem than the network.
    """
    if supernet.merged or any(cast(MixedCell, cell).parts > 1 for cell in supernet.cells):
        raise SettingsError(
            "weights_from = supernet: the operations of a merged or partial supernet are not those of the network: "
            "leave it out"
        )
    theirs = dict(supernet.named_parameters()) | dict(supernet.named_buffers())
    wanted = dict(network.named_parameters()) | dict(network.named_buffers())
    found = {name: tensor for name, tensor in theirs.items() if name in wanted and ".groups." not in name}
    for index, kind in enumerate(supernet.kinds):
        for node, choices in enumerate(genotype.cells[kind]):
            for number, choice in enumerate(choices):
                target = supernet.space.inputs + node
                found |= _operation(supernet, theirs, wanted, index, (target, number), choice)
    for name, tensor in found.items():
        if tensor.shape != wanted[name].shape:
            raise SettingsError(
                f"weights_from = supernet: {name} has shape {tuple(tensor.shape)} there and "
                f"{tuple(wanted[name].shape)} in the network: take the search's channels, cells, stem and images"
            )
    if len(network.cells) != len(supernet.cells):
        raise SettingsError(
            f"weights_from = supernet: it has {len(supernet.cells)} cells, the network {len(network.cells)}: take as "
            "many --cells"
        )
    return {name: tensor.detach().clone() for name, tensor in found.items()}


def _operation(
    supernet: SuperNet,
    theirs: dict[str, Tensor],
    wanted: dict[str, Tensor],
    index: int,
    position: tuple[int, int],
    choice: Choice,
) -> dict[str, Tensor]:
    """The tensors of one operation; `position`: the node that it enters, and its number there."""
    if choice.op in _WITHOUT_NORM:
        return {}
    space, (target, number) = supernet.space, position
    edge = space.edges.index((target, choice.source))
    inside = f"cells.{index}.nodes.{target - space.inputs}.ops.{number}."
    for order, group in enumerate(supernet.layouts[supernet.kinds[index]]):
        slots = [slot for slot, p in enumerate(group.places.get(choice.op, ())) if p.edge == edge]
        if slots:
            outside = f"cells.{index}.groups.{order}.ops.{choice.op}."
            count = len(group.places[choice.op])
            return dict(_rows(theirs, wanted, inside, outside, slots[0], count))
    raise SettingsError(f"weights_from = supernet: space {space.name!r} has no {choice.op} from node {choice.source}")


def _rows(
    theirs: dict[str, Tensor], wanted: dict[str, Tensor], inside: str, outside: str, slot: int, slots: int
) -> Iterator[tuple[str, Tensor]]:
    """The slot's rows of all stacked tensors whose counterpart the network has."""
    for name in wanted:
        if not name.startswith(inside) or name.endswith("num_batches_tracked"):
            continue
        own = name.removeprefix(inside)
        alone = f"{outside}slots.{slot}.{own}"
        if alone in theirs:
            yield name, theirs[alone]
            continue
        stacked = theirs.get(outside + _stacked(own))
        if stacked is not None:
            part = stacked.reshape(slots, -1, *stacked.shape[1:])[slot]
            yield name, part.reshape(wanted[name].shape) if part.numel() == wanted[name].numel() else part


def _stacked(name: str) -> str:
    """The name in a stack of the operation's tensor: `0.norm.running_mean` is `first.norm.mean` there."""
    order = {"0": "first", "1": "second"}
    parts = [_NORM.get(part, order.get(part, part)) for part in name.split(".")]
    return ".".join(parts).removesuffix(".weight") if parts[-2] in ("depthwise", "even", "odd") else ".".join(parts)
