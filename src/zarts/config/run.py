"""Settings of a run: seed, device, precision, memory, and what it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from zarts.config.base import SAMPLING, SUPERNET, Settings, setting
from zarts.config.types import Bytes, Processes, Seed

__all__ = ["RunSettings", "SearchRunSettings"]


class RunSettings(Settings):
    """Settings of a run that searching and retraining share; some have more values for retraining."""

    seed: Seed = setting(0, "of all random draws but those of split_seed", panel="Run")
    device: str = setting("auto", "auto, cpu, cuda, cuda:1, mps", panel="Run", used_by=SUPERNET)
    threads: int | Literal["auto"] | None
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "auto"]
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
    memory_limit: Bytes | Literal["auto", "none"] = setting(
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


def _no_float16(value: Any) -> Any:
    if str(value).startswith("16"):
        raise PydanticCustomError(
            "float16",
            "float16 needs loss scaling, which skips steps that overflow: candidates would be evaluated after "
            "unequal numbers of steps: take bf16-mixed",
        )
    return value


class SearchRunSettings(RunSettings):
    """Settings of the run of a search."""

    devices: Annotated[Processes, Field(ge=1)] | Literal["auto"] = setting(
        "auto",
        "processes (on GPUs: one each) that share the candidates; auto: for small networks, one a processor; else 1",
        panel="Run",
        used_by=SAMPLING,
        otherwise=1,
        resumable=True,
    )
    threads: Annotated[Processes, Field(ge=1)] | None = setting(
        None, "processor threads of torch (default: torch's choice)", panel="Run", used_by=SUPERNET
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
