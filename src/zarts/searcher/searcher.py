"""The search: updates of alpha and steps of the supernet's weights in turn, and the genotype that they end with.

Source: ZARTS (NeurIPS 2022), supplementary 2.2 and 2.3 (Algorithm 1); DARTS (ICLR 2019), section 3.1.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor
from typing_extensions import override

from zarts.arch_optim import ArchOptimizer
from zarts.bilevel import Batch, Bilevel, Objective, first_order_gradient, never_stop
from zarts.config import SearchSettings
from zarts.limits import Costs
from zarts.relax import Matrices
from zarts.runs import Run, genotype_file
from zarts.runtime.distributed import Ranks
from zarts.searcher.early_stopping import EarlyStopping
from zarts.searcher.finalizer import Finalizer
from zarts.searcher.halves import Halves
from zarts.searcher.noise_monitor import NoiseMonitor
from zarts.searcher.phases import Phases, start_arch_optimizer
from zarts.searcher.relaxation import SearchRelaxation
from zarts.searcher.result import SearchRecord, counts, write_result
from zarts.searcher.supernet_loss import SupernetLoss
from zarts.searcher.supernets import Supernets
from zarts.training.criterion import Criterion
from zarts.training.metrics import Meter
from zarts.training.setup import weight_optimizer
from zarts.training.trainer import Job, Trainer

__all__ = ["Searcher"]


class Searcher(Job):
    """A search in a run folder. `build_searcher` makes its parts from settings.

    Args:
        settings: the settings.
        folder: the run folder.
        trainer: the loop, which the retraining shares.
        images: batches of the two halves of the training images.
        phases: the operations that are left, and the schedules of an epoch.
        relaxation: from alpha to operation weights.
        arch_optimizer: owns alpha and updates it.
        supernets: makes the network whose weights all architectures share.
        passes: runs a network on a batch.
        criterion: the loss that trains weights.
        objective: what candidates are compared by; None: the criterion.
        costs: of the networks that a genotype stands for, and the limits.
        ranks: the processes that share the candidates.
    """

    def __init__(
        self,
        settings: SearchSettings,
        folder: Run,
        *,
        trainer: Trainer,
        images: Halves,
        phases: Phases,
        relaxation: SearchRelaxation,
        arch_optimizer: ArchOptimizer,
        supernets: Supernets,
        passes: Callable[..., Any],
        criterion: Criterion,
        objective: Objective | None,
        costs: Costs,
        ranks: Ranks,
    ) -> None:
        self.settings, self.folder, self.trainer, self.ranks = settings, folder, trainer, ranks
        self.images, self.train, self.val, self.device = images, images.train, images.val, supernets.device
        self.phases, self.relaxation, self.arch_optimizer = phases, relaxation, arch_optimizer
        self.supernets, self.costs, self._passes = supernets, costs, passes
        self.criterion, self.objective = criterion, objective
        self.updates = 0
        """How often alpha has been updated."""
        self.early_stopping, self.noise_monitor = EarlyStopping(settings), NoiseMonitor()
        self._start_supernet()

    def run(self, *, resume: bool = False) -> SearchRecord:
        """Search, and write the result into the run folder.

        Args:
            resume: go on from the run's checkpoint if it has one.

        Raises:
            Interrupted: Ctrl-C or SIGTERM; the state is saved and the run can be resumed.
            DivergedError: no loss is finite; the last checkpoint is intact.
            RankError: another rank is gone; the last checkpoint is intact.
            RunError: see `Trainer.running`.
        """
        with self.trainer.running(self, resume=resume):
            for epoch in self.trainer.epochs():
                self.begin_epoch(epoch)
                for step in self.trainer.steps():
                    self.trainer.count(*self.step(epoch, step))
                self.end_epoch(epoch, self.trainer.meter)
            self.finish()
        return self.write_result()

    @override
    def step(self, epoch: int, step: int) -> tuple[Tensor, Tensor, int]:
        global_step = epoch * len(self.train) + step
        if self.early_stopping.measures(epoch, step, len(self.train)):
            with self.supernet.drop.off():
                self.early_stopping.measure(epoch, self.problem, self.arch_optimizer.alpha, self.val)
        if self._updates_alpha(epoch, step):
            self._update_alpha(epoch, step, global_step)
        return self._train_weights(global_step)

    def _update_alpha(self, epoch: int, step: int, global_step: int) -> None:
        """Update alpha once; if this is interrupted or fails, restore alpha's state."""
        start = time.perf_counter()
        self.relaxation.draw_for("alpha", global_step)
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
        if warning := self.noise_monitor.add(outcome):
            self.trainer.log({"event": "warning", "epoch": epoch + 1, "text": warning})

    def _train_weights(self, global_step: int) -> tuple[Tensor, Tensor, int]:
        """Take one step of the supernet's weights on the next batch; its loss, right answers and number of images."""
        self.relaxation.draw_for("weights", global_step)
        batch = self.train[global_step]
        point = self.arch_optimizer.training_point(self.relaxation.draws)
        weights = self.relaxation.for_weights(point, partial(self._loss_gradient, batch))
        outcome = self.shared.weight_step(self.phases.space.flatten(weights), batch)
        return outcome.loss, outcome.correct, len(batch[1])

    def _loss_gradient(self, batch: Batch, weights: Matrices) -> tuple[float, Matrices]:
        """The loss of a batch at operation weights, by running statistics, and its gradient in them."""
        space, part = self.phases.space, self.phases.part
        flat = space.flatten(part.scatter(weights))
        loss, gradient = first_order_gradient(self._unstoppable, flat, [batch], batch_norm="eval")
        return loss, part.gather(space.split(gradient))

    @override
    def begin_epoch(self, epoch: int) -> None:
        while self.phases.due(epoch):
            self._next_phase(epoch)
        pace = self.phases.pace(epoch)
        for group in self.problem.optimizer.param_groups:
            group["lr"] = pace.learning_rate
        self.relaxation.progress, self.relaxation.elapsed = pace.progress, pace.elapsed
        self.arch_optimizer.anneal(pace.annealed)
        self.supernet.drop.path, self.supernet.drop.skip = pace.drop_path, pace.skip_dropout

    def _next_phase(self, epoch: int) -> None:
        """Drop operations; with `restart`, alpha and the network start anew."""
        before = self.arch_optimizer.alpha
        alpha = self.phases.advance(before, self.costs.constraints.derive)
        if self.phases.restart:
            self.arch_optimizer = start_arch_optimizer(self.settings, self.phases, self.device)
            self._start_supernet()
        elif len(alpha) < len(before):
            self.arch_optimizer = start_arch_optimizer(self.settings, self.phases, self.device, alpha)
        self._restrict()
        self.trainer.log({"event": "phase", "epoch": epoch + 1, **self.phases.record()})

    def _start_supernet(self) -> None:
        """Build the supernet of the present phase, with the optimizer of its weights."""
        self.supernet = self.supernets.shared(self.phases.number, self.phases.present.cells)
        self.loss = SupernetLoss(
            self.supernet, self._passes, self.criterion, self.phases.space, self.relaxation, self.costs
        )
        self.shared = Bilevel(
            self.supernet,
            weight_optimizer(self.settings, self.supernet.parameters()),
            self.loss.at_weights,
            grad_clip=self.settings.grad_clip,
            generators=[self.supernets.noise, self.relaxation.draws],
            check=self.trainer.check_stop,
            ranks=self.ranks,
            objective=self.objective,
        )
        """The shared weights, under an architecture given by operation weights."""
        regularizer = self.loss.regularizer if self.costs.regularizes else None
        self.problem = replace(self.shared, forward=self.loss.at_alpha, regularizer=regularizer)
        """The shared weights, under an architecture given by alpha."""
        self._unstoppable = replace(self.shared, check=never_stop, objective=None)
        """The loss of `shared`, for passes after an update of alpha: a search that stopped there could not resume."""
        self._restrict()

    def _restrict(self) -> None:
        """Let the supernet run, and the finalizer choose from, the operations of the present phase."""
        self.supernet.restrict(self.phases.part.mask() if self.phases.number else {})
        self.finalizer = Finalizer(
            self.settings,
            self.costs.constraints,
            self.arch_optimizer,
            self.phases,
            self.shared,
            self.images,
            self.new_network,
        )

    def new_network(self, number: int) -> Bilevel:
        """A deep network with initial weights of its own, drawn from `number`, as a function of operation weights."""
        network = self.supernets.deep(number)
        loss = SupernetLoss(network, self._passes, self.criterion, self.phases.space, self.relaxation, self.costs)
        optimizer = weight_optimizer(self.settings, network.parameters())
        return replace(self.shared, model=network, optimizer=optimizer, forward=loss.at_weights)

    @property
    def passes(self) -> Callable[..., Any]:
        """Runs a network on a batch; what measures a search puts a stub in its place."""
        return self._passes

    @passes.setter
    def passes(self, passes: Callable[..., Any]) -> None:
        self._passes = self.loss.passes = passes

    def _updates_alpha(self, epoch: int, step: int) -> bool:
        return step % self.settings.arch_update_interval == 0 and self.phases.pace(epoch).updates_alpha

    @override
    def step_kind(self, epoch: int, step: int) -> str:
        kind = "alpha update and weight step" if self._updates_alpha(epoch, step) else "weight step"
        measured = ", eigenvalue" if self.early_stopping.measures(epoch, step, len(self.train)) else ""
        return kind + self.phases.step_suffix(epoch) + measured

    @override
    def end_epoch(self, epoch: int, meter: Meter) -> None:
        genotype = self.finalizer.of_epoch(epoch + 1)
        rate = self.phases.pace(epoch).learning_rate
        weights = {**meter.means(), "learning_rate": rate, "seconds": meter.seconds}
        self.trainer.log({"event": "weight_epoch", "epoch": epoch + 1, **weights})
        self.folder.write(genotype_file(epoch + 1), genotype.to_json())
        self.trainer.log({"event": "genotype", "epoch": epoch + 1, **counts(genotype), **self._alphas()})
        if self.costs.counted:
            costs = self.costs.record(genotype, self.relaxation.probabilities(self.arch_optimizer.alpha))
            self.trainer.log({"event": "cost", "epoch": epoch + 1, **costs})
        if watched := self.early_stopping.end_epoch(epoch + 1, genotype):
            self.trainer.log({"event": "eigenvalue", "epoch": epoch + 1, **watched})
        self.trainer.ended = self.early_stopping.chosen is not None

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
        if self.early_stopping.chosen is not None:
            self.genotype = self.early_stopping.genotype
            return
        if self.finalizer.evaluates:
            self.trainer.doing("choosing the cells")
        selected = self.finalizer.final()
        self.genotype = selected.genotype
        if self.finalizer.evaluates:
            event = {"event": "selection", "select": self.settings.select, **counts(self.genotype)}
            self.trainer.log({**event, **selected.info, "seconds": time.perf_counter() - start})

    def write_result(self) -> SearchRecord:
        """Write the result into the run folder, which marks it as finished."""
        alpha = self.arch_optimizer.alpha
        return write_result(
            self.settings,
            self.folder,
            self.genotype,
            self.phases.whole(alpha),
            self.trainer.seconds,
            self.costs.of(self.genotype),
            self.phases.parameterization.edges(alpha),
        )

    @override
    def state_dict(self) -> dict[str, Any]:
        return {
            "updates": self.updates,
            "phases": self.phases.state_dict(),
            "model": self.supernet.state_dict(),
            "optimizer": self.problem.optimizer.state_dict(),
            "arch_optimizer": self.arch_optimizer.state_dict(),
            "noise": self.supernets.noise.get_state(),
            "early_stop": self.early_stopping.state_dict(),
            "signal": self.noise_monitor.state_dict(),
        }

    @override
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.updates = state["updates"]
        before = self.phases.number
        self.phases.load_state_dict(state["phases"])
        if self.phases.number != before:
            self.arch_optimizer = start_arch_optimizer(self.settings, self.phases, self.device)
            self._start_supernet()
        self.supernet.load_state_dict(state["model"])
        self.problem.optimizer.load_state_dict(state["optimizer"])
        self.arch_optimizer.load_state_dict(state["arch_optimizer"])
        self.supernets.noise.set_state(state["noise"].cpu())
        self.early_stopping.load_state_dict(state["early_stop"])
        self.noise_monitor.load_state_dict(state["signal"])
        self.trainer.ended = self.early_stopping.chosen is not None
