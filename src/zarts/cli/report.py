"""The command `report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zarts.runtime.paths import existing

__all__ = ["report"]


def report(
    run: Annotated[Path, typer.Argument(help="folder of a search, a retraining, a fit or a comparison")],
) -> None:
    """Write the report of a run or a comparison again."""
    existing(run, "run folder")
    from zarts import api

    print(api.report(run))
