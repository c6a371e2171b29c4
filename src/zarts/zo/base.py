"""The interface of all zero-order optimisers, and the record of one step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from zarts.errors import DivergedError, RunError, SettingsError
from zarts.zo.mgs_weights import effective_samples
from zarts.zo.validation import check

__all__ = ["Pending", "Randomness", "Step", "Vector", "ZeroOrderOptimizer", "diverged"]

Vector = Tensor | np.ndarray | Sequence[float]
"""Numbers in a row: a tensor, an array or a list."""

Randomness = torch.Generator | int
"""A generator, or the seed of a new one."""


@dataclass(frozen=True)
class Step:
    """One move of x, and the weights that it came from.

    Args:
        move: what was added to x.
        weights: one a point (MGS, GLD) or a direction (RS), with sum 1.
        info: numbers for the log, such as sigma, tau or radius.
    """

    move: Float[Tensor, " d"]
    weights: Float[Tensor, " n"]
    info: Mapping[str, float] = field(default_factory=dict)

    @property
    def ess(self) -> float:
        """Effective sample size N_e = 1 / sum c_i^2, in [1, N]."""
        return effective_samples(self.weights)

    @property
    def esr(self) -> float:
        """Effective sample rate R_e = N_e / N (eq. 9)."""
        return self.ess / len(self.weights)


@dataclass(frozen=True)
class Pending:
    """Perturbations of x that were asked for and not yet told, and the `scale` and `gradient` they were drawn with."""

    perturbations: Float[Tensor, "n d"]
    scale: float
    gradient: Float[Tensor, " d"]


def diverged(count: int) -> DivergedError:
    """The error to raise when none of `count` losses is finite."""
    return DivergedError(
        f"none of {count} losses is finite: lower the learning rate of the weights, "
        "or the size of the perturbations (sigma of MGS, smoothing of RS, radius_max of GLD)"
    )


class ZeroOrderOptimizer(ABC):
    """Minimises f over R^d from values of f; owns its point `x`.

    `ask` gives points, `tell` takes their losses and moves x. A subclass draws perturbations (`_sample`) and turns
    losses into a move (`_weigh`); checks, annealing and state are here.

    Args:
        x: the start, shape (d,): a tensor of floats, an array or a list; it is copied.
        generator: the only source of randomness, on the device of x; a whole number seeds a new one there.

    Raises:
        SettingsError: x is not a flat vector of floats, or the generator is on another device.
    """

    def __init__(self, x: Vector, generator: Randomness = 0) -> None:
        x = torch.as_tensor(x)
        if not isinstance(generator, torch.Generator):
            generator = torch.Generator(x.device).manual_seed(generator)
        if x.dim() != 1 or len(x) == 0 or not x.is_floating_point():
            raise SettingsError(
                f"x has shape {tuple(x.shape)} and {x.dtype}; needs a flat vector (d,) of floats, d >= 1: "
                "flatten it, or convert it to floats"
            )
        if generator.device.type != x.device.type:
            raise SettingsError(
                f"generator is on {generator.device}, x on {x.device}: make it with torch.Generator({x.device.type!r})"
            )
        self.x = x.detach().clone()
        self.generator = generator
        self.progress = 0.0
        self._pending: Pending | None = None

    @property
    @abstractmethod
    def uses_gradient(self) -> bool:
        """Whether the points of `ask` depend on a gradient."""

    @property
    @abstractmethod
    def scale(self) -> float:
        """Size of the next perturbations: sigma of MGS, smoothing of RS, largest radius of GLD."""

    @abstractmethod
    def _sample(self, scale: float, gradient: Float[Tensor, " d"]) -> Float[Tensor, "n d"]:
        """Perturbations of x to evaluate; `gradient` is 0 where the method uses none."""

    @abstractmethod
    def _weigh(self, losses: Float[Tensor, " n"], pending: Pending) -> Step:
        """The step for these losses: float64 on the CPU, +inf for those that are not finite, at least one finite."""

    def anneal(self, progress: float) -> None:
        """Set the part of the search that is done; sizes with a decay follow from the next `ask` on.

        Args:
            progress: in [0, 1].

        Raises:
            SettingsError: `progress` is outside.
        """
        check(0 <= progress <= 1, "progress", "a number in [0, 1]", progress, "give steps done / steps in all")
        self.progress = float(progress)

    def ask(self, gradient: Tensor | None = None) -> Float[Tensor, "n d"]:
        """Points to evaluate, the incumbent first where the method needs its loss.

        A second call before `tell` draws new points and forgets the earlier ones.

        Args:
            gradient: gradient of the loss at x, shape (d,), which guides the points of an optimiser that
                `uses_gradient`, and is ignored by the others; None: 0, nothing guides them.

        Raises:
            SettingsError: the gradient has another shape than x.
            DivergedError: the gradient is not finite.
        """
        if gradient is None or not self.uses_gradient:
            gradient = torch.zeros_like(self.x)
        if gradient.shape != self.x.shape:
            raise SettingsError(f"gradient has shape {tuple(gradient.shape)}; x needs ({len(self.x)},): flatten it")
        if not gradient.isfinite().all():
            raise DivergedError("the gradient is not finite: lower the learning rate of the weights")
        gradient, scale = gradient.detach().to(self.x, copy=True), self.scale
        self._pending = Pending(self._sample(scale, gradient), scale, gradient)
        return self.x + self._pending.perturbations

    def tell(self, losses: Vector | Sequence[Tensor]) -> Step:
        """Move x according to the losses of the asked points.

        A loss that is not finite does not count. After an error, x and the asked points are as before.

        Args:
            losses: one loss a point, shape (n,), in the order of the points: a tensor, an array or a list.

        Raises:
            SettingsError: nothing was asked, or the number of losses is wrong.
            DivergedError: no loss is finite.
        """
        if self._pending is None:
            raise SettingsError("tell has no asked points: call ask first, and tell once for each ask")
        losses = torch.as_tensor(losses)
        if losses.shape != (len(self._pending.perturbations),):
            raise SettingsError(
                f"losses have shape {tuple(losses.shape)}; {type(self).__name__} asked for "
                f"({len(self._pending.perturbations)},): give one loss for each point"
            )
        losses = losses.detach().cpu().double()
        losses = torch.where(losses.isfinite(), losses, torch.inf)
        if losses.isinf().all():
            raise diverged(len(losses))
        step = self._weigh(losses, self._pending)
        self.x, self._pending = self.x + step.move, None
        return step

    def state_dict(self) -> dict[str, Any]:
        """All that changes while running, also between `ask` and `tell`; readable with `weights_only=True`."""
        asked = self._pending
        return {
            "method": type(self).__name__,
            "x": self.x.clone(),
            "generator": self.generator.get_state(),
            "progress": self.progress,
            "pending": {"moves": asked.perturbations, "scale": asked.scale, "gradient": asked.gradient}
            if asked
            else {},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of an optimiser with the same settings.

        Raises:
            RunError: the state is of another method or dimension.
        """
        ours, theirs = (type(self).__name__, self.x.shape), (state["method"], state["x"].shape)
        if ours != theirs:
            raise RunError(
                f"state is of {theirs[0]} with x of shape {tuple(theirs[1])}; "
                f"needs {ours[0]} with {tuple(ours[1])}: resume with the settings of the saved run"
            )
        self.x = state["x"].to(self.x, copy=True)
        self.generator.set_state(state["generator"].cpu())
        self.progress = state["progress"]
        asked = state["pending"]
        self._pending = (
            Pending(asked["moves"].to(self.x), asked["scale"], asked["gradient"].to(self.x)) if asked else None
        )
