"""Settings that searching and retraining share, and the function that declares a setting."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ByteSize, ConfigDict, Field

from zarts.config.types import Jitter

__all__ = ["SUPERNET", "CommonSettings", "resumable", "setting"]

SUPERNET = ("mixed", "partial", "merged")


def setting(
    default: Any, help: str, *, panel: str, used_by: tuple[str, ...] = (), resumable: bool = False, **bounds: Any
) -> Any:
    """A field with its help text, the group that the help page shows it in, and the axes' members that use it.

    Args:
        default: the value if nothing else sets it.
        help: one line; says where the default comes from if that is not the paper.
        panel: heading on the help page.
        used_by: members of a method's axes (see `zarts.methods`); empty: all use it.
        resumable: whether a run may be resumed with another value: no result depends on it.
        bounds: pydantic's `ge`, `gt`, `le`, `lt`, `multiple_of`.
    """
    extra: dict[str, Any] = {"panel": panel, "used_by": list(used_by), "resumable": resumable}
    return Field(default, description=help, json_schema_extra=extra, **bounds)


class CommonSettings(BaseModel):
    """Settings that searching and retraining share; `used_by` concerns searching only."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    data: str = setting(
        "digits",
        "digits, cifar10, cifar100, cifar100-p-darts, svhn, imagenet, imagenet16, imagenet16-120, a folder of "
        "images with a sub-folder a class, or a file .csv with the columns file and label",
        panel="Data",
    )
    data_dir: Path = setting(
        Path("~/.cache/zarts"), "folder of the named data sets; missing ones are downloaded to it", panel="Data"
    )
    image_size: int | None = setting(
        None,
        "images are resized to this many pixels a side (default: their own; 32 for a folder, 224 for imagenet)",
        panel="Data",
        ge=8,
        multiple_of=4,
    )
    image_cache: Literal["auto", "memory", "streamed"] = setting(
        "auto",
        "where the images of a folder are kept: all in memory, or streamed, decoded when a batch needs them; auto: "
        "streamed if they take more than a quarter of the free memory",
        panel="Data",
        used_by=SUPERNET,
    )
    workers: int | None = setting(
        None,
        "threads that decode streamed images and change images one by one (default: one a processor, 8 at most)",
        panel="Data",
        used_by=SUPERNET,
        resumable=True,
        ge=1,
    )
    subset: Annotated[int, Field(ge=2)] | Annotated[float, Field(gt=0, lt=1)] | None = setting(
        None,
        "use only this many training images, or this share of them (0.25), drawn class by class",
        panel="Data",
        used_by=SUPERNET,
    )
    split_seed: int = setting(
        0,
        "draws the subset and, for a folder without test/, the test images; --seed changes neither",
        panel="Data",
        ge=0,
    )
    crop: Literal["pad", "resized"] = setting(
        "pad",
        "random crop; pad: of the original size, after padding; resized: of 8 to 100 % of the area, resized, as on "
        "ImageNet (tests then use the centre, 224 / 256 of the shorter side)",
        panel="Data",
        used_by=SUPERNET,
    )
    crop_padding: int | None = setting(
        None,
        "random crop after this many pixels of padding (default: image size / 8, the paper's 4 at 32)",
        panel="Data",
        used_by=SUPERNET,
        ge=0,
    )
    color_jitter: Jitter = setting(
        (),
        "strengths of random brightness, contrast, saturation and hue (DARTS on ImageNet: 0.4,0.4,0.4,0.2)",
        panel="Data",
        used_by=SUPERNET,
    )
    flip: bool | None = setting(
        None, "random horizontal flip (default: the data set's; not for digits)", panel="Data", used_by=SUPERNET
    )

    batch_size: int = setting(64, "images a weight step", panel="Weights", used_by=SUPERNET, ge=2)
    epochs: int = setting(50, "passes over the images that train the weights", panel="Weights", used_by=SUPERNET, ge=1)
    learning_rate: float = setting(
        0.025, "of the weights (SGD), at the first epoch", panel="Weights", used_by=SUPERNET, gt=0
    )
    momentum: float = setting(0.9, "of the weights' SGD", panel="Weights", used_by=SUPERNET, ge=0, lt=1)
    nesterov: bool = setting(False, "Nesterov momentum, as in NAS-Bench-201", panel="Weights", used_by=SUPERNET)
    weight_decay: float = setting(3e-4, "of the weights", panel="Weights", used_by=SUPERNET, ge=0)
    grad_clip: float = setting(5.0, "largest norm of the weights' gradient", panel="Weights", used_by=SUPERNET, gt=0)

    channels: int = setting(16, "channels of the first cells", panel="Network", used_by=SUPERNET, ge=2)
    cells: int = setting(8, "cells in the network; two of them reduce", panel="Network", used_by=SUPERNET, ge=3)
    stem: Literal["cifar", "imagenet"] = setting(
        "cifar", "cifar, or imagenet (three strides of two)", panel="Network", used_by=SUPERNET
    )

    operations: Path | None = setting(
        None,
        "a Python file with operations of your own, for a space of your own: its code is run",
        panel="Network",
        resumable=True,
    )

    seed: int = setting(0, "of all random draws but those of split_seed", panel="Run", ge=0, lt=2**63)
    device: str = setting("auto", "auto, cpu, cuda, cuda:1, mps", panel="Run", used_by=SUPERNET)
    threads: int | None = setting(
        None, "processor threads of torch (default: torch's choice)", panel="Run", used_by=SUPERNET, ge=1
    )
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = setting(
        "32-true",
        "bf16-mixed: passes with gradient in bfloat16, weights in float32; only where the processor has bfloat16; "
        "16-mixed: in float16, with a scaled loss",
        panel="Run",
        used_by=SUPERNET,
    )
    compile: bool = setting(
        False,
        "torch.compile for passes with gradient: takes minutes before the first step",
        panel="Run",
        used_by=SUPERNET,
    )
    checkpoint_activations: bool = setting(
        False,
        "compute the inside of a cell again in the backward pass instead of keeping it: less memory, more time, the "
        "same numbers",
        panel="Run",
        used_by=SUPERNET,
        resumable=True,
    )
    memory_limit: Annotated[ByteSize, Field(gt=0)] | Literal["auto", "none"] = setting(
        "auto",
        "memory that steps may take on the device, in all processes of this machine together, for example 8GB; auto: "
        "the free memory; none: no check. A run that needs more is refused before the first step",
        panel="Run",
        used_by=SUPERNET,
        resumable=True,
    )
    logger: Literal["none", "tensorboard"] = setting(
        "none", "tensorboard: live curves, in the run's folder tensorboard", panel="Run", resumable=True
    )


def resumable(kind: type[CommonSettings]) -> list[str]:
    """Settings that no result depends on: a run may be resumed with other values of them."""
    extras = {key: field.json_schema_extra for key, field in kind.model_fields.items()}
    return [key for key, extra in extras.items() if isinstance(extra, dict) and extra["resumable"]]
