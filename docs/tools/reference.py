"""Reference pages, made from the typer app, the models of the settings and the docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import typer.main

import zarts
from zarts import errors
from zarts.cli.commands import app
from zarts.cli.options import with_settings
from zarts.config import RetrainSettings, SearchSettings
from zarts.config.base import SUPERNET, Settings
from zarts.config.fit import FitSettings

__all__ = ["PAGES", "api_page", "commands", "commands_page", "group", "settings_page"]

MODELS: dict[str, type[Settings]] = {
    "fit": FitSettings,
    "search": SearchSettings,
    "compare": SearchSettings,
    "retrain": RetrainSettings,
}
"""The settings that are options of a command."""


@cache
def group() -> Any:
    """The command line, as click has it."""
    return typer.main.get_command(app)


def commands() -> dict[str, Any]:
    """The commands by name."""
    return dict(group().commands)


def _cell(text: Any) -> str:
    """A text as the cell of a table, of whose signs only backticks mean something."""
    text = re.sub(r"\s+", " ", str(text)).replace("<", "&lt;").strip()
    parts = re.split(r"`([^`]*)`", text)  # every second one is code
    plain = [re.sub(r"[|*_\[\]^]", lambda sign: f"&#{ord(sign[0])};", part) for part in parts[::2]]
    code = [f"<code>{part.replace('|', '&#124;')}</code>" if "|" in part else f"`{part}`" for part in parts[1::2]]
    return "".join(word for pair in zip(plain, [*code, ""], strict=True) for word in pair)


def _table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    lines = [[*head], *([_cell(value) for value in row] for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _code(text: Any) -> str:
    return f"`{text}`"


def _default(value: Any) -> str:
    """A default as it is written on the command line; an en dash where there is none."""
    if value is None or value == () or callable(value):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _code(",".join(map(str, value)) if isinstance(value, tuple | list) else value)


def _option(parameter: Any) -> tuple[str, str, str]:
    names = " ".join(_code(name) for name in [*parameter.opts, *parameter.secondary_opts])
    if parameter.param_type_name == "argument":
        names = _code((parameter.metavar or parameter.name).upper())
    return names, getattr(parameter, "help", "") or "", _default(parameter.default)


def _command(name: str, command: Any) -> str:
    model = MODELS.get(name)
    shown = [one for one in command.params if not getattr(one, "hidden", False)]
    options = [one for one in shown if one.param_type_name != "argument"]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    own = arguments + [one for one in options if model is None or one.name not in model.model_fields]
    text = f"## zarts {name}\n\n{inspect.cleandoc(command.help or '')}\n\n```\n"
    text += " ".join(["zarts", name, *(_option(one)[0].strip("`") for one in arguments)])
    text += " [OPTIONS]\n```\n\n" + _table(["option", "what", "default"], map(_option, own))
    if model is not None:
        section = {FitSettings: "fit", RetrainSettings: "retrain"}.get(model, "search")
        text += f"\nFurther options: [all settings of `{section}`](settings.md#settings-of-zarts-{section}).\n"
    return text


def commands_page() -> str:
    """Every command with its own options."""
    codes = [(0, "done"), *_exit_codes(), (130, "Ctrl-C, after saving"), (143, "SIGTERM, after saving")]
    intro = """# Commands

Made from the code of the command line. `zarts COMMAND --help-all` prints the same, `--help` what is used most.
`--debug` in front of or behind any command shows the traceback of an error.

"""
    pages = [_command(name, command) for name, command in commands().items()]
    exits = "## Exit codes\n\n" + _table(["code", "what"], ((_code(code), what) for code, what in codes))
    return intro + "\n".join([*pages, exits])


def _exit_codes() -> list[tuple[int, str]]:
    """Codes of expected failures with the classes of errors that have them."""
    kinds = [kind for name in errors.__all__ if inspect.isclass(kind := getattr(errors, name))]
    kinds = [kind for kind in kinds if issubclass(kind, errors.ZartsError) and kind is not errors.ZartsError]
    found: dict[int, list[str]] = {}
    for kind in kinds:
        summary = (kind.__doc__ or "").splitlines()[0].rstrip(".")
        found.setdefault(kind.exit_code, []).append(f"`{kind.__name__}`: {summary[0].lower()}{summary[1:]}")
    return [(code, "; ".join(texts)) for code, texts in sorted(found.items())]


def _written(model: type[Settings]) -> dict[str, tuple[str, str]]:
    """How values and the default of each setting are written, by the code that makes the options."""
    made = inspect.signature(with_settings(model)(lambda *, options: None)).parameters  # type: ignore[misc]
    found = {}
    for name, field in model.model_fields.items():
        option = made[name].default
        shown = option.show_default
        default = _code(shown) if isinstance(shown, str) else _default(field.default)
        found[name] = (_code(option.metavar or "yes|no"), default)
    return found


def settings_page() -> str:
    """Every setting of `fit`, `search` and `retrain`: values, default, who uses it."""
    text = """# Settings

Made from the models of the settings. A setting `batch_size` is the option `--batch-size`, the key `batch_size` in a
YAML file and the argument `batch_size` in Python; a switch `flip` has the options `--flip` and `--no-flip`. A method, a
preset or `--recipe` may bring other defaults: `--print-config` shows the values of a command.
"""
    for name, model in (("fit", FitSettings), ("search", SearchSettings), ("retrain", RetrainSettings)):
        text += f"\n## Settings of zarts {name}\n"
        panels: dict[str, list[tuple[str, ...]]] = {}
        written = _written(model)
        for key, field in model.model_fields.items():
            extra: dict[str, Any] = dict(field.json_schema_extra)  # type: ignore[arg-type]
            everywhere = model is not SearchSettings or tuple(extra["used_by"]) == SUPERNET
            users = "" if everywhere else ", ".join(map(_code, extra["used_by"]))
            what = f"{field.description}{f' (used by {users})' if users else ''}"
            what += " (may change on resume)" if extra["resumable"] else ""
            row = (_code(key), *written[key], what)
            panels.setdefault(extra["panel"], []).append(row)
        for panel, rows in panels.items():
            text += f"\n### {panel} ({name})\n\n" + _table(["setting", "values", "default", "what"], rows)
    return text


def api_page() -> str:
    """The public names of `zarts`, for mkdocstrings."""
    functions = [name for name in zarts.__all__ if inspect.isfunction(getattr(zarts, name))]
    classes = [name for name in zarts.__all__ if inspect.isclass(getattr(zarts, name))]
    text = """# Python

Made from the docstrings. What the functions do together: [python.md](../python.md). `**options` are
[settings](settings.md).
"""
    for title, names in (("Functions", functions), ("Classes", classes)):
        text += f"\n## {title}\n"
        for name in names:
            value = getattr(zarts, name)
            text += f"\n::: {value.__module__}.{value.__qualname__}\n"
    for module in ("zarts.errors", "zarts.callbacks", "zarts.zo"):
        text += f"\n## {module}\n\n::: {module}\n"
    return text


PAGES: dict[str, Callable[[], str]] = {
    "reference/commands.md": commands_page,
    "reference/settings.md": settings_page,
    "reference/api.md": api_page,
}
"""Pages of the site by their place."""


def main() -> None:
    """Write the pages into `build/reference`, to look at them without mkdocs."""
    for uri, make in PAGES.items():
        file = Path("build") / uri
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
