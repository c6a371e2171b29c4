"""The typer app: every command, in the order of the help page."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from zarts.cli.compare import compare
from zarts.cli.diagnose import diagnose
from zarts.cli.draw import draw, genotype
from zarts.cli.evaluate import evaluate
from zarts.cli.export import export
from zarts.cli.fit import fit
from zarts.cli.help import HelpedCommand, overview, with_help_all
from zarts.cli.landscape import landscape
from zarts.cli.latency_table import latency_table
from zarts.cli.lookup import lookup
from zarts.cli.ls import list_
from zarts.cli.mistakes import unknown_command, unreadable
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
    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write(overview(ctx) + "\n")

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        words = list(args)
        if not words and not ctx.resilient_parsing:
            typer.echo(ctx.get_help())
            raise typer.Exit
        try:
            return super().parse_args(ctx, args)
        except typer.TyperException as error:
            raise unreadable(error, self, words, self.commands) from error

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in self.commands and not ctx.resilient_parsing:
            raise unknown_command(args[0], self.commands)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Interrupted as error:
            raise _Stopped(str(error)) from error


app = typer.Typer(
    name="zarts",
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(value: bool | None) -> None:
    if value:
        print(f"zarts {version('zarts')}")
        raise typer.Exit


@app.callback()
def _zarts(
    _version: Annotated[
        bool | None, typer.Option("--version", is_eager=True, callback=_print_version, help="print the version")
    ] = None,
) -> None:
    """Neural networks made for your own images, by architecture search."""


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
    list_,
    latency_table,
):
    app.command(_command.__name__.replace("_", "-").rstrip("-"), cls=HelpedCommand)(with_help_all(_command))
