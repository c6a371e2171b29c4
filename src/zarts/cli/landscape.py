"""The command `landscape`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zarts.cli.distributed import is_rank_zero
from zarts.cli.options import Criterion, Operations, parse_counts
from zarts.cli.progress import Display, Quiet, Verbose
from zarts.runtime.paths import existing

if TYPE_CHECKING:
    from zarts.analysis import Landscape

__all__ = ["landscape"]


def landscape(
    run: Annotated[Path, typer.Argument(help="folder of a search, finished or interrupted")],
    inner_steps: Annotated[
        str | None,
        typer.Option(
            help="M of each surface: 0 first order, 1 second order (default: 0, 1 and the search's)", metavar="M,M"
        ),
    ] = None,
    grid: Annotated[int, typer.Option(help="points a side, an odd number")] = 41,
    radius: Annotated[float, typer.Option(help="how far the plane goes from alpha, each way")] = 1.0,
    scale: Annotated[
        str,
        typer.Option(
            help="what 1 is: unit (distance 1 in alpha), coordinate (1 in each coordinate, in root mean square) or "
            "alpha (the length of alpha)",
            metavar="unit|coordinate|alpha",
        ),
    ] = "unit",
    val_batches: Annotated[
        int | None, typer.Option(help="validation batches in the loss of a point (default: the search's)")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="of the inner steps (default: that at the search's last checkpoint)")
    ] = None,
    momentum: Annotated[float | None, typer.Option(help="of the inner steps (default: the search's)")] = None,
    seed: Annotated[int, typer.Option(help="of the two directions")] = 0,
    again: Annotated[bool, typer.Option("--again", help="replace an existing landscape")] = False,
    devices: Annotated[
        int | None, typer.Option(help="processes that share the points (default: as suits the machine)", min=1)
    ] = None,
    operations: Operations = None,
    criterion: Criterion = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Map the validation loss around a search's alpha.

    The map is a plane of alpha. The same command goes on where it was interrupted.
    """
    steps, display = parse_counts(inner_steps, "--inner-steps"), Display(quiet=quiet, verbose=verbose)
    existing(run, "run folder")
    display.load("zarts.api._analyze")
    from zarts import api

    code = api.launch_landscape_ranks(run, sys.argv[1:], grid=grid, devices=devices)
    if code is not None:
        raise SystemExit(code)
    with display.progress() as callback:
        found = api.landscape(
            run,
            inner_steps=steps,
            grid=grid,
            radius=radius,
            scale=scale,
            val_batches=val_batches,
            learning_rate=learning_rate,
            momentum=momentum,
            seed=seed,
            again=again,
            operations=operations,
            criterion=criterion,
            callbacks=[callback],
            quiet=True,
        )
    if is_rank_zero():
        _print(found)
        print(f"drawn: {run / 'landscape.svg'}, {run / 'landscape.png'}")


def _print(found: Landscape) -> None:
    """Print a line for each surface, and what the numbers mean."""
    width = max(len(surface.name) for surface in found.surfaces)
    for surface in found.surfaces:
        lowest = surface.minimum
        where = f"minimum {lowest.loss:.4f} at ({lowest.x:+.2f}, {lowest.y:+.2f})" if lowest else "no finite loss"
        print(
            f"{surface.name:{width}}  sharpness {surface.sharpness:8.4f}  {where}  rise at the rim {surface.rise:+.4f}"
        )
    print(
        f"1 in x or y is a distance of {found.unit:.3g} in alpha, which is at (0, 0); "
        f"inner steps: learning rate {found.learning_rate:.3g}, momentum {found.momentum:g}"
    )
    if found.eigenvalue is not None:
        print(f"dominant eigenvalue of the whole Hessian in alpha (first order): {found.eigenvalue:.4f}")
