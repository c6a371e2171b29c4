"""Chain networks as plain data: stem, stages of like layers, head; frozen, with JSON in and out."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from zarts.errors import FileError, SettingsError, did_you_mean
from zarts.readers import parse_json, read_text

__all__ = ["ACTIVATIONS", "KINDS", "Chain", "ChainStem", "Stage"]

_FORMAT = 1
_MOST = 1 << 16  # of any width, depth or factor; files may be anybody's
_MOST_LAYERS = 500

KINDS = ("conv", "residual", "inverted", "separable", "skip")
"""Layers of a stage: a convolution; a residual pair of 3×3 convolutions; an inverted bottleneck; a depthwise and a 1×1
convolution; nothing, where width and size stay."""

ACTIVATIONS = ("relu", "relu6")
_DOWNSAMPLINGS = ("stride", "max-pool")
_SHORTCUTS = ("projection", "padding")

_T = TypeVar("_T", "ChainStem", "Stage")


@dataclass(frozen=True)
class ChainStem:
    """The convolution, batch norm and activation that the image meets first.

    Args:
        width: channels of its output.
        stride: of its convolution.
        kernel: side of its convolution, odd.
        pool: whether a 3×3 max pool of stride 2 follows.
    """

    width: int
    stride: int = 1
    kernel: int = 3
    pool: bool = False

    def __post_init__(self) -> None:
        _check("stem", self, width=1, stride=1, kernel=1)
        _check_kernel("stem", self.kernel)


@dataclass(frozen=True)
class Stage:
    """Layers of one kind and width, one after the other; the first one may make the image smaller.

    Args:
        kind: one of `KINDS`.
        width: channels of the output of each layer.
        depth: number of layers; of pairs for `residual`.
        stride: of the first layer.
        kernel: side of the (depthwise) convolutions, odd; a residual pair has 3.
        expansion: factor from the channels of the input to those inside an inverted bottleneck.
        squeeze_excitation: whether an inverted bottleneck has squeeze-and-excitation.
        downsampling: what makes the image smaller: `stride` of the first layer, or a `max-pool` before it.
        shortcut: of a residual pair that changes width or size: `projection`, a strided 1×1 convolution without a norm,
            or `padding`: pixels are left out and channels of zeros added (option A of He et al.).
    """

    kind: str
    width: int
    depth: int = 1
    stride: int = 1
    kernel: int = 3
    expansion: int = 1
    squeeze_excitation: bool = False
    downsampling: str = "stride"
    shortcut: str = "projection"

    def __post_init__(self) -> None:
        for name, known in (("kind", KINDS), ("downsampling", _DOWNSAMPLINGS), ("shortcut", _SHORTCUTS)):
            value = getattr(self, name)
            if value not in known:
                raise SettingsError(f"stage: {did_you_mean(name, str(value), known)}")
        _check("stage", self, width=1, depth=1, stride=1, kernel=1, expansion=1)
        _check_kernel("stage", self.kernel)
        if self.kind != "inverted" and (self.expansion != 1 or self.squeeze_excitation):
            raise SettingsError(f"stage: only kind 'inverted' has expansion and squeeze_excitation, not {self.kind!r}")
        if self.kind == "residual" and self.kernel != 3:
            raise SettingsError(f"stage: kernel is {self.kernel}; a residual pair has 3")


@dataclass(frozen=True)
class Chain:
    """A network without branches: stem, stages, perhaps a 1×1 convolution, average over pixels, linear classifier.

    Args:
        stem: the first layers.
        stages: first to last, at least one.
        head: channels of a 1×1 convolution behind the last stage; None: no such layer.
        dropout: probability before the classifier, in [0, 1).
        activation: one of `ACTIVATIONS`, everywhere.
        divisor: widths that are scaled become multiples of it.
        name: of the hand-made network that it is; letters, digits, `-` and `_`, or empty.

    Raises:
        SettingsError: a value cannot be used; the message says which.
    """

    stem: ChainStem
    stages: tuple[Stage, ...]
    head: int | None = None
    dropout: float = 0.0
    activation: str = "relu"
    divisor: int = 1
    name: str = ""

    def __post_init__(self) -> None:
        if not self.stages:
            raise SettingsError("chain: has no stages; needs at least one")
        if (layers := sum(stage.depth for stage in self.stages)) > _MOST_LAYERS:
            raise SettingsError(f"chain: has {layers} layers; needs at most {_MOST_LAYERS}")
        _check("chain", self, divisor=1, **({} if self.head is None else {"head": 1}))
        if type(self.dropout) not in (int, float) or not 0 <= self.dropout < 1:
            raise SettingsError(f"chain: dropout is {self.dropout}; needs a number in [0, 1)")
        if self.activation not in ACTIVATIONS:
            raise SettingsError(f"chain: {did_you_mean('activation', str(self.activation), ACTIVATIONS)}")
        if not isinstance(self.name, str) or not re.fullmatch(r"[\w-]{0,64}", self.name, re.ASCII):
            raise SettingsError(f"chain: name is {self.name!r}; needs letters, digits, - and _, at most 64")
        widths = [self.stem.width, *(stage.width for stage in self.stages)]
        for number, (before, stage) in enumerate(zip(widths, self.stages, strict=False), start=1):
            if stage.kind == "residual" and stage.shortcut == "padding" and stage.width < before:
                raise SettingsError(
                    f"chain, stage {number}: width {stage.width} after {before}: shortcut 'padding' cannot make "
                    "it smaller: take 'projection'"
                )

    @property
    def stride(self) -> int:
        """How often the last features are smaller than the image, a side."""
        return math.prod((self.stem.stride, 1 + self.stem.pool, *(stage.stride for stage in self.stages)))

    def scaled(self, width: float = 1.0, stem_stride: int | None = None) -> Chain:
        """The network with other widths, and perhaps another stride of its stem.

        Args:
            width: factor of all widths, above 0. They are rounded to multiples of `divisor`, never below 90 %, as in
                the code of MobileNetV2; the head does not get narrower, as in its paper (section 4).
            stem_stride: stride of the stem; None: as it is.

        Raises:
            SettingsError: a number cannot be used.
        """
        if not (isinstance(width, int | float) and math.isfinite(width) and width > 0):
            raise SettingsError(f"width = {width!r}; needs a number above 0")
        stride = self.stem.stride if stem_stride is None else stem_stride
        if width == 1:
            return replace(self, stem=replace(self.stem, stride=stride))
        return replace(
            self,
            stem=replace(self.stem, width=self._rounded(self.stem.width * width), stride=stride),
            stages=tuple(replace(stage, width=self._rounded(stage.width * width)) for stage in self.stages),
            head=None if self.head is None else self._rounded(self.head * max(1.0, width)),
        )

    def for_images(self, size: int) -> Chain:
        """The network with a stem of a smaller stride, where the last features would be below 2 pixels a side."""
        found = self
        while found.stem.stride > 1 and size < 2 * found.stride:
            found = replace(found, stem=replace(found.stem, stride=found.stem.stride - 1))
        return found

    def _rounded(self, width: float) -> int:
        multiple = max(self.divisor, int(width + self.divisor / 2) // self.divisor * self.divisor)
        return multiple + self.divisor if multiple < 0.9 * width else multiple

    def describe(self) -> list[str]:
        """A line for each part, in the order in which an image passes them."""
        stem = self.stem
        lines = [f"stem: {stem.kernel}×{stem.kernel} convolution, {stem.width} channels, stride {stem.stride}"]
        lines[0] += ", 3×3 max pool of stride 2" if stem.pool else ""
        lines += [f"stage {number}: {_words(stage)}" for number, stage in enumerate(self.stages, start=1)]
        lines += [] if self.head is None else [f"head: 1×1 convolution, {self.head} channels"]
        dropout = f", dropout {self.dropout:g}" if self.dropout else ""
        return [*lines, f"classifier: average over pixels{dropout}, linear"]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, the inverse of `from_dict`."""
        return {"format": _FORMAT, **asdict(self), "stages": [asdict(stage) for stage in self.stages]}

    def to_json(self) -> str:
        """JSON text: one line a stage."""
        data = self.to_dict()
        stages = ",\n".join(f"    {json.dumps(stage)}" for stage in data.pop("stages"))
        rest = "".join(f'  "{key}": {json.dumps(value)},\n' for key, value in data.items())
        return f'{{\n{rest}  "stages": [\n{stages}\n  ]\n}}\n'

    @staticmethod
    def from_dict(data: Any, where: str = "chain") -> Chain:
        """Read plain data as `to_dict` writes it; what is left out has its default.

        Raises:
            RunError: `data` has not the form of a chain; the message begins with `where`.
        """
        if not isinstance(data, Mapping) or not {"stem", "stages"} <= set(data):
            raise FileError(f"{where}: not a chain network: expected the keys format, stem, stages")
        if data.get("format") != _FORMAT:
            raise FileError(
                f"{where}: format {data.get('format')!r} is not {_FORMAT}: written by another version of zarts"
            )
        if not isinstance(data["stages"], list | tuple):
            raise FileError(f"{where}: stages are {type(data['stages']).__name__}; expected a list")
        stem = _read(ChainStem, data["stem"], f"{where}: stem")
        stages = tuple(_read(Stage, one, f"{where}: stage {number}") for number, one in enumerate(data["stages"], 1))
        rest = {key: value for key, value in data.items() if key not in ("format", "stem", "stages")}
        _known(Chain, rest, where)
        if type(rest.get("dropout")) is int:
            rest["dropout"] = float(rest["dropout"])
        try:
            return Chain(stem, stages, **rest)
        except SettingsError as error:
            raise FileError(f"{where}: {error}") from error

    @staticmethod
    def from_json(text: str, where: str = "chain") -> Chain:
        """Read JSON text as `to_json` writes it.

        Raises:
            RunError: `text` is no JSON or has not the form of a chain.
        """
        return Chain.from_dict(parse_json(text, where), where)

    @staticmethod
    def load(path: str | Path) -> Chain:
        """Read a file as `to_json` writes it.

        Raises:
            RunError: the file is not there or is not a chain.
        """
        return Chain.from_json(read_text(path), where=str(path))


def _read(kind: type[_T], data: Any, where: str) -> _T:
    if not isinstance(data, Mapping):
        raise FileError(f"{where}: is {data!r}; expected a mapping")
    _known(kind, data, where)
    try:
        return kind(**data)
    except SettingsError as error:
        raise FileError(f"{where}: {error}") from error
    except TypeError:
        raise FileError(f"{where}: lacks a value; {', '.join(_required(kind))} must be there") from None


def _required(kind: type[Any]) -> list[str]:
    return {ChainStem: ["width"], Stage: ["kind", "width"]}[kind]


def _known(kind: type[Any], data: Mapping[str, Any], where: str) -> None:
    names = [field.name for field in fields(kind)]
    for key in data:
        if key not in names:
            raise FileError(f"{where}: {did_you_mean('key', str(key), names)}")


def _check(where: str, described: Any, **least: int) -> None:
    """Refuse numbers that are not whole or out of range."""
    for key, low in least.items():
        value = getattr(described, key)
        if type(value) is not int or not low <= value <= _MOST:
            raise SettingsError(f"{where}: {key} is {value!r}; needs a whole number from {low} to {_MOST}")
    for key in ("pool", "squeeze_excitation"):
        if type(getattr(described, key, False)) is not bool:
            raise SettingsError(f"{where}: {key} is {getattr(described, key)!r}; needs true or false")


def _check_kernel(where: str, kernel: int) -> None:
    if kernel % 2 == 0:
        raise SettingsError(f"{where}: kernel is {kernel}; needs an odd number")


def _words(stage: Stage) -> str:
    side = f"{stage.kernel}×{stage.kernel}"
    excited = " with squeeze-and-excitation" if stage.squeeze_excitation else ""
    kinds = {
        "conv": f"{side} convolution",
        "residual": "residual pair of 3×3 convolutions",
        "inverted": f"inverted bottleneck {side}, expansion {stage.expansion}{excited}",
        "separable": f"separable convolution {side}",
        "skip": "skip",
    }
    by = " by a max pool" if stage.downsampling == "max-pool" and stage.stride > 1 else ""
    return f"{stage.depth} × {kinds[stage.kind]}, {stage.width} channels, stride {stage.stride}{by}"
