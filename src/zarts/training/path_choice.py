"""The choice of a training's path: measured on steps of its network, cached, and kept in the run folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zarts.config import RetrainSettings
from zarts.errors import KernelError, RunError
from zarts.kernels.build import processor, sources
from zarts.networks import AnyNetwork, ChainNetwork, Network, checkpoint_cells, seeded, set_layout, use_kernels
from zarts.readers import malformed, read_json
from zarts.runs import Run
from zarts.runtime.device import idle_processors
from zarts.runtime.distributed import Ranks
from zarts.runtime.io import write_atomically
from zarts.runtime.measure import Allocations, free_bytes
from zarts.runtime.precision import Passes
from zarts.training.compute_path import (
    ComputePath,
    Cost,
    Measured,
    candidates,
    computes_in_bfloat16,
    fastest,
    precisions_of,
)
from zarts.training.model_file import ModelCard
from zarts.training.setup import draws, weight_optimizer
from zarts.training.train_step import WeightStep
from zarts.training.trainer import Callback, no_callback

__all__ = ["PATH", "fastest_path", "measured_path", "on_path", "put_on_path"]

PATH = "path.json"
"""File of a run folder: the path that was chosen, all that were measured, and the machine."""

_AUTO = ("precision", "layout", "kernels", "threads")
_SHARE = 0.05
"""Of the time of a training: what measuring may take."""

_FEW = 4
"""Images of the step that tells how much memory an image takes."""


def put_on_path(network: nn.Module, settings: RetrainSettings, callback: Callback = no_callback) -> None:
    """Let a network train with the layout and the kernels of the settings; the callback hears of their compilation.

    Raises:
        KernelError: there are no native kernels for it here.
    """
    set_layout(network, settings.layout)
    if settings.kernels == "native" and not isinstance(network, ChainNetwork):
        raise KernelError("kernels = native: there are none for networks of cells: take --kernels torch")
    if isinstance(network, ChainNetwork):
        compiling = partial(callback, {"event": "doing", "text": "compiling kernels, once on this machine"})
        use_kernels(network, settings.kernels == "native", compiling, bfloat16=settings.precision == "bf16-mixed")


def _native(
    network: nn.Module, settings: RetrainSettings, ranks: Ranks, device: torch.device, callback: Callback
) -> list[str]:
    """The precisions in which native kernels can run a network here."""
    if device.type != "cpu" or settings.compile or (ranks.count > 1 and settings.sync_batch_norm):
        return []  # they have no norm over several ranks
    found = []
    for precision in precisions_of(settings, device):
        if precision == "16-mixed":
            continue  # torch's kernels do all of it
        path = {"precision": precision, "layout": "channels-last", "kernels": "native"}
        with contextlib.suppress(KernelError):
            put_on_path(network, settings.model_copy(update=path), callback)
            found.append(precision)
    return found


def on_path(
    settings: RetrainSettings, card: ModelCard, run: Run, ranks: Ranks, device: torch.device, callback: Callback
) -> RetrainSettings:
    """The settings with the fastest path in the place of `auto`, which is that of the run if it has begun.

    Torch computes with the path's threads afterwards. Without any `auto` nothing happens. Nothing else changes: what
    is measured is a network of its own on random images, and its draws leave torch's generators as they are.

    Args:
        settings: of the run.
        card: of the network.
        run: its folder; `path.json` is written there.
        ranks: the processes of the run; the first one chooses.
        device: where the network will be.
        callback: called with a note about the choice.

    Raises:
        RunError: `path.json` of the run is damaged, or cannot be written.
    """
    if "auto" not in _asked(settings).values():
        return settings
    if ranks.lead:
        callback({"event": "doing", "text": "choosing the fastest path"})
        begun = (run.path / PATH).exists()
        found = _read(run.path / PATH) if begun else _chosen(settings, card, ranks, device, callback)
        path, note = ComputePath(**found["path"]), _note(found, begun=begun)
        callback({"event": "note", "text": note})
        if path.precision == "bf16-mixed" and not computes_in_bfloat16(device):
            text = "this processor has no instructions for bfloat16, in which the run began: steps take much longer"
            callback({"event": "note", "text": text})
        if not begun:
            run.write_json(PATH, {key: value for key, value in found.items() if key != "cached"})
            if (run.path / "env.json").exists():  # a resumed run compares its threads with these
                run.write_json("env.json", {**run.read_json("env.json"), "threads": path.threads})
    path = ComputePath(**ranks.broadcast(asdict(path) if ranks.lead else {}))
    torch.set_num_threads(path.threads)
    return path.applied(settings)


def fastest_path(
    settings: RetrainSettings, card: ModelCard, ranks: Ranks, device: torch.device, callback: Callback = no_callback
) -> ComputePath:
    """The path of settings without a run folder: from the cache, else measured; see `on_path`."""
    return ComputePath(**_chosen(settings, card, ranks, device, callback)["path"])


def measured_path(settings: RetrainSettings, card: ModelCard, device: torch.device) -> ComputePath | None:
    """As `fastest_path`, for settings whose kernels and threads are given.

    None: nothing was measured, because the time is short or there is one path only.
    """
    if len(candidates(settings, device, [], idle=1)[0]) == 1:
        return None
    found = _chosen(settings, card, Ranks(), device, no_callback)
    return ComputePath(**found["path"]) if found["measured"] else None


def _asked(settings: RetrainSettings) -> dict[str, Any]:
    return settings.model_dump(include=set(_AUTO))


def _chosen(
    settings: RetrainSettings, card: ModelCard, ranks: Ranks, device: torch.device, callback: Callback
) -> dict[str, Any]:
    """The choice as it is kept: from the cache, else measured."""
    idle = idle_processors() if settings.threads == "auto" and device.type == "cpu" else torch.get_num_threads()
    threads = candidates(settings, device, [], idle)[1]
    file = _cache(settings, card, ranks, device, threads)
    try:
        if file is not None and file.exists():
            return {**_read(file), "cached": True}
    except RunError:
        pass  # damaged: it is written anew
    before = torch.get_num_threads()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.set_num_threads(threads[0])
        try:
            steps = _Steps(settings, card, ranks, device)
            paths, _ = candidates(settings, device, _native(steps.network, settings, ranks, device, callback), idle)
            if len(paths) * len(threads) == 1 or settings.compile:  # a compiled network takes minutes for a first step
                path, measured = paths[0], list[Measured]()
            else:
                most = math.inf if settings.time is None else _SHARE * settings.time
                path, measured = fastest(paths, threads, steps, most)
        finally:
            torch.set_num_threads(before)
    found = {
        "path": asdict(path),
        "measured": [{**asdict(one.path), "seconds": one.seconds, "steps": one.steps} for one in measured],
        "images": steps.images,
        "machine": _machine(device),
    }
    if file is not None and measured:
        with contextlib.suppress(RunError):  # a cache that cannot be written is none
            write_atomically(file, json.dumps(found, indent=2) + "\n")
    return found


class _Steps:
    """Takes weight steps on random images, each on a path; every path has a network of its own.

    Args:
        settings: of the run.
        card: of the network.
        ranks: that share a batch; the steps here are on the share of one.
        device: where the network will be.
    """

    def __init__(self, settings: RetrainSettings, card: ModelCard, ranks: Ranks, device: torch.device) -> None:
        self._settings, self._card, self._device = settings, card, device
        self._made: dict[ComputePath, Callable[[], Any]] = {}
        generator = torch.Generator().manual_seed(settings.seed)
        size, wanted = card.image_size, max(2, settings.batch_size // ranks.count)
        images = torch.randn(wanted, size, size, len(card.mean), generator=generator)
        labels = torch.randint(len(card.classes), (wanted,), generator=generator)
        self._images, self._labels = images.to(device).permute(0, 3, 1, 2), labels.to(device)
        self.network = self._network()
        self.images = self._fitting(wanted)
        """Images of a step: fewer than a batch has if a step on all of them could take more than the free memory."""

    def __call__(self, path: ComputePath) -> Cost:
        """Take a step on a path."""
        torch.set_num_threads(path.threads)
        if path not in self._made:
            self._made[path] = self._step(path, self.images)
        wall, cpu = time.perf_counter(), time.process_time()
        self._made[path]()
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return Cost(time.perf_counter() - wall, time.process_time() - cpu)

    def _network(self) -> AnyNetwork:
        settings = self._settings
        own = torch.Generator(self._device).manual_seed(settings.seed)
        with seeded(settings.seed):
            network = self._card.build(auxiliary=settings.auxiliary_weight > 0, generator=own)
        checkpoint_cells(network, [own], on=settings.checkpoint_activations)
        if isinstance(network, Network):
            network.drop_path_probability = settings.drop_path
        return network.to(self._device).train()

    def _step(self, path: ComputePath, images: int) -> Callable[[], Any]:
        settings, network = path.applied(self._settings), self._network()
        put_on_path(network, settings)
        optimizer = weight_optimizer(settings, network.parameters())
        for group in optimizer.param_groups:
            group["lr"] = 0.0  # random images teach nothing, and nothing may diverge
        loss = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
        step = WeightStep(settings, network, optimizer, Ranks(), self._device, loss, lambda step, piece: None)
        passes = Passes(settings, self._device, draws=draws(self._card.architecture, settings))
        return lambda: step(passes, 0, self._images[:images], self._labels[:images])

    def _fitting(self, wanted: int) -> int:
        limit = self._settings.memory_limit
        free = limit if isinstance(limit, int) else None if limit == "none" else free_bytes(self._device)
        if free is None or wanted <= _FEW:
            return wanted
        plain = {"precision": "32-true", "layout": "channels-last", "kernels": "torch"}
        first = self._step(ComputePath(**plain, threads=torch.get_num_threads()), _FEW)
        with Allocations() as counted:
            first()
        return max(2, min(wanted, int(_FEW * free / 2 / max(1, counted.peak))))


def _note(found: Mapping[str, Any], *, begun: bool) -> str:
    """One line: the path, its time, that of the fastest one which differs in more than threads, and its origin."""
    path, measured = (
        ComputePath(**found["path"]),
        [Measured(_path(one), one["seconds"], 1) for one in found["measured"]],
    )
    origin = "as when the run began" if begun else "measured before" if found.get("cached") else "measured now"
    if not measured:
        return f"path: {path}" + (f" ({origin})" if begun else "")
    own = next((one.seconds for one in measured if one.path == path), measured[0].seconds)
    other = next((one for one in measured if one.path != path), None)
    beside = "" if other is None else f"{_difference(other.path, path)} {other.seconds:.2g}; "
    return f"path: {path}: {own:.2g} s a step ({beside}{origin})"


def _path(one: Mapping[str, Any]) -> ComputePath:
    return ComputePath(**{key: one[key] for key in _AUTO})


def _difference(path: ComputePath, chosen: ComputePath) -> str:
    """The parts of a path that differ from the chosen one's: `NCHW`, `2 threads`."""
    parts = zip(str(path).split(", "), str(chosen).split(", "), strict=False)
    return ", ".join(part for part, own in parts if part != own) or str(path)


def _cache(
    settings: RetrainSettings, card: ModelCard, ranks: Ranks, device: torch.device, threads: list[int]
) -> Path | None:
    """The file of the choice in the cache of this user, who may have none: None."""
    shape = (card.to_json(), settings.batch_size, settings.micro_batches, ranks.count)
    asked = [sorted(_asked(settings).items()), settings.checkpoint_activations, settings.memory_limit]
    more = [settings.auxiliary_weight > 0, settings.drop_path > 0, threads]
    key = repr((shape, asked, more, sources(), processor(), sorted(_machine(device).items()), str(device)))
    name = f"{hashlib.blake2b(key.encode(), digest_size=10).hexdigest()}.json"
    with contextlib.suppress(RuntimeError):  # no home folder
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zarts" / "paths" / name
    return None


def _machine(device: torch.device) -> dict[str, Any]:
    """What the fastest path depends on."""
    return {
        "processor": str(platform.processor() or platform.machine()),
        "processors": os.cpu_count(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }


def _read(file: Path) -> dict[str, Any]:
    """A choice that was kept.

    Raises:
        RunError: the file is damaged.
    """
    found = read_json(file)
    with malformed(file, "the path of a training", way_out=": start a new run"):
        path = ComputePath(**found["path"])
        known = (path.precision in ("32-true", "bf16-mixed", "16-mixed"), path.layout in ("nchw", "channels-last"))
        if not (all(known) and path.kernels in ("torch", "native") and type(path.threads) is int and path.threads > 0):
            raise ValueError(f"no such path: {path}")
        for one in found["measured"]:
            _path(one), float(one["seconds"])
    return dict(found)
