"""The command `predict`."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zarts.cli.options import Device, Model, Operations, TrustModel
from zarts.cli.progress import Display, Quiet, Verbose
from zarts.errors import DataError
from zarts.runtime.paths import existing, printable

if TYPE_CHECKING:
    from zarts.api import Prediction

__all__ = ["predict"]


def predict(
    model: Model,
    images: Annotated[list[Path], typer.Argument(help="image files, or folders of them")],
    top: Annotated[int, typer.Option(help="how many classes to name", min=1)] = 1,
    device: Device = "auto",
    operations: Operations = None,
    trust: TrustModel = False,
    json: Annotated[bool, typer.Option("--json", help="print a line of JSON an image")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Predict the classes of images."""
    existing(model, "run folder or model file")
    display = Display(quiet=quiet, verbose=verbose)
    display.load("zarts.api._predict")
    from zarts import api

    failed = 0
    with ExitStack() as bar:
        callback = bar.enter_context(display.progress())
        for found in api.iter_predictions(
            model, images, top=top, device=device, operations=operations, trust=trust, callback=callback
        ):
            if sys.stdout.isatty():
                bar.close()  # lines of images show how far it is
            failed += found.error is not None
            _print(found, json=json)
    if failed:
        raise SystemExit(DataError.exit_code)


def _print(found: Prediction, *, json: bool) -> None:
    """Print a line for an image; on standard error why it could not be read."""
    if found.error is not None:
        print(f"zarts: {printable(found.error)}", file=sys.stderr)
    if json:
        print(dumps({"image": str(found.image), "classes": dict(found.classes), "error": found.error}))
    elif found.error is None:
        likeliest = ", ".join(f"{name} {100 * chance:.1f} %" for name, chance in found.classes)
        print(printable(f"{found.image}: {likeliest}"))
