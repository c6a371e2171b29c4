"""The search space of chain networks as a vector, for the optimisers of `zarts.zo`.

A vector holds choices and levels. A choice is a block of logits, the largest decides. A level is a whole number, one
coordinate that is rounded. Widths have levels of a quarter of an octave, and a remainder that makes them exact.

All coordinates have one scale: a normal perturbation with standard deviation 1 flips any one choice, or moves any one
level, with probability `FLIP`; the share of the limits with one of a quarter, as nothing matters more where time is
short. A network has 20 to 70 that show: after one of length `sqrt(d)` half or so are as they were but for their share,
and most of the others differ in exactly one thing; at twice that length they differ in about five things, the long
MobileNetV2 in nine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from zarts.errors import SettingsError
from zarts.planner.chain_counts import chain_counts, last_side
from zarts.planner.chain_words import difference, scaled_handmade
from zarts.planner.coordinates import Choice, Level, Part, Remainder
from zarts.spaces import Chain, ChainStem, Stage
from zarts.spaces.chain import ACTIVATIONS, KINDS

__all__ = ["ChainSpace", "is_slow"]

_STEP = 0.25  # octaves of a level of a width
_SHARES, _SHARE_STEP = 12, 0.5  # levels of the share of the limits, and octaves of one: 1/64 to 1
_SHARE_FLIP = 0.25
_WIDEST = 1 << 16  # as in a file of a chain
_DEEPEST = 4
_TRIES = 300
_DEPTHWISE = ("inverted", "separable")


class ChainSpace:
    """Points are a chain and an image size; ResNet, VGG, DS-CNN and MobileNetV2 at any width are among them.

    A chain has up to `stages` stages in as many slots. Those of a shorter one are spread over the slots, so that one
    can be put in anywhere. The way to smaller images, and the shortcut of residual pairs, are those of a whole chain.
    Widths are relative to one width of the chain.

    Beside the point a vector has a share of the limits, from 1/64 to 1: how much of them a network shall use. `share`
    reads it; what scales networks to limits has to heed it.

    Args:
        image_sizes: the sizes to choose from, pixels a side.
        stages: number of slots.
        quick: whether a point that is slow to train, see `is_slow`, is not `valid`.
        max_parameters: what is larger is not `valid`.
        max_macs: what takes more, for one image, is not `valid`.

    Raises:
        SettingsError: no image size, one below 4, or no slot.
    """

    def __init__(
        self,
        image_sizes: Sequence[int],
        stages: int = 7,
        *,
        quick: bool = False,
        max_parameters: int = 20_000_000,
        max_macs: int = 5_000_000_000,
    ) -> None:
        if not image_sizes or min(image_sizes) < 4 or stages < 1:
            raise SettingsError(f"image sizes {list(image_sizes)}, {stages} stages: needs sizes from 4 on and a stage")
        self.image_sizes, self.stages, self.quick = sorted(set(image_sizes)), stages, quick
        self.max_parameters, self.max_macs = max_parameters, max_macs
        self._parts: dict[str, Part] = {
            "image size": Level(0, len(self.image_sizes) - 1),
            "share": Level(-_SHARES, 0, _SHARE_FLIP),
            "stem stride": Choice((1, 2)),
            "stem pool": Choice((False, True)),
            "head": Choice((False, True)),
            "activation": Choice(ACTIVATIONS),
            "dropout": Choice((0.0, 0.2, 0.4)),
            "divisor": Choice((1, 8)),
            "shortcut": Choice(("projection", "padding")),
            "downsampling": Choice(("stride", "max-pool")),
            **_width_parts("width", "stem width", "head width"),
        }
        for slot in range(stages):
            self._parts |= {
                f"{slot} present": Choice((False, True)),
                f"{slot} kind": Choice(KINDS),
                f"{slot} depth": Level(1, _DEEPEST),
                f"{slot} stride": Choice((1, 2)),
                f"{slot} kernel": Choice((3, 5)),
                f"{slot} expansion": Choice((1, 3, 6)),
                f"{slot} squeeze_excitation": Choice((False, True)),
                **_width_parts(f"{slot} width"),
            }
        self.dimension = sum(part.coordinates for part in self._parts.values())

    @property
    def radii(self) -> tuple[float, float]:
        """Lengths of a perturbation of an encoded point: for one change, and for about five."""
        return math.sqrt(self.dimension), 2 * math.sqrt(self.dimension)

    def encode(self, chain: Chain, image_size: int, share: float = 1.0) -> Float[Tensor, " d"]:
        """The vector of a point, float64, as far as can be from all others.

        Args:
            chain: the network; its name does not count.
            image_size: one of `image_sizes`.
            share: of the limits, in [1/64, 1]; the nearest level is taken.

        Raises:
            SettingsError: the space does not have this point; the message says what.
        """
        if image_size not in self.image_sizes:
            raise SettingsError(f"image size {image_size} is not in the space: {self.image_sizes}")
        if len(chain.stages) > self.stages:
            raise SettingsError(f"{len(chain.stages)} stages; the space has {self.stages} at most")
        values = {"image size": self.image_sizes.index(image_size), **_whole(chain), **_slots(chain, self.stages)}
        values["share"] = min(0, max(-_SHARES, round(math.log2(share) / _SHARE_STEP)))
        x = self._vector(values)
        got = self.decode(x)[0]
        if replace(got, name="") != replace(chain, name=""):
            lost = difference((chain, image_size), (got, image_size)) or ["shortcuts or max pools of some stages only"]
            raise SettingsError(f"the space cannot say this network; nearest is: {'; '.join(lost)}")
        return x

    def has(self, chain: Chain, image_size: int) -> bool:
        """Whether this point is in the space: one of the user's may have more stages, say."""
        try:
            self.encode(chain, image_size)
        except SettingsError:
            return False
        return True

    def decode(self, x: Float[Tensor, " d"]) -> tuple[Chain, int]:
        """The chain and image size of any vector; hand-made networks have their names."""
        values = self._values(x)
        return _named(_chain(values, self.stages)), self.image_sizes[values["image size"]]

    def share(self, x: Float[Tensor, " d"]) -> float:
        """The share of the limits, in [1/64, 1]."""
        return float(2 ** (_SHARE_STEP * self._values(x)["share"]))

    def random(self, generator: torch.Generator) -> tuple[Chain, int]:
        """A valid point: number of stages and choices uniform, widths log-uniform around a doubling at each stride.

        Raises:
            SettingsError: no valid point is found: the most parameters or MACs are too few.
        """
        for _ in range(_TRIES):
            values = self._random(generator)
            chain, size = _chain(values, self.stages), self.image_sizes[values["image size"]]
            if self.valid(chain, size):
                return _named(chain), size
        raise SettingsError(
            f"no network of {self.max_parameters} parameters and {self.max_macs} MACs is found: allow more"
        )

    def valid(self, chain: Chain, image_size: int) -> bool:
        """Whether a network is worth building.

        The last features have 2×2 pixels or more, no width is 1, a depthwise convolution has 4 channels or more, and
        parameters and MACs (3 colours, 10 classes) are not above those of the space. It is quick to train, if it has to
        be.
        """
        if self.quick and is_slow(chain):
            return False
        widths = [chain.stem.width, *(stage.width for stage in chain.stages)]
        depthwise = [
            width * stage.expansion
            for before, stage in zip(widths, chain.stages, strict=False)
            if stage.kind in _DEPTHWISE
            for width in (before, *[stage.width] * (stage.depth > 1))
        ]
        if last_side(chain, image_size) < 2 or min(widths) < 2 or min(depthwise, default=4) < 4:
            return False
        parameters, macs = chain_counts(chain, image_size)
        return parameters <= self.max_parameters and macs <= self.max_macs

    def _random(self, generator: torch.Generator) -> dict[str, Any]:
        numbers = iter(torch.rand(4 * self.dimension, generator=generator, dtype=torch.float64).tolist())

        def whole(low: int, high: int) -> int:
            return low + int(next(numbers) * (high - low + 1))

        def real(low: float, high: float) -> float:
            return low + (high - low) * float(next(numbers))

        values: dict[str, Any] = {}
        for name, part in self._parts.items():
            if isinstance(part, Choice):
                values[name] = part.options[whole(0, len(part.options) - 1)]
            elif isinstance(part, Level) and "width" not in name:
                values[name] = whole(part.low, part.high)
        values |= _leveled("width", real(3.0, 6.0) / _STEP) | _leveled("stem width", real(-1.0, 1.0) / _STEP)  # 8 to 64
        order = sorted(range(self.stages), key=lambda _: next(numbers))
        chosen = order[: whole(min(2, self.stages), self.stages)]
        octaves = 0
        for slot in range(self.stages):
            values[f"{slot} present"] = slot in chosen
            octaves += slot in chosen and values[f"{slot} stride"] == 2
            values |= _leveled(f"{slot} width", (octaves + real(-1.0, 1.0)) / _STEP)
        return values | _leveled("head width", (octaves + real(0.0, 2.0)) / _STEP)

    def _vector(self, values: dict[str, Any]) -> Float[Tensor, " d"]:
        numbers = [number for name, part in self._parts.items() for number in part.write(values[name])]
        return torch.tensor(numbers, dtype=torch.float64)

    def _values(self, x: Float[Tensor, " d"]) -> dict[str, Any]:
        if x.shape != (self.dimension,):
            raise SettingsError(f"x has shape {tuple(x.shape)}; the space needs ({self.dimension},)")
        numbers = iter(x.detach().cpu().double().tolist())
        return {name: part.read(list(islice(numbers, part.coordinates))) for name, part in self._parts.items()}


def is_slow(chain: Chain) -> bool:
    """Whether a network gains less in a short training than others: by depthwise convolutions, or by dropout."""
    return chain.dropout > 0 or any(stage.kind in _DEPTHWISE for stage in chain.stages)


def _width_parts(*names: str) -> dict[str, Part]:
    """Levels as far as widths go, both ways, and remainders."""
    most = round(math.log2(_WIDEST) / _STEP)
    return {f"{name}{end}": part for name in names for end, part in (("", Level(-most, most)), (" rest", Remainder()))}


def _leveled(name: str, steps: float) -> dict[str, Any]:
    return {name: round(steps), f"{name} rest": steps - round(steps)}


def _whole(chain: Chain) -> dict[str, Any]:
    """Values of what belongs to no stage."""
    base, last = chain.stem.width, chain.stages[-1].width
    smaller = [stage.downsampling for stage in chain.stages if stage.stride > 1]
    return {
        "stem stride": chain.stem.stride,
        "stem pool": chain.stem.pool,
        "head": chain.head is not None,
        "activation": chain.activation,
        "dropout": chain.dropout,
        "divisor": chain.divisor,
        "shortcut": "padding" if "padding" in [stage.shortcut for stage in chain.stages] else "projection",
        "downsampling": smaller[0] if smaller else "stride",
        **_leveled("width", math.log2(base) / _STEP),
        **_leveled("stem width", 0.0),
        **_leveled("head width", math.log2((chain.head or 2 * last) / base) / _STEP),
    }


def _slots(chain: Chain, slots: int) -> dict[str, Any]:
    """Values of all slots. An empty one is like the stage before it, one layer deep, between the widths around it."""
    count, values = len(chain.stages), dict[str, Any]()
    places = [int((number + 0.5) * slots / count) for number in range(count)]
    for slot in range(slots):
        before = sum(place <= slot for place in places)
        stage = chain.stages[max(0, before - 1)]
        width: float = stage.width
        if slot not in places:
            after = chain.stages[before].width if before < count else 2 * stage.width
            width = math.sqrt((stage.width if before else chain.stem.width) * after)
            stage = replace(stage, depth=1, stride=1)
        for key in ("kind", "depth", "stride", "kernel", "squeeze_excitation"):
            values[f"{slot} {key}"] = getattr(stage, key)
        values[f"{slot} present"] = slot in places
        values[f"{slot} expansion"] = stage.expansion if stage.kind == "inverted" else 3
        values |= _leveled(f"{slot} width", math.log2(width / chain.stem.width) / _STEP)
    return values


def _chain(values: dict[str, Any], slots: int) -> Chain:
    """The network of the values; what would do nothing is left out."""

    def width(name: str) -> int:
        steps = sum(values[key] for key in ("width", "width rest", name, f"{name} rest"))
        return min(_WIDEST, max(1, round(float(2 ** (_STEP * steps)))))

    stem = ChainStem(width("stem width"), values["stem stride"], pool=values["stem pool"])
    stages: list[Stage] = []
    before = stem.width
    for slot in range(slots):
        kind, channels, stride = values[f"{slot} kind"], width(f"{slot} width"), values[f"{slot} stride"]
        if not values[f"{slot} present"] or (kind == "skip" and channels == before and stride == 1):
            continue
        inner = ("expansion", "squeeze_excitation") if kind == "inverted" else ()
        keys = (*inner, *(("kernel",) if kind in ("inverted", "separable") else ()))
        more = {key: values[f"{slot} {key}"] for key in keys}
        if stride > 1:
            more["downsampling"] = values["downsampling"]
        if kind == "residual" and channels >= before:
            more["shortcut"] = values["shortcut"]
        stages.append(Stage(kind, channels, 1 if kind == "skip" else values[f"{slot} depth"], stride, **more))
        before = channels
    return Chain(
        stem,
        tuple(stages) or (Stage("conv", width("0 width")),),
        head=width("head width") if values["head"] else None,
        **{key: values[key] for key in ("dropout", "activation", "divisor")},
    )


@lru_cache(maxsize=4096)
def _named(chain: Chain) -> Chain:
    found = scaled_handmade(chain)
    return replace(chain, name=found.name) if found else chain
