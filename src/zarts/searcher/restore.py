"""A search as its checkpoint left it, to be looked into: nothing of the run is changed."""

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
from zarts.searcher.searcher import Searcher
from zarts.training.trainer import Callback

__all__ = ["RestoredSearch", "restore_search"]


@dataclass(frozen=True)
class RestoredSearch:
    """The bi-level problem of a search, where the search stands.

    Args:
        settings: its settings.
        problem: supernet, optimizer with its momentum and learning rate, and the loss of `(alpha, batch)`.
        alpha: where the architecture is.
        perturbation_size: size in each coordinate of the perturbations that the search asks for here; see the method
            of that name of `ArchOptimizer`.
        train: batches of the half that trains the weights.
        val: batches of the half that moves alpha.
        global_step: number of the next training batch.
        epoch: epochs that are done.
        identity: what a file about this state has to agree in, beside the settings: the updates of alpha, and
            `global_step`.
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

        None where there is no such Hessian: alpha's relaxation draws, or networks are compiled.

        Args:
            val: batches.
            generator: draws where to begin.

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
    """Build a search again with its last checkpoint. Inside, Ctrl-C raises `Interrupted` before the next weight step.

    Args:
        settings: the settings that it was begun with.
        run: its folder.
        callback: hears notes.
        ranks: the processes that look into it together; alone by default.

    Raises:
        RunError: it has no supernet or no checkpoint, or one that cannot be used here.
        DataError: the images are not there, or others than the search began with.
    """
    if settings.supernet == "none":
        raise RunError(f"{run.path}: method {settings.method!r} has no supernet: there is nothing to look into")
    ranks = ranks or Ranks()
    with torch_threads(settings.threads), stop_request(with_parent=ranks.count > 1) as stop:
        job = Searcher(settings, Run(run.path, writes=False), callback, ranks)
        epoch, step = job.trainer.look(job)
        job.trainer.stop = stop
        job.begin_epoch(epoch if step else max(0, epoch - 1))
        global_step = epoch * len(job.train) + step
        yield RestoredSearch(
            settings,
            job.problem,
            job.arch_optimizer.alpha.detach().clone(),
            job.arch_optimizer.perturbation_size(),
            job.train,
            job.val,
            global_step,
            epoch,
            {"global_step": global_step, "updates": job.updates},
        )
