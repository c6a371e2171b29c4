"""A search restored from its checkpoint for inspection; the run folder is not changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from zarts.bilevel import Batch, Bilevel, dominant_eigenvalue
from zarts.config import SearchSettings
from zarts.data import Batches
from zarts.errors import RunError
from zarts.runs import Run
from zarts.runtime.device import torch_threads
from zarts.runtime.distributed import Ranks
from zarts.runtime.signals import stop_request
from zarts.searcher.build import build_searcher
from zarts.training.trainer import Callback

__all__ = ["RestoredSearch", "restore_search"]


@dataclass(frozen=True)
class RestoredSearch:
    """The bi-level problem of a search at its last checkpoint.

    Args:
        settings: its settings.
        problem: supernet, optimizer with its momentum and learning rate, and the loss of `(alpha, batch)`.
        alpha: the architecture parameters.
        perturbation_size: size in each coordinate of the perturbations that the search asks for here; see the method
            of that name of `ArchOptimizer`.
        train: batches of the half that trains the weights.
        val: batches of the half that updates alpha.
        global_step: number of the next training batch.
        epoch: epochs that are done.
        identity: what identifies this state, beside the settings: the number of updates of alpha, and `global_step`.
    """

    settings: SearchSettings
    problem: Bilevel
    alpha: Float[Tensor, " d"]
    perturbation_size: float | None
    train: Batches
    val: Batches
    global_step: int
    epoch: int
    identity: dict[str, int]

    def eigenvalue(self, val: Sequence[Batch], generator: torch.Generator) -> float | None:
        """The dominant eigenvalue of the Hessian in alpha of the loss of `val`, with nothing dropped.

        None where it cannot be computed: alpha's relaxation is random, or networks are compiled.

        Args:
            val: batches.
            generator: draws the first direction.

        Raises:
            Interrupted: asked to stop.
        """
        if self.settings.relaxation != "softmax" or self.settings.compile:
            return None
        with self.problem.model.drop.off():  # type: ignore[operator, union-attr]
            return dominant_eigenvalue(self.problem, self.alpha, val, generator)


@contextmanager
def restore_search(
    settings: SearchSettings, run: Run, callback: Callback, ranks: Ranks | None = None
) -> Iterator[RestoredSearch]:
    """Restore a search from its last checkpoint. Inside, Ctrl-C raises `Interrupted` before the next weight step.

    Args:
        settings: the settings that it was started with.
        run: its folder.
        callback: called with notes.
        ranks: the processes that restore it together; alone by default.

    Raises:
        RunError: the search has no supernet or no checkpoint, or one that cannot be used here.
        DataError: the images are missing, or others than those that the search started with.
    """
    if settings.supernet == "none":
        raise RunError(
            f"{run.path}: method {settings.method!r} has no supernet to inspect: take a run of another method"
        )
    ranks = ranks or Ranks()
    with torch_threads(settings.threads), stop_request(with_parent=ranks.count > 1) as stop:
        searcher = build_searcher(settings, Run(run.path, writes=False, images=run.images), callback, ranks)
        epoch, step = searcher.trainer.load_last(searcher)
        searcher.trainer.stop = stop
        searcher.begin_epoch(epoch if step else max(0, epoch - 1))
        global_step = epoch * len(searcher.train) + step
        yield RestoredSearch(
            settings,
            searcher.problem,
            searcher.arch_optimizer.alpha.detach().clone(),
            searcher.arch_optimizer.perturbation_size(),
            searcher.train,
            searcher.val,
            global_step,
            epoch,
            {"global_step": global_step, "updates": searcher.updates},
        )
