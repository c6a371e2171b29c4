"""The search that searches nothing."""

from __future__ import annotations

import time

import torch

from zarts.config import SearchSettings
from zarts.engine.loop import Listener
from zarts.engine.result import SearchResult, write_result
from zarts.engine.setup import load_images
from zarts.limits import Costs
from zarts.runs import Run
from zarts.runtime.environment import environment
from zarts.runtime.seed import keyed_generator
from zarts.spaces import get_space

__all__ = ["draw"]


def draw(settings: SearchSettings, run: Run, listener: Listener) -> SearchResult:
    """Method `random`: no network; one draw, or where there are limits, which depend on the images, one within them."""
    start = time.perf_counter()
    space, generator = get_space(settings.space), keyed_generator(settings.seed, "random")
    genotype, costs = space.random(generator), {}
    if settings.max_params is None and settings.max_macs is None:
        run.write_json("env.json", environment(torch.device("cpu")))
    else:
        known = Costs(settings, space, load_images(settings, run, torch.device("cpu"), listener))
        genotype = known.within.draw(generator)
        costs = known.of(genotype)
    return write_result(settings, run, genotype, {}, time.perf_counter() - start, costs)
