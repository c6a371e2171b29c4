"""TFLite files for phones and microcontrollers: written by litert-torch, in 8 bits too, and run in LiteRT."""

from __future__ import annotations

import contextlib
import copy
import io
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from zarts.errors import RunError, SettingsError
from zarts.exports.preprocessing import Served
from zarts.networks import AnyNetwork
from zarts.networks.chain import Convolution
from zarts.runtime.io import write_atomically
from zarts.training import ModelCard

__all__ = ["LiteRt", "quantize_tflite", "tflite_model"]


class LiteRt(nn.Module):
    """A TFLite file as a module, on the CPU: one image after the other, as such files take them.

    Args:
        path: the file; of 8 bits or 32.

    Raises:
        SettingsError: ai-edge-litert is not installed.
        RunError: it is no TFLite file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            raise SettingsError(f"{path}: ai-edge-litert is not installed: pip install 'zarts[litert]'") from None
        try:
            with _silence():
                threads = torch.get_num_threads()
                self.interpreter = Interpreter(model_content=path.read_bytes(), num_threads=threads)
                self.interpreter.allocate_tensors()
                (self.input,), (self.output,) = (
                    self.interpreter.get_input_details(),
                    self.interpreter.get_output_details(),
                )
        except Exception as error:  # its errors have no common class
            raise RunError(f"{path}: not a TFLite model ({str(error).splitlines()[0]})") from error

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        """The logits; `images` are scaled to [0, 1], whatever the file takes."""
        logits = []
        for image in images.permute(0, 2, 3, 1).contiguous().numpy():
            self.interpreter.set_tensor(self.input["index"], _stored(image[None], self.input))
            self.interpreter.invoke()
            logits.append(_meant(self.interpreter.get_tensor(self.output["index"]), self.output))
        return torch.from_numpy(np.concatenate(logits))


def _stored(values: Any, place: dict[str, Any]) -> Any:
    """Numbers as the file stores them."""
    if place["dtype"] == np.float32:
        return values
    scale, zero = place["quantization"]
    limits = np.iinfo(place["dtype"])
    return np.clip(np.rint(values / scale) + zero, limits.min, limits.max).astype(place["dtype"])


def _meant(stored: Any, place: dict[str, Any]) -> Any:
    """The numbers that stored ones stand for."""
    if place["dtype"] == np.float32:
        return stored
    scale, zero = place["quantization"]
    return ((stored.astype(np.float32) - zero) * scale).astype(np.float32)


def tflite_model(network: AnyNetwork, card: ModelCard) -> bytes:
    """A network as a TFLite file, in float32: one image (1, h, w, c) scaled to [0, 1] in, logits out.

    Raises:
        SettingsError: litert-torch is not installed.
    """
    served = copy.deepcopy(Served(network, card)).eval()
    for part in served.modules():
        if isinstance(part, Convolution) and part.picks > 1:  # the same pixels, in one operation
            part.stride, part.picks = (part.picks, part.picks), 1
    image = torch.zeros(1, card.image_size, card.image_size, len(card.mean))
    with _silence():
        try:
            import litert_torch
        except ImportError:
            raise SettingsError("--format tflite: litert-torch is not installed: pip install 'zarts[litert]'") from None
        converted = litert_torch.convert(litert_torch.to_channel_last_io(served, args=[0]).eval(), (image,))
        return bytes(converted.model_content())


def quantize_tflite(tflite_file: Path, out: Path, calibration: UInt8[Tensor, "n c h w"]) -> None:
    """Write a TFLite file whose weights, activations, input and output all have 8 bits, as microcontrollers need it.

    Weights have a scale for each channel. The file says the scale and the zero of its input (about 1/255 and -128, so
    that a level less 128 is what it takes) and of its output.

    Args:
        tflite_file: a file in float32 that `write_model` wrote.
        out: the new file; it is opened with the `config.json` beside it.
        calibration: some hundred training images; levels from 0 to 255.

    Raises:
        SettingsError: ai-edge-quantizer is not installed, or there are no images.
        RunError: the file cannot be read, quantized or written.
    """
    if not len(calibration):
        raise SettingsError("calibration: has no images: give some hundred training images")
    with _silence():
        try:
            from ai_edge_quantizer import quantizer, recipe
        except ImportError:
            raise SettingsError("int8: ai-edge-quantizer is not installed: pip install 'zarts[litert]'") from None
        try:
            made = quantizer.Quantizer(tflite_file.read_bytes(), recipe.static_wi8_ai8())
            pixels = (calibration.permute(0, 2, 3, 1) / 255).contiguous().numpy()
            ((signature, names),) = LiteRt(tflite_file).interpreter.get_signature_list().items()
            extremes: dict[str, dict[str, Any]] = {}
            for image in pixels:  # of several images, the package takes a moving average
                given = {signature: [{names["inputs"][0]: image[None]}]}
                for name, found in made.calibrate(given, num_threads=torch.get_num_threads()).items():
                    kept = extremes.setdefault(name, dict(found))
                    for key, extreme in (("min", np.minimum), ("max", np.maximum)):
                        if key in found:
                            kept[key] = extreme(kept[key], found[key])
            content = bytes(made.quantize(extremes).quantized_model)
        except Exception as error:  # its errors have no common class
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise RunError(f"{tflite_file}: cannot be quantized ({reason})") from error
    write_atomically(out, content)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Inside, libraries print nothing, not even those in C++, which write to the process's standard error."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), 2)
        hidden = io.StringIO()
        with contextlib.redirect_stdout(hidden), contextlib.redirect_stderr(hidden), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
