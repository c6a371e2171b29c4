"""Activation checkpointing: a cell keeps only its inputs, and the backward pass runs it a second time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

__all__ = ["ActivationCheckpointing", "checkpoint_cells"]

_T = TypeVar("_T")


class ActivationCheckpointing:
    """Runs the parts of a network; while `on`, a part keeps only its inputs and runs again in the backward pass.

    The second run sees the random numbers and running statistics of the first and changes neither. So outputs,
    gradients, buffers and generators are those of a network that keeps everything.
    """

    def __init__(self) -> None:
        self.on = False
        self.generators: Sequence[torch.Generator] = ()
        """The generators that the parts draw from, beside torch's own."""

    @property
    def active(self) -> bool:
        """Whether a pass that begins now will be run again."""
        return self.on and torch.is_grad_enabled()

    def __call__(self, part: Callable[..., _T], *inputs: Any) -> _T:
        """The output of the part for these inputs."""
        if not self.active:
            return part(*inputs)
        output: _T = checkpoint(part, *inputs, use_reentrant=False, context_fn=lambda: self._contexts(part))
        return output

    def _contexts(self, part: Any) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
        """The contexts of the first and of the second run."""
        return nullcontext(), _AsNow(part, self.generators)


class _AsNow:
    """Inside, a part's buffers and the generators are as they were when this was made; afterwards as before.

    It may be entered several times: a graph that is kept runs again for each backward pass.
    """

    def __init__(self, part: nn.Module, generators: Sequence[torch.Generator]) -> None:
        self._generators = [(generator, generator.get_state()) for generator in generators]
        self._buffers = [
            (module, name, buffer.clone())
            for module in part.modules()
            for name, buffer in module.named_buffers(recurse=False)
        ]

    def __enter__(self) -> None:
        self._states = [generator.get_state() for generator, _ in self._generators]
        self._present = [getattr(module, name) for module, name, _ in self._buffers]
        for generator, state in self._generators:
            generator.set_state(state)
        for module, name, value in self._buffers:
            setattr(module, name, value.clone())

    def __exit__(self, *failure: object) -> None:
        for (generator, _), state in zip(self._generators, self._states, strict=True):
            generator.set_state(state)
        for (module, name, _), buffer in zip(self._buffers, self._present, strict=True):
            setattr(module, name, buffer)


def checkpoint_cells(network: nn.Module, generators: Sequence[torch.Generator], *, on: bool) -> None:
    """Set whether the cells of a network are checkpointed, and which generators they draw from.

    Args:
        network: a supernet or a derived network.
        generators: all that its cells draw from, beside torch's own.
        on: whether the cells are checkpointed.
    """
    for part in network.modules():
        if isinstance(found := getattr(part, "checkpointing", None), ActivationCheckpointing):
            found.on, found.generators = on, tuple(generators)
