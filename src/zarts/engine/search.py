"""The search: weights and architecture in turn.

Source: ZARTS (NeurIPS 2022), supplementary 2.2 and 2.3 (Algorithm 1); DARTS (ICLR 2019), section 3.1.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from zarts.bilevel import Batch, Bilevel, Outcome, first_order_gradient
from zarts.config import UNTIED, SearchSettings, dump, keywords
from zarts.engine.choice import Choice
from zarts.engine.costs import Costs
from zarts.engine.device import choose_device, torch_threads
from zarts.engine.environment import environment
from zarts.engine.halves import Halves
from zarts.engine.loop import Driver, Job, Listener, Loop
from zarts.engine.meter import Meter
from zarts.engine.passes import Passes
from zarts.engine.result import SearchResult, counts, read_result, write_result
from zarts.engine.run import Run, genotype_file
from zarts.engine.schedule import cosine
from zarts.engine.setup import load_images, sgd
from zarts.engine.supernets import Supernets
from zarts.methods import get_method, member
from zarts.ranks import Ranks
from zarts.relax import RELAXATIONS, Matrices, Moment, softmax
from zarts.seeds import keyed_generator
from zarts.spaces import get_space
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
            return _draw(settings, run, listener or (lambda event: None))
        job = _Search(settings, run, listener or (lambda event: None), ranks)
        (drive or partial(job.loop.run, resume=resume))(job)
        alphas = job.space.split(job.update.alpha)
        return write_result(settings, run, job.genotype, alphas, job.loop.seconds, job.costs.of(job.genotype))


def _draw(settings: SearchSettings, run: Run, listener: Listener) -> SearchResult:
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


class _Search(Job):
    """The state of a search, and its steps."""

    def __init__(self, settings: SearchSettings, run: Run, listener: Listener, ranks: Ranks) -> None:
        self.settings, self.run = settings, run
        self.space = get_space(settings.space)
        self.relaxations = {name: partial(f, **keywords(f, settings)) for name, f in RELAXATIONS.items()}
        self.draws, self.progress = torch.Generator(), 0.0
        self.device = device = choose_device(settings.device)
        self.passes = Passes(settings, device, draws="noise" in self.space.operations)
        alpha = 1e-3 * torch.randn(self.space.dimension, generator=keyed_generator(settings.seed, "alpha"))
        generator = keyed_generator(settings.seed, "update", device=device)
        self.update = UPDATES[member(settings.update)](settings, alpha.to(device), generator)
        self.data = load_images(settings, run, device, listener, ranks)  # after whatever may refuse the settings
        self.costs = Costs(settings, self.space, self.data)
        images = Halves(settings, self.data, device)
        self.train, self.val = images.train(), images.val()
        self.noise = keyed_generator(settings.seed, "noise", device=device)
        self.supernets = Supernets(settings, self.space, self.data, device, self.noise, listener, ranks)
        self.model = self.supernets.shared()
        self.updates = 0
        self.loop = Loop(
            run,
            "search",
            {key: value for key, value in dump(settings).items() if key not in UNTIED},
            epochs=settings.epochs,
            steps=len(self.train),
            device=device,
            listener=listener,
            ranks=ranks,
        )
        self.network = Bilevel(
            self.model,
            sgd(settings, self.model.parameters()),
            lambda weights, batch: self._forward(self.space.split(weights), batch),
            grad_clip=settings.grad_clip,
            generators=[self.noise, self.draws],
            check=lambda: self.loop.stop.check(),
            ranks=ranks,
        )
        """Its points are operation weights."""
        self.problem = replace(
            self.network,
            forward=lambda alpha, batch: self._forward(self._relax(settings.relaxation, alpha), batch),
            term=lambda alpha: self.costs.term(self._probabilities(alpha)),
        )
        """The same, but its points are alphas."""
        self.choice = Choice(
            settings, self.costs.within, self.update, self.network, self.train, images.judged, self._fresh
        )

    def _fresh(self, number: int) -> Bilevel:
        """A deep network, with weights of its own that nothing has trained; its points are operation weights."""
        model = self.supernets.deep(keyed_generator(self.settings.seed, "fresh", number).initial_seed())
        return replace(
            self.network,
            model=model,
            optimizer=sgd(self.settings, model.parameters()),
            forward=lambda weights, batch: _outcome(self.passes(model, batch[0], self.space.split(weights)), batch),
        )

    def _forward(self, weights: Matrices, batch: Batch) -> Outcome:
        return _outcome(self.passes(self.model, batch[0], weights), batch)

    def _relax(self, name: str, alpha: Tensor, coming: Batch | None = None) -> Matrices:
        moment = Moment(self.space, self.draws, self.progress)
        if coming is not None:
            moment = moment._replace(slope=partial(self._slope, coming))
        return self.relaxations[name](self.space.split(alpha), moment)

    def _probabilities(self, alpha: Tensor) -> Matrices:
        """How much of each operation alpha lets expect."""
        matrices = self.space.split(alpha)
        return matrices if self.settings.relaxation == "cell" else softmax(matrices)

    def _slope(self, batch: Batch, weights: Matrices) -> tuple[float, Matrices]:
        """The loss of a batch at operation weights, by running statistics, and its gradient in them."""
        flat = self.space.flatten(weights)
        loss, gradient = first_order_gradient(self.network, flat, [batch], batch_norm="eval")
        return loss, self.space.split(gradient)

    def _draw_for(self, purpose: str, place: int) -> None:
        """Let relaxations draw what is a function of the seed, the purpose and the place alone."""
        self.draws.set_state(keyed_generator(self.settings.seed, "draws", purpose, place).get_state())

    def _rate(self, epoch: int) -> float:
        settings = self.settings
        return cosine(settings.learning_rate, settings.learning_rate_min, epoch / settings.epochs)

    @override
    def begin_epoch(self, epoch: int) -> None:
        for group in self.problem.optimizer.param_groups:
            group["lr"] = self._rate(epoch)
        warmup, epochs = self.settings.warmup_epochs, self.settings.epochs
        self.progress = epoch / max(1, epochs - 1)
        self.update.anneal(max(0, epoch - warmup) / max(1, epochs - warmup))

    def _moves_alpha(self, epoch: int, step: int) -> bool:
        if self.settings.update == "none":
            return False
        return epoch >= self.settings.warmup_epochs and step % self.settings.alpha_every == 0

    @override
    def phase(self, epoch: int, step: int) -> str:
        return "alpha update and weight step" if self._moves_alpha(epoch, step) else "weight step"

    @override
    def step(self, epoch: int, step: int) -> tuple[Tensor, Tensor, int]:
        place = epoch * len(self.train) + step
        if self._moves_alpha(epoch, step):
            self._draw_for("alpha", place)
            self._move_alpha(epoch, step, place)
        self._draw_for("weights", place)
        batch = self.train[place]
        outcome = self.network.weight_step(self.space.flatten(self._train_at(batch)), batch)
        return outcome.loss, outcome.correct, len(batch[1])

    def _train_at(self, batch: Batch) -> Matrices:
        """The operation weights that the weights are trained at, on this batch."""
        settings = self.settings
        same = settings.weight_relaxation == "same"
        return self._relax(
            settings.relaxation if same else settings.weight_relaxation, self.update.training_point(self.draws), batch
        )

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
        genotype = self.choice.of_epoch(epoch + 1)
        self.loop.log(
            {
                "event": "weight_epoch",
                "epoch": epoch + 1,
                **meter.means(),
                "learning_rate": self._rate(epoch),
                "seconds": meter.seconds,
            }
        )
        self.run.write(genotype_file(epoch + 1), genotype.to_json())
        self.loop.log({"event": "genotype", "epoch": epoch + 1, **counts(genotype)})
        if costs := self.costs.record(genotype, self._probabilities(self.update.alpha)):
            self.loop.log({"event": "cost", "epoch": epoch + 1, **costs})

    @override
    def finish(self) -> None:
        """The final genotype; it is that of the last epoch unless the selection judges."""
        start = time.perf_counter()
        selected = self.choice.final()
        self.genotype = selected.genotype
        if self.choice.judges:
            event = {"event": "selection", "select": self.settings.select, **counts(self.genotype)}
            self.loop.log({**event, **selected.info, "seconds": time.perf_counter() - start})

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


def _outcome(logits: Tensor, batch: Batch) -> Outcome:
    logits, labels = logits.float(), batch[1]
    return Outcome(F.cross_entropy(logits, labels), (logits.detach().argmax(1) == labels).sum())
