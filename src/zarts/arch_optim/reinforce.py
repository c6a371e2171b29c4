"""ENAS: a controller that draws cells, trained along the policy gradient of their accuracy."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from zarts.arch_optim.base import ArchOptimizer
from zarts.arch_optim.controller import Controller
from zarts.bilevel import Batch, Bilevel, Evaluator
from zarts.networks import seeded
from zarts.spaces import Genotype, Space

__all__ = ["ReinforceArchOptimizer"]

_EPSILON = 1e-3


class ReinforceArchOptimizer(ArchOptimizer):
    """Updates the controller by Adam, along the mean over N drawn cells of (reward - baseline) grad log p(cell).

    The reward of a cell is 1 - its value on the validation batches, which is the accuracy for the objective `error`,
    plus `entropy_weight` times the entropy that it was drawn with; the baseline is a moving mean of rewards. The
    problem takes operation weights, and `alpha` is the most likely cell in that form; the weights train at cells that
    the controller draws.

    Args:
        space: whose cells.
        like: a vector on the device of the search, shape (d,).
        generator: the source of randomness, on the CPU.
        samples: N.
        lr: Adam's rate.
        weight_decay: of the controller.
        betas: decay rates of Adam's moments.
        entropy_weight: of the entropy in the reward.
        baseline_decay: share of the old baseline after each cell.
        batch_norm: see `zarts.bilevel.Evaluator`.

    Source: Pham et al., ENAS (ICML 2018), section 2.2; numbers: the search of NAS-Bench-201 (ICLR 2020).
    Differs: the N cells of a step are evaluated on the same batches; a step uses the baseline of before it.
    """

    def __init__(
        self,
        space: Space,
        like: Float[Tensor, " d"],
        generator: torch.Generator,
        *,
        samples: int,
        lr: float,
        weight_decay: float,
        betas: tuple[float, float],
        entropy_weight: float,
        baseline_decay: float,
        batch_norm: Literal["train", "eval"] = "train",
    ) -> None:
        self._like, self._generator, self._samples = like, generator, samples
        with seeded(0):  # torch draws initial parameters, which the controller then replaces
            self._controller = Controller(space, generator)
        parameters = self._controller.parameters()
        self._adam = torch.optim.Adam(parameters, lr=lr, betas=betas, eps=_EPSILON, weight_decay=weight_decay)
        self._entropy_weight, self._baseline_decay = entropy_weight, baseline_decay
        self._batch_norm: Literal["train", "eval"] = batch_norm
        self._baseline: float | None = None

    @property
    @override
    def alpha(self) -> Float[Tensor, " d"]:
        return self._draw(None)

    @override
    def training_point(self, generator: torch.Generator) -> Float[Tensor, " d"]:
        return self._draw(generator)

    @override
    def sample(self, space: Space, generator: torch.Generator) -> Genotype:
        return space.derive(space.split(self._draw(generator).cpu()))

    @torch.no_grad()
    def _draw(self, generator: torch.Generator | None) -> Float[Tensor, " d"]:
        weights: Tensor = self._controller(1, generator).weights[0]
        return weights.to(self._like)

    @property
    @override
    def train_batches(self) -> int:
        return 0

    @override
    def step(self, problem: Bilevel, train_batches: Sequence[Batch], val_batches: Sequence[Batch]) -> dict[str, Any]:
        """Draw cells, evaluate them, update the controller.

        Raises:
            Interrupted: `problem.check` asks to stop.
        """
        problem.align()
        drawn = self._controller(self._samples, self._generator)
        candidates = drawn.weights.to(self._like)
        found = Evaluator(problem, batch_norm=self._batch_norm).evaluate(candidates, (), val_batches)
        rewards = 1 - found.values.cpu() + self._entropy_weight * drawn.entropy.detach()
        baseline = rewards.mean().item() if self._baseline is None else self._baseline
        loss = -(drawn.log_probability * (rewards - baseline)).mean()
        before = torch.nn.utils.parameters_to_vector(self._controller.parameters()).detach().clone()
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()
        for reward in rewards.tolist():
            baseline -= (1 - self._baseline_decay) * (baseline - reward)
        self._baseline = baseline
        after = torch.nn.utils.parameters_to_vector(self._controller.parameters()).detach()
        return {
            **problem.record((found.values if problem.objective is None else found.metrics).tolist()),
            "baseline": baseline,
            "entropy": drawn.entropy.mean().item(),
            "move_norm": (after - before).norm().item(),
        }

    @override
    def anneal(self, progress: float) -> None:
        """Adam's rate is constant."""

    @override
    def state_dict(self) -> dict[str, Any]:
        return {
            "controller": copy.deepcopy(self._controller.state_dict()),
            "adam": copy.deepcopy(self._adam.state_dict()),
            "baseline": self._baseline,
            "generator": self._generator.get_state(),
        }

    @override
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._controller.load_state_dict(state["controller"])
        self._adam.load_state_dict(state["adam"])
        self._baseline = state["baseline"]
        self._generator.set_state(state["generator"].cpu())
