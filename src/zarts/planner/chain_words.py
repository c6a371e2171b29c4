"""Chain networks in words: which hand-made one it is, a short name, and what differs between two."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from zarts.errors import SettingsError
from zarts.spaces import HANDMADE, Chain, Stage

__all__ = ["Scaled", "chain_key", "difference", "scaled_handmade", "short_name", "widths_of", "with_width"]

_LETTERS = {"conv": "C", "residual": "R", "inverted": "I", "separable": "S", "skip": "K"}
_LAYERS = {
    "conv": "convolution",
    "residual": "residual pair",
    "inverted": "inverted bottleneck",
    "separable": "separable convolution",
    "skip": "skip",
}


class Scaled(NamedTuple):
    """A hand-made network as a chain is it: `handmade(name, width, stem_stride)`."""

    name: str
    width: float
    stem_stride: int


@lru_cache(maxsize=4096)
def scaled_handmade(chain: Chain) -> Scaled | None:
    """The hand-made network that this is, at some width and stride of the stem, whatever its name says; None: none."""
    for name, row in HANDMADE.items():
        if _structure(row.chain) == _structure(chain):
            width = _factor(row.chain, chain)
            if width is not None:
                return Scaled(name, width, chain.stem.stride)
    return None


def _structure(chain: Chain) -> Chain:
    """The chain without widths, name and stride of the stem."""
    stages = tuple(replace(stage, width=1) for stage in chain.stages)
    stem = replace(chain.stem, width=1, stride=1)
    return replace(chain, stem=stem, stages=stages, head=None if chain.head is None else 1, name="")


def _factor(published: Chain, chain: Chain) -> float | None:
    """The shortest factor of all widths that makes one of the other; their sum grows with it, so bisection finds it."""
    sought = widths_of(chain)
    low, high = -16.0, math.log2((1 << 16) / max(widths_of(published)))  # as wide as a file of a chain may say
    for _ in range(60):
        middle = (low + high) / 2
        widths = widths_of(published.scaled(2**middle))
        if widths == sought:
            break
        low, high = (middle, high) if sum(widths) < sum(sought) else (low, middle)
    else:
        return None
    for unit in (1, 10, 100, 1000, 10_000):
        for rounded in (math.floor(2**middle * unit) / unit, math.ceil(2**middle * unit) / unit):
            if rounded > 0 and widths_of(published.scaled(rounded)) == sought:
                return rounded
    return 2**middle


def widths_of(chain: Chain) -> list[int]:
    """Widths of the stem, the stages and, if there is one, the head."""
    return [chain.stem.width, *(stage.width for stage in chain.stages), *([] if chain.head is None else [chain.head])]


def with_width(chain: Chain, place: int, width: int) -> Chain | None:
    """The network, without a name, with another width at that place of `widths_of`; None: its shortcuts forbid it."""
    stages = list(chain.stages)
    try:
        if place == 0:
            return replace(chain, name="", stem=replace(chain.stem, width=width))
        if place > len(stages):
            return replace(chain, name="", head=width)
        stages[place - 1] = replace(stages[place - 1], width=width)
        return replace(chain, name="", stages=tuple(stages))
    except SettingsError:
        return None


def short_name(chain: Chain, image_size: int | None = None) -> str:
    """A name for tables: `resnet8 width 1.14, stem stride 2`, or a code such as `s16/2 R18 2R36/2 I54/2x3k5 h128`.

    In the code s is the stem; C, R, I, S, K are convolution, residual pair, inverted bottleneck, separable convolution
    and skip, behind their number and before their channels; / is a stride, m one by a max pool, x an expansion, k a
    kernel, e squeeze-and-excitation, p a max pool of the stem or a shortcut by padding, h the head, d dropout.

    Args:
        chain: the network.
        image_size: pixels a side, added as `, 28×28`; None: not said.
    """
    size = "" if image_size is None else f", {image_size}×{image_size}"
    found = scaled_handmade(chain)
    if found:
        width = "" if found.width == 1 else f" width {found.width:.4g}"
        stride = HANDMADE[found.name].chain.stem.stride
        strided = "" if found.stem_stride == stride else f", stem stride {found.stem_stride}"
        return f"{found.name}{width}{strided}{size}"
    stem = chain.stem
    kernel = "" if stem.kernel == 3 else f"k{stem.kernel}"
    parts = [f"s{stem.width}{_stride(stem.stride)}{kernel}{'p' if stem.pool else ''}", *map(_code, chain.stages)]
    parts += [] if chain.head is None else [f"h{chain.head}"]
    parts += [] if chain.activation == "relu" else [chain.activation]
    parts += [f"d{chain.dropout:g}"] if chain.dropout else []
    return " ".join(parts) + size


def _stride(stride: int, sign: str = "/") -> str:
    return "" if stride == 1 else f"{sign}{stride}"


def _code(stage: Stage) -> str:
    depth = "" if stage.depth == 1 else str(stage.depth)
    kernel = "" if stage.kernel == 3 else f"k{stage.kernel}"
    expansion = f"x{stage.expansion}" if stage.kind == "inverted" else ""
    by = _stride(stage.stride, "m" if stage.downsampling == "max-pool" else "/")
    flags = ("e" if stage.squeeze_excitation else "") + ("p" if stage.shortcut == "padding" else "")
    return f"{depth}{_LETTERS[stage.kind]}{stage.width}{by}{expansion}{kernel}{flags}"


def chain_key(chain: Chain, image_size: int) -> str:
    """The same text for the same network: neither name nor divisor count, nor where a row of like layers is cut."""
    stages: list[Stage] = []
    width = chain.stem.width
    for stage in chain.stages:
        if stage.stride == 1 and stage.width == width:
            stage = replace(stage, shortcut="projection")  # it does nothing
            if (
                stages
                and replace(stages[-1], depth=stage.depth, stride=1, downsampling="stride", shortcut="projection")
                == stage
            ):
                stages[-1] = replace(stages[-1], depth=stages[-1].depth + stage.depth)
                continue
        stages.append(stage)
        width = stage.width
    same = replace(chain, name="", divisor=1, stages=tuple(stages))
    return f"{image_size} {json.dumps(same.to_dict())}"


def difference(a: tuple[Chain, int], b: tuple[Chain, int]) -> list[str]:
    """What is otherwise in `b`, one thing an entry, as few as possible; such as `stage 2: 3 -> 2 residual pairs`.

    Args:
        a: the network that was, and its image size in pixels a side.
        b: the network that is, and its image size.

    Names do not count. Stages are numbered as in `a`; a new one as in `b`. Where all widths have the same factor,
    that is one thing.
    """
    (old, size), (new, new_size) = a, b
    changes = [f"image size: {size} -> {new_size}"] if size != new_size else []
    changes += _whole(old, new)
    said: dict[str, Any] = {"shortcut": "projection"}
    if any(change.startswith("downsampling") for change in changes):
        said["downsampling"] = "stride"
    old, new = (replace(c, stages=tuple(replace(s, **said) for s in c.stages)) for c in (old, new))
    return changes + _layers(old, new)


def _whole(old: Chain, new: Chain) -> list[str]:
    """What belongs to no single stage; the way to smaller images and shortcuts are those of a whole network."""
    changes = []
    if old.stem.stride != new.stem.stride:
        changes.append(f"stem: stride {old.stem.stride} -> {new.stem.stride}")
    if old.stem.kernel != new.stem.kernel:
        changes.append(f"stem: kernel {old.stem.kernel} -> {new.stem.kernel}")
    if old.stem.pool != new.stem.pool:
        changes.append(f"stem: max pool {'added' if new.stem.pool else 'removed'}")
    for key in ("activation", "dropout", "divisor"):
        was, now = getattr(old, key), getattr(new, key)
        changes += [f"{key}: {was} -> {now}"] if was != now else []
    for key, kind in (("downsampling", None), ("shortcut", "residual")):
        pairs = [
            {getattr(s, key) for s in chain.stages if (s.kind == kind if kind else s.stride > 1)}
            for chain in (old, new)
        ]
        if all(pairs) and pairs[0] != pairs[1]:
            was, now = (" and ".join(sorted(values)).replace("-", " ") for values in pairs)
            changes.append(f"{key}: {was} -> {now}")
    return changes


def _layers(old: Chain, new: Chain) -> list[str]:
    """Widths and stages, with or without a common factor of the widths, whichever leaves less to say."""
    best = _aligned(old, new, None)
    pairs = [(max(widths_of(c)), c.stem.width, c.stages[-1].width) for c in (old, new)]
    for factor in (b / a for a, b in zip(*pairs, strict=True)):
        if len(best) > 2 and factor != 1:
            scaled = _aligned(old, new, factor)
            best = min(best, [f"all widths × {factor:.3g}", *scaled], key=len)
    return best


def _aligned(old: Chain, new: Chain, factor: float | None) -> list[str]:
    changes = _width("stem", old.stem.width, new.stem.width, factor)
    changes += _stages(old.stages, new.stages, factor)
    if old.head is not None and new.head is not None:
        return changes + _width("head", old.head, new.head, factor)
    if old.head is not None or new.head is not None:
        changes.append("head: removed" if new.head is None else f"head: {new.head} channels added")
    return changes


def _width(where: str, old: int, new: int, factor: float | None) -> list[str]:
    """Empty where the widths are the same, up to a rounding of a common factor."""
    same = new == old if factor is None else abs(new - factor * old) <= max(1.0, 0.04 * new)
    return [] if same else [f"{where}: {old} -> {new} channels"]


def _stages(old: Sequence[Stage], new: Sequence[Stage], factor: float | None) -> list[str]:
    """The shortest list that makes the new stages of the old ones, by alignment of the two sequences."""
    table: list[list[list[str]]] = [[[] for _ in range(len(new) + 1)] for _ in range(len(old) + 1)]
    for i in range(len(old) + 1):
        for j in range(len(new) + 1):
            ways = []
            if i and j:
                ways.append(table[i - 1][j - 1] + _stage(i, old[i - 1], new[j - 1], factor))
            if i:
                ways.append([*table[i - 1][j], f"stage {i} removed: {_layer_words(old[i - 1])}"])
            if j:
                ways.append([*table[i][j - 1], f"new stage {j}: {_layer_words(new[j - 1])}"])
            table[i][j] = min(ways, key=_length) if ways else []
    return table[-1][-1]


def _length(changes: list[str]) -> int:
    """A stage put in or taken out counts as three, so that a changed one is not said to be another."""
    return sum(3 if change.startswith("new ") or " removed: " in change else 1 for change in changes)


def _stage(number: int, old: Stage, new: Stage, factor: float | None) -> list[str]:
    where = f"stage {number}"
    changes = _width(where, old.width, new.width, factor)
    if old.kind != new.kind:
        changes.append(f"{where}: {_layer_words(old, False)} -> {_layer_words(new, False)}")
    else:
        if old.depth != new.depth:
            changes.append(f"{where}: {old.depth} -> {new.depth} {_plural(old.kind)}")
        for key in ("kernel", "expansion"):
            was, now = getattr(old, key), getattr(new, key)
            changes += [f"{where}: {key} {was} -> {now}"] if was != now else []
        if old.squeeze_excitation != new.squeeze_excitation:
            done = "added" if new.squeeze_excitation else "removed"
            changes.append(f"{where}: squeeze-and-excitation {done}")
    if old.stride != new.stride:
        changes.append(f"{where}: stride {old.stride} -> {new.stride}")
    elif old.downsampling != new.downsampling:
        changes.append(f"{where}: smaller by {old.downsampling} -> {new.downsampling}")
    return changes


def _plural(kind: str) -> str:
    return _LAYERS[kind] + "s"


def _layer_words(stage: Stage, whole: bool = True) -> str:
    layers = _LAYERS[stage.kind] if stage.depth == 1 else _plural(stage.kind)
    words = f"{stage.depth} {layers}"
    if stage.kind in ("inverted", "separable") or stage.kernel != 3:
        words += f" {stage.kernel}×{stage.kernel}"
    if stage.kind == "inverted":
        words += f", expansion {stage.expansion}" + (", squeeze-and-excitation" if stage.squeeze_excitation else "")
    return words + (f", {stage.width} channels, stride {stage.stride}" if whole else "")
