"""Training a found network from scratch and testing it.

Source: DARTS (ICLR 2019), section 3.2; ZARTS (NeurIPS 2022), supplementary 2.2.
Differs: the accuracy of the last epoch is the result; the released code of ZARTS reports the best of all
    epochs on the test images.
"""

from __future__ import annotations

from functools import partial
from typing import cast

from zarts.config import RetrainSettings
from zarts.engine import Driver, Listener, check_memory
from zarts.runs import Run
from zarts.runtime.device import torch_threads
from zarts.runtime.distributed import Ranks
from zarts.spaces import Genotype
from zarts.training.job import TrainingJob
from zarts.training.result import RetrainResult, read_result
from zarts.training.start import Start

__all__ = ["retrain"]


def retrain(
    settings: RetrainSettings,
    genotype: Genotype,
    run: Run,
    *,
    start: Start | None = None,
    resume: bool = False,
    listener: Listener | None = None,
    drive: Driver | None = None,
    ranks: Ranks | None = None,
) -> RetrainResult:
    """Train the network of `genotype` on all training images, and test it.

    Args:
        settings: the recipe.
        genotype: its cells.
        run: the folder that all is written to; its `split.json`, if there is one, says which images are
            for testing.
        start: the weights to start from; None: random ones.
        resume: go on from the run's checkpoint if it has one.
        listener: hears every event; beside the logged ones also `step`, after each weight step.
        drive: does the job's steps in the place of its loop, as `Rehearsal.run`.
        ranks: the processes that train it together; alone by default.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the state is saved and the run can be resumed.
        DivergedError: the loss is not finite; the last checkpoint is intact.
        DataError, RunError, SettingsError: see their texts.
    """
    ranks = ranks or Ranks()
    if ranks.from_lead(ranks.lead and run.finished):
        return ranks.from_lead(read_result(run) if ranks.lead else cast(RetrainResult, None))
    with torch_threads(settings.threads):
        job = TrainingJob(settings, genotype, run, start, listener or (lambda event: None), ranks)
        job.fit = check_memory(job, settings, ranks, always=drive is not None)
        (drive or partial(job.loop.run, resume=resume))(job)
        if ranks.lead:
            job.write_result()
    return ranks.from_lead(read_result(run) if ranks.lead else cast(RetrainResult, None))
