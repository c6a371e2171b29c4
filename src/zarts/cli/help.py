"""Help pages in plain text: what one can do, a page a command with the usual options, and one with all of them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from zarts.cli.guides import GUIDES
from zarts.cli.mistakes import unreadable
from zarts.runtime.columns import folded, terminal_width, terms, two_columns

__all__ = ["HelpedCommand", "overview", "with_help_all"]

_GOALS = (
    (
        "The best small network for your images, in the time you have:",
        "zarts fit path/to/images --time 30m --max-params 100k",
    ),
    (
        "An architecture search as in the papers, then `zarts retrain RUN`:",
        "zarts search --preset quick",
    ),
    (
        "Which method is better, over several seeds:",
        "zarts compare --preset quick --methods zarts,darts,random --seeds 3",
    ),
)
_GROUPS = {
    "Find a network": ("fit", "search", "retrain", "compare"),
    "Use it": ("evaluate", "predict", "export"),
    "Look closer": ("report", "draw", "genotype", "lookup", "diagnose", "landscape"),
    "Know what there is": ("list", "latency-table"),
}
_KINDS = {"int": "INT", "float": "FLOAT", "str": "TEXT", "path": "PATH", "file": "PATH", "directory": "DIR"}

_OPTIONS = (
    ("-h, --help", "this page; `zarts COMMAND --help`: how to use a command"),
    ("--version", "print the version"),
    ("--install-completion", "let the shell complete commands and options"),
)

Command = Callable[..., None]


def overview(ctx: Any) -> str:
    """The page of `zarts` alone: three things that one can do, then the commands."""
    width, parts = terminal_width(), [folded(ctx.command.help, terminal_width())]
    left = max(len(name) for name in ctx.command.commands)
    parts.append(
        "\n".join(f"{folded(goal, width)}\n{folded(line, width, '    $ ', '        ')}" for goal, line in _GOALS)
    )
    for title, names in _GROUPS.items():
        rows = [(name.ljust(left), ctx.command.commands[name].help.partition("\n")[0]) for name in names]
        parts.append(f"{_heading(title)}\n{two_columns(rows, width)}")
    parts.append(f"{_heading('Options')}\n{two_columns(_OPTIONS, width)}")
    return "\n\n".join(parts)


class HelpedCommand(TyperCommand):
    """A command whose `--help` is `page`, and which says what is wrong in its options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of the command.

        Raises:
            SettingsError: they cannot be read.
        """
        words = list(args)
        if "--help-all" in words and not ctx.resilient_parsing:
            typer.echo(page(self, ctx, whole=True))
            raise typer.Exit
        try:
            return super().parse_args(ctx, args)
        except typer.TyperException as error:
            raise unreadable(error, self, words, ctx.parent.command.commands) from error

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the short page."""
        formatter.write(page(self, ctx) + "\n")


def page(command: Any, ctx: Any, *, whole: bool = False) -> str:
    """The help page of a command.

    Args:
        command: the command.
        ctx: typer's context.
        whole: all options in their groups, instead of the usual ones.
    """
    width, guide = terminal_width(), GUIDES[command.name]
    parts = [folded(_usage(command, ctx), width, "", "    ")]
    parts.append(folded(inspect.cleandoc(command.help), width))
    examples = "\n".join(folded(example, width, "  ", "      ") for example in guide.examples)
    parts.append(f"{_heading('Examples' if len(guide.examples) > 1 else 'Example')}\n{examples}")
    params = command.get_params(ctx)
    arguments = [(_argument(param), _text(param)) for param in params if param.param_type_name == "argument"]
    if arguments:
        parts.append(f"{_heading('Arguments')}\n{terms(arguments, width) if whole else two_columns(arguments, width)}")
    options = [param for param in params if param.param_type_name == "option"]
    if whole:
        for title, group in _grouped(options).items():
            rows = [(_head(param, ctx), _text(param)) for param in group]
            parts.append(f"{_heading(title)}\n{terms(rows, width)}")
        if len(_grouped(options)) > 1:
            parts.append(folded(_DEFAULTS, width))
    else:
        parts.append(f"{_heading('Options')}\n{two_columns(_usual(options, ctx, guide.usual), width)}")
    return "\n\n".join(parts)


_DEFAULTS = "A method, a recipe or a preset may bring other defaults: --print-config prints those that hold."


def _usual(options: list[Any], ctx: Any, usual: Any) -> Iterator[tuple[str, str]]:
    by_name = {param.name.rstrip("_"): param for param in options}
    for name in usual or [name for name in by_name if not name.startswith("help")]:
        param = by_name[name.rstrip("_")]
        yield _head(param, ctx, both=False), _text(param, usual.get(name, "") if usual else "")
    yield "-h, --help", "show this page"
    if usual:
        groups = ", ".join(title.lower() for title in _grouped(options) if title != _MAIN)
        yield "--help-all", f"show all {len(options)} options{f': {groups}' if groups else ''}"


_MAIN = "Options"
"""The heading of options that are no settings."""


def _grouped(options: list[Any]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for param in options:
        groups.setdefault(param.rich_help_panel or _MAIN, []).append(param)
    return groups


def _names(param: Any) -> str:
    return ", ".join(sorted(param.opts, key=len))


def _usage(command: Any, ctx: Any) -> str:
    words = [f"Usage: {ctx.command_path}"]
    for param in command.get_params(ctx):
        if param.param_type_name == "argument":
            words.append(_argument(param) if param.required else f"[{_argument(param)}]")
        elif param.required:
            words.append(f"{_names(param)} {_kind(param, ctx)}")
    return " ".join([*words, "[OPTIONS]"])


def _argument(param: Any) -> str:
    return str(param.metavar or param.name.upper())


def _head(param: Any, ctx: Any, *, both: bool = True) -> str:
    """An option with the kind of its value; of a switch both forms, or the one that changes something."""
    if param.is_flag:
        on, off = _names(param), ", ".join(param.secondary_opts)
        if both or not off:
            return f"{on}, {off}" if off else on
        return off if param.show_default == "yes" else on
    return f"{_names(param)} {_kind(param, ctx)}"


def _kind(param: Any, ctx: Any) -> str:
    """What stands for the value of an option."""
    if param.metavar is not None:
        return str(param.metavar)
    kind = re.sub(r"^list\[(.*)\]$", r"\1", param.display_type(ctx).strip("<>")).removesuffix(" range")
    return _KINDS.get(kind.lower(), kind)


def _text(param: Any, short: str = "") -> str:
    """The text of an option, with its default unless the text names that."""
    if param.name == "help":
        return "show a short page"
    default, known = "", re.search(r"\(default: ([^)]*)\)", param.help or "")
    if param.required and param.param_type_name == "option":
        return f"{short or param.help} [required]"
    if isinstance(param.show_default, str):
        default = "" if short and param.show_default == "no" else param.show_default
    elif param.default is not None and param.default is not False:
        default = str(param.default)
    elif known and short:
        default = known[1]
    text = short or param.help or ""
    return f"{text} [default:\u00a0{default}]" if default else text


def with_help_all(command: Command) -> Command:
    """Give a command the option `--help-all`."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())
    option = inspect.Parameter("help_all", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_HELP_ALL)

    def wrapper(**arguments: Any) -> None:
        del arguments["help_all"]
        command(**arguments)

    parameters = [*(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own), option]
    wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapper


_HELP_ALL = Annotated[bool, typer.Option("--help-all", help="show all options")]
"""Declared for completion and for what was meant by a typo: `HelpedCommand` reads it before all others."""


def _heading(text: str) -> str:
    return typer.style(f"{text}:", bold=True)
