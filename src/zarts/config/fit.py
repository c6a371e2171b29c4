"""The settings of `zarts fit`: one name and one meaning on the command line, in YAML and in Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from zarts.config.base import setting
from zarts.config.build import build, refuse
from zarts.config.data import DataSettings
from zarts.config.functions import FUNCTIONS, Objective
from zarts.config.limits import LimitSettings, conflicts_of_limits
from zarts.config.preset_files import Layer, config_layer
from zarts.config.resolve import retrain_settings
from zarts.config.retrain import RetrainSettings
from zarts.config.types import Duration, Processes

__all__ = ["RESUMABLE", "FitSettings", "fit_settings"]

RESUMABLE = ("processes", "engine", "baselines", "latency_command", *FUNCTIONS)
"""Settings that an interrupted fit may be given again: no result depends on the first two, the others are the code of
the user, which is not taken from a run folder unasked."""


class FitSettings(LimitSettings, DataSettings):
    """Settings of `zarts fit`: images, time, limits of the network, and how it is looked for."""

    time: Duration = setting(
        1800.0, "all that the command may take, from its start to its last file: 90s, 30m, 2h, 1d", panel="Time", ge=20
    )
    processes: Annotated[Processes, Field(ge=1)] | Literal["auto"] = setting(
        "auto",
        "networks that are trained at a time, a processor each; auto: the processors that are idle, or the GPUs",
        panel="Time",
    )
    engine: Literal["processes", "ray"] = setting(
        "processes",
        "where networks are trained: processes of this machine, or ray: those of the Ray cluster of RAY_ADDRESS "
        "(without it, one started here), whose machines all have to see the folder of the fit under this path; "
        "--processes is then their number in all, by default its idle processors",
        panel="Time",
    )
    objective: Objective = setting(
        "error",
        "what networks are compared by, on validation images: error (1 - accuracy), loss, balanced-error, macro-f1, or "
        "FILE.py:function of logits and labels, whose code is run",
        panel="Search",
    )
    criterion: Literal["cross-entropy", "balanced"] = setting(
        "cross-entropy",
        "loss that weights are trained by; balanced: each class counts alike, however few images it has",
        panel="Search",
    )
    search: bool = setting(
        True, "change the best hand-made network; without, only hand-made networks are compared", panel="Search"
    )
    optimizer: Literal["gld", "mgs", "rs", "cmaes", "nevergrad", "random"] = setting(
        "gld", "zero-order optimizer that proposes changes; random: draws networks, to compare with", panel="Search"
    )
    baselines: str | None = setting(
        None,
        "networks of your own to compare: 'resnet20 width=0.5, mine.json, runs/fit/old' are a "
        "hand-made network at its own width, a chain's file, and the network of another fit; 'mine.py:make, "
        "timm:resnet18' are networks in torch, trained for as long as the finalists, whatever they cost: make is "
        "called with the number of classes; 'mine.onnx' is tested as it is",
        panel="Search",
    )
    plan: Path | None = setting(
        None,
        "plan.yaml of an earlier fit, whose networks and numbers of steps are repeated, whatever time that takes",
        panel="Search",
    )
    seed: int = setting(
        0, "of weights, batches and proposals; --split-seed draws the parts", panel="Run", ge=0, lt=2**31
    )
    device: str = setting("auto", "auto, cpu, cuda, cuda:1, mps", panel="Run")
    input: Literal["float", "uint8"] = setting(
        "float",
        "what model.onnx and model.int8.onnx take: images scaled to [0, 1], or levels from 0 to 255",
        panel="Files",
    )
    tflite: bool = setting(
        False,
        "also write model.tflite for phones and, with --int8, model.int8.tflite for microcontrollers; needs "
        "the extra litert",
        panel="Files",
    )

    def recipe(self, **options: Any) -> RetrainSettings:
        """The fast recipe on these images.

        Args:
            options: other settings of a retraining.
        """
        shared = self.model_dump(include=set(DataSettings.model_fields), exclude_none=True)
        given = {"recipe": "fast", "seed": self.seed, "device": self.device, "threads": 1, "criterion": self.criterion}
        return retrain_settings({**shared, **given, **options}, handmade=True)

    def limits(self) -> list[str]:
        """Names of the limits that are set."""
        values = self.model_dump(include={name for name in LimitSettings.model_fields if name.startswith("max_")})
        return [name for name, value in values.items() if value is not None]


def fit_settings(options: Mapping[str, Any], *, config: Path | None = None, where: str = "options") -> FitSettings:
    """The settings of a fit: defaults < configuration file < options.

    Args:
        options: settings by name.
        config: a YAML file with settings, in a section `fit`.
        where: what messages call the options.

    Raises:
        SettingsError: all unknown names, values out of range, and settings that do not go together.
    """
    layers = [] if config is None else [config_layer(config, "fit")]
    built = build(FitSettings, [*layers, Layer(where, options)])
    if built.settings is None:
        refuse(built.problems)
    assert built.settings is not None
    settings = built.settings
    refuse([*built.problems, *conflicts_of_limits(settings)])
    settings.recipe()  # refuses what a training refuses
    return settings
