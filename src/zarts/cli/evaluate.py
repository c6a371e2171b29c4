"""The command `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zarts.cli.options import Device, Model, Operations, TrustModel
from zarts.cli.progress import Display, Quiet, Verbose
from zarts.runtime.paths import existing, printable

__all__ = ["evaluate"]


def evaluate(
    model: Model,
    data: Annotated[str | None, typer.Option(help="other images with the same classes")] = None,
    run: Annotated[
        Path | None, typer.Option(help="of a file outside its run: test it on that run's images", metavar="RUN")
    ] = None,
    device: Device = "auto",
    operations: Operations = None,
    trust: TrustModel = False,
    allow_left_out: Annotated[
        bool, typer.Option("--allow-left-out", help="go on where more than 5 % of the images are left out")
    ] = False,
    details: Annotated[
        bool, typer.Option("--details", help="print the accuracy of each class and the most frequent confusions, too")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Test a trained network again, from its files alone."""
    existing(model, "run folder or model file")
    display = Display(quiet=quiet, verbose=verbose)
    display.load("zarts.api._evaluate")
    from zarts import api

    with display.progress() as callback:
        found = api.examine(
            model,
            data=data,
            run=run,
            device=device,
            operations=operations,
            trust=trust,
            allow_left_out=allow_left_out,
            callback=callback,
        )
    display.notes([f"note: {note}" for note in found["notes"]])
    print(f"test accuracy: {found['accuracy']:.2f} %")
    if found["trained_on"]:
        print(f"{found['trained_on']} of the {found['images']} images are ones that the network was trained on")
    if "accuracy_of_new" in found:
        print(f"test accuracy without them: {found['accuracy_of_new']:.2f} %")
    if not details:
        return
    print("\nclass: accuracy, images")
    for row in found["per_class"]:
        right = "–" if row["accuracy"] is None else f"{row['accuracy']:.2f} %"
        print(f"{printable(row['class'])}: {right}, {row['images']}")
    print("\nconfused classes: images")
    for row in found["confused"]:
        print(f"{printable(row['true'])} for {printable(row['predicted'])}: {row['images']}")
