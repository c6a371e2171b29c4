"""The commands `export`, `evaluate` and `predict`."""

from __future__ import annotations

import sys
from json import dumps
from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["evaluate", "export", "predict"]

_MODEL = "a retraining's folder, an exported one, or a model.safetensors, .onnx or TorchScript .pt"
_Trust = Annotated[bool, typer.Option("--trust", help="run an exported model.py, which is Python code")]
_Device = Annotated[str, typer.Option(help="auto, cpu, cuda, mps")]
_Operations = Annotated[Path | None, typer.Option(help="the run's own operations.py: its code is run", metavar="FILE")]


def export(
    source: Annotated[Path, typer.Argument(help="folder of a retraining, or its model.safetensors", metavar="RUN")],
    form: Annotated[
        Literal["onnx", "torchscript", "safetensors", "python"],
        typer.Option("--format", help="what other tools are to read"),
    ],
    out: Annotated[
        Path | None, typer.Option(help="a new folder (default: export/FORMAT beside the model)", metavar="DIR")
    ] = None,
    operations: _Operations = None,
) -> None:
    """Write a trained network for other tools, with a model card."""
    from zarts import api

    for path in api.export(source, form, out=out, operations=operations):
        print(path)


def evaluate(
    model: Annotated[Path, typer.Argument(help=_MODEL)],
    data: Annotated[str | None, typer.Option(help="other images with the same classes")] = None,
    run: Annotated[
        Path | None, typer.Option(help="of a file that has left its run: test it on that run's images", metavar="RUN")
    ] = None,
    device: _Device = "auto",
    operations: _Operations = None,
    trust: _Trust = False,
    details: Annotated[
        bool, typer.Option("--details", help="accuracy of each class, and what is taken for what, too")
    ] = False,
) -> None:
    """Test a trained network again, from its files alone."""
    from zarts import api

    found = api.examine(model, data=data, run=run, device=device, operations=operations, trust=trust)
    print(f"test accuracy: {found['accuracy']:.2f} %")
    if not details:
        return
    print("\nclass: accuracy, images")
    for row in found["per_class"]:
        right = "–" if row["accuracy"] is None else f"{row['accuracy']:.2f} %"
        print(f"{row['class']}: {right}, {row['images']}")
    print("\ntaken for another: images")
    for row in found["confused"]:
        print(f"{row['true']} for {row['predicted']}: {row['images']}")


def predict(
    model: Annotated[Path, typer.Argument(help=_MODEL)],
    images: Annotated[list[Path], typer.Argument(help="image files, or folders of them")],
    top: Annotated[int, typer.Option(help="how many classes to name", min=1)] = 1,
    device: _Device = "auto",
    operations: _Operations = None,
    trust: _Trust = False,
    json: Annotated[bool, typer.Option("--json", help="print a line of JSON an image")] = False,
) -> None:
    """Say what is on images."""
    from zarts import api
    from zarts.errors import DataError

    failed = 0
    for found in api.predict(model, images, top=top, device=device, operations=operations, trust=trust):
        if found.error is not None:
            failed += 1
            print(f"zarts: {found.error}", file=sys.stderr)
        if json:
            print(dumps({"image": str(found.image), "classes": dict(found.classes), "error": found.error}))
        elif found.error is None:
            print(f"{found.image}: " + ", ".join(f"{name} {100 * chance:.1f} %" for name, chance in found.classes))
    if failed:
        raise SystemExit(DataError.exit_code)
