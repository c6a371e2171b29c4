"""The command `predict`."""

from __future__ import annotations

import sys
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from zarts.cli.options import Device, Model, Operations, TrustModel
from zarts.errors import DataError
from zarts.runtime.paths import existing, printable

__all__ = ["predict"]


def predict(
    model: Model,
    images: Annotated[list[Path], typer.Argument(help="image files, or folders of them")],
    top: Annotated[int, typer.Option(help="how many classes to name", min=1)] = 1,
    device: Device = "auto",
    operations: Operations = None,
    trust: TrustModel = False,
    json: Annotated[bool, typer.Option("--json", help="print a line of JSON an image")] = False,
) -> None:
    """Predict the classes of images."""
    existing(model, "run folder or model file")
    from zarts import api

    failed = 0
    found_in = api.iter_predictions(
        model, images, top=top, device=device, operations=operations, trust=trust, note=_note
    )
    for found in found_in:
        if found.error is not None:
            failed += 1
            print(f"zarts: {printable(found.error)}", file=sys.stderr)
        if json:
            print(dumps({"image": str(found.image), "classes": dict(found.classes), "error": found.error}))
        elif found.error is None:
            likeliest = ", ".join(f"{name} {100 * chance:.1f} %" for name, chance in found.classes)
            print(printable(f"{found.image}: {likeliest}"))
    if failed:
        raise SystemExit(DataError.exit_code)


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)
