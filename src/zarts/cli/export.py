"""The command `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from zarts.cli.options import Operations
from zarts.cli.progress import Display
from zarts.runtime.paths import existing

__all__ = ["export"]


def export(
    source: Annotated[
        Path, typer.Argument(help="folder of a retraining or fit, or its model.safetensors", metavar="RUN")
    ],
    form: Annotated[
        Literal["onnx", "torchscript", "safetensors", "python", "tflite"],
        typer.Option("--format", help="what other tools are to read"),
    ],
    out: Annotated[
        Path | None, typer.Option(help="a new folder (default: export/FORMAT beside the model)", metavar="DIR")
    ] = None,
    input: Annotated[
        Literal["float", "uint8"],
        typer.Option(help="what an ONNX file takes: images scaled to [0, 1], or levels from 0 to 255"),
    ] = "float",
    operations: Operations = None,
) -> None:
    """Write a trained network for other tools, with a model card."""
    existing(source, "run folder or model file")
    Display(quiet=False, verbose=False).load("zarts.api._export")
    from zarts import api

    for path in api.export(source, form, out=out, operations=operations, input=input):
        print(path)
