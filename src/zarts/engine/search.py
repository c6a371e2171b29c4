"""The search: weights and architecture in turn.

Source: ZARTS (NeurIPS 2022), supplementary 2.2 and 2.3 (Algorithm 1); DARTS (ICLR 2019), section 3.1.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from zarts.bilevel import Batch, Bilevel, Outcome
from zarts.config import SearchSettings, dump
from zarts.data import Batches, DataSet, halves
from zarts.engine.device import choose_device, native_kernels, torch_threads
from zarts.engine.loop import Driver, Job, Listener, Loop
from zarts.engine.meter import Meter
from zarts.engine.passes import Passes
from zarts.engine.result import SearchResult, counts, read_result, write_result
from zarts.engine.run import Run, environment
from zarts.engine.schedule import cosine
from zarts.engine.setup import augmentation, load_images, sgd
from zarts.methods import get_method
from zarts.nets import build_supernet, native_channels, seeded
from zarts.ranks import Ranks
from zarts.relax import RELAXATIONS
from zarts.seeds import keyed_generator
from zarts.select import SELECTIONS
from zarts.spaces import Genotype, get_space
from zarts.updates import UPDATES

__all__ = ["search"]


def search(
    settings: SearchSettings,
    run: Run,
    *,
    resume: bool = False,
    listener: Listener | None = None,
    drive: Driver | None = None,
    ranks: Ranks | None = None,
) -> SearchResult:
    """Search, from the start or from the run's checkpoint, and write the results into the run folder.

    Args:
        settings: the settings.
        run: the run folder.
        resume: go on from the run's checkpoint if it has one.
        listener: hears every event.
        drive: does the job's steps in the place of its loop, as `Rehearsal.run`.
        ranks: the processes that share the candidates; alone by default.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the state is saved and the run can be resumed.
        DivergedError: no finite loss is left; the last checkpoint is intact.
        RankError: another rank is gone; the last checkpoint is intact.
        DataError, RunError, SettingsError: see their texts.
    """
    ranks = ranks or Ranks()
    if ranks.from_lead(run.finished):
        return read_result(settings, run)
    with torch_threads(settings.threads):
        if get_method(settings.method).supernet == "none":
            return _draw(settings, run)
        job = _Search(settings, run, listener or (lambda event: None), ranks)
        (drive or partial(job.loop.run, resume=resume))(job)
        alphas = job.space.split(job.update.alpha)
        return write_result(settings, run, job.derive(settings.epochs), alphas, job.loop.seconds)


def _draw(settings: SearchSettings, run: Run) -> SearchResult:
    """Method `random`: no images, no network; one draw."""
    start = time.perf_counter()
    run.write_json("env.json", environment(torch.device("cpu")))
    select = SELECTIONS[get_method(settings.method).selection]
    genotype = select(get_space(settings.space), {}, keyed_generator(settings.seed, "random"))
    return write_result(settings, run, genotype, {}, time.perf_counter() - start)


class _Search(Job):
    """The state of a search, and its steps."""

    def __init__(self, settings: SearchSettings, run: Run, listener: Listener, ranks: Ranks) -> None:
        self.settings, self.run = settings, run
        method = get_method(settings.method)
        self.space = get_space(settings.space)
        self.relax, self.select = RELAXATIONS[method.relaxation], SELECTIONS[method.selection]
        self.device = device = choose_device(settings.device)
        self.passes = Passes(settings, device, draws="noise" in self.space.operations)
        alpha = 1e-3 * torch.randn(self.space.dimension, generator=keyed_generator(settings.seed, "alpha"))
        generator = keyed_generator(settings.seed, "update", device=device)
        self.update = UPDATES[method.update](settings, alpha.to(device), generator)
        data = load_images(settings, run, device, listener, ranks)  # after whatever may refuse the settings
        self.train, self.val = self._batches(data, device)
        self.noise = keyed_generator(settings.seed, "noise", device=device)
        with ranks.in_turn():  # the first one may have to build them
            native = native_kernels(
                settings.kernels,
                device,
                self.space.skeleton,
                native_channels(settings.channels),
                lambda text: listener({"event": "note", "text": text}),
            )
        native = bool(ranks.sum(torch.tensor(float(native))) == ranks.count)  # what rounds alike, or none
        with seeded(settings.seed):
            self.model = build_supernet(
                self.space,
                channels=settings.channels,
                cells=settings.cells,
                num_classes=len(data.classes),
                in_channels=data.channels,
                stem=settings.stem,
                generator=self.noise,
                native=native,
            ).to(device)
        self.updates = 0
        self.loop = Loop(
            run,
            "search",
            {key: value for key, value in dump(settings).items() if key != "devices"},
            epochs=settings.epochs,
            steps=len(self.train),
            device=device,
            listener=listener,
            ranks=ranks,
        )
        self.problem = Bilevel(
            self.model,
            sgd(settings, self.model.parameters()),
            self._forward,
            grad_clip=settings.grad_clip,
            generators=[self.noise],
            check=lambda: self.loop.stop.check(),
            ranks=ranks,
        )

    def _batches(self, data: DataSet, device: torch.device) -> tuple[Batches, Batches]:
        """Two disjoint halves of the training images: for the weights and for alpha."""
        settings = self.settings
        augment = augmentation(settings, data, settings.cutout)
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
        logits = self.passes(self.model, images, self.relax(self.space.split(alpha))).float()
        return Outcome(F.cross_entropy(logits, labels), (logits.detach().argmax(1) == labels).sum())

    def _rate(self, epoch: int) -> float:
        settings = self.settings
        return cosine(settings.learning_rate, settings.learning_rate_min, epoch / settings.epochs)

    @override
    def begin_epoch(self, epoch: int) -> None:
        for group in self.problem.optimizer.param_groups:
            group["lr"] = self._rate(epoch)
        warmup, epochs = self.settings.warmup_epochs, self.settings.epochs
        self.update.anneal(max(0, epoch - warmup) / (epochs - warmup))

    def _moves_alpha(self, epoch: int, step: int) -> bool:
        return epoch >= self.settings.warmup_epochs and step % self.settings.alpha_every == 0

    @override
    def phase(self, epoch: int, step: int) -> str:
        return "alpha update and weight step" if self._moves_alpha(epoch, step) else "weight step"

    @override
    def step(self, epoch: int, step: int) -> tuple[Tensor, Tensor, int]:
        place = epoch * len(self.train) + step
        if self._moves_alpha(epoch, step):
            self._move_alpha(epoch, step, place)
        batch = self.train[place]
        outcome = self.problem.weight_step(self.update.alpha, batch)
        return outcome.loss, outcome.correct, len(batch[1])

    def _move_alpha(self, epoch: int, step: int, place: int) -> None:
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
        moved = {"event": "alpha_step", "epoch": epoch + 1, "step": step, "update": self.updates}
        self.loop.log({**moved, **outcome, "seconds": time.perf_counter() - start})

    @override
    def end_epoch(self, epoch: int, meter: Meter) -> None:
        genotype = self.derive(epoch + 1)
        self.loop.log(
            {
                "event": "weight_epoch",
                "epoch": epoch + 1,
                **meter.means(),
                "learning_rate": self._rate(epoch),
                "seconds": meter.seconds,
            }
        )
        self.loop.log({"event": "genotype", "epoch": epoch + 1, **counts(genotype)})
        self.run.write(f"genotypes/epoch_{epoch + 1:03d}.json", genotype.to_json())

    def derive(self, epochs: int) -> Genotype:
        """The genotype of the present alpha, after `epochs` epochs."""
        weights = self.relax(self.space.split(self.update.alpha))
        return self.select(self.space, weights, keyed_generator(self.settings.seed, "select", epochs))

    @override
    def state_dict(self) -> dict[str, Any]:
        return {
            "updates": self.updates,
            "model": self.model.state_dict(),
            "optimizer": self.problem.optimizer.state_dict(),
            "update": self.update.state_dict(),
            "noise": self.noise.get_state(),
        }

    @override
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.updates = state["updates"]
        self.model.load_state_dict(state["model"])
        self.problem.optimizer.load_state_dict(state["optimizer"])
        self.update.load_state_dict(state["update"])
        self.noise.set_state(state["noise"].cpu())
