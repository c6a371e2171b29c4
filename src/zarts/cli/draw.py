"""The commands `draw` and `genotype`: a genotype as pictures and as text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zarts.cli.options import SOURCE
from zarts.cli.progress import Display

__all__ = ["draw", "genotype"]


def draw(
    source: Annotated[str, typer.Argument(help=SOURCE)],
    out: Annotated[Path, typer.Option(help="folder for the pictures", metavar="DIR")] = Path("cells"),
    every: Annotated[
        int | None,
        typer.Option(help="of a search: the cells of every N-th epoch, side by side and animated", metavar="N", min=1),
    ] = None,
) -> None:
    """Draw the cells of a genotype as SVG and PNG."""
    Display(quiet=False, verbose=False).load("zarts.api._draw")
    from zarts import api

    for path in api.draw(source, out, every=every):
        print(path)


def genotype(
    source: Annotated[str, typer.Argument(help=SOURCE)],
    json: Annotated[bool, typer.Option("--json", help="print JSON, as in the genotype files of runs")] = False,
) -> None:
    """Print a genotype as the papers' code writes it."""
    Display(quiet=False, verbose=False).load("zarts.api._architecture")
    from zarts import api
    from zarts.spaces import genotype_string

    found, _ = api.genotype_of(source)
    print(found.to_json().rstrip() if json else genotype_string(found))
