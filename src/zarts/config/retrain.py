"""The settings of a retraining: one name and one meaning on the command line, in YAML and in Python."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from zarts.config.base import setting
from zarts.config.common import CommonSettings
from zarts.config.types import Cells, Channels, Duration, Number, Pixels, Processes, Whole

__all__ = [
    "FAST",
    "FAST_CELLS",
    "OF_CELLS",
    "OF_CHAINS",
    "STEPWISE",
    "TAIL",
    "RetrainSettings",
    "conflicts_of_recipe",
    "idle_in_retraining",
]

TAIL = 5
"""Epochs of the slower tail of schedule `linear-tail`."""


def _precision(value: Any) -> Any:
    return "32-true" if str(value) == "32" else value


class RetrainSettings(CommonSettings):
    """Settings of `zarts retrain`: a network is trained from scratch. Defaults: DARTS' CIFAR-10 recipe."""

    recipe: Literal["paper", "fast"] = setting(
        "paper",
        "defaults of all that is not given: of the papers' recipes, or fast: for a few epochs (see docs/recipes.md)",
        panel="Weights",
    )
    time: Duration | None = setting(
        None,
        "train as long as fits into this time, start and test included: 90s, 10m, 2h; in place of epochs, with a "
        "schedule over the steps",
        panel="Weights",
    )
    epochs: Whole = setting(600, "passes over all training images", panel="Weights", ge=1)
    batch_size: Whole = setting(96, "images a weight step, of all processes together", panel="Weights", ge=2)
    micro_batches: Whole = setting(
        1,
        "pieces of a batch, passed one after the other (gradient accumulation): less memory and the same step, except "
        "that batch norm sees one piece",
        panel="Weights",
        ge=1,
    )
    schedule: Literal["cosine", "linear", "linear-tail", "exponential", "trapezoid", "one-cycle"] = setting(
        "cosine",
        "of the learning rate over the epochs: cosine or linear to learning_rate_min; linear-tail: to 0, slower in the "
        "last 5 epochs (ZARTS' on ImageNet); exponential: times learning_rate_decay an epoch; over the steps: "
        "trapezoid: up, constant, down to 0; one-cycle: up, then down to 0 along half a cosine",
        panel="Weights",
    )
    warmup_share: float = setting(
        0.1, "share of the steps in which schedules trapezoid and one-cycle rise", panel="Weights", ge=0, lt=1
    )
    cooldown_share: float = setting(
        0.4, "share of the steps in which schedule trapezoid falls", panel="Weights", gt=0, le=1
    )
    learning_rate_min: Number = setting(0.0, "end of the schedules cosine and linear", panel="Weights", ge=0)
    learning_rate_decay: float = setting(
        0.97, "factor an epoch of the schedule exponential (DARTS' on ImageNet)", panel="Weights", gt=0, le=1
    )
    warmup_epochs: Whole = setting(
        0, "W: in the e-th of the first W epochs the rate is e / W of the full one", panel="Weights", ge=0
    )
    grad_clip: Number = setting(5.0, "largest norm of the weights' gradient; 0: none", panel="Weights", ge=0)
    weights_from: str | None = setting(
        None,
        "weights to start from instead of random ones: supernet (those of the operations in the search's supernet), or "
        "a trained network: its run or its model.safetensors",
        panel="Weights",
    )
    channels: Channels = setting(36, "channels of the first cells", panel="Network", ge=2)
    cells: Cells = setting(
        20, "cells in the network, two of which reduce; in space nasbench201 cells a stage (5)", panel="Network", ge=1
    )
    width: Number | None = setting(
        None, "of a hand-made network: factor of its published widths (default: 1)", panel="Network", gt=0
    )
    stem_stride: Whole | None = setting(
        None,
        "of a hand-made network: stride of its stem (default: as published; of MobileNetV2 1 below 64 pixels)",
        panel="Network",
        ge=1,
    )
    alternating_flip: bool = setting(
        False,
        "flip each image in every second epoch, instead of half of them at random",
        panel="Data",
    )
    augment_after: Whole = setting(
        0,
        "epochs before the first one in which images are padded and cropped, flipped and cut",
        panel="Data",
        ge=0,
    )
    small_share: float = setting(
        0.0,
        "share of the steps, from the first on, whose images are shrunk to 3 / 4 of their size",
        panel="Data",
        ge=0,
        lt=1,
    )
    cutout: Pixels | None = setting(
        None,
        "side of the square cut out of every image (default: half the image size, the paper's 16 at 32)",
        panel="Data",
        ge=0,
    )
    auxiliary_weight: Number = setting(
        0.4, "weight of the auxiliary head's loss; 0: no head", panel="Regularisation", ge=0
    )
    drop_path: float = setting(
        0.2, "drop-path probability: in epoch e of E, from 0, e / E of this", panel="Regularisation", ge=0, lt=1
    )
    decay_norms: bool = setting(
        True, "weight decay also on batch norms and biases, as the papers' code has it", panel="Regularisation"
    )
    muon_rate: Number = setting(
        0.0,
        "length of a step of convolutions by Muon, which makes it orthogonal, as a share of weights whose rows have "
        "norm 1; it follows the schedule of learning_rate, which all other weights keep; 0: SGD for all",
        panel="Weights",
        ge=0,
    )
    label_smoothing: float = setting(0.0, "of the training loss", panel="Regularisation", ge=0, lt=1)
    ema: float = setting(
        0.0,
        "decay, for each step, of a moving average of the weights, which is tested and kept instead of them; 0: none",
        panel="Regularisation",
        ge=0,
        lt=1,
    )
    devices: Annotated[Processes, Field(ge=1)] | Literal["auto"] = setting(
        "auto",
        "processes (on GPUs: one each) that share every batch; auto: those that torchrun has started, else 1",
        panel="Run",
        resumable=True,
    )
    threads: Annotated[Processes, Field(ge=1)] | Literal["auto"] | None = setting(
        None, "processor threads of torch; auto: the fastest number (default: torch's choice)", panel="Run"
    )
    precision: Annotated[Literal["32-true", "bf16-mixed", "16-mixed", "auto"], BeforeValidator(_precision)] = setting(
        "32-true",
        "32: short for 32-true, float32; bf16-mixed: passes with gradient in bfloat16, weights in float32; only where "
        "the processor has bfloat16; 16-mixed: in float16, with a scaled loss; auto: the faster of 32 and, where the "
        "processor computes in it, bf16-mixed",
        panel="Run",
    )
    layout: Literal["channels-last", "nchw", "auto"] = setting(
        "channels-last", "of features in memory; nchw: torch's own; auto: the faster one", panel="Run"
    )
    kernels: Literal["auto", "native", "torch"] = setting(
        "torch",
        "of the network on the CPU: torch's own, always those compiled from C++ (native), or the faster ones (auto)",
        panel="Run",
    )
    sync_batch_norm: bool = setting(
        True, "batch norm over the images of all processes, so that any number of them trains as one", panel="Run"
    )
    test_every: Whole = setting(
        1, "epochs from one test to the next; 0: none; the last epoch always has one", panel="Run", ge=0
    )


OF_CELLS = ("channels", "cells", "stem", "operations", "auxiliary_weight", "drop_path")
"""Settings of networks of cells, which hand-made networks have not."""

OF_CHAINS = ("width", "stem_stride")
"""Settings of hand-made networks, which networks of cells have not."""

STEPWISE = ("trapezoid", "one-cycle")
"""Schedules whose rate changes at every step."""

FAST: dict[str, Any] = {
    "epochs": 15,
    "batch_size": 128,
    "learning_rate": 0.2,
    "schedule": "trapezoid",
    "warmup_epochs": 0,
    "cooldown_share": 0.7,
    "nesterov": True,
    "muon_rate": 0.05,
    "weight_decay": 5e-4,
    "decay_norms": False,
    "grad_clip": 0.0,
    "auxiliary_weight": 0.0,
    "drop_path": 0.0,
    "label_smoothing": 0.1,
    "alternating_flip": True,
    "augment_after": 5,
    "crop_padding": 0,
    "cutout": 0,
    "test_every": 0,
    "precision": "auto",
    "layout": "auto",
    "kernels": "auto",
    "threads": "auto",
}
"""The defaults of recipe `fast`; docs/recipes.md says what each brings."""

FAST_CELLS: dict[str, Any] = {"learning_rate": 0.05, "grad_clip": 5.0}
"""Those that are others for networks of cells: deep ones diverge at 0.2, and most have been trained with this clip."""

_OF_SCHEDULE = {
    "learning_rate_min": ("cosine", "linear"),
    "learning_rate_decay": ("exponential",),
    "warmup_share": STEPWISE,
    "cooldown_share": ("trapezoid",),
}


def idle_in_retraining(key: str, settings: RetrainSettings, *, handmade: bool | None = False) -> str:
    """The condition under which a setting has an effect if it does not hold here; else an empty string."""
    if handmade is not None and key in (OF_CELLS if handmade else OF_CHAINS):
        return "networks of cells" if handmade else "hand-made networks"
    if key == "epochs" and settings.time is not None:
        return "no time"
    if key == "crop_padding" and settings.crop != "pad":
        return "crop = pad"
    schedules = _OF_SCHEDULE.get(key, ())
    return f"schedule = {' or '.join(schedules)}" if schedules and settings.schedule not in schedules else ""


def conflicts_of_recipe(settings: RetrainSettings) -> Iterator[str]:
    """What does not go together in the settings of a retraining, a message each."""
    if settings.learning_rate_min > settings.learning_rate:
        yield (
            f"learning_rate_min = {settings.learning_rate_min:g} is above learning_rate = {settings.learning_rate:g}"
        )
    if settings.time is not None and settings.schedule not in STEPWISE:
        yield (
            f"time = {settings.time:g} with schedule = {settings.schedule}, which needs a number of epochs: take "
            "--recipe fast, or --schedule trapezoid or one-cycle"
        )
    if settings.kernels == "native":
        if settings.precision == "16-mixed":
            yield "kernels = native with precision = 16-mixed: their features are float32 or bfloat16: --kernels auto"
        if settings.layout == "nchw":
            yield "kernels = native with layout = nchw: they compute in channels last: take --kernels auto"
        if settings.compile:
            yield "kernels = native with compile = True: the compiled network has kernels of its own: leave one out"
    if settings.schedule in STEPWISE and settings.warmup_epochs:
        yield (
            f"warmup_epochs = {settings.warmup_epochs} with schedule = {settings.schedule}, which rises over "
            "warmup_share of the steps: leave it out"
        )
    if settings.schedule == "trapezoid" and settings.warmup_share + settings.cooldown_share > 1:
        yield (
            f"warmup_share = {settings.warmup_share:g} and cooldown_share = {settings.cooldown_share:g} are more than "
            "the whole: take less"
        )
    if settings.schedule == "linear-tail" and settings.epochs <= TAIL:
        yield (
            f"schedule = linear-tail has a tail of {TAIL} epochs, and epochs = {settings.epochs}: take more --epochs, "
            "or --schedule linear"
        )
    if settings.warmup_epochs >= settings.epochs and settings.warmup_epochs > 0:
        yield (f"warmup_epochs = {settings.warmup_epochs} leaves none of {settings.epochs} epochs: take fewer")
    devices = 1 if settings.devices == "auto" else settings.devices
    if settings.batch_size < 2 * settings.micro_batches * devices:
        yield (
            f"batch_size = {settings.batch_size}: {devices} devices x {settings.micro_batches} micro_batches need 2 "
            f"images each, {2 * settings.micro_batches * devices} or more"
        )
