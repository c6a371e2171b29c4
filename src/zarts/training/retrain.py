"""Training of a derived network from scratch or from given weights, and its test.

Source: DARTS (ICLR 2019), section 3.2; ZARTS (NeurIPS 2022), supplementary 2.2.
Differs: the accuracy of the last epoch is the result; the released code of ZARTS reports the best of all
    epochs on the test images.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, cast

import torch
from torch import Tensor
from typing_extensions import override

from zarts.config import RetrainSettings, dump, resumable
from zarts.config.retrain import STEPWISE
from zarts.data import ImageSet, left_out_csv, left_out_note
from zarts.errors import SettingsError
from zarts.limits import count_macs, count_parameters
from zarts.networks import Network
from zarts.readers import malformed
from zarts.runs import Run
from zarts.runs.afterwards import afterwards, on_the_way
from zarts.runtime.device import choose_device, torch_threads
from zarts.runtime.distributed import Ranks
from zarts.runtime.precision import Passes
from zarts.spaces import Architecture, Chain, named
from zarts.training.error_analysis import write_details
from zarts.training.evaluate import Answers, answers, test_batches
from zarts.training.length import Length
from zarts.training.lr_schedule import learning_rate
from zarts.training.memory_check import check_memory
from zarts.training.metrics import Meter
from zarts.training.model_file import ModelCard, save_model
from zarts.training.network_training import NetworkTraining
from zarts.training.path_choice import on_path
from zarts.training.result import RetrainRecord, read_result, write_architecture
from zarts.training.setup import draws, load_images
from zarts.training.trainer import Callback, Driver, Job, Trainer, no_callback
from zarts.training.warm_start import START, Start

__all__ = ["WEIGHT_STEP", "TrainingJob", "retrain"]

WEIGHT_STEP = "weight step"
"""The kind of all steps of a training."""

_FREE = (*resumable(RetrainSettings), "weights_from", "data")
_RESUMABLE = {key: RetrainSettings.model_fields[key].default for key in _FREE}
"""Settings that may change when a run is resumed, with the value that replaces them in its identity."""

_PROVISIONAL = 100
"""Least number of steps of a training with a time, until a few steps tell how many fit."""


def retrain(
    settings: RetrainSettings,
    architecture: Architecture,
    run: Run,
    *,
    start: Start | None = None,
    resume: bool = False,
    callback: Callback | None = None,
    drive: Driver | None = None,
    ranks: Ranks | None = None,
    begun: float | None = None,
) -> RetrainRecord:
    """Train the network of `architecture` on all training images, and test it.

    Args:
        settings: the recipe.
        architecture: the cells of the network, or its chain, whose stem may get a smaller stride (`Chain.for_images`).
        run: the run folder; its `split.json`, if it has one, lists the test images.
        start: the weights to start from; None: random weights.
        resume: continue from the run's checkpoint if there is one.
        callback: called with every event: the logged events, and `step` after each weight step.
        drive: does the job's steps in place of its loop, like `DryRun.run`.
        ranks: the processes that train together; by default one.
        begun: when the command began, by `time.perf_counter`, for the setting `time`; None: now.

    Raises:
        Interrupted, DivergedError, DataError, RunError, SettingsError: see their texts.
    """
    ranks, begun = ranks or Ranks(), time.perf_counter() if begun is None else begun
    if ranks.broadcast(ranks.lead and run.finished):
        if ranks.lead and callback is not None and not (run.path / "test.json").exists():  # killed just before
            again = f"zarts evaluate {shlex.quote(str(run.path))}"
            callback({"event": "warning", "text": f"its error analysis is missing: `{again}` makes up for it"})
        return ranks.broadcast(read_result(run) if ranks.lead else cast(RetrainRecord, None))
    with torch_threads(settings.threads):
        job = TrainingJob(settings, architecture, run, start, callback or no_callback, ranks, begun)
        job.fit = check_memory(job, settings, ranks, always=drive is not None)
        if drive is None:
            job.run(resume=resume)
        else:
            drive(job)
        if ranks.lead:
            with on_the_way("its result was not written", job.again):
                job.write_result()
    return ranks.broadcast(read_result(run) if ranks.lead else cast(RetrainRecord, None))


class TrainingJob(Job):
    """The training of one network: its state and its steps."""

    def __init__(
        self,
        settings: RetrainSettings,
        architecture: Architecture,
        run: Run,
        start: Start | None,
        callback: Callback,
        ranks: Ranks,
        begun: float,
    ) -> None:
        self.folder, self.ranks, self.device = run, ranks, choose_device(settings.device)
        self.again = f"zarts retrain --resume {shlex.quote(str(run.path))}"
        data = load_images(settings, run, self.device, callback, ranks)
        size = data.image_size
        mean, std = self._normalisation() or (data.mean, data.std)
        if len(mean) != data.channels:
            raise SettingsError(
                f"weights_from: its network needs images of {len(mean)} channels, these have {data.channels}: take "
                "other --data"
            )
        if isinstance(architecture, Chain) and settings.stem_stride is None:
            architecture = architecture.for_images(size)
        form = (settings.channels, settings.cells, settings.stem)
        self.card = ModelCard(architecture, *form, data.classes, size, mean, std, settings.crop, data.bits)
        self.settings = settings = on_path(settings, self.card, run, ranks, self.device, callback)
        self.passes = Passes(settings, self.device, draws=draws(architecture, settings))
        self.core = NetworkTraining(settings, self.card, data, None, ranks, self.device, start)
        self.network, self.train = self.core.network, self.core.batches
        test = data.test()
        self.test, self.test_names = test_batches(test, self.card, self.device), test.names
        self.last: Answers | None = None
        if isinstance(test, ImageSet) and test.left_out:
            callback({"event": "note", "text": left_out_note(data.name, test.left_out)[0]})
            run.write("left_out.csv", left_out_csv([*data.left_out, *test.left_out]))
        write_architecture(run, architecture)
        epochs = settings.epochs if settings.time is None else -(-_PROVISIONAL // len(self.train))
        self.trainer = Trainer(
            run,
            "retrain",
            {**dump(settings), **_RESUMABLE, **named(architecture)},
            epochs=epochs,
            steps=len(self.train),
            device=self.device,
            callback=callback,
            ranks=ranks,
        )
        self.length = Length(settings, run, epochs * len(self.train), len(self.test) / ranks.count, ranks, begun)
        self._callback = callback

    def run(self, *, resume: bool = False) -> None:
        """Train the network, and test it.

        Raises:
            Interrupted, RankError, RunError: see `Trainer.running`.
            DivergedError: the loss or its gradient is not finite; the last checkpoint is intact.
        """
        with self.trainer.running(self, resume=resume):
            for epoch in self.trainer.epochs():
                self.begin_epoch(epoch)
                for step in self.trainer.steps():
                    self.trainer.count(*self.step(epoch, step))
                self.end_epoch(epoch, self.trainer.meter)
            self.finish()

    def _normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Mean and standard deviation by channel that belong to the weights of the start; None: there are none."""
        known = self.folder.read_json(START) if self.ranks.lead and (self.folder.path / START).exists() else None
        known = self.ranks.broadcast(known)
        if known is None:
            return None
        with malformed(self.folder.path / START, "the start of a retraining"):
            return tuple(map(float, known["mean"])), tuple(map(float, known["std"]))

    @override
    def begin_epoch(self, epoch: int) -> None:
        self.core.rate = self._rate(epoch * len(self.train) + max(0, self.trainer.step - 1))
        self.network.train()

    @override
    def step_kind(self, epoch: int, step: int) -> str:
        return WEIGHT_STEP

    @override
    def step(self, epoch: int, step: int) -> tuple[Tensor, Tensor, int]:
        global_step = epoch * len(self.train) + step
        if not self.trainer.is_muted:  # the memory check takes steps, muted
            self._correct_length(global_step)
        self.core.rate = self._rate(global_step)
        if isinstance(self.network, Network):
            self.network.drop_path_probability = self.settings.drop_path * epoch / self.trainer.epochs_in_all
        with self.trainer.meter.waiting():
            images, labels = self.core.batch(global_step, self.length.progress(global_step))
        return *self.core.step(self.passes, global_step, images, labels), len(labels)

    def _correct_length(self, global_step: int) -> None:
        """Let the training end where its time is over, as far as that is known before a step."""
        if self.length.measures_test(global_step):
            self.length.test_seconds = self._test_batch_seconds()
        if self.length.correct(global_step):
            self.trainer.end_after(self.length.steps)
            if self.length.planned:
                about = f"{self.length.planned}, {self.length.steps / len(self.train):.1f} epochs"
                self._callback({"event": "note", "text": about})

    def _rate(self, global_step: int) -> float:
        """The learning rate of a step."""
        if self.settings.schedule in STEPWISE:
            return self.length.rate(global_step)
        return learning_rate(self.settings, global_step // len(self.train))

    @override
    def epoch_end_kind(self, epoch: int) -> str:
        return "test at the end of an epoch" if self._tests(epoch) else "end of an epoch"

    @override
    def end_epoch(self, epoch: int, meter: Meter) -> None:
        tested = {}
        if self._tests(epoch):
            start = time.perf_counter()
            if epoch + 1 == self.trainer.epochs_in_all and not self.trainer.is_muted:
                self.trainer.save(self)  # whatever becomes of the test, the training is kept
                self.trainer.doing("testing")
            found = self._test()
            tested["test_accuracy"] = found.accuracy
            self.last = found if epoch + 1 == self.trainer.epochs_in_all else None
            meter.seconds += time.perf_counter() - start
        self.trainer.log(
            {
                "event": "train_epoch",
                "epoch": epoch + 1,
                **meter.means(),
                **tested,
                "learning_rate": self.core.rate,
                "data_wait": meter.data_wait,
                "seconds": meter.seconds,
            }
        )

    @torch.no_grad()
    def _test_batch_seconds(self) -> float:
        """Seconds that a batch takes in the test, its images included; the second pass, the first prepares it."""
        self.network.eval()
        for _ in range(2):
            start = time.perf_counter()
            self.passes(self.network, self.test[0][0])
        self.network.train()
        return time.perf_counter() - start

    def _test(self) -> Answers:
        self.ranks.align([*self.core.tested.buffers()])  # without synchronised batch norm each rank has its own
        alone = self.ranks.count == 1  # else the launcher has the error of the rank that fails
        with on_the_way("the network was not tested", self.again) if alone else nullcontext():
            return answers(self.core.tested, self.test, self.passes, self.ranks)

    def _tests(self, epoch: int) -> bool:
        """Whether the network is tested after this epoch: every `test_every` epochs, and always after the last one."""
        every = self.settings.test_every
        return (every > 0 and (epoch + 1) % every == 0) or epoch + 1 == self.trainer.epochs_in_all

    @override
    def finish(self) -> None:
        """Test the network of the last epoch, which is the result, if it has ended early or its answers are lost."""
        self.last = self._test() if self.trainer.ended or self.last is None else self.last
        if self.trainer.ended:
            accuracy = self.last.accuracy
            self.trainer.log({"event": "test", "epoch": self.trainer.epochs_done, "test_accuracy": accuracy})

    def write_result(self) -> None:
        """Write `model.safetensors` and `result.json`, which ends the run; then the error analysis."""
        save_model(self.folder.path / "model.safetensors", self.core.tested, self.card)
        tests = {event["epoch"]: event["test_accuracy"] for event in self.folder.events() if "test_accuracy" in event}
        best = max(tests, key=lambda epoch: tests[epoch])
        shape = (len(self.card.mean), self.card.image_size, self.card.image_size)
        self.folder.write_json(
            "result.json",
            {
                "command": "retrain",
                "data": self.settings.data,
                **named(self.card.architecture),
                "test_accuracy": tests[self.trainer.epochs_done],
                "best_epoch": best,
                "best_test_accuracy_selected_on_test": tests[best],
                "parameters": count_parameters(self.network),
                "macs": count_macs(self.network, shape),
                "seconds": self.trainer.seconds,
            },
        )
        again = f"zarts evaluate {shlex.quote(str(self.folder.path))}"
        with afterwards("its error analysis is missing", again, self.trainer.log):
            assert self.last is not None
            write_details(self.folder, self.last, self.test, self.card, self.test_names)

    @override
    def state_dict(self) -> dict[str, Any]:
        return {**self.core.state_dict(), "length": self.length.state_dict()}

    @override
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.core.load_state_dict(state)
        if self.settings.time is not None:
            self.length.load_state_dict(state["length"])
            self.trainer.end_after(self.length.steps)
