"""Whether the steps of a run fit into memory, said before the first one."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import torch

from zarts.config import CommonSettings
from zarts.errors import SettingsError
from zarts.runtime.distributed import Ranks
from zarts.runtime.measure import Fit, free_bytes
from zarts.training.memory_forecast import needs
from zarts.training.trainer import Job

__all__ = ["check_memory", "readable"]

_MAPS = 1000
"""Feature maps that a cell and its gradients take at most, in channels of a node: the textbook's supernet has 240."""
_OBVIOUS = 4
"""Where so many times the crude bound is free, nothing is measured."""


def check_memory(job: Job, settings: CommonSettings, ranks: Ranks, *, always: bool = False) -> Fit | None:
    """What the steps of a job need, measured with a few images before the first one; the job stays as it is.

    Where the need is obviously small, where nobody knows what is free, or where a compiled network decides for itself
    what it keeps, nothing is measured.

    Args:
        job: before its first step.
        settings: of the run.
        ranks: the processes that do it together.
        always: also where the need is obviously small.

    Raises:
        SettingsError: it is more than there is; with what would fit.
    """
    if settings.compile or settings.memory_limit == "none":
        return None
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if ranks.count > 1 and job.device.type == "cpu" else 1
    free = _free(job.device, settings, ranks)
    needless = free is None or here * _OBVIOUS * _bound(job, settings) < free
    if needless and not always:
        return None
    start = time.perf_counter()
    fit = _measured(job, settings, free, here, checkpointing=settings.checkpoint_activations)
    if fit is None or fit.free is None or fit.needed <= fit.free:
        return replace(fit, seconds=time.perf_counter() - start) if fit is not None and needless else fit
    less = None if settings.checkpoint_activations else _measured(job, settings, free, here, checkpointing=True)
    raise SettingsError(_refusal(fit, less, settings, here))


def _free(device: torch.device, settings: CommonSettings, ranks: Ranks) -> int | None:
    """What steps may take, on the machine that has least."""
    limit = settings.memory_limit
    own = limit if isinstance(limit, int) else free_bytes(device)
    every = torch.zeros(ranks.count, dtype=torch.float64)
    every[ranks.rank] = -1.0 if own is None else float(own)
    least = int(ranks.all_reduce(every).min())
    return None if least < 0 else least


def _bound(job: Job, settings: CommonSettings) -> int:
    """More than the steps need, by far."""
    images, _ = job.train[0]
    batches: int = getattr(settings, "val_batches", 1)  # which an unrolled step passes at once
    largest = max(len(images), getattr(settings, "val_batch_size", None) or 0)
    return largest * batches * images[0, 0].numel() * settings.channels * settings.cells * _MAPS * 4


def _measured(job: Job, settings: CommonSettings, free: int | None, here: int, *, checkpointing: bool) -> Fit | None:
    lines = needs(job, settings.batch_size, checkpointing=checkpointing)
    if not lines:
        return None
    needed = int(here * max(line.whole for line in lines))
    if free is None:
        return Fit(needed, None, None)
    share = min(line.share_within(free / here) for line in lines)
    images = share * settings.batch_size
    return Fit(needed, free, int(min(images, 1 << 31)) if images >= 2 else None)


def _refusal(fit: Fit, less: Fit | None, settings: CommonSettings, here: int) -> str:
    """What is wrong, and the ways out."""
    assert fit.free is not None
    ways = [] if fit.largest is None else [_smaller(fit.largest, settings)]
    if less is not None and less.needed <= fit.free:
        ways.append(f"--checkpoint-activations, with which they need {readable(less.needed)}")
    elif less is not None and less.largest is not None and less.largest > (fit.largest or 0):
        ways.append(f"--checkpoint-activations {_smaller(less.largest, settings)}")
    reason = "" if ways else "not even 2 images fit: "
    ways = ways or ["a smaller network by --channels or --cells"]
    who = "" if here == 1 else f" of {here} processes"
    free = f"{readable(fit.free)} are free" if settings.memory_limit == "auto" else f"memory_limit = {fit.free}"
    return (
        f"steps on {settings.batch_size} images{who} need {readable(fit.needed)} of memory, {free}: {reason}"
        f"take {' or '.join(ways)}; --memory-limit none goes on anyway"
    )


def _smaller(images: int, settings: CommonSettings) -> str:
    """The options that bring weight steps down to so many images, and validation batches alike."""
    judged: int | None = getattr(settings, "val_batch_size", None)
    words = f"--batch-size {images}"
    return words if judged is None else f"{words} --val-batch-size {max(1, judged * images // settings.batch_size)}"


def readable(size: int) -> str:
    """Bytes in the unit that suits them."""
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"
