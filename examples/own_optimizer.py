"""A zero-order optimiser of your own: on a function, and as what updates alpha in a search.

python examples/own_optimizer.py
"""

from pathlib import Path

import torch

from zarts.arch_optim import ZeroOrderArchOptimizer
from zarts.config import dump, search_settings
from zarts.runs import Run
from zarts.searcher import prepare_search
from zarts.zo import Step, ZeroOrderOptimizer


class EliteMean(ZeroOrderOptimizer):
    """Moves to the mean of the better half of N Gaussian samples, whose size shrinks along the run."""

    uses_gradient = False

    def __init__(self, x, generator=0, *, samples: int = 8, sigma: float = 0.5) -> None:
        super().__init__(x, generator)
        self.samples, self.sigma = samples, sigma

    @property
    def scale(self) -> float:
        return self.sigma * (1 - self.progress)

    def _sample(self, scale, gradient):
        return scale * torch.randn(self.samples, len(self.x), generator=self.generator).to(self.x)

    def _weigh(self, losses, pending) -> Step:
        elite = losses.argsort()[: self.samples // 2]
        weights = torch.zeros(self.samples)
        weights[elite] = 1 / len(elite)
        return Step(weights.to(self.x) @ pending.perturbations, weights, {"sigma": pending.scale})


if __name__ == "__main__":
    optimizer = EliteMean([3.0, -2.0])
    for step in range(50):
        optimizer.anneal(step / 50)
        optimizer.tell([float(point.square().sum()) for point in optimizer.ask()])
    print(f"sum of squares: 13.0 at the start, {float(optimizer.x.square().sum()):.1e} at the end")

    small = {"epochs": 2, "warmup_epochs": 1, "channels": 2, "cells": 3, "subset": 96, "batch_size": 16}
    settings = search_settings({**small, "method": "zarts-gld"}, preset="quick")
    searcher = prepare_search(settings, Run.create(Path("runs/own-optimizer"), dump(settings), "search"))
    own = EliteMean(searcher.arch_optimizer.alpha, samples=4, sigma=0.1)
    searcher.arch_optimizer = ZeroOrderArchOptimizer(own, inner_steps=2)
    print("normal cell:", searcher.run().genotype.describe("normal"))
