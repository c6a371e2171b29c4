"""Alpha to operation weights, where a search stands."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from zarts.config import SearchSettings, keywords
from zarts.relax import RELAXATIONS, LossGradient, Matrices, RelaxationContext
from zarts.runtime.seed import keyed_generator
from zarts.searcher.phases import Phases
from zarts.spaces import Space

__all__ = ["SearchRelaxation"]


class SearchRelaxation:
    """The relaxations of a search, in its present stage.

    Args:
        settings: theirs.
        space: the whole space.
        phases: say which operations are left.
    """

    def __init__(self, settings: SearchSettings, space: Space, phases: Phases) -> None:
        self._settings, self._space, self._phases = settings, space, phases
        self._relaxations = {name: partial(f, **keywords(f, settings)) for name, f in RELAXATIONS.items()}
        self.draws = torch.Generator()
        """What relaxations draw from; see `draw_for`."""
        self.progress = 0.0
        """Part of the epochs that are done."""

    def for_alpha(self, alpha: Tensor) -> Matrices:
        """The weights that alpha is judged or differentiated at: of every operation, 0 of those that are dropped."""
        return self._relax(self._settings.relaxation, alpha)

    def for_weights(self, point: Tensor, loss_gradient: LossGradient) -> Matrices:
        """Those that the network's weights are trained at.

        Args:
            point: usually alpha, see `ArchOptimizer.training_point`.
            loss_gradient: the loss of the coming batch.
        """
        same = self._settings.weight_relaxation == "same"
        return self._relax(
            self._settings.relaxation if same else self._settings.weight_relaxation, point, loss_gradient
        )

    def _relax(self, name: str, alpha: Tensor, loss_gradient: LossGradient | None = None) -> Matrices:
        context = RelaxationContext(self._phases.part.space, self.draws, self.progress)
        if loss_gradient is not None:
            context = context._replace(loss_gradient=loss_gradient)
        return self._phases.part.scatter(self._phases.parameterization.relax(self._relaxations[name], alpha, context))

    def probabilities(self, alpha: Tensor) -> Matrices:
        """How much of each operation of the whole space alpha lets expect."""
        if self._settings.relaxation == "cell":
            return self._space.split(alpha)
        return self._phases.part.scatter(self._phases.parameterization.strengths(alpha))

    def draw_for(self, purpose: str, global_step: int) -> None:
        """Let relaxations draw what is a function of the seed, the purpose and the place alone."""
        self.draws.set_state(keyed_generator(self._settings.seed, "draws", purpose, global_step).get_state())
