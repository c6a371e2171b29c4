"""Training a found network from scratch and testing it.

Source: DARTS (ICLR 2019), section 3.2; ZARTS (NeurIPS 2022), supplementary 2.2.
Differs: the accuracy of the last epoch is the result; the released code of ZARTS reports the best of all
    epochs on the test images.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from zarts.config import RetrainSettings, dump
from zarts.data import Batches
from zarts.engine import (
    Driver,
    Job,
    Listener,
    Loop,
    Meter,
    Passes,
    Run,
    augmentation,
    choose_device,
    cosine,
    load_images,
    sgd,
    torch_threads,
)
from zarts.errors import DivergedError, RunError
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
    drive: Driver | None = None,
) -> RetrainResult:
    """Train the network of `genotype` on all training images, and test it.

    Args:
        settings: the recipe.
        genotype: its cells.
        run: the folder that all is written to; its `split.json`, if there is one, says which images are
            for testing.
        resume: go on from the run's checkpoint if it has one.
        listener: hears every event; beside the logged ones also `step`, after each weight step.
        drive: does the job's steps in the place of its loop, as `Rehearsal.run`.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the state is saved and the run can be resumed.
        DivergedError: the loss is not finite; the last checkpoint is intact.
        DataError, RunError, SettingsError: see their texts.
    """
    if run.finished:
        return _read_result(run)
    with torch_threads(settings.threads):
        job = _Training(settings, genotype, run, listener or (lambda event: None))
        (drive or partial(job.loop.run, resume=resume))(job)
        job.write_result()
    return _read_result(run)


class _Training(Job):
    """The state of a training, and its steps."""

    def __init__(self, settings: RetrainSettings, genotype: Genotype, run: Run, listener: Listener) -> None:
        self.settings, self.run = settings, run
        self.device = choose_device(settings.device)
        noise = any(genotype.count(kind, frozenset({"noise"})) for kind in genotype.cells)
        self.passes = Passes(settings, self.device, draws=noise or settings.drop_path > 0)
        data = load_images(settings, run, self.device, listener)
        size = data.image_size
        self.card = ModelCard(
            genotype, settings.channels, settings.cells, settings.stem, data.classes, size, data.mean, data.std
        )
        self.drops = keyed_generator(settings.seed, "drop-path", device=self.device)
        with seeded(settings.seed):
            network = self.card.build(auxiliary=settings.auxiliary_weight > 0, generator=self.drops)
        self.network = network.to(self.device).to(memory_format=torch.channels_last)
        self.optimizer = sgd(settings, self.network.parameters())
        self.train = Batches(
            data.train,
            None,
            batch_size=settings.batch_size,
            seed=settings.seed,
            stream="retrain",
            mean=data.mean,
            std=data.std,
            augment=augmentation(settings, data, size // 2 if settings.cutout is None else settings.cutout),
            device=self.device,
        )
        self.test = test_batches(data.test(), self.card, self.device)
        run.write("genotype.json", genotype.to_json())
        self.loop = Loop(
            run,
            "retrain",
            {**dump(settings), "operations": None, "logger": "none", "genotype": genotype.to_dict()},
            epochs=settings.epochs,
            steps=len(self.train),
            device=self.device,
            listener=listener,
        )

    def _rate(self, epoch: int) -> float:
        return cosine(self.settings.learning_rate, 0.0, epoch / self.settings.epochs)

    @override
    def begin_epoch(self, epoch: int) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(epoch)
        self.network.drop_path_probability = self.settings.drop_path * epoch / self.settings.epochs
        self.network.train()

    @override
    def phase(self, epoch: int, step: int) -> str:
        return "weight step"

    @override
    def step(self, epoch: int, step: int) -> tuple[Tensor, Tensor, int]:
        settings = self.settings
        images, labels = self.train[epoch * len(self.train) + step]
        if settings.auxiliary_weight > 0:
            logits, auxiliary = self.passes(self.network.forward_with_auxiliary, images)
            extra = settings.auxiliary_weight * self._loss(auxiliary, labels)
        else:
            logits, extra = self.passes(self.network, images), torch.zeros((), device=self.device)
        loss = self._loss(logits, labels)
        if not loss.isfinite():
            raise DivergedError(self._advice("training loss", loss, epoch))
        self.optimizer.zero_grad(set_to_none=True)
        (loss + extra).backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), settings.grad_clip)
        if not norm.isfinite():
            raise DivergedError(self._advice("norm of the gradient", norm, epoch))
        self.optimizer.step()
        return loss.detach(), (logits.detach().argmax(1) == labels).sum(), len(labels)

    def _advice(self, what: str, value: Tensor, epoch: int) -> str:
        return (
            f"the {what} is {value.item()} in epoch {epoch + 1}: "
            f"take a smaller --learning-rate (now {self.settings.learning_rate:g}) or --grad-clip"
        )

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits.float(), labels, label_smoothing=self.settings.label_smoothing)

    @override
    def finish(self) -> None:
        """The last epoch's network is the result."""

    def _tests(self, epoch: int) -> bool:
        """Every so many epochs; the last one always."""
        return (epoch + 1) % self.settings.test_every == 0 or epoch + 1 == self.settings.epochs

    @override
    def ending(self, epoch: int) -> str:
        return "test at the end of an epoch" if self._tests(epoch) else "end of an epoch"

    @override
    def end_epoch(self, epoch: int, meter: Meter) -> None:
        tested = {}
        if self._tests(epoch):
            start = time.perf_counter()
            tested["test_accuracy"] = accuracy(self.network, self.test, self.passes)
            meter.seconds += time.perf_counter() - start
        self.loop.log(
            {
                "event": "train_epoch",
                "epoch": epoch + 1,
                **meter.means(),
                **tested,
                "learning_rate": self._rate(epoch),
                "seconds": meter.seconds,
            }
        )

    def write_result(self) -> None:
        """Write `model.safetensors` and `result.json`; with the second one the run counts as finished."""
        save_model(self.run.path / "model.safetensors", self.network, self.card)
        epochs = [event for event in self.run.events() if event["event"] == "train_epoch"]
        tests = {event["epoch"]: event["test_accuracy"] for event in epochs if "test_accuracy" in event}
        best = max(tests, key=lambda epoch: tests[epoch])
        shape = (len(self.card.mean), self.card.image_size, self.card.image_size)
        self.run.write_json(
            "result.json",
            {
                "command": "retrain",
                "data": self.settings.data,
                "genotype": self.card.genotype.to_dict(),
                "test_accuracy": tests[self.settings.epochs],
                "best_epoch": best,
                "best_test_accuracy_selected_on_test": tests[best],
                "parameters": count_parameters(self.network),
                "mult_adds": count_mult_adds(self.network, shape),
                "seconds": self.loop.seconds,
            },
        )

    @override
    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "drops": self.drops.get_state(),
        }

    @override
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
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
