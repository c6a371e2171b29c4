"""The typer app: every command, in the order of the help page."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from zarts.cli.compare import compare
from zarts.cli.diagnose import diagnose
from zarts.cli.draw import draw, genotype
from zarts.cli.evaluate import evaluate
from zarts.cli.export import export
from zarts.cli.fit import fit
from zarts.cli.landscape import landscape
from zarts.cli.latency_table import latency_table
from zarts.cli.lookup import lookup
from zarts.cli.ls import list_
from zarts.cli.predict import predict
from zarts.cli.report import report
from zarts.cli.retrain import retrain
from zarts.cli.search import search
from zarts.errors import Interrupted, ZartsError

__all__ = ["app"]

# Commands import `zarts.api` themselves: it imports torch, which takes seconds, and help pages need none of it.


class _Stopped(ZartsError):
    """An interruption on its way through typer, which makes any `KeyboardInterrupt` an exit code without a message."""

    exit_code = Interrupted.exit_code


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Interrupted as error:
            raise _Stopped(str(error)) from error


app = typer.Typer(
    name="zarts",
    cls=_Commands,
    help="Find neural network architectures for your own images, by zero-order optimisation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _zarts() -> None:
    """Find neural network architectures for your own images, by zero-order optimisation."""


for _command in (
    fit,
    search,
    compare,
    retrain,
    evaluate,
    export,
    predict,
    draw,
    genotype,
    lookup,
    diagnose,
    landscape,
    report,
    latency_table,
):
    app.command()(_command)
app.command("list")(list_)
