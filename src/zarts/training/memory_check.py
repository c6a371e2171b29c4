"""Check before the first step that the steps of a run fit into memory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from zarts.config import CandidateSettings, CommonSettings, RetrainSettings
from zarts.errors import SettingsError
from zarts.runtime.distributed import Ranks
from zarts.runtime.measure import Fit, free_bytes
from zarts.training.memory_forecast import needs
from zarts.training.trainer import Job

__all__ = ["check_memory", "check_weights", "readable"]

_MAPS = 1000
"""Upper bound on feature maps of a cell and its gradients, in channels of a node; the textbook supernet has 240."""
_OBVIOUS = 4
"""If so many times the crude bound is free, nothing is measured."""


def check_memory(job: Job, settings: CommonSettings, ranks: Ranks, *, always: bool = False) -> Fit | None:
    """Measure with a few images whether the steps of a job fit into memory; the job does not change.

    Nothing is measured if the need is obviously small, if the free memory is not known, or if the network is compiled,
    because a compiled network decides for itself which tensors it keeps.

    Args:
        job: a job before its first step.
        settings: of the run.
        ranks: the processes of the run.
        always: measure even if the need is obviously small or the free memory is not known.

    Raises:
        SettingsError: the steps do not fit; the message names options that would.
    """
    if settings.compile or settings.memory_limit == "none":
        return None
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if ranks.count > 1 and job.device.type == "cpu" else 1
    free = _free(job.device, settings, ranks)
    needless = free is None or here * _OBVIOUS * _bound(job, settings) < free
    if needless and not always:
        return None
    start = time.perf_counter()
    job.trainer.doing("measuring memory")
    fit = _measured(job, settings, free, here, checkpointing=settings.checkpoint_activations)
    if fit is None or fit.free is None or fit.needed <= fit.free:
        return replace(fit, seconds=time.perf_counter() - start) if fit is not None and needless else fit
    less = None if settings.checkpoint_activations else _measured(job, settings, free, here, checkpointing=True)
    raise SettingsError(_message(fit, less, settings, here))


def check_weights(build: Callable[[], nn.Module], most: int, device: torch.device, settings: CommonSettings) -> None:
    """Refuse a network whose weights alone do not fit into memory, before they are made.

    Args:
        build: the network.
        most: a crude upper bound on the number of its weights; if they fit, nothing is counted.
        device: of the network.
        settings: of the run.

    Raises:
        SettingsError: the weights do not fit.
    """
    free = settings.memory_limit if isinstance(settings.memory_limit, int) else free_bytes(device)
    if free is None or settings.memory_limit == "none" or 4 * most < free:
        return
    with torch.device("meta"):
        needed = 4 * sum(parameter.numel() for parameter in build().parameters())
    if needed > free:
        smaller = "--width" if isinstance(settings, RetrainSettings) and settings.width else "--channels or --cells"
        raise SettingsError(
            f"the weights alone need {readable(needed)} of memory, {readable(free)} are free: take a smaller network "
            f"by {smaller}"
        )


def _free(device: torch.device, settings: CommonSettings, ranks: Ranks) -> int | None:
    """Bytes that steps may take, on the machine with the least; None: not known."""
    limit = settings.memory_limit
    own = limit if isinstance(limit, int) else free_bytes(device)
    every = torch.zeros(ranks.count, dtype=torch.float64)
    every[ranks.rank] = -1.0 if own is None else float(own)
    least = int(ranks.all_reduce(every).min())
    return None if least < 0 else least


def _bound(job: Job, settings: CommonSettings) -> int:
    """A crude upper bound on the bytes that the steps need."""
    images, _ = job.train[0]
    batches, largest = 1, len(images)
    if isinstance(settings, CandidateSettings):
        batches = settings.val_batches  # an unrolled step passes them at once
        largest = max(largest, settings.val_batch_size or 0)
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


def _message(fit: Fit, less: Fit | None, settings: CommonSettings, here: int) -> str:
    """The bytes that the steps need and the bytes that are free, and the ways out."""
    assert fit.free is not None
    ways = [] if fit.largest is None else [_smaller(fit.largest, settings)]
    if less is not None and less.needed <= fit.free:
        ways.append(f"--checkpoint-activations, with which they need {readable(less.needed)}")
    elif less is not None and less.largest is not None and less.largest > (fit.largest or 0):
        ways.append(f"--checkpoint-activations {_smaller(less.largest, settings)}")
    reason = "" if ways else "not even 2 images fit: "
    chain = isinstance(settings, RetrainSettings) and settings.width is not None
    ways = ways or [f"a smaller network by {'--width or --stem-stride' if chain else '--channels or --cells'}"]
    who = "" if here == 1 else f" of {here} processes"
    free = f"{readable(fit.free)} are free" if settings.memory_limit == "auto" else f"memory_limit = {fit.free}"
    return (
        f"steps on {settings.batch_size} images{who} need {readable(fit.needed)} of memory, {free}: {reason}"
        f"take {' or '.join(ways)}; --memory-limit none goes on anyway"
    )


def _smaller(images: int, settings: CommonSettings) -> str:
    """The options for weight steps on so many images, with validation batches in proportion."""
    options = f"--batch-size {images}"
    if isinstance(settings, CandidateSettings) and settings.val_batch_size is not None:
        options += f" --val-batch-size {max(1, settings.val_batch_size * images // settings.batch_size)}"
    return options


def readable(size: int) -> str:
    """A number of bytes in MB or GB."""
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"
