"""Passes of batches through a network, with the precision and the compilation of the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from zarts.config import CommonSettings
from zarts.errors import SettingsError

__all__ = ["Passes"]

_T = TypeVar("_T")
_MIXED = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
"""Precisions whose passes with gradient are in another type than the weights."""


class Passes:
    """Runs a network on a batch: every pass of a job goes through here.

    The settings `precision` and `compile` apply to passes that are differentiated. Evaluation, of a candidate's loss
    or of the test accuracy, always runs the network itself in float32: candidates differ by less than the rounding of
    16 bits, and the accuracy must be that of the saved model. Weights are always float32.

    A compiled network is one graph for a batch size, and one for all others. Operation weights always require a
    gradient, so all operations run, also those of weight 0.

    Args:
        settings: the precision, and whether to compile.
        device: where the network is.
        draws: whether the network draws random numbers.

    Raises:
        SettingsError: the precision does not work on the device, torch cannot compile for the device, or it cannot
            compile this network.
    """

    def __init__(self, settings: CommonSettings, device: torch.device, *, draws: bool) -> None:
        self._device = device
        self._mixed = _MIXED.get(settings.precision)
        self._compile = settings.compile
        self._compiled: dict[Callable[..., Any], Callable[..., Any]] = {}
        if self._mixed is not None:
            _try(self._multiply, device, f"precision = {settings.precision}", "take --precision 32-true")
        if self._compile and draws:
            raise SettingsError(
                "compile = True: the network draws random numbers of its own (drop-path, dropout, or the operation "
                "`noise`), which torch.compile does not trace: take --drop-path 0 and a network without the others, or "
                "--no-compile"
            )
        if self._compile:
            _try(torch.compile(_square), device, "compile = True", "leave --compile out")

    def __call__(self, network: Callable[..., _T], *inputs: Any) -> _T:
        """The output of the network; a pass with gradient is in 16 bits if that is the precision."""
        if not torch.is_grad_enabled():
            return network(*inputs)
        if self._compile:
            network = self._compiled.setdefault(network, torch.compile(network, fullgraph=True))
            inputs = tuple(_differentiable(value) for value in inputs)
        if self._mixed is None:
            return network(*inputs)
        with torch.autocast(self._device.type, self._mixed):
            return network(*inputs)

    def _multiply(self, x: Tensor) -> Tensor:
        with torch.autocast(self._device.type, self._mixed):
            return x @ x


def _differentiable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: tensor if tensor.requires_grad else tensor.detach().requires_grad_() for key, tensor in value.items()
        }
    return value


def _square(x: Tensor) -> Tensor:
    return x * x


def _try(function: Callable[[Tensor], Tensor], device: torch.device, setting: str, way_out: str) -> None:
    """Try whether torch can do it on this device; only torch knows."""
    try:
        function(torch.ones(2, 2, device=device, requires_grad=True)).sum().backward()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise SettingsError(f"{setting} does not work on {device} here ({reason}): {way_out}") from None
