"""The model card of an exported network: its accuracy, size, latency, and the search that it comes from."""

from __future__ import annotations

import html
import platform
import re
import shlex
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeGuard

import PIL
import torch
from jinja2 import Environment, PackageLoader, StrictUndefined

from zarts.exports.inference import OpenedModel
from zarts.limits import count_macs, count_parameters
from zarts.networks import AnyNetwork
from zarts.runtime.paths import printable
from zarts.spaces import Chain, genotype_string

__all__ = ["CardFacts", "Latency", "measure_latency", "model_card"]

_WARM_UP, _RUNS = 3, 20
_LISTED = 20  # classes
_RUNTIMES = {"onnx": "onnxruntime", "torchscript": "TorchScript", "tflite": "LiteRT"}


@dataclass(frozen=True)
class Latency:
    """Median time of a forward pass, and the conditions of the measurement."""

    milliseconds: float
    batch: int
    runtime: str
    threads: int
    processor: str


@dataclass(frozen=True)
class CardFacts:
    """Facts from the run folders; unknown ones are empty.

    Args:
        result: `result.json` of the retraining.
        settings: of the retraining.
        environment: `env.json` of the retraining.
        searched: settings of the search that derived the genotype.
        command: the command of the search.
        fit: `result.json` of the fit whose network it is.
    """

    result: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    searched: Mapping[str, Any] = field(default_factory=dict)
    command: str | None = None
    fit: Mapping[str, Any] = field(default_factory=dict)


@torch.no_grad()
def measure_latency(model: OpenedModel, form: str, batch: int = 1) -> Latency:
    """Median of twenty forward passes of a written model after three to warm up, on the CPU with torch's threads."""
    card = model.card
    images = torch.rand(batch, len(card.mean), card.image_size, card.image_size, generator=torch.Generator())
    seconds = []
    for _ in range(_WARM_UP + _RUNS):
        start = time.perf_counter()
        model.module(images)
        seconds.append(time.perf_counter() - start)
    milliseconds = 1000 * statistics.median(seconds[_WARM_UP:])
    return Latency(milliseconds, batch, _RUNTIMES.get(form, "torch"), torch.get_num_threads(), _processor())


def model_card(
    network: AnyNetwork, written: OpenedModel, form: str, files: list[Path], facts: CardFacts, difference: float
) -> str:
    """The text of the model card, in Markdown.

    Args:
        network: the network that was exported.
        written: the model as read from its file.
        form: format of the files.
        files: the files of the export.
        facts: facts from the run folders.
        difference: difference between the logits of both, see `zarts.exports.compare_logits`.
    """
    card = written.card
    shape = (len(card.mean), card.image_size, card.image_size)
    name = str(facts.settings.get("data", ""))
    chain = card.architecture if isinstance(card.architecture, Chain) else None
    commands = (facts.command, facts.environment.get("command"), facts.fit.get("repeat"))
    return (
        _environment()
        .get_template("README.md.j2")
        .render(
            card=card,
            form=form,
            pixels=written.pixels,
            files=[
                file.name if file.parent == files[0].parent else f"{file.parent.name}/{file.name}" for file in files
            ],
            facts=facts,
            classes=[_inert(kind) for kind in card.classes[:_LISTED]],
            said=[_inert(line) for line in (facts.fit.get("verdict"), *facts.fit.get("details", ())) if line],
            data=printable(Path(name).name),
            parameters=count_parameters(network),
            macs=count_macs(network, shape),
            latency=measure_latency(written, form),
            genotype="" if chain is not None else genotype_string(card.genotype),
            chain=chain,
            commands=[_without_folders(command) for command in commands if _is_ours(command)],
            difference=difference,
            pillow=PIL.__version__,
        )
    )


def _inert(text: object) -> str:
    """A text in which pages that show the card find no tags."""
    return html.escape(printable(text), quote=False)


def _is_ours(command: object) -> TypeGuard[str]:
    """Whether the command was given on a command line, not by a call from Python."""
    return isinstance(command, str) and command.startswith("zarts ")


def _without_folders(command: str) -> str:
    """A command without the folders of its machine: only the last part of absolute paths remains."""
    try:
        words = shlex.split(command)
    except ValueError:  # a quote that is not closed
        return command
    return shlex.join(re.sub(r"^(--[\w-]+=)?[/~].*/(?=[^/])", r"\1", word) for word in words)


def _processor() -> str:
    """The name of the processor, if the system has it."""
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
