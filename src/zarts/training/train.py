"""Training a found network from scratch and testing it.

Source: DARTS (ICLR 2019), section 3.2; ZARTS (NeurIPS 2022), supplementary 2.2.
Differs: the accuracy of the last epoch is the result; the released code of ZARTS reports the best of all
    epochs on the test images.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zarts.config import RetrainSettings, dump
from zarts.data import Augment, Batches, load_data
from zarts.engine import Listener, Meter, Run, choose_device, cosine, environment, stop_request, torch_threads
from zarts.errors import DivergedError, Interrupted, RunError
from zarts.nets import Network, count_mult_adds, count_parameters, seeded
from zarts.seeds import keyed_generator
from zarts.spaces import Genotype
from zarts.training.evaluate import accuracy, test_batches
from zarts.training.model import ModelCard, load_model, save_model

__all__ = ["RetrainResult", "retrain"]


@dataclass(frozen=True)
class RetrainResult:
    """What training a network came to.

    Args:
        genotype: its cells.
        test_accuracy: of the last epoch, in percent.
        parameters: number of parameters, without the auxiliary head.
        mult_adds: multiply-adds for one image.
        history: all logged events, in order.
        run: the run folder; the network is its `model.safetensors`.
        seconds: wall time of training and testing, over all resumptions.
    """

    genotype: Genotype
    test_accuracy: float
    parameters: int
    mult_adds: int
    history: list[dict[str, Any]]
    run: Path
    seconds: float

    def load(self) -> Network:
        """The trained network, in evaluation mode."""
        return load_model(self.run / "model.safetensors")[0]


def retrain(
    settings: RetrainSettings,
    genotype: Genotype,
    run: Run,
    *,
    resume: bool = False,
    listener: Listener | None = None,
) -> RetrainResult:
    """Train the network of `genotype` on all training images, and test it.

    Args:
        settings: the recipe.
        genotype: its cells.
        run: the folder that all is written to; its `split.json`, if there is one, says which images are
            for testing.
        resume: go on from the run's checkpoint if it has one.
        listener: hears every event; beside the logged ones also `step`, after each weight step.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the state is saved and the run can be resumed.
        DivergedError: the loss is not finite; the last checkpoint is intact.
        DataError, RunError, SettingsError: see their texts.
    """
    if run.finished:
        return _read_result(run)
    with torch_threads(settings.threads):
        loop = _Training(settings, genotype, run, listener)
        if resume and run.started:
            loop.restore()
        return loop.run()


class _Training:
    """The state of a training, and its loop."""

    def __init__(
        self,
        settings: RetrainSettings,
        genotype: Genotype,
        run: Run,
        listener: Listener | None,
    ) -> None:
        self.settings, self.run_folder, self.listener = settings, run, listener or (lambda event: None)
        self.device = choose_device(settings.device)
        data = load_data(
            settings.data,
            image_size=settings.image_size,
            subset=settings.subset,
            seed=settings.split_seed,
            data_dir=settings.data_dir,
            manifest=run.split(),
        )
        for note in data.notes:
            self.listener({"event": "note", "text": note})
        self.card = ModelCard(
            genotype,
            settings.channels,
            settings.cells,
            settings.stem,
            data.classes,
            data.image_size,
            data.mean,
            data.std,
        )
        self.drops = keyed_generator(settings.seed, "drop-path", device=self.device)
        with seeded(settings.seed):
            self.network = self.card.build(auxiliary=settings.auxiliary_weight > 0, generator=self.drops).to(
                self.device
            )
        self.network.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
        size = data.image_size
        self.train = Batches(
            data.train,
            None,
            batch_size=settings.batch_size,
            seed=settings.seed,
            stream="retrain",
            mean=data.mean,
            std=data.std,
            augment=Augment(
                crop_padding=size // 8 if settings.crop_padding is None else settings.crop_padding,
                flip=data.flip if settings.flip is None else settings.flip,
                cutout=size // 2 if settings.cutout is None else settings.cutout,
            ),
            device=self.device,
        )
        self.test = test_batches(data.test(), self.card, self.device)
        self.epoch = self.step = 0
        self.meter, self.seconds = Meter(self.device), 0.0
        if not (run.path / "env.json").exists():
            run.write_json("env.json", environment(self.device))
            run.write_json("split.json", data.manifest)
            run.write("genotype.json", genotype.to_json())

    def run(self) -> RetrainResult:
        """Go on until the last epoch is done."""
        with stop_request(self.run_folder.way_on("retrain")) as stop:
            if self.epoch == 0 and self.step == 0:
                self._save()
            while self.epoch < self.settings.epochs:
                try:
                    self._epoch(stop.check)
                except Interrupted:
                    self._save()
                    raise
        return self._finish()

    def _epoch(self, check: Callable[[], None]) -> None:
        """The rest of an epoch, from the present step on, and its test."""
        settings = self.settings
        progress = self.epoch / settings.epochs
        rate = cosine(settings.learning_rate, 0.0, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.drop_path_probability = settings.drop_path * progress
        self.network.train()
        while self.step < len(self.train):
            check()
            start = time.perf_counter()
            images, labels = self.train[self.epoch * len(self.train) + self.step]
            loss, correct = self._weight_step(images, labels)
            self.meter.add(loss, correct, len(labels), time.perf_counter() - start)
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
        start = time.perf_counter()
        tested = accuracy(self.network, self.test)
        self.meter.seconds += time.perf_counter() - start
        self._end_epoch(rate, tested)

    def _weight_step(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        settings = self.settings
        self.optimizer.zero_grad(set_to_none=True)
        if settings.auxiliary_weight > 0:
            logits, auxiliary = self.network.forward_with_auxiliary(images)
            extra = settings.auxiliary_weight * F.cross_entropy(
                auxiliary, labels, label_smoothing=settings.label_smoothing
            )
        else:
            logits, extra = self.network(images), torch.zeros((), device=self.device)
        loss = F.cross_entropy(logits, labels, label_smoothing=settings.label_smoothing)
        if not loss.isfinite():
            raise DivergedError(
                f"the training loss is {loss.item()} in epoch {self.epoch + 1}: "
                f"take a smaller --learning-rate (now {settings.learning_rate:g}) or --grad-clip"
            )
        (loss + extra).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), settings.grad_clip)
        self.optimizer.step()
        return loss.detach(), (logits.detach().argmax(1) == labels).sum()

    def _end_epoch(self, rate: float, tested: float) -> None:
        self.epoch += 1
        event = {
            "event": "train_epoch",
            "epoch": self.epoch,
            **self.meter.means(),
            "test_accuracy": tested,
            "learning_rate": rate,
            "seconds": self.meter.seconds,
        }
        self.run_folder.log(event)
        self.listener(event)
        self.seconds += self.meter.seconds
        self.step, self.meter = 0, Meter(self.device)
        self._save()

    def _finish(self) -> RetrainResult:
        save_model(self.run_folder.path / "model.safetensors", self.network, self.card)
        tests = [e["test_accuracy"] for e in self.run_folder.events() if e["event"] == "train_epoch"]
        shape = (len(self.card.mean), self.card.image_size, self.card.image_size)
        self.run_folder.write_json(
            "result.json",
            {
                "command": "retrain",
                "data": self.settings.data,
                "genotype": self.card.genotype.to_dict(),
                "test_accuracy": tests[-1],
                "best_epoch": tests.index(max(tests)) + 1,
                "best_test_accuracy_selected_on_test": max(tests),
                "parameters": count_parameters(self.network),
                "mult_adds": count_mult_adds(self.network, shape),
                "seconds": self.seconds,
            },
        )
        return _read_result(self.run_folder)

    def _save(self) -> None:
        self.run_folder.save(
            {
                "epoch": self.epoch,
                "step": self.step,
                "seconds": self.seconds,
                "meter": self.meter.state_dict(),
                "model": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "drops": self.drops.get_state(),
            },
            self._identity(),
        )

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint of this run, and of no other, was made with."""
        return {**dump(self.settings), "genotype": self.card.genotype.to_dict()}

    def restore(self) -> None:
        """Go on from the run's checkpoint."""
        state = self.run_folder.restore(self._identity(), self.device)
        for name in ("epoch", "step", "seconds"):
            setattr(self, name, state[name])
        self.meter.load_state_dict(state["meter"])
        self.network.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.drops.set_state(state["drops"].cpu())


def _read_result(run: Run) -> RetrainResult:
    """The result of a finished run.

    Raises:
        RunError: it cannot be read.
    """
    where = str(run.path / "result.json")
    result = run.read_json("result.json")
    try:
        return RetrainResult(
            genotype=Genotype.from_dict(result["genotype"], where),
            test_accuracy=result["test_accuracy"],
            parameters=result["parameters"],
            mult_adds=result["mult_adds"],
            history=run.events(),
            run=run.path,
            seconds=result["seconds"],
        )
    except (KeyError, TypeError) as error:
        raise RunError(f"{where}: not the result of a retraining (has no {error})") from error
