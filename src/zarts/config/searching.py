"""First part of the settings of a search: method and axes, network, phases, schedule, run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from zarts.config.base import SUPERNET, CommonSettings, setting
from zarts.config.types import Counts, Shares
from zarts.methods import GRADIENT, ZERO_ORDER

__all__ = ["ADAM", "SAMPLING", "UPDATING", "SearchingSettings"]

SAMPLING = (*ZERO_ORDER, "reinforce")
UPDATING = (*SAMPLING, *GRADIENT)
ADAM = (*GRADIENT, "reinforce")
PHASED = ("prune", "restart")


def _no_float16(value: Any) -> Any:
    if str(value).startswith("16"):
        raise PydanticCustomError(
            "float16",
            "float16 needs loss scaling, which skips steps that overflow: candidates would be evaluated after "
            "unequal numbers of steps: take bf16-mixed",
        )
    return value


class SearchingSettings(CommonSettings):
    """The first part of the settings of a search, see `zarts.config.SearchSettings`."""

    space: str = setting(
        "darts",
        "darts, darts-zero, s1, s2, s3, s4, nasbench201, or a YAML file with a space of your own",
        panel="Search",
    )
    method: str = setting("zarts-mgs", "a row of `zarts list methods`", panel="Search")
    arch_optimizer: str = setting(
        "mgs",
        "what updates alpha, instead of the method's own: mgs, rs, gld, cmaes, nevergrad:NAME (packages of their own), "
        "gradient, unrolled, amended, reinforce or none",
        panel="Search",
    )
    relaxation: str = setting(
        "softmax",
        "alpha to operation weights, instead of the method's own: softmax, gumbel, gumbel-soft, path, cell or none",
        panel="Search",
    )
    weight_relaxation: str = setting(
        "same",
        "relaxation at which weights train, instead of the method's own: same, softmax, noisy, perturbed, adversarial, "
        "gumbel, gumbel-soft, path or uniform",
        panel="Search",
    )
    supernet: str = setting(
        "mixed",
        "network that shares weights, instead of the method's own: mixed, partial (operations see 1 / K of the "
        "channels) or merged (the convolutions of an edge share one kernel)",
        panel="Search",
    )
    edge_normalization: bool = setting(
        False,
        "edges have weights of their own, a softmax over those that enter a node, instead of the method's own choice",
        panel="Search",
    )
    select: str = setting(
        "argmax",
        "from the trained supernet to a cell, instead of the method's own: argmax, perturbation, local-search, best-of "
        "or evolution",
        panel="Search",
    )
    phases: str = setting(
        "one",
        "instead of the method's own: one; prune: every phase drops weak operations; restart: the same, and weights "
        "and alpha start anew in each phase",
        panel="Phases",
    )
    phase_operations: Counts = setting(
        (),
        "operations kept on an edge in each phase after the first, by softmax(alpha); an edge with fewer keeps all",
        panel="Phases",
        used_by=PHASED,
    )
    phase_starts: Shares | None = setting(
        None,
        "start of each phase after the first, as a share of all epochs (default: phases of equal length)",
        panel="Phases",
        used_by=PHASED,
    )
    phase_cells: Counts | None = setting(
        None,
        "cells of the network in each phase (default: 5/8, 11/8, 17/8 … of `cells`; P-DARTS: 5, 11, 17)",
        panel="Phases",
        used_by=("restart",),
    )
    phase_warmup: float = setting(
        0.4,
        "share of each phase's epochs before the first update of alpha, instead of warmup_epochs (P-DARTS: 10 of 25)",
        panel="Phases",
        used_by=("restart",),
        ge=0,
        lt=1,
    )
    skip_dropout: Shares = setting(
        (0.0,),
        "dropout on skips while weights train, at the start of a phase: one value for all phases, or one for each; it "
        "falls within a phase",
        panel="Phases",
        used_by=SUPERNET,
    )
    cells: int = setting(
        8,
        "cells in the network, two of which reduce; in space nasbench201 cells a stage (the benchmark's 5)",
        panel="Network",
        used_by=SUPERNET,
        ge=1,
    )
    partial_channels: int = setting(
        4, "K: operations see the first 1 / K of a node's channels", panel="Network", used_by=("partial",), ge=1
    )
    reduction: Literal["residual", "light"] = setting(
        "residual",
        "between stages in space nasbench201: the benchmark's residual blocks, or light: a pool and a 1x1 convolution",
        panel="Network",
        used_by=SUPERNET,
    )
    warmup_epochs: int = setting(10, "epochs before the first update of alpha", panel="Search", used_by=UPDATING, ge=0)
    arch_update_interval: int = setting(
        10, "weight steps from one alpha update to the next", panel="Search", used_by=UPDATING, ge=1
    )
    learning_rate_min: float = setting(0.001, "end of the cosine", panel="Weights", used_by=SUPERNET, ge=0)
    cutout: int = setting(
        0, "side of the square cut out of every image, in pixels; 0: none", panel="Data", used_by=SUPERNET, ge=0
    )
    drop_path: float = setting(
        0.0,
        "probability of dropping an edge with all its operations, for an image, while weights train: in epoch e of E, "
        "from 0, e / (E - 1) of this",
        panel="Network",
        used_by=SUPERNET,
        ge=0,
        lt=1,
    )

    devices: Annotated[int, Field(ge=1)] | Literal["auto"] = setting(
        "auto",
        "processes (on GPUs: one each) that share the candidates; auto: for small networks, one a processor; else 1",
        panel="Run",
        used_by=SAMPLING,
        resumable=True,
    )
    benchmark_table: Path | Literal["auto"] | None = setting(
        None,
        "NAS-Bench-201's true accuracies, logged beside a search in its space: their file or its directory, or auto: "
        "the directory ZARTS_DATA",
        panel="Run",
        resumable=True,
    )

    kernels: Literal["auto", "native", "torch"] = setting(
        "auto",
        "of the supernet on the CPU: compiled from C++ where that works (auto), always (native), or torch's own",
        panel="Run",
        used_by=SUPERNET,
    )
    precision: Annotated[Literal["32-true", "bf16-mixed"], BeforeValidator(_no_float16)] = setting(
        "32-true",
        "bf16-mixed: passes with gradient in bfloat16, weights in float32; only where the processor has bfloat16",
        panel="Run",
        used_by=SUPERNET,
    )
