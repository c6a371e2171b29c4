"""From alpha to operation weights, at the present step of a search."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from zarts.config import RelaxationSettings, SearchSettings
from zarts.relax import (
    RELAXATIONS,
    LossGradient,
    Matrices,
    Relaxation,
    RelaxationContext,
    adversarial,
    gumbel,
    gumbel_soft,
    noisy,
    perturbed,
)
from zarts.runtime.seed import keyed_generator
from zarts.searcher.phases import Phases

__all__ = ["SearchRelaxation", "relaxations"]


def relaxations(settings: RelaxationSettings) -> dict[str, Relaxation]:
    """Every relaxation with the settings that are its parameters."""
    start, end = settings.temperature, settings.temperature_min
    first, last = settings.perturbation_start, settings.perturbation
    return {
        **RELAXATIONS,
        "gumbel": partial(gumbel, temperature=start, temperature_min=end),
        "gumbel-soft": partial(gumbel_soft, temperature=start, temperature_min=end),
        "noisy": partial(noisy, weight_noise=settings.weight_noise),
        "perturbed": partial(perturbed, perturbation_start=first, perturbation=last),
        "adversarial": partial(adversarial, perturbation_start=first, perturbation=last),
    }


class SearchRelaxation:
    """The relaxations of a search, in its present phase.

    Args:
        settings: name the relaxations and their settings.
        phases: give the operations that are left.
    """

    def __init__(self, settings: SearchSettings, phases: Phases) -> None:
        self._settings, self.phases = settings, phases
        self._relaxations = relaxations(settings)
        self.draws = torch.Generator()
        """The source of randomness of relaxations; see `draw_for`."""
        self.progress, self.elapsed = 0.0, 0.0
        """Of the present epoch, see `Pace`."""

    def for_alpha(self, alpha: Tensor) -> Matrices:
        """The operation weights that alpha is evaluated or differentiated at; 0 for dropped operations."""
        return self._relax(self._settings.relaxation, alpha)

    def for_weights(self, point: Tensor, loss_gradient: LossGradient) -> Matrices:
        """The operation weights that the network's weights are trained at.

        Args:
            point: usually alpha, see `ArchOptimizer.training_point`.
            loss_gradient: loss and gradient of the coming batch.
        """
        same = self._settings.weight_relaxation == "same"
        return self._relax(
            self._settings.relaxation if same else self._settings.weight_relaxation, point, loss_gradient
        )

    def _relax(self, name: str, alpha: Tensor, loss_gradient: LossGradient | None = None) -> Matrices:
        context = RelaxationContext(self.phases.part.space, self.draws, self.progress, self.elapsed)
        if loss_gradient is not None:
            context = context._replace(loss_gradient=loss_gradient)
        return self.phases.part.scatter(self.phases.parameterization.relax(self._relaxations[name], alpha, context))

    def probabilities(self, alpha: Tensor) -> Matrices:
        """The probability of each operation of the whole space under alpha, times the weight of its edge."""
        if self._settings.relaxation == "cell":
            return self.phases.space.split(alpha)
        return self.phases.part.scatter(self.phases.parameterization.strengths(alpha))

    def draw_for(self, purpose: str, global_step: int) -> None:
        """Seed the draws of relaxations, by the settings' seed, the purpose and the global step alone."""
        self.draws.set_state(keyed_generator(self._settings.seed, "draws", purpose, global_step).get_state())
