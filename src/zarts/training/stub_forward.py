"""Stub for the passes of a dry run: it runs and times the first ones of each kind, and counts the others."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["Pass", "StubForward", "module_of"]

_RUN = 2
_SECONDS = 1.0
"""In each take, `_RUN` passes of a kind are run, and more until they have taken `_SECONDS`, unless set otherwise."""


@dataclass
class Pass:
    """One pass of a batch through the network, with all work until the next pass.

    Args:
        kind: passes of one kind cost the same for an image.
        images: size of the batch.
        run: whether the pass was run; else its time has no meaning.
        start: time at which it began.
        seconds: time until the next pass.
    """

    kind: Hashable
    images: int
    run: bool
    start: float
    seconds: float = 0.0


class StubForward:
    """Replaces `zarts.runtime.precision.Passes`: counts all passes and runs some.

    A pass that is not run returns the output of an earlier pass, tied to the weights by a gradient of zero, so the step
    continues as usual. Passes that are differentiated in the operation weights are always run: a step may hold
    many of them in memory at a time, and differentiate them twice. Passes with another number of operations on an edge,
    of another network, or with dropped outputs are different kinds.

    Args:
        passes: runs a network on a batch.
        seconds: in each take, passes of a kind are run until they have taken so long; None: `_SECONDS`.
    """

    def __init__(self, passes: Callable[..., Any], seconds: float | None = None) -> None:
        self._passes, self._seconds = passes, _SECONDS if seconds is None else seconds
        self._outputs: dict[Hashable, tuple[Tensor, ...]] = {}
        self.taken: list[Pass] = []
        self.network_is_final = False
        """Whether `network`, whose parameters and MACs are counted, stays the same when other networks are run."""
        self.network: nn.Module | None = None
        self._inputs: tuple[Any, ...] = ()

    def __call__(self, network: Callable[..., Any], *inputs: Any) -> Any:
        """The output of the network, or a stub of it."""
        gradient = torch.is_grad_enabled()
        in_alpha = gradient and any(tensor.requires_grad for tensor in _weights(inputs))
        most = max((int((tensor != 0).sum(-1).max()) for tensor in _weights(inputs)), default=0)
        module = module_of(network)
        drop = getattr(module, "drop", None)
        kind = (network, gradient, in_alpha, most, drop is not None and drop.active(module))
        if module is not self.network and not self.network_is_final:
            self.network, self._inputs = module, inputs
        self.close(inputs[0].device)
        run = [p.seconds for p in self.taken if p.kind == kind and p.run]
        real = in_alpha or kind not in self._outputs or len(run) < _RUN or sum(run) < self._seconds
        self.taken.append(Pass(kind, len(inputs[0]), real, time.perf_counter()))
        if not real:
            return self._stub(kind, len(inputs[0]), module if gradient else None)
        output = self._passes(network, *inputs)
        self._outputs[kind] = tuple(
            o[:1].detach().clone() for o in (output if isinstance(output, tuple) else (output,))
        )
        return output

    def close(self, device: torch.device | None = None) -> None:
        """End the last pass now."""
        if device is not None and device.type == "cuda":
            torch.cuda.synchronize(device)
        if self.taken:
            self.taken[-1].seconds = time.perf_counter() - self.taken[-1].start

    def _stub(self, kind: Hashable, images: int, network: nn.Module | None) -> Any:
        """An earlier output of this kind of pass, for so many images; with a gradient of zero if `network` is given."""
        outputs = tuple(output.expand(images, *output.shape[1:]) for output in self._outputs[kind])
        if network is not None:
            tie = 0 * torch.stack([p.sum() for p in network.parameters()]).sum()
            outputs = tuple(output + tie for output in outputs)
        return outputs if len(outputs) > 1 else outputs[0]

    def macs(self) -> int:
        """MACs of convolutions and matrix products for one image, counted on torch's meta device."""
        if self.network is None:
            return 0
        shadow = copy.deepcopy(self.network).to("meta").eval()
        images, *rest = self._inputs
        with FlopCounterMode(display=False) as counter:
            shadow(torch.empty(1, *images.shape[1:], device="meta"), *(_on_meta(value) for value in rest))
        return int(counter.get_total_flops()) // 2


def module_of(network: Callable[..., Any]) -> nn.Module:
    """The module of a network: the network itself, or the owner of the method."""
    return network if isinstance(network, nn.Module) else network.__self__  # type: ignore[attr-defined]


def _weights(inputs: tuple[Any, ...]) -> list[Tensor]:
    """The operation weights among the inputs of a network."""
    return [tensor for value in inputs if isinstance(value, Mapping) for tensor in value.values()]


def _on_meta(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Operation weights that require a gradient, so that all operations run."""
    return {kind: torch.empty_like(w, device="meta", requires_grad=True) for kind, w in weights.items()}
