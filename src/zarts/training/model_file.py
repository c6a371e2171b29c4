"""Save a trained network as one safetensors file with weights, architecture and all that its use needs; load it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from zarts.errors import FileError, SettingsError
from zarts.networks import AnyNetwork, build_network, create_chain, seeded
from zarts.readers import malformed, parse_json, read_bytes, reason
from zarts.runs.checksum import DIGITS, digest
from zarts.runtime.io import write_atomically
from zarts.spaces import Architecture, Chain, Genotype, architecture_in, cells_of, named

__all__ = ["ModelCard", "load_model", "save_model"]

_FORMAT = "2"
_FORMATS = ("1", _FORMAT)
"""Those that are read; files of the first one have no checksum."""
_CHECKSUM = "checksum"
_MOST_BYTES = 1 << 36
_MOST_CELLS, _MOST_WIDTH, _MOST_SIZE = 200, 1 << 16, 1 << 14
"""Of cells, of channels, and of pixels a side, in a description; files may be anybody's."""
_MAPS, _ROOM = 480, 30
"""A crude upper bound on the numbers in a cell, in squares of the first cell's channels; and what the crude bound may
exceed the numbers in the file by, before they are counted, which takes seconds."""
_AUXILIARY = "auxiliary_head."
_NO_CELLS = {"channels": 0, "cells": 0, "stem": ""}


@dataclass(frozen=True)
class ModelCard:
    """Description of a network: all that is needed to build it and to prepare its images.

    Args:
        architecture: its cells, or the chain.
        channels: channels of the first cells; 0 for a chain.
        cells: number of cells; 0 for a chain.
        stem: `cifar` or `imagenet`; empty for a chain.
        classes: names, in the order of the logits.
        image_size: pixels a side.
        mean: per channel, of images scaled to [0, 1].
        std: likewise.
        crop: how training images were cropped; with `resized`, test images are enlarged to match, see `load_data`.
        bits: of whole numbers of more than 8 bits in image files: `I;16` of those of 16 bits, `I` of those of 32, where
            the training images use fewer; see `zarts.data.preprocess`.
    """

    architecture: Architecture
    channels: int
    cells: int
    stem: str
    classes: tuple[str, ...]
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: Literal["pad", "resized"] = "pad"
    bits: Mapping[str, int] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if isinstance(self.architecture, Chain):
            for key, value in _NO_CELLS.items():
                object.__setattr__(self, key, value)

    @property
    def genotype(self) -> Genotype:
        """The cells.

        Raises:
            SettingsError: the network is a chain and has none.
        """
        return cells_of(self.architecture)

    def build(self, *, auxiliary: bool = False, **options: Any) -> AnyNetwork:
        """The network, with fresh weights; `options` go to `build_network` or `create_chain`.

        Raises:
            SettingsError: a chain with an auxiliary head is asked for.
        """
        ends: dict[str, Any] = {"num_classes": len(self.classes), "in_channels": len(self.mean)}
        if isinstance(self.architecture, Chain):
            if auxiliary:
                raise SettingsError("auxiliary_weight: a network without cells has no auxiliary head: set it to 0")
            return create_chain(self.architecture, **ends, **options)
        form: dict[str, Any] = {"channels": self.channels, "cells": self.cells, "stem": self.stem}
        return build_network(self.architecture, **form, **ends, auxiliary=auxiliary, **options)

    def unnormalized(self) -> ModelCard:
        """The card for files that normalize inside: their images are scaled to [0, 1] alone."""
        channels = len(self.mean)
        return replace(self, mean=(0.0,) * channels, std=(1.0,) * channels)

    def most_weights(self) -> int:
        """A crude upper bound on the number of weights, without building the network."""
        if not isinstance(self.architecture, Chain):
            return self.cells * _MAPS * self.channels**2
        stem, stages = self.architecture.stem, self.architecture.stages
        widest = max(stem.width, self.architecture.head or 1, *(stage.width for stage in stages))
        each = [stage.depth * (stage.kernel**2 + 2 * stage.expansion) for stage in stages]
        return (stem.kernel**2 + 1 + sum(each)) * widest**2

    def to_json(self) -> str:
        """JSON text, the inverse of `from_json`."""
        data = {k: v for k, v in vars(self).items() if k != "architecture"}
        if isinstance(self.architecture, Chain):
            data = {k: v for k, v in data.items() if k not in _NO_CELLS}
        return json.dumps(data | named(self.architecture))

    @staticmethod
    def from_json(text: str, where: str) -> ModelCard:
        """Read what `to_json` wrote.

        Raises:
            RunError: it is something else.
        """
        data = parse_json(text, f"{where}: its description")
        with malformed(where, "a model of zarts by its description"):
            architecture = architecture_in(data, where)
            data = {key: value for key, value in data.items() if key not in ("genotype", "chain")}
            if isinstance(architecture, Chain):
                data |= _NO_CELLS
            data |= {key: tuple(data[key]) for key in ("classes", "mean", "std")}
            _check(data)
            return ModelCard(architecture=architecture, **data)


def _check(data: Mapping[str, Any]) -> None:
    """Check the types of a description, because its values end up in exported code and the file may be anybody's.

    Raises:
        TypeError, KeyError: a value has a wrong type, or is missing; the message names it.
    """
    for kind, keys in ((int, ("channels", "cells", "image_size")), (str, ("stem",))):
        for key in keys:
            if type(data[key]) is not kind:
                raise TypeError(f"{key} is {data[key]!r}")
    for key, most in (("channels", _MOST_WIDTH), ("cells", _MOST_CELLS), ("image_size", _MOST_SIZE)):
        if not 0 <= data[key] <= most:
            raise ValueError(f"{key} is {data[key]}; expected 0 to {most}")
    if data.get("crop", "pad") not in ("pad", "resized"):
        raise TypeError(f"crop is {data['crop']!r}")
    bits = data.get("bits", {})
    if not isinstance(bits, dict) or not all(
        kind in ("I;16", "I") and type(used) is int and 1 <= used <= 32 for kind, used in bits.items()
    ):
        raise TypeError(f"bits is {bits!r}")
    for name in data["classes"]:
        if not isinstance(name, str):
            raise TypeError(f"a class is {name!r}")
    for value in (*data["mean"], *data["std"]):
        if type(value) not in (int, float) or not math.isfinite(value):
            raise TypeError(f"mean or std has {value!r}")


def save_model(path: Path, network: AnyNetwork, card: ModelCard) -> None:
    """Write the weights, without those of the auxiliary head, which is only used in training.

    Raises:
        RunError: the file cannot be written.
    """
    weights = {k: v.cpu().contiguous() for k, v in network.state_dict().items() if not k.startswith(_AUXILIARY)}
    metadata = {"format": "pt", "zarts": _FORMAT, _CHECKSUM: "0" * DIGITS, "model": card.to_json()}
    content = _with_metadata(safetensors.torch.save(weights), metadata)
    write_atomically(path, content.replace(b"0" * DIGITS, digest(content).encode(), 1))


def _with_metadata(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """A safetensors file with metadata in this order, which the library shuffles: same networks have the same bytes."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps({"__metadata__": metadata, **json.loads(content[8:start])}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[start:]


def _check_content(content: bytes, metadata: Mapping[str, str], path: str | Path) -> None:
    """Check the format and the checksum, which is that of the file with zeros in its place.

    Raises:
        FileError: the file has another format, or is damaged.
    """
    if metadata.get("zarts") not in _FORMATS:
        raise FileError(f"{path}: not a model file of this version of zarts")
    if metadata["zarts"] == "1":
        return
    checksum = metadata.get(_CHECKSUM, "").encode()
    if len(checksum) != DIGITS or digest(content.replace(checksum, b"0" * DIGITS, 1)).encode() != checksum:
        raise FileError(f"{path}: damaged: its checksum is not that of its content; take a copy, or train it again")


def load_model(path: str | Path) -> tuple[AnyNetwork, ModelCard]:
    """The network of a file, in evaluation mode on the CPU, and its card.

    Raises:
        RunError: the file is missing, cut short, damaged, or not a model of zarts.
    """
    content = read_bytes(path, most=_MOST_BYTES)  # `safetensors.safe_open` takes only paths in UTF-8
    try:
        weights = safetensors.torch.load(content)
    except Exception as error:  # of damaged headers it raises errors of Python too
        raise FileError(f"{path}: not a model file ({reason(error)})") from error
    header = parse_json(content[8 : 8 + int.from_bytes(content[:8], "little")], f"{path}: its header")
    metadata = header.get("__metadata__", {})
    _check_content(content, metadata, path)
    card = ModelCard.from_json(metadata.get("model", "null"), str(path))
    _check_size(card, weights, str(path))
    with seeded(0):  # its initial weights are overwritten, and must not use the caller's random numbers
        network = card.build()
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise FileError(f"{path}: its weights do not fit its architecture ({reason(error)})") from error
    return network.eval(), card


def _check_size(card: ModelCard, weights: Mapping[str, Tensor], where: str) -> None:
    """Refuse a description of a network that is larger than the weights of its file, before memory is taken for it.

    Raises:
        RunError: it is.
    """
    got = sum(value.numel() for value in weights.values())
    if card.most_weights() <= _ROOM * got:
        return
    with malformed(where, "a network that can be built"), torch.device("meta"), seeded(0):
        needed = sum(value.numel() for value in card.build().state_dict().values())
    if needed > got:
        raise FileError(f"{where}: its weights do not fit its architecture, which has {needed:,} numbers (got {got:,})")
