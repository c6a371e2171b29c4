"""The formats in which a network is written."""

from __future__ import annotations

import inspect
import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from zarts.data import preprocess
from zarts.errors import RunError, SettingsError, did_you_mean
from zarts.exports.chain_graph import chain_graph
from zarts.exports.codegen import python_file
from zarts.exports.preprocessing import EXTRA, Pixels, Served
from zarts.exports.tflite import tflite_model
from zarts.networks import OPERATIONS, AnyNetwork, ChainNetwork
from zarts.networks.operations import Noise
from zarts.runtime.io import write_atomically
from zarts.spaces import Chain
from zarts.training import ModelCard, save_model

__all__ = ["CARD", "FORMATS", "write_model"]

CARD = "config.json"
"""File beside the weights, which describes the network and its images: the `ModelCard` as JSON."""
PREPROCESS = "preprocess.py"
"""File beside the weights that makes the pixels of images, for servers without zarts."""

_USER_DEFINED = "is a user-defined operation, whose code cannot be exported: use --format safetensors"


def write_model(network: AnyNetwork, card: ModelCard, form: str, folder: Path, pixels: Pixels = "float") -> list[Path]:
    """Write a network into a folder, and what prepares its images; only safetensors needs zarts to be read.

    Args:
        network: trained; in evaluation mode on the CPU.
        card: description of the network and its images.
        form: a key of `FORMATS`.
        folder: an existing folder.
        pixels: what the file takes: images scaled to [0, 1], or levels from 0 to 255, as only `onnx` can.

    Returns:
        The files.

    Raises:
        SettingsError: the format is unknown or cannot hold the network, or a package is missing.
        RunError: a file cannot be written.
    """
    if form not in FORMATS:
        raise SettingsError(did_you_mean("format", form, FORMATS))
    if pixels != "float" and form != "onnx":
        raise SettingsError(f"--input {pixels}: is for --format onnx only, not {form}: leave it out")
    if form != "safetensors" and any(isinstance(part, Noise) for part in network.modules()):
        raise SettingsError(
            f"--format {form}: the network has the operation noise, and no other tool draws the same random numbers: "
            "use --format safetensors"
        )
    description = json.dumps(json.loads(card.to_json()), indent=2, ensure_ascii=False) + "\n"
    write_atomically(folder / CARD, description)
    write_atomically(folder / PREPROCESS, inspect.getsource(preprocess))
    files = FORMATS[form](network, card, folder) if pixels == "float" else _onnx(network, card, folder, pixels)
    return [*files, folder / PREPROCESS, folder / CARD]


def _safetensors(network: AnyNetwork, card: ModelCard, folder: Path) -> list[Path]:
    save_model(folder / "model.safetensors", network, card)
    return [folder / "model.safetensors"]


def _python(network: AnyNetwork, card: ModelCard, folder: Path) -> list[Path]:
    cells = () if isinstance(card.architecture, Chain) else card.architecture.cells.values()
    used = {choice.op for nodes in cells for node in nodes for choice in node}
    if unknown := sorted(used - set(_PUBLISHED)):
        raise SettingsError(f"--format python: {unknown[0]} {_USER_DEFINED}")
    write_atomically(folder / "model.py", python_file(card))
    weights = {k: v for k, v in network.state_dict().items() if not k.startswith("auxiliary_head.")}
    file = folder / "weights.pt"
    _checked_write(file, lambda: torch.save(weights, file))
    return [folder / "model.py", file]


_PUBLISHED = dict.fromkeys(OPERATIONS) | dict.fromkeys(("nor_conv_1x1", "nor_conv_3x3"))
"""Operations of the package, without user-defined ones, which are registered later."""


def _example(card: ModelCard) -> torch.Tensor:
    return torch.zeros(2, len(card.mean), card.image_size, card.image_size)


def _onnx(network: AnyNetwork, card: ModelCard, folder: Path, pixels: Pixels = "float") -> list[Path]:
    """Chains are written node by node, in milliseconds; cells by torch's exporter, in seconds."""
    if isinstance(network, ChainNetwork):
        model = chain_graph(network, card, pixels)
    else:
        model = _exported(network, card, pixels)
    file = folder / "model.onnx"
    write_atomically(file, model.SerializeToString())
    return [file]


def _exported(network: AnyNetwork, card: ModelCard, pixels: Pixels) -> Any:
    """The ONNX graph of any network, by torch."""
    try:
        import onnx
        import onnxscript  # noqa: F401 (torch's exporter needs it, and fails late without it)
    except ImportError as error:
        raise SettingsError(f"--format onnx: {error.name} is not installed: pip install 'zarts[export]'") from None
    served = Served(network, card, pixels).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # from libraries of the exporter
        program = _call_exporter(
            "onnx",
            lambda: torch.onnx.export(
                served,
                (_example(card).to(torch.float32 if pixels == "float" else torch.uint8),),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                input_names=["images"],
                output_names=["logits"],
                verbose=False,
            ),
        )
    model = program.model_proto
    onnx.helper.set_model_props(model, {EXTRA: card.to_json()})
    onnx.checker.check_model(model)
    return model


def _torchscript(network: AnyNetwork, card: ModelCard, folder: Path) -> list[Path]:
    served = Served(network, card).eval()
    file = folder / "model.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch recommends torch.export
        with torch.no_grad():
            traced = _call_exporter("torchscript", lambda: torch.jit.trace(served, _example(card)))  # type: ignore[no-untyped-call]
        stream = io.BytesIO()  # torch's own writer takes only paths in UTF-8
        torch.jit.save(traced, stream, _extra_files={EXTRA: card.to_json()})
    write_atomically(file, stream.getvalue())
    return [file]


def _tflite(network: AnyNetwork, card: ModelCard, folder: Path) -> list[Path]:
    file = folder / "model.tflite"
    write_atomically(file, _call_exporter("tflite", lambda: tflite_model(network, card)))
    return [file]


def _call_exporter(form: str, make: Callable[[], Any]) -> Any:
    """Call an exporter of torch, whose errors have many classes, and turn them into a `SettingsError`."""
    try:
        return make()
    except SettingsError:
        raise
    except Exception as error:
        reason = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise SettingsError(
            f"--format {form}: torch cannot export this network ({reason}): use --format safetensors"
        ) from error


def _checked_write(file: Path, write: Callable[[], None]) -> None:
    try:
        write()
    except (OSError, RuntimeError) as error:
        raise RunError(f"{file}: cannot be written ({str(error).splitlines()[0]})") from error


FORMATS: dict[str, Callable[[AnyNetwork, ModelCard, Path], list[Path]]] = {
    "onnx": _onnx,
    "torchscript": _torchscript,
    "safetensors": _safetensors,
    "python": _python,
    "tflite": _tflite,
}
"""Name to the function that writes a network into a folder; all but safetensors take images scaled to [0, 1]."""
