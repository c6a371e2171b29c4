"""The command `report`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from zarts.cli.progress import Display
from zarts.runtime.paths import existing

__all__ = ["report"]


def report(
    run: Annotated[Path, typer.Argument(help="folder of a search, a retraining, a fit or a comparison")],
    watch: Annotated[
        bool, typer.Option("--watch", help="renew the page every ten seconds, until the run has finished or Ctrl-C")
    ] = False,
) -> None:
    """Write the report of a run or a comparison again."""
    existing(run, "run folder")
    Display(quiet=False, verbose=False).load("zarts.api._draw")
    from zarts import api

    print(api.report(run), flush=True)
    if watch:
        print("open it in a browser: it renews itself until the run has finished; Ctrl-C ends that", file=sys.stderr)
        api.report(run, watch=True)
