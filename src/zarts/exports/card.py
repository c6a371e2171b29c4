"""The model card: what a network is, how good, how large, how quick, and how it was found."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from jinja2 import Environment, PackageLoader, StrictUndefined

from zarts.exports.served import Served
from zarts.nets import count_mult_adds, count_parameters
from zarts.spaces import genotype_string
from zarts.training import ModelCard

__all__ = ["CardFacts", "Latency", "measure_latency", "model_card"]

_RUNS = 20


@dataclass(frozen=True)
class Latency:
    """Median time of a pass, in milliseconds, and where it was measured."""

    milliseconds: float
    batch: int
    threads: int
    processor: str


@dataclass(frozen=True)
class CardFacts:
    """What the runs know, each empty where they do not.

    Args:
        result: `result.json` of the retraining.
        settings: of the retraining.
        environment: `env.json` of the retraining.
        searched: settings of the search that found the genotype.
    """

    result: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    searched: Mapping[str, Any] = field(default_factory=dict)


@torch.no_grad()
def measure_latency(served: Served, card: ModelCard, batch: int = 1) -> Latency:
    """The median of twenty passes through the network, after two that warm up, on the CPU with torch's threads."""
    images = torch.rand(batch, len(card.mean), card.image_size, card.image_size)
    seconds = []
    for _ in range(_RUNS + 2):
        start = time.perf_counter()
        served(images)
        seconds.append(time.perf_counter() - start)
    return Latency(1000 * statistics.median(seconds[2:]), batch, torch.get_num_threads(), _processor())


def model_card(served: Served, card: ModelCard, form: str, files: list[Path], facts: CardFacts) -> str:
    """The text of the model card, in Markdown.

    Args:
        served: the network.
        card: what it takes to build it.
        form: of the files.
        files: that belong to it.
        facts: what is known of its runs.
    """
    shape = (len(card.mean), card.image_size, card.image_size)
    name = str(facts.settings.get("data", ""))
    return (
        _environment()
        .get_template("README.md.j2")
        .render(
            card=card,
            form=form,
            files=[file.name for file in files],
            facts=facts,
            data=Path(name).name,
            parameters=count_parameters(served.network),
            mult_adds=count_mult_adds(served.network, shape),
            latency=measure_latency(served, card),
            genotype=genotype_string(card.genotype),
        )
    )


def _processor() -> str:
    """The name of the processor, where the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("zarts.exports"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
