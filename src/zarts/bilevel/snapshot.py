"""A copy of everything that a weight step may change, to restore it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import nn

__all__ = ["Snapshot"]

_T = TypeVar("_T")


class Snapshot:
    """Weights, buffers, optimizer state and settings, train/eval modes and random states, as they are now.

    Args:
        model: its parameters, buffers and modes are kept.
        optimizer: its state (momentum) and the settings of its groups (learning rate) are kept.
        generators: their states are kept, as is that of torch's own generator on the CPU.
    """

    @torch.no_grad()
    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, generators: Sequence[torch.Generator] = ()
    ) -> None:
        self._optimizer = optimizer
        self._weights = list(model.parameters())
        self._modes = [(module, module.training) for module in model.modules()]
        self._groups = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
        self._state = {parameter: dict(state) for parameter, state in optimizer.state.items()}
        momenta = [value for state in self._state.values() for value in state.values() if torch.is_tensor(value)]
        self._tensors = [*self._weights, *model.buffers(), *momenta]
        self._values = [torch.empty_like(tensor) for tensor in self._tensors]
        if self._tensors:  # at once: for most of hundreds of tensors a call takes longer than the copy
            torch._foreach_copy_(self._values, self._tensors)
        self._generators = [(generator, generator.get_state()) for generator in generators]
        self._global_state = torch.get_rng_state()

    def afresh(self, items: Iterable[_T]) -> Iterator[_T]:
        """Each item; before all but the first, everything is restored."""
        for number, item in enumerate(items):
            if number:
                self.restore()
            yield item

    @torch.no_grad()
    def restore(self) -> None:
        """Restore everything; gradients are dropped. May be called any number of times."""
        if self._tensors:
            torch._foreach_copy_(self._tensors, self._values)
        for weight in self._weights:
            weight.grad = None
        for module, training in self._modes:
            if module.training != training:  # setting an attribute of a module is slow
                module.training = training
        for group, settings in zip(self._optimizer.param_groups, self._groups, strict=True):
            group.update(settings)
        state = self._optimizer.state
        for parameter in [p for p in state if p not in self._state]:
            del state[parameter]
        for parameter, kept in self._state.items():
            state[parameter].update(kept)
        for generator, generator_state in self._generators:
            generator.set_state(generator_state)
        torch.set_rng_state(self._global_state)
