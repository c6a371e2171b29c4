"""Models read from files of any format: images scaled to [0, 1] in, logits out."""

from __future__ import annotations

import importlib.util
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zarts.errors import FileError, RunError, SettingsError
from zarts.exports.formats import CARD
from zarts.exports.preprocessing import EXTRA, Pixels, Served
from zarts.exports.tflite import LiteRt
from zarts.networks import AnyNetwork
from zarts.readers import read_text, reason
from zarts.runtime.paths import existing
from zarts.training import ModelCard, load_model

__all__ = ["OpenedModel", "compare_logits", "model_in", "open_model"]

_PYTHON = "model.py"
_TOLERANCE = 1e-4
"""Largest difference of logits, relative to the largest one. Another order of sums changes them by about 1e-6."""


@dataclass(frozen=True)
class OpenedModel:
    """A model that can be run.

    Args:
        module: images scaled to [0, 1] in, logits out.
        card: names of the classes, form of the images.
        movable: whether the module can be moved to another device; if not, it stays on the CPU.
        pixels: what the file itself takes; the module turns images into that.
    """

    module: nn.Module
    card: ModelCard
    movable: bool = True
    pixels: Pixels = "float"


class _Uncached(SourceFileLoader):
    """Loads a Python file without writing a compiled one beside it."""

    def set_data(self, path: str, data: Any, *, _mode: int = 0) -> None:
        """Write nothing."""


class _Onnx(nn.Module):
    """A session of onnxruntime as a module, on the CPU."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            import onnxruntime
        except ImportError:
            raise SettingsError(f"{path}: onnxruntime is not installed: pip install 'zarts[export]'") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self.session = onnxruntime.InferenceSession(_named(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no common class
            raise FileError(f"{path}: not an ONNX model ({reason(error)})") from error
        images = self.session.get_inputs()[0]
        self.input = images.name
        self.pixels: Pixels = "uint8" if images.type == "tensor(uint8)" else "float"

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        """The logits; `images` are scaled to [0, 1], whatever the file takes."""
        if self.pixels == "uint8":
            images = (255 * images).round().clamp(0, 255).byte()
        (logits,) = self.session.run(None, {self.input: images.contiguous().numpy()})
        return torch.from_numpy(logits)


def _named(path: Path) -> str | bytes:
    """The path, for a library that takes only paths in UTF-8; the content of the file if its path is no such."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return path.read_bytes()
    return str(path)


def model_in(folder: Path) -> Path | None:
    """The model in an exported folder: its file, or the folder itself if it has `model.py`; None: no model."""
    if (folder / _PYTHON).exists():
        return folder
    files = [folder / f"model{suffix}" for suffix in _READERS] if (folder / CARD).exists() else []
    return next((file for file in files if file.exists()), None)


def open_model(path: Path, *, trust: bool = False) -> OpenedModel:
    """Open a model that `write_model` wrote: `.safetensors`, `.onnx`, `.pt`, `.tflite`, or a folder with `model.py`.

    Args:
        path: the file or folder.
        trust: whether code may be run: a Python file, or TorchScript, which can read and write files too.

    Raises:
        RunError: the file is missing, damaged, or not a model of zarts.
        SettingsError: the kind of file is unknown, a package is missing, or the code is not trusted.
    """
    if path.is_dir() or path.suffix == ".py":
        return _open_python(path if path.is_dir() else path.parent, trust)
    if existing(path, "file").suffix not in _READERS:
        raise SettingsError(f"{path}: expected one of {', '.join(_READERS)}, or a folder with {_PYTHON}")
    if path.suffix == ".pt" and not trust:
        raise SettingsError(
            f"{path}: TorchScript is code, which can read and write files, and is only run with --trust: take a "
            ".safetensors or .onnx file, or one whose source you trust"
        )
    return _READERS[path.suffix](path)


@torch.no_grad()
def compare_logits(network: AnyNetwork, written: OpenedModel, where: Path) -> float:
    """Largest difference between the logits of a network and those of its file, for four random images of 8 bits.

    Raises:
        RunError: the logits differ by more than another order of sums explains.
    """
    card = written.card
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (4, len(card.mean), card.image_size, card.image_size), generator=generator) / 255
    expected = Served(network, card).eval()(images)
    got = torch.cat([written.module(images[:1]), written.module(images[1:])])  # batches of 1 and of 3
    difference, scale = float((got - expected).abs().max()), max(1.0, float(expected.abs().max()))
    if not difference <= _TOLERANCE * scale:
        raise RunError(
            f"{where}: its logits differ by {difference:.1g} from those of the network, which are up to {scale:.3g}: "
            "use another --format"
        )
    return difference


def _open_safetensors(path: Path) -> OpenedModel:
    network, card = load_model(path)
    return OpenedModel(Served(network, card).eval(), card)


def _open_onnx(path: Path) -> OpenedModel:
    module = _Onnx(path)
    properties = module.session.get_modelmeta().custom_metadata_map
    return OpenedModel(module, _card(properties.get(EXTRA), path), movable=False, pixels=module.pixels)


def _open_torchscript(path: Path) -> OpenedModel:
    extra = {EXTRA: ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch recommends torch.export
            module = torch.jit.load(io.BytesIO(path.read_bytes()), map_location="cpu", _extra_files=extra)  # type: ignore[no-untyped-call]
    except Exception as error:  # of damaged files, nearly anything
        raise FileError(f"{path}: not a TorchScript file ({reason(error)})") from error
    text: Any = extra[EXTRA]
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return OpenedModel(module.eval(), _card(text, path))


def _open_tflite(path: Path) -> OpenedModel:
    description = path.parent / CARD
    if not description.exists():
        raise RunError(f"{path}: {CARD}, which describes the network, is not beside it: copy it too")
    return OpenedModel(LiteRt(path), _card(read_text(description), path), movable=False)


def _open_python(folder: Path, trust: bool) -> OpenedModel:
    file = folder / _PYTHON
    if not file.exists():
        raise RunError(f"{folder}: not an exported model (it has no {_PYTHON})")
    if not trust:
        raise SettingsError(f"{file}: Python code is only run with --trust: read it first")
    specification = importlib.util.spec_from_loader("exported_model", _Uncached("exported_model", str(file)))
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
        network = module.load()
    except Exception as error:  # the file may have any code
        raise RunError(f"{file}: cannot be run ({type(error).__name__}: {reason(error)})") from error
    return OpenedModel(network, _card(read_text(folder / CARD) if (folder / CARD).exists() else None, file))


def _card(text: str | None, path: Path) -> ModelCard:
    if not text:
        raise FileError(f"{path}: has no description of the network: it was not written by zarts")
    return ModelCard.from_json(text, str(path))


_READERS: dict[str, Callable[[Path], OpenedModel]] = {
    ".safetensors": _open_safetensors,
    ".onnx": _open_onnx,
    ".pt": _open_torchscript,
    ".tflite": _open_tflite,
}
