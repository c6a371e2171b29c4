"""ONNX files in 8-bit whole numbers: static quantization by onnxruntime."""

from __future__ import annotations

import contextlib
import io
import logging
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from zarts.data import Images
from zarts.errors import RunError, SettingsError
from zarts.exports.onnx_answers import onnx_answers
from zarts.runtime.io import write_atomically
from zarts.runtime.leftovers import temporary_folder

__all__ = ["CALIBRATIONS", "best_int8", "has_vnni", "quantize"]

Calibration = Literal["minmax", "entropy", "percentile"]

CALIBRATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "minmax": ("MinMax", {}),
    "entropy": ("Entropy", {}),
    "percentile": ("Percentile", {"CalibPercentile": 99.99}),
}
"""Ways to choose the range of activations, by onnxruntime's name and options: their extremes; the range whose histogram
loses the least information (of 128 bins); the range of all but one in ten thousand."""

_DOT_PRODUCTS = {"avx512_vnni", "avx_vnni", "avx512vnni", "avxvnni", "asimddp", "feat_dotprod"}
"""Names of instructions that sum products of 8-bit numbers in 32 bits, on Linux and macOS, x86 and Arm."""

_BATCH = 32  # images of a step of the calibration, whose activations are all in memory
_NORMALIZING = {"Cast", "Mul", "Add", "Sub", "Div"}


def has_vnni(info: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this processor sums products of 8-bit numbers in 32 bits (VNNI; on Arm the dot product); unknown: no.

    Without it, x86 adds two products in 16 bits, which overflow: weights of 7 bits keep clear of that.
    """
    if info.exists():
        words = info.read_text(encoding="utf-8", errors="replace")
    elif platform.system() == "Darwin":
        names = ["machdep.cpu.leaf7_features", "machdep.cpu.features", "hw.optional.arm.FEAT_DotProd"]
        try:
            told = subprocess.run(["sysctl", *names], capture_output=True, text=True, timeout=10).stdout
        except (OSError, subprocess.SubprocessError):
            return False
        words = told.replace("hw.optional.arm.FEAT_DotProd: 1", "feat_dotprod")
    else:
        return False
    return not _DOT_PRODUCTS.isdisjoint(words.lower().replace(":", " ").split())


def quantize(
    onnx_file: Path,
    out: Path,
    calibration: Tensor,
    *,
    method: Calibration = "minmax",
    reduce_range: bool | None = None,
) -> None:
    """Write an ONNX file with weights and activations of 8 bits; input, output and card stay what they are.

    Weights have a scale for each channel of an output, activations one for each value. Nodes are those of float files
    between QuantizeLinear and DequantizeLinear (the form QDQ), which other runtimes read too. What normalizes the
    images stays in float32.

    Args:
        onnx_file: a file that `write_model` wrote.
        out: the new file.
        calibration: some hundred training images in the form of the file's input: float32 in [0, 1] or uint8.
        method: a key of `CALIBRATIONS`.
        reduce_range: whether weights have 7 bits; None: if this processor has no VNNI. With 8 bits a file is wrong
            where products overflow, with 7 it is right everywhere.

    Raises:
        SettingsError: onnx or onnxruntime is not installed, or there are no images for the calibration.
        RunError: a file cannot be read, quantized or written.
    """
    onnx, _ = _packages()
    if method not in CALIBRATIONS:
        raise SettingsError(f"calibration {method!r}: expected one of {', '.join(CALIBRATIONS)}")
    if not len(calibration):
        raise SettingsError("calibration: has no images: give some hundred training images")
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    batches = [calibration[start : start + _BATCH] for start in range(0, len(calibration), _BATCH)]

    class Reader(quantization.CalibrationDataReader):
        """Batches of images; onnxruntime asks for one after the other, and forgets their activations."""

        def __init__(self, images: str) -> None:
            self.images, self.batches = images, iter(batches)

        def __len__(self) -> int:
            return len(batches)

        def set_range(self, start_index: int, end_index: int) -> None:
            self.batches = iter(batches[start_index:end_index])

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.batches, None)
            return None if batch is None else {self.images: batch.contiguous().numpy()}

    name, options = CALIBRATIONS[method]
    try:
        source = onnx.load_model_from_string(onnx_file.read_bytes())
        with temporary_folder() as folder, _quietly():
            given, prepared, quantized = (folder / f"{step}.onnx" for step in ("given", "prepared", "quantized"))
            onnx.save(source, given)  # a copy: its own path may be one that onnxruntime cannot open
            quant_pre_process(given, prepared, skip_symbolic_shape=True)
            model = onnx.load(prepared)
            for number, node in enumerate(model.graph.node):
                node.name = node.name or f"node_{number}"
            onnx.save(model, prepared)
            quantization.quantize_static(
                prepared,
                quantized,
                Reader(model.graph.input[0].name),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                reduce_range=not has_vnni() if reduce_range is None else reduce_range,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                nodes_to_exclude=_normalizing(model),
                calibrate_method=getattr(quantization.CalibrationMethod, name),
                extra_options={
                    "CalibStridedMinMax": 1,  # batches between which activations are forgotten, for every method
                    "OpTypesToExcludeOutputQuantization": ["Gemm"],  # 256 levels of logits would have ties
                    **options,
                },
            )
            made = onnx.load(quantized)
    except Exception as error:  # those of onnxruntime have no common class
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise RunError(f"{onnx_file}: cannot be quantized ({reason})") from error
    _remove_unused_sets(made)
    onnx.helper.set_model_props(made, {entry.key: entry.value for entry in source.metadata_props})
    write_atomically(out, made.SerializeToString())


def best_int8(
    onnx_file: Path,
    out: Path,
    calibration: Tensor,
    validation_images: Images | UInt8[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
) -> tuple[float, str]:
    """Quantize with each method of `CALIBRATIONS`; the file with the highest validation accuracy stays.

    Args:
        onnx_file: a file that `write_model` wrote.
        out: the new file.
        calibration: see `quantize`.
        validation_images: images that no weight was trained on; levels from 0 to 255.
        labels: their classes.

    Returns:
        Validation accuracy in percent, and the method; among equal ones the first of `CALIBRATIONS`.

    Raises:
        SettingsError, RunError: see `quantize`.
    """
    best: tuple[float, str] | None = None
    with temporary_folder() as folder:
        files = {method: folder / f"{method}.onnx" for method in CALIBRATIONS}
        for method, file in files.items():
            quantize(onnx_file, file, calibration, method=method)  # type: ignore[arg-type]
            right = int((onnx_answers(file, validation_images).predicted == labels).sum())
            accuracy = 100 * right / len(labels)
            if best is None or accuracy > best[0]:
                best = accuracy, method
        assert best is not None
        write_atomically(out, files[best[1]].read_bytes())
    return best


def _packages() -> tuple[Any, Any]:
    """The packages onnx and onnxruntime."""
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise SettingsError(f"int8: {error.name} is not installed: pip install 'zarts[export]'") from None
    return onnx, onnxruntime


def _remove_unused_sets(model: Any) -> None:
    """Remove the operator sets of onnxruntime that no node is from: other tools know none of them."""
    used = {node.domain for node in model.graph.node}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def _normalizing(model: Any) -> list[str]:
    """Names of the first nodes behind the input, as long as they calculate with constants only."""
    constants = {weight.name for weight in model.graph.initializer}
    constants |= {node.output[0] for node in model.graph.node if node.op_type == "Constant"}
    names: list[str] = []
    value = model.graph.input[0].name
    while True:
        users = [node for node in model.graph.node if value in node.input]
        if len(users) != 1 or users[0].op_type not in _NORMALIZING:
            return names
        if not {name for name in users[0].input if name != value} <= constants:
            return names
        names.append(users[0].name)
        value = users[0].output[0]


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Inside, onnxruntime's tools print and log nothing, and their sessions have as many threads as torch."""
    import onnxruntime

    made = onnxruntime.SessionOptions

    def options() -> Any:
        chosen = made()
        chosen.intra_op_num_threads, chosen.log_severity_level = torch.get_num_threads(), 3
        return chosen

    root, disabled = logging.getLogger(), logging.root.manager.disable
    silent = logging.NullHandler()  # without any handler, logging.warning would add one to standard error
    root.addHandler(silent)
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), mock.patch.object(onnxruntime, "SessionOptions", options):
            yield
    finally:
        logging.disable(disabled)
        root.removeHandler(silent)
