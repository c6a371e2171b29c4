"""A model file of any format, to be run: images scaled to [0, 1] in, logits out."""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zarts.errors import RunError, SettingsError
from zarts.exports.formats import CARD, EXTRA
from zarts.exports.preprocessing import Served
from zarts.networks import AnyNetwork
from zarts.training import ModelCard, load_model

__all__ = ["OpenedModel", "compare_logits", "model_in", "open_model"]

_PYTHON = "model.py"
_TOLERANCE = 1e-4
"""Of logits, relative to the largest; other kernels add in another order, which is 1e-6 or so."""


@dataclass(frozen=True)
class OpenedModel:
    """A model that can be run.

    Args:
        module: images scaled to [0, 1] in, logits out.
        card: names of the classes, form of the images.
        movable: whether it can be moved to another device; else it stays on the CPU.
    """

    module: nn.Module
    card: ModelCard
    movable: bool = True


class _Uncached(SourceFileLoader):
    """Runs a file, and leaves no compiled one beside it."""

    def set_data(self, path: str, data: Any, *, _mode: int = 0) -> None:
        """Nothing is written."""


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
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors share no class
            raise RunError(f"{path}: not an ONNX model ({str(error).splitlines()[0]})") from error

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        (logits,) = self.session.run(None, {self.session.get_inputs()[0].name: images.contiguous().numpy()})
        return torch.from_numpy(logits)


def model_in(folder: Path) -> Path | None:
    """What to open in a folder that `export` wrote: the model's file, or with `model.py` the folder; None: another."""
    if (folder / _PYTHON).exists():
        return folder
    files = [folder / f"model{suffix}" for suffix in _READERS] if (folder / CARD).exists() else []
    return next((file for file in files if file.exists()), None)


def open_model(path: Path, *, trust: bool = False) -> OpenedModel:
    """Open what `write_model` wrote: `.safetensors`, `.onnx`, `.pt` (TorchScript), or the folder of a Python file.

    Args:
        path: the file or folder.
        trust: whether the Python file may be run.

    Raises:
        RunError: it is not there, damaged, or not a model of zarts.
        SettingsError: a kind of file that is unknown, a package that is missing, code that is not trusted.
    """
    if path.is_dir() or path.suffix == ".py":
        return _open_python(path if path.is_dir() else path.parent, trust)
    if not path.exists():
        raise RunError(f"{path}: no such file")
    if path.suffix not in _READERS:
        raise SettingsError(f"{path}: expected one of {', '.join(_READERS)}, or a folder with {_PYTHON}")
    return _READERS[path.suffix](path)


@torch.no_grad()
def compare_logits(network: AnyNetwork, written: OpenedModel, where: Path) -> float:
    """Largest difference between the logits of a network and of what it was written as, of four random images.

    Raises:
        RunError: they differ by more than the order of sums explains: the file is of no use.
    """
    card = written.card
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(4, len(card.mean), card.image_size, card.image_size, generator=generator)
    expected = Served(network, card).eval()(images)
    got = torch.cat([written.module(images[:1]), written.module(images[1:])])  # batches of 1 and of 3
    difference, scale = float((got - expected).abs().max()), max(1.0, float(expected.abs().max()))
    if not difference <= _TOLERANCE * scale:
        raise RunError(
            f"{where}: its logits differ by {difference:.1g} from the network's, which are up to {scale:.3g}: take "
            "another --format"
        )
    return difference


def _open_safetensors(path: Path) -> OpenedModel:
    network, card = load_model(path)
    return OpenedModel(Served(network, card).eval(), card)


def _open_onnx(path: Path) -> OpenedModel:
    module = _Onnx(path)
    properties = module.session.get_modelmeta().custom_metadata_map
    return OpenedModel(module, _card(properties.get(EXTRA), path), movable=False)


def _open_torchscript(path: Path) -> OpenedModel:
    extra = {EXTRA: ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch would rather have torch.export
            module = torch.jit.load(path, map_location="cpu", _extra_files=extra)  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise RunError(f"{path}: not a TorchScript file ({str(error).splitlines()[0]})") from error
    text: Any = extra[EXTRA]
    return OpenedModel(module.eval(), _card(text.decode() if isinstance(text, bytes) else text, path))


def _open_python(folder: Path, trust: bool) -> OpenedModel:
    file = folder / _PYTHON
    if not file.exists():
        raise RunError(f"{folder}: has no {_PYTHON}: not an exported model")
    if not trust:
        raise SettingsError(f"{file} is Python code, which is not run unasked: read it, and add --trust")
    specification = importlib.util.spec_from_loader("exported_model", _Uncached("exported_model", str(file)))
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
        network = module.load()
    except Exception as error:  # it is anybody's code
        raise RunError(f"{file}: cannot be run ({type(error).__name__}: {error})") from error
    return OpenedModel(network, _card((folder / CARD).read_text("utf-8") if (folder / CARD).exists() else None, file))


def _card(text: str | None, path: Path) -> ModelCard:
    if not text:
        raise RunError(f"{path}: does not say what it was made from: not written by zarts")
    try:
        json.loads(text)
    except ValueError as error:
        raise RunError(f"{path}: its description is damaged ({error})") from error
    return ModelCard.from_json(text, str(path))


_READERS: dict[str, Callable[[Path], OpenedModel]] = {
    ".safetensors": _open_safetensors,
    ".onnx": _open_onnx,
    ".pt": _open_torchscript,
}
