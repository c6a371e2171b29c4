"""What several commands share: options, those made from the settings among them, and how their values are read."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
import yaml

from zarts.config import RetrainSettings, SearchSettings, dump, preset_names
from zarts.config.base import Settings
from zarts.config.types import FORMS, written
from zarts.errors import SettingsError, shorten
from zarts.methods import AXES, METHODS
from zarts.readers import parse_yaml

__all__ = [
    "DIGITS",
    "NETWORK",
    "SOURCE",
    "Config",
    "Criterion",
    "Device",
    "DryRun",
    "Model",
    "Objective",
    "Operations",
    "Out",
    "Preset",
    "Print",
    "Resume",
    "Set",
    "Trust",
    "TrustModel",
    "check_alone",
    "launch_ranks",
    "parse_counts",
    "parse_grid",
    "parse_set",
    "print_config",
    "with_settings",
]

Command = Callable[..., None]

_MOST_DIGITS = 9

DIGITS = "1,797 grey images of 8x8 pixels"
"""The embedded data set, which is taken where none is named, in words."""


def _completed(names: Callable[[], Iterable[Any]]) -> Callable[[str], list[str]]:
    """What the shell completes the value of an option with."""
    return lambda incomplete: [name for name in map(str, names()) if name.startswith(incomplete)]


Preset = Annotated[
    str | None,
    typer.Option(
        help="a published setting: see `zarts list presets`",
        metavar="NAME",
        autocompletion=_completed(preset_names),
    ),
]
Config = Annotated[Path | None, typer.Option(help="a YAML file with settings", metavar="FILE")]
Set = Annotated[list[str] | None, typer.Option("--set", help="any setting; overrides all else", metavar="KEY=VALUE")]
Trust = Annotated[bool, typer.Option("--trust", help="unpickle the table, which runs any code in it")]
Out = Annotated[Path | None, typer.Option(help="the run folder (default: a new one in runs/)", metavar="DIR")]
Resume = Annotated[Path | None, typer.Option(help="resume this interrupted run", metavar="RUN")]
Print = Annotated[bool, typer.Option("--print-config", help="print all settings, and stop")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="predict time and memory from a few real steps, and stop")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, mps")]
Criterion = Annotated[
    str | None, typer.Option(help="the run's own criterion.py:function: its code is run", metavar="FILE.py:FUNCTION")
]
Objective = Annotated[
    str | None, typer.Option(help="the run's own objective.py:function: its code is run", metavar="FILE.py:FUNCTION")
]
Operations = Annotated[Path | None, typer.Option(help="the run's own operations.py: its code is run", metavar="FILE")]

SOURCE = "a run, a genotype file, a published genotype's name, or a genotype written out: 'Genotype(...)'"
NETWORK = f"{SOURCE}; or a hand-made network's name or a chain's file"
_MODEL = "a retraining's or fit's folder, an exported one, or a model.safetensors, .onnx or TorchScript .pt"
Model = Annotated[Path, typer.Argument(help=_MODEL)]
TrustModel = Annotated[
    bool, typer.Option("--trust", help="run an exported model.py or TorchScript .pt, which are code")
]


def _metavar(annotation: Any) -> str:
    words = [a for a in get_args(annotation) if isinstance(a, str)]
    if words and not any(a in (int, float) for a in get_args(annotation)):
        return "|".join(words)
    plain = [get_args(a)[0] if get_origin(a) is Annotated else a for a in (annotation, *get_args(annotation))]
    for listed in (a for a in plain if get_origin(a) is tuple):
        return f"{_metavar(get_args(get_args(listed)[0])[0])},…"
    for kind in (annotation, *get_args(annotation)):
        if kind in FORMS:
            return FORMS[kind]
    if {int, float} <= {*plain}:
        return "NUMBER"
    for kind, name in ((int, "INT"), (float, "FLOAT")):
        if kind in plain:
            return "NUMBER|auto" if any(get_origin(a) is Literal for a in get_args(annotation)) else name
    return "TEXT"


def _choices(name: str, annotation: Any) -> Callable[[], Iterable[Any]]:
    """The names that a setting takes, if they are listed; without those of a user's own files."""

    def spaces() -> Iterable[str]:
        from zarts.spaces import SPACES  # which needs torch

        return SPACES

    if name == "space":
        return spaces
    words = [word for word in get_args(annotation) if isinstance(word, str)]
    return lambda: {"method": METHODS, **AXES}.get(name, words)


def _default(name: str, field: Any, annotated: Any) -> str | bool:
    """The default of a setting as one types it; False: its text tells what happens without it."""
    value = field.default
    if name in AXES:
        return "the method's own"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == ():
        return False if "default: " in field.description else "none"
    return ",".join(map(str, value)) if isinstance(value, tuple) else written(value, annotated)


def _parameter(name: str, field: Any, hint: Any) -> inspect.Parameter:
    """An option; pydantic keeps of an annotated type, as a time is one, only what it is in the end: a number."""
    annotated = hint if any(hint == form for form in FORMS) else field.annotation
    extra, is_bool = field.json_schema_extra, bool in {field.annotation, *get_args(field.annotation)}
    flag = "--" + name.replace("_", "-")
    declaration = f"{flag}/--no-{flag[2:]}" if is_bool else flag
    option = typer.Option(
        None,
        declaration,
        help=field.description,
        rich_help_panel=extra["panel"],
        show_default=_default(name, field, annotated),
        metavar=None if is_bool else _metavar(annotated),
        autocompletion=_completed(_choices(name, annotated)),
    )
    annotation = bool | None if is_bool else str | None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=annotation)


def with_settings(kind: type[Settings], *, without: tuple[str, ...] = ()) -> Callable[[Command], Command]:
    """Give a command one option for each field of `kind`; the command receives the given ones as mapping `options`.

    Args:
        kind: the settings.
        without: fields that are not options of this command.
    """

    def decorate(command: Command) -> Command:
        hints = get_type_hints(kind, include_extras=True)
        fields = {name: field for name, field in kind.model_fields.items() if name not in without}
        generated = [_parameter(name, field, hints[name]) for name, field in fields.items()]
        own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "options"]

        def wrapper(**arguments: Any) -> None:
            options = {p.name: arguments.pop(p.name) for p in generated}
            command(**arguments, options={k: v for k, v in options.items() if v is not None})

        parameters = [*own, *generated]
        wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
        wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
        return wrapper

    return decorate


def parse_set(items: list[str], option: str = "--set") -> dict[str, Any]:
    """`--set key=value` as a mapping; values are read as YAML.

    Raises:
        SettingsError: an item has no equals sign, or its value is not YAML.
    """
    values = {}
    for item in items:
        key, sign, value = item.partition("=")
        if not sign:
            raise SettingsError(f"{option} {shorten(item)}: expected key=value, for example {option} epochs=20")
        values[key.strip().replace("-", "_")] = parse_yaml(value, f"{option} {shorten(item)}", SettingsError)
    return values


def parse_grid(items: list[str]) -> dict[str, list[Any]]:
    """`--grid key=value,value` as a mapping; values are read as YAML, so each may be a list: `key=[4,2,1],[2,1,1]`.

    Raises:
        SettingsError: an item has no equals sign, its values are not YAML, or a key is given twice.
    """
    grid: dict[str, list[Any]] = {}
    for item in items:
        name, sign, values = item.partition("=")
        key = name.strip().replace("-", "_")
        if not sign:
            raise SettingsError(f"--grid {shorten(item)}: expected key=value,value, for example --grid samples=2,4,8")
        if key in grid:
            raise SettingsError(f"--grid {shorten(item)}: {shorten(key)} is given twice: give all its values at once")
        grid[key] = parse_yaml(f"[{values}]", f"--grid {shorten(item)}", SettingsError)
    return grid


def parse_counts(text: str | None, option: str) -> list[int]:
    """`0,1,10` as numbers; an empty list for None.

    Raises:
        SettingsError: a part is not a whole number from 0.
    """
    parts = [] if text is None else [part.strip() for part in text.split(",")]
    for part in parts:
        if not part.isdecimal() or len(part) > _MOST_DIGITS:
            raise SettingsError(
                f"{option} {shorten(str(text))}: {shorten(part)!r} is not a whole number of at most {_MOST_DIGITS} "
                "digits; expected for example 0,1,10"
            )
    return [int(part) for part in parts]


def check_alone(resume: Path, *others: Any) -> None:
    """Refuse other options beside `--resume`.

    Raises:
        SettingsError: one of `others` is given.
    """
    if any(others):
        raise SettingsError(f"--resume {resume} uses the settings of that run: leave everything else out")


def launch_ranks(settings: SearchSettings | RetrainSettings) -> None:
    """Run the command on several ranks if the settings ask for them, and exit with their exit code."""
    from zarts import api

    code = api.launch_ranks(settings, sys.argv[1:])
    if code is not None:
        raise SystemExit(code)


def print_config(command: str, settings: Settings) -> None:
    """Print the settings of a command as YAML that `--config` reads."""
    print(yaml.safe_dump({command: dump(settings)}, sort_keys=False), end="")
