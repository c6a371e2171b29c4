"""The settings of each command: one name and one meaning on the command line, in YAML and in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from zarts.methods import GRADIENT, JUDGING, ZERO_ORDER

__all__ = ["UNTIED", "CommonSettings", "RetrainSettings", "SearchSettings"]

MOVING = (*ZERO_ORDER, *GRADIENT)
SUPERNET = ("mixed",)

UNTIED = ("devices", "table")
"""Settings of a search that its result does not depend on: it may go on with others."""


def setting(default: Any, help: str, *, panel: str, used_by: tuple[str, ...] = (), **bounds: Any) -> Any:
    """A field with its help text, the group that the help page shows it in, and the axes' members that use it.

    Args:
        default: the value where nothing else is said.
        help: one line; says where the default comes from when that is not the paper.
        panel: heading on the help page.
        used_by: members of a method's axes (see `zarts.methods`), or `mixed`, the supernet; empty: all use it.
        bounds: pydantic's `ge`, `gt`, `le`, `lt`, `multiple_of`.
    """
    return Field(default, description=help, json_schema_extra={"panel": panel, "used_by": list(used_by)}, **bounds)


def _no_float16(value: Any) -> Any:
    if str(value).startswith("16"):
        raise PydanticCustomError(
            "float16",
            "float16 needs loss scaling, which leaves out steps that overflow, so that candidates would be judged "
            "after unequal numbers of steps: take bf16-mixed",
        )
    return value


class CommonSettings(BaseModel):
    """What searching and retraining share; `used_by` speaks of searching only."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    data: str = setting(
        "digits", "digits, cifar10, cifar100, svhn, or a folder of images with a sub-folder a class", panel="Data"
    )
    data_dir: Path = setting(Path("~/.cache/zarts"), "where the named data sets lie or are downloaded to", panel="Data")
    image_size: int | None = setting(
        None,
        "images are resized to this many pixels a side (default: their own; 32 for a folder)",
        panel="Data",
        ge=8,
        multiple_of=4,
    )
    subset: int | None = setting(
        None, "use only this many training images, drawn class by class", panel="Data", used_by=SUPERNET, ge=2
    )
    split_seed: int = setting(
        0,
        "draws the subset and, for a folder without test/, the test images; --seed leaves both alone",
        panel="Data",
        ge=0,
    )
    crop_padding: int | None = setting(
        None,
        "random crop after this many pixels of padding (default: image size / 8, the paper's 4 at 32)",
        panel="Data",
        used_by=SUPERNET,
        ge=0,
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
    weight_decay: float = setting(3e-4, "of the weights", panel="Weights", used_by=SUPERNET, ge=0)
    grad_clip: float = setting(5.0, "largest norm of the weights' gradient", panel="Weights", used_by=SUPERNET, gt=0)

    channels: int = setting(16, "channels of the first cells", panel="Network", used_by=SUPERNET, ge=2)
    cells: int = setting(8, "cells in the network; two of them reduce", panel="Network", used_by=SUPERNET, ge=3)
    stem: Literal["cifar", "imagenet"] = setting(
        "cifar", "cifar, or imagenet (three strides of two)", panel="Network", used_by=SUPERNET
    )

    seed: int = setting(0, "of everything that is drawn", panel="Run", ge=0, lt=2**63)
    device: str = setting("auto", "auto, cpu, cuda, cuda:1, mps", panel="Run", used_by=SUPERNET)
    threads: int | None = setting(
        None, "processor threads of torch (default: torch's choice)", panel="Run", used_by=SUPERNET, ge=1
    )
    precision: Annotated[Literal["32-true", "bf16-mixed"], BeforeValidator(_no_float16)] = setting(
        "32-true",
        "bf16-mixed: passes with gradient in bfloat16, weights in float32; only where the processor has bfloat16",
        panel="Run",
        used_by=SUPERNET,
    )
    compile: bool = setting(
        False, "torch.compile for passes with gradient: minutes before the first step", panel="Run", used_by=SUPERNET
    )


class SearchSettings(CommonSettings):
    """Settings of `zarts search`. Letters are the paper's; a default that is not the paper's says why."""

    space: str = setting("darts", "darts, darts-zero, s1, s2, s3, s4 or nasbench201", panel="Search")
    method: str = setting("zarts-mgs", "a row of `zarts list methods`", panel="Search")
    update: str = setting(
        "mgs", "who moves alpha, instead of the method's own: mgs, rs, gld, gradient, unrolled or none", panel="Search"
    )
    relaxation: str = setting(
        "softmax",
        "from alpha to operation weights, instead of the method's own: softmax, gumbel or none",
        panel="Search",
    )
    weight_relaxation: str = setting(
        "same",
        "relaxation that the weights are trained at, instead of the method's own: same or uniform (random cells)",
        panel="Search",
    )
    select: str = setting(
        "argmax", "from the trained supernet to a cell, instead of the method's own: argmax or best-of", panel="Search"
    )
    cells: int = setting(
        8,
        "cells in the network, two of which reduce; in space nasbench201 cells a stage (the benchmark's 5)",
        panel="Network",
        used_by=SUPERNET,
        ge=1,
    )
    warmup_epochs: int = setting(10, "epochs before alpha moves", panel="Search", used_by=MOVING, ge=0)
    alpha_every: int = setting(
        10, "weight steps from one alpha update to the next", panel="Search", used_by=MOVING, ge=1
    )
    learning_rate_min: float = setting(0.001, "end of the cosine", panel="Weights", used_by=SUPERNET, ge=0)
    cutout: int = setting(
        0, "side of the square cut out of every image, in pixels; 0: none", panel="Data", used_by=SUPERNET, ge=0
    )
    devices: Annotated[int, Field(ge=1)] | Literal["auto"] = setting(
        "auto",
        "processes (on GPUs: one each) that share the candidates; auto: for small networks, one a processor; else 1",
        panel="Run",
        used_by=ZERO_ORDER,
    )
    table: Path | Literal["auto"] | None = setting(
        None,
        "NAS-Bench-201's true accuracies, logged beside a search in its space: their file or its directory, or auto: "
        "the directory ZARTS_DATA",
        panel="Run",
    )

    kernels: Literal["auto", "native", "torch"] = setting(
        "auto",
        "of the supernet on the CPU: compiled from C++ where that works (auto), always (native), or torch's own",
        panel="Run",
        used_by=SUPERNET,
    )

    inner_steps: int = setting(
        10,
        "M: weight steps on a candidate's own copy before it is judged; 0: first order",
        panel="Candidates",
        used_by=ZERO_ORDER,
        ge=0,
    )
    val_batches: int = setting(
        4,
        "validation batches in one loss (the released code has 1: its losses are mostly noise)",
        panel="Candidates",
        used_by=MOVING,
        ge=1,
    )
    inner_learning_rate: float | None = setting(
        None, "of the inner steps (default: the weights' current one)", panel="Candidates", used_by=ZERO_ORDER, gt=0
    )
    inner_momentum: float | None = setting(
        None, "of the inner steps (default: the weights')", panel="Candidates", used_by=ZERO_ORDER, ge=0, lt=1
    )
    batch_norm: Literal["train", "eval"] = setting(
        "train",
        "statistics while judging: of the batch (train, as released) or running ones (eval)",
        panel="Candidates",
        used_by=(*ZERO_ORDER, *JUDGING),
    )

    alpha_lr: float = setting(
        1.0,
        "step size of alpha: factor of the MGS move, xi of RS, Adam's rate of the gradient methods",
        panel="Architecture",
        used_by=("mgs", "rs", *GRADIENT),
        gt=0,
    )
    samples: int = setting(
        8, "N: candidates (MGS) or directions (RS) an update", panel="Architecture", used_by=("mgs", "rs"), ge=1
    )
    sigma: float = setting(
        0.2,
        "standard deviation of MGS's moves (the paper's scripts: 0.025; 0.2 in s1-s4)",
        panel="Architecture",
        used_by=("mgs",),
        gt=0,
    )
    sigma_decay: Literal["cosine", "constant"] = setting(
        "cosine", "schedule of sigma after the warm-up", panel="Architecture", used_by=("mgs",)
    )
    tau: Annotated[float, Field(gt=0)] | Literal["auto"] = setting(
        "auto",
        "temperature of MGS's weights; auto: solved at each update so that N_e / N is esr_target",
        panel="Architecture",
        used_by=("mgs",),
    )
    esr_target: float = setting(
        0.5, "N_e / N that tau=auto aims at", panel="Architecture", used_by=("mgs",), gt=0, lt=1
    )
    mixture_lambda: float = setting(
        1e-3,
        "lambda: share of the proposal that is not centred at minus the gradient; 1: no gradient at all",
        panel="Architecture",
        used_by=("mgs",),
        ge=0,
        le=1,
    )
    proposal: Literal["mixture", "sum"] = setting(
        "mixture", "mixture (eq. 8) or sum of the two Gaussians (as released)", panel="Architecture", used_by=("mgs",)
    )
    weights: Literal["exact", "released", "softmax"] = setting(
        "softmax",
        "exact (eq. 7; degenerates in many dimensions), released or softmax",
        panel="Architecture",
        used_by=("mgs",),
    )
    antithetic: bool = setting(
        True, "draw MGS's noise in pairs of opposite sign", panel="Architecture", used_by=("mgs",)
    )
    estimator: Literal["antithetic", "forward", "one-point"] = setting(
        "antithetic", "finite difference of RS", panel="Architecture", used_by=("rs",)
    )
    directions: Literal["sphere", "gaussian", "ball"] = setting(
        "sphere", "draw of RS (sphere, gaussian) and GLD (sphere, ball)", panel="Architecture", used_by=("rs", "gld")
    )
    smoothing: float = setting(1.0, "delta: smoothing radius of RS", panel="Architecture", used_by=("rs",), gt=0)
    radius_max: float = setting(2.8, "R: largest radius of GLD", panel="Architecture", used_by=("gld",), gt=0)
    radius_min: float = setting(0.04, "r: smallest radius of GLD", panel="Architecture", used_by=("gld",), gt=0)
    radius_decay: Literal["cosine", "constant"] = setting(
        "cosine", "schedule of GLD's R after the warm-up", panel="Architecture", used_by=("gld",)
    )
    alpha_weight_decay: float = setting(1e-3, "of alpha (Adam)", panel="Architecture", used_by=GRADIENT, ge=0)
    alpha_beta1: float = setting(
        0.5, "first moment of alpha's Adam", panel="Architecture", used_by=GRADIENT, ge=0, lt=1
    )
    alpha_beta2: float = setting(
        0.999, "second moment of alpha's Adam", panel="Architecture", used_by=GRADIENT, ge=0, lt=1
    )
    hessian: Literal["central", "exact"] = setting(
        "central",
        "product of the second order: central difference (eq. 1) or exact",
        panel="Architecture",
        used_by=("unrolled",),
    )
    temperature: float = setting(
        10.0, "tau of the Gumbel draws in the first epoch", panel="Architecture", used_by=("gumbel",), gt=0
    )
    temperature_min: float = setting(
        0.1, "tau of the Gumbel draws in the last epoch", panel="Architecture", used_by=("gumbel",), gt=0
    )

    select_judge: Literal["loss", "accuracy"] = setting(
        "loss", "what cells and operations are judged by at the end", panel="Selection", used_by=JUDGING
    )
    select_images: int = setting(
        640,
        "validation images, the same for all, that they are judged on, in whole batches; at most all there are",
        panel="Selection",
        used_by=JUDGING,
        ge=1,
    )
    select_samples: int = setting(
        100, "K: cells that are drawn, of which the best is kept", panel="Selection", used_by=("best-of",), ge=1
    )


class RetrainSettings(CommonSettings):
    """Settings of `zarts retrain`: a found network is trained from scratch. Defaults: DARTS' CIFAR-10 recipe."""

    epochs: int = setting(600, "passes over all training images", panel="Weights", ge=1)
    batch_size: int = setting(96, "images a weight step", panel="Weights", ge=2)
    channels: int = setting(36, "channels of the first cells", panel="Network", ge=2)
    cells: int = setting(20, "cells in the network; two of them reduce", panel="Network", ge=3)
    cutout: int | None = setting(
        None,
        "side of the square cut out of every image (default: half the image size, the paper's 16 at 32)",
        panel="Data",
        ge=0,
    )
    auxiliary_weight: float = setting(
        0.4, "weight of the auxiliary head's loss; 0: no head", panel="Regularisation", ge=0
    )
    drop_path: float = setting(
        0.2, "drop-path probability: in epoch e of E, from 0, e / E of this", panel="Regularisation", ge=0, lt=1
    )
    label_smoothing: float = setting(0.0, "of the training loss", panel="Regularisation", ge=0, lt=1)
