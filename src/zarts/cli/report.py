"""The command `report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report"]


def report(
    run: Annotated[Path, typer.Argument(help="folder of a search, a retraining, a fit or a comparison")],
) -> None:
    """Write the report of a run or of a comparison again."""
    from zarts import api

    print(api.report(run))
