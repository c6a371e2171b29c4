"""The state of a search, and its steps: updates of alpha and weight steps in turn.

Source: ZARTS (NeurIPS 2022), supplementary 2.2 and 2.3 (Algorithm 1); DARTS (ICLR 2019), section 3.1.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from zarts.bilevel import Batch, BatchLoss, Bilevel, first_order_gradient
from zarts.config import SearchSettings, dump, resumable
from zarts.limits import Costs
from zarts.relax import Matrices
from zarts.runs import Run, genotype_file
from zarts.runtime.device import choose_device
from zarts.runtime.distributed import Ranks
from zarts.runtime.precision import Passes
from zarts.runtime.seed import keyed_generator
from zarts.searcher.early_stopping import EarlyStopping
from zarts.searcher.finalizer import Finalizer
from zarts.searcher.halves import Halves
from zarts.searcher.noise_monitor import NoiseMonitor
from zarts.searcher.phases import Phases, start_arch_optimizer
from zarts.searcher.relaxation import SearchRelaxation
from zarts.searcher.result import counts
from zarts.searcher.supernets import Supernets
from zarts.spaces import get_space
from zarts.training.metrics import Meter
from zarts.training.setup import load_images, sgd
from zarts.training.trainer import Callback, Job, Trainer

__all__ = ["Searcher"]


class Searcher(Job):
    """The state of a search, and its steps."""

    def __init__(self, settings: SearchSettings, run: Run, callback: Callback, ranks: Ranks) -> None:
        self.settings, self.run = settings, run
        self.space = get_space(settings.space)
        self.device = device = choose_device(settings.device)
        draws = "noise" in self.space.operations or settings.drop_path > 0 or max(settings.skip_dropout) > 0
        self.passes = Passes(settings, device, draws=draws)
        self.phases = Phases(settings, self.space)
        self.relaxing = SearchRelaxation(settings, self.space, self.phases)
        self.arch_optimizer = start_arch_optimizer(settings, self.phases, device)
        # After all that may refuse the settings: it takes long.
        self.data = load_images(settings, run, device, callback, ranks)
        self.costs = Costs(settings, self.space, self.data)
        self.images = Halves(settings, self.data, device)
        self.train, self.val = self.images.train(), self.images.val()
        self.noise = keyed_generator(settings.seed, "noise", device=device)
        self.supernets = Supernets(settings, self.space, self.data, device, self.noise, callback, ranks)
        self.updates, self.early_stop, self.signal = 0, EarlyStopping(settings), NoiseMonitor()
        self.trainer = Trainer(
            run,
            "search",
            {key: value for key, value in dump(settings).items() if key not in resumable(SearchSettings)},
            epochs=settings.epochs,
            steps=len(self.train),
            device=device,
            callback=callback,
            ranks=ranks,
        )
        self._start_weights(ranks)

    def _start_weights(self, ranks: Ranks) -> None:
        """Build the network of the present phase, and its problems."""
        settings = self.settings
        self.model = self.supernets.shared(self.phases.number, self.phases.present.cells)
        self.network = Bilevel(
            self.model,
            sgd(settings, self.model.parameters()),
            lambda weights, batch: self._forward(self.space.split(weights), batch),
            grad_clip=settings.grad_clip,
            generators=[self.noise, self.relaxing.draws],
            check=lambda: self.trainer.stop.check(),
            ranks=ranks,
        )
        """A function of operation weights."""
        self.problem = replace(
            self.network,
            forward=lambda alpha, batch: self._forward(self.relaxing.for_alpha(alpha), batch),
            regularizer=lambda alpha: self.costs.regularizer(self.relaxing.probabilities(alpha)),
        )
        """The same, as a function of alpha."""
        self._unchecked = replace(self.network, check=lambda: None)
        """`network` without stops, for passes after an update of alpha: a stop there could not be resumed."""
        self._restrict()

    def _restrict(self) -> None:
        """Let the network run, and the finalizer choose from, the operations of the present phase."""
        self.model.restrict(self.phases.part.mask() if self.phases.number else {})
        self.finalizer = Finalizer(
            self.settings,
            self.costs.constraints,
            self.arch_optimizer,
            self.phases,
            self.network,
            self.train,
            self.images.selection,
            self._new_network,
        )

    def _new_network(self, number: int) -> Bilevel:
        """A deep network with initial weights of its own, drawn from `number`, as a function of operation weights."""
        model = self.supernets.deep(keyed_generator(self.settings.seed, "fresh", number).initial_seed())
        return replace(
            self.network,
            model=model,
            optimizer=sgd(self.settings, model.parameters()),
            forward=lambda weights, batch: _batch_loss(self.passes(model, batch[0], self.space.split(weights)), batch),
        )

    def _forward(self, weights: Matrices, batch: Batch) -> BatchLoss:
        return _batch_loss(self.passes(self.model, batch[0], weights), batch)

    def _loss_gradient(self, batch: Batch, weights: Matrices) -> tuple[float, Matrices]:
        """The loss of a batch at operation weights, by running statistics, and its gradient in them."""
        part = self.phases.part
        flat = self.space.flatten(part.scatter(weights))
        loss, gradient = first_order_gradient(self._unchecked, flat, [batch], batch_norm="eval")
        return loss, part.gather(self.space.split(gradient))

    @override
    def begin_epoch(self, epoch: int) -> None:
        while self.phases.due(epoch):
            self._next_phase(epoch)
        pace = self.phases.pace(epoch)
        for group in self.problem.optimizer.param_groups:
            group["lr"] = pace.learning_rate
        self.relaxing.progress = pace.progress
        self.arch_optimizer.anneal(pace.annealed)
        self.model.drop.path, self.model.drop.skip = pace.drop_path, pace.skip_dropout

    def _next_phase(self, epoch: int) -> None:
        """Drop operations; with `restart`, alpha and the network start anew."""
        before = self.arch_optimizer.alpha
        alpha = self.phases.advance(before, self.costs.constraints.derive)
        if self.phases.restart:
            self.arch_optimizer = start_arch_optimizer(self.settings, self.phases, self.device)
            self._start_weights(self.problem.ranks)
        elif len(alpha) < len(before):
            self.arch_optimizer = start_arch_optimizer(self.settings, self.phases, self.device, alpha)
        self._restrict()
        self.trainer.log({"event": "phase", "epoch": epoch + 1, **self.phases.record()})

    def _updates_alpha(self, epoch: int, step: int) -> bool:
        return step % self.settings.arch_update_interval == 0 and self.phases.pace(epoch).updates_alpha

    @override
    def step_kind(self, epoch: int, step: int) -> str:
        kind = "alpha update and weight step" if self._updates_alpha(epoch, step) else "weight step"
        measured = ", eigenvalue" if self.early_stop.measures(epoch, step, len(self.train)) else ""
        return kind + self.phases.step_suffix(epoch) + measured

    @override
    def step(self, epoch: int, step: int) -> tuple[Tensor, Tensor, int]:
        global_step = epoch * len(self.train) + step
        if self.early_stop.measures(epoch, step, len(self.train)):
            with self.model.drop.off():
                self.early_stop.measure(epoch, self.problem, self.arch_optimizer.alpha, self.val)
        if self._updates_alpha(epoch, step):
            self.relaxing.draw_for("alpha", global_step)
            self._update_alpha(epoch, step, global_step)
        self.relaxing.draw_for("weights", global_step)
        batch = self.train[global_step]
        outcome = self.network.weight_step(self.space.flatten(self._train_at(batch)), batch)
        return outcome.loss, outcome.correct, len(batch[1])

    def _train_at(self, batch: Batch) -> Matrices:
        """The operation weights that the weights are trained at, on this batch."""
        point = self.arch_optimizer.training_point(self.relaxing.draws)
        return self.relaxing.for_weights(point, partial(self._loss_gradient, batch))

    def _update_alpha(self, epoch: int, step: int, global_step: int) -> None:
        """Update alpha once; if this is interrupted or fails, restore alpha's state."""
        start = time.perf_counter()
        before = self.arch_optimizer.state_dict()
        first = self.updates * self.settings.val_batches
        try:
            outcome = self.arch_optimizer.step(
                self.problem,
                [self.train[global_step + i] for i in range(self.arch_optimizer.train_batches)],
                [self.val[first + i] for i in range(self.settings.val_batches)],
            )
        except BaseException:
            self.arch_optimizer.load_state_dict(before)
            raise
        self.updates += 1
        event = {"event": "alpha_step", "epoch": epoch + 1, "step": step, "update": self.updates}
        self.trainer.log({**event, **outcome, "seconds": time.perf_counter() - start})
        if warning := self.signal.add(outcome):
            self.trainer.log({"event": "warning", "epoch": epoch + 1, "text": warning})

    @override
    def end_epoch(self, epoch: int, meter: Meter) -> None:
        genotype = self.finalizer.of_epoch(epoch + 1)
        self.trainer.log(
            {
                "event": "weight_epoch",
                "epoch": epoch + 1,
                **meter.means(),
                "learning_rate": self.phases.pace(epoch).learning_rate,
                "seconds": meter.seconds,
            }
        )
        self.run.write(genotype_file(epoch + 1), genotype.to_json())
        self.trainer.log({"event": "genotype", "epoch": epoch + 1, **counts(genotype), **self._alphas()})
        if costs := self.costs.record(genotype, self.relaxing.probabilities(self.arch_optimizer.alpha)):
            self.trainer.log({"event": "cost", "epoch": epoch + 1, **costs})
        if watched := self.early_stop.end_epoch(epoch + 1, genotype):
            self.trainer.log({"event": "eigenvalue", "epoch": epoch + 1, **watched})
        self.ended = self.early_stop.chosen is not None

    def _alphas(self) -> dict[str, dict[str, Any]]:
        """Alpha, with the entries of edges if there are some, as plain numbers; empty if nothing updates alpha."""
        if self.settings.arch_optimizer == "none" or self.settings.relaxation == "cell":
            return {}
        alpha = self.arch_optimizer.alpha
        found = {"alphas": self.phases.whole(alpha), "betas": self.phases.parameterization.edges(alpha)}
        return {name: {kind: part.tolist() for kind, part in parts.items()} for name, parts in found.items() if parts}

    @override
    def finish(self) -> None:
        """Derive the final genotype; it is that of the last epoch unless the selection evaluates candidates."""
        start = time.perf_counter()
        if self.ended:
            self.genotype = self.early_stop.genotype
            return
        selected = self.finalizer.final()
        self.genotype = selected.genotype
        if self.finalizer.evaluates:
            event = {"event": "selection", "select": self.settings.select, **counts(self.genotype)}
            self.trainer.log({**event, **selected.info, "seconds": time.perf_counter() - start})

    @override
    def state_dict(self) -> dict[str, Any]:
        return {
            "updates": self.updates,
            "phases": self.phases.state_dict(),
            "model": self.model.state_dict(),
            "optimizer": self.problem.optimizer.state_dict(),
            "arch_optimizer": self.arch_optimizer.state_dict(),
            "noise": self.noise.get_state(),
            "early_stop": self.early_stop.state_dict(),
            "signal": self.signal.state_dict(),
        }

    @override
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.updates = state["updates"]
        before = self.phases.number
        self.phases.load_state_dict(state["phases"])
        if self.phases.number != before:
            self.arch_optimizer = start_arch_optimizer(self.settings, self.phases, self.device)
            self._start_weights(self.problem.ranks)
        self.model.load_state_dict(state["model"])
        self.problem.optimizer.load_state_dict(state["optimizer"])
        self.arch_optimizer.load_state_dict(state["arch_optimizer"])
        self.noise.set_state(state["noise"].cpu())
        self.early_stop.load_state_dict(state["early_stop"])
        self.signal.load_state_dict(state["signal"])
        self.ended = self.early_stop.chosen is not None


def _batch_loss(logits: Tensor, batch: Batch) -> BatchLoss:
    logits, labels = logits.float(), batch[1]
    detached = logits.detach()
    images = F.cross_entropy(detached, labels, reduction="none")
    return BatchLoss(F.cross_entropy(logits, labels), (detached.argmax(1) == labels).sum(), images)
