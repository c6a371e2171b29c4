"""The search loop: weights and architecture in turn, resumable at every step.

Source: ZARTS (NeurIPS 2022), supplementary 2.2 and 2.3 (Algorithm 1); DARTS (ICLR 2019), section 3.1.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from zarts.bilevel import Batch, Bilevel, Outcome
from zarts.config import SearchSettings, dump
from zarts.data import Augment, Batches, DataSet, halves, load_data
from zarts.engine.device import choose_device, torch_threads
from zarts.engine.meter import Meter
from zarts.engine.result import SearchResult, counts, read_result, write_result
from zarts.engine.run import Run, environment
from zarts.engine.schedule import cosine
from zarts.engine.stop import stop_request
from zarts.errors import Interrupted
from zarts.methods import get_method
from zarts.nets import SuperNet, seeded
from zarts.relax import RELAXATIONS
from zarts.seeds import keyed_generator
from zarts.select import SELECTIONS
from zarts.spaces import Genotype, get_space
from zarts.updates import UPDATES

__all__ = ["Listener", "SearchResult", "search"]

Listener = Callable[[Mapping[str, Any]], None]
"""Hears every event; beside the logged ones also `step`, after each weight step."""


def search(
    settings: SearchSettings, run: Run, *, resume: bool = False, listener: Listener | None = None
) -> SearchResult:
    """Search, from the start or from the run's checkpoint, and write the results into the run folder.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the state is saved and the run can be resumed.
        DivergedError: no finite loss is left; the last checkpoint is intact.
        DataError, RunError, SettingsError: see their texts.
    """
    if run.finished:
        return read_result(settings, run)
    with torch_threads(settings.threads):
        method = get_method(settings.method)
        if method.supernet == "none":
            return _draw(settings, run)
        loop = _Search(settings, run, listener or _ignore)
        if resume and run.started:
            loop.restore()
        return loop.run()


def _ignore(event: Mapping[str, Any]) -> None:
    pass


def _draw(settings: SearchSettings, run: Run) -> SearchResult:
    """Method `random`: no images, no network; one draw."""
    start = time.perf_counter()
    run.write_json("env.json", environment(torch.device("cpu")))
    genotype = SELECTIONS["random"](get_space(settings.space), {}, keyed_generator(settings.seed, "random"))
    return write_result(settings, run, genotype, {}, time.perf_counter() - start)


class _Search:
    """The state of a search, and its loop."""

    def __init__(self, settings: SearchSettings, run: Run, listener: Listener) -> None:
        self.settings, self.run_folder, self.listener = settings, run, listener
        self.method = get_method(settings.method)
        self.space = get_space(settings.space)
        self.relax = RELAXATIONS[self.method.relaxation]
        device = choose_device(settings.device)
        data = load_data(
            settings.data,
            image_size=settings.image_size,
            subset=settings.subset,
            seed=settings.split_seed,
            data_dir=settings.data_dir,
            manifest=run.split(),
        )
        for note in data.notes:
            listener({"event": "note", "text": note})
        self.train, self.val = self._batches(data, device)
        noise = keyed_generator(settings.seed, "noise", device=device)
        with seeded(settings.seed):
            self.model = SuperNet(
                self.space,
                channels=settings.channels,
                cells=settings.cells,
                num_classes=len(data.classes),
                in_channels=data.channels,
                stem=settings.stem,
                generator=noise,
            ).to(device)
        alpha = 1e-3 * torch.randn(self.space.dimension, generator=keyed_generator(settings.seed, "alpha"))
        update = keyed_generator(settings.seed, "update", device=device)
        self.update = UPDATES[self.method.update](settings, alpha.to(device), update)
        self.problem = Bilevel(
            self.model,
            torch.optim.SGD(
                self.model.parameters(),
                lr=settings.learning_rate,
                momentum=settings.momentum,
                weight_decay=settings.weight_decay,
            ),
            self._forward,
            grad_clip=settings.grad_clip,
            generators=[noise],
        )
        self.device, self.noise = device, noise
        self.epoch = self.step = self.updates = 0
        self.meter = Meter(device)
        self.seconds = 0.0  # of the epochs that are done
        if run.split() is None:
            run.write_json("env.json", environment(device))
            run.write_json("split.json", data.manifest)

    def _batches(self, data: DataSet, device: torch.device) -> tuple[Batches, Batches]:
        """Two disjoint halves of the training images: for the weights and for alpha."""
        settings = self.settings
        padding = data.image_size // 8 if settings.crop_padding is None else settings.crop_padding
        flip = data.flip if settings.flip is None else settings.flip
        augment = Augment(crop_padding=padding, flip=flip, cutout=settings.cutout)
        weights_half, alpha_half = halves(data.train.labels, settings.seed)

        def batches(indices: Tensor, name: str) -> Batches:
            return Batches(
                data.train,
                indices,
                batch_size=settings.batch_size,
                seed=settings.seed,
                stream=name,
                mean=data.mean,
                std=data.std,
                augment=augment,
                device=device,
            )

        return batches(weights_half, "train"), batches(alpha_half, "val")

    def _forward(self, alpha: Tensor, batch: Batch) -> Outcome:
        images, labels = batch
        logits = self.model(images, self.relax(self.space.split(alpha)))
        return Outcome(F.cross_entropy(logits, labels), (logits.detach().argmax(1) == labels).sum())

    def run(self) -> SearchResult:
        """Go on until the last epoch is done."""
        with stop_request(self.run_folder.way_on("search")) as stop:
            self.problem.check = stop.check
            if self.epoch == 0 and self.step == 0:
                self._save()
            while self.epoch < self.settings.epochs:
                try:
                    self._epoch()
                except Interrupted:
                    self._save()
                    raise
        return write_result(
            self.settings, self.run_folder, self._derive(), self.space.split(self.update.alpha), self.seconds
        )

    def _epoch(self) -> None:
        """The rest of an epoch, from the present step on."""
        settings = self.settings
        rate = cosine(settings.learning_rate, settings.learning_rate_min, self.epoch / settings.epochs)
        for group in self.problem.optimizer.param_groups:
            group["lr"] = rate
        searching = self.epoch >= settings.warmup_epochs
        if searching:
            self.update.anneal((self.epoch - settings.warmup_epochs) / (settings.epochs - settings.warmup_epochs))
        while self.step < len(self.train):
            self.problem.check()
            start = time.perf_counter()
            place = self.epoch * len(self.train) + self.step
            if searching and self.step % settings.alpha_every == 0:
                self._alpha_step(place)
            batch = self.train[place]
            outcome = self.problem.weight_step(self.update.alpha, batch)
            self.meter.add(outcome.loss, outcome.correct, len(batch[1]), time.perf_counter() - start)
            self.step += 1
            self.listener(
                {
                    "event": "step",
                    "epoch": self.epoch + 1,
                    "step": self.step,
                    "steps": len(self.train),
                    "epochs": self.settings.epochs,
                    **self.meter.means(),
                }
            )
        self._end_epoch(rate)

    def _alpha_step(self, place: int) -> None:
        """One move of alpha; when it is interrupted or fails, alpha's state is as before."""
        start = time.perf_counter()
        before = self.update.state_dict()
        first = self.updates * self.settings.val_batches
        try:
            outcome = self.update.step(
                self.problem,
                [self.train[place + i] for i in range(self.update.train_batches)],
                [self.val[first + i] for i in range(self.settings.val_batches)],
            )
        except BaseException:
            self.update.load_state_dict(before)
            raise
        self.updates += 1
        self._log(
            {
                "event": "alpha_step",
                "epoch": self.epoch + 1,
                "step": self.step,
                "update": self.updates,
                **outcome,
                "seconds": time.perf_counter() - start,
            }
        )

    def _end_epoch(self, rate: float) -> None:
        genotype = self._derive()
        self.epoch += 1
        self._log(
            {
                "event": "weight_epoch",
                "epoch": self.epoch,
                **self.meter.means(),
                "learning_rate": rate,
                "seconds": self.meter.seconds,
            }
        )
        self._log({"event": "genotype", "epoch": self.epoch, **counts(genotype)})
        self.run_folder.write(f"genotypes/epoch_{self.epoch:03d}.json", genotype.to_json())
        self.seconds += self.meter.seconds
        self.step, self.meter = 0, Meter(self.device)
        self._save()

    def _derive(self) -> Genotype:
        weights = self.relax(self.space.split(self.update.alpha))
        return SELECTIONS[self.method.selection](
            self.space, weights, keyed_generator(self.settings.seed, "select", self.epoch)
        )

    def _log(self, event: dict[str, Any]) -> None:
        self.run_folder.log(event)
        self.listener(event)

    def _save(self) -> None:
        self.run_folder.save(
            {
                "epoch": self.epoch,
                "step": self.step,
                "updates": self.updates,
                "seconds": self.seconds,
                "meter": self.meter.state_dict(),
                "model": self.model.state_dict(),
                "optimizer": self.problem.optimizer.state_dict(),
                "update": self.update.state_dict(),
                "noise": self.noise.get_state(),
            },
            dump(self.settings),
        )

    def restore(self) -> None:
        """Go on from the run's checkpoint."""
        state = self.run_folder.restore(dump(self.settings), self.device)
        for name in ("epoch", "step", "updates", "seconds"):
            setattr(self, name, state[name])
        self.meter.load_state_dict(state["meter"])
        self.model.load_state_dict(state["model"])
        self.problem.optimizer.load_state_dict(state["optimizer"])
        self.update.load_state_dict(state["update"])
        self.noise.set_state(state["noise"].cpu())
