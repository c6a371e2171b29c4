"""Messages for a command line that cannot be read: what is wrong in it, and what was probably meant."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from zarts.config.renamed import RENAMED
from zarts.errors import SettingsError, nearest

__all__ = ["unknown_command", "unreadable"]


def unknown_command(name: str, commands: Mapping[str, Any]) -> SettingsError:
    """The error for a word that is no command: an option's name, a path, or a typo."""
    listed = "`zarts --help` lists the commands"
    if os.path.exists(name):  # noqa: PTH110 (of a name that is too long, it says no)
        return SettingsError(f"{name!r} is a path, no command: did you mean `zarts fit {name}`? {listed}")
    near = nearest(name, commands)
    return SettingsError(f"unknown command {name!r}: {f'did you mean {near!r}? ' if near else ''}{listed}")


def unreadable(error: Any, command: Any, args: Sequence[str], commands: Mapping[str, Any]) -> SettingsError:
    """The error for options and arguments of a command that cannot be read.

    Args:
        error: typer's error.
        command: the command.
        args: its words.
        commands: all commands by name.
    """
    usage = f"see `{_called(command)} --help`"
    if hasattr(error, "possibilities"):
        return SettingsError(_unknown_option(error.option_name, command, args, commands))
    if hasattr(error, "option_name"):
        return SettingsError(f"option {error.option_name} needs a value: {usage}")
    param = getattr(error, "param", None)
    if param is None:
        extra = re.search(r"argument\(s\) \((.*)\)", str(error))
        if extra is None:
            return SettingsError(f"{error.format_message()}: {usage}")
        options = [name for one in command.params for name in one.opts]
        first = extra[1].split(" ")[0]
        has_arguments = any(one.param_type_name == "argument" for one in command.params)
        meant = f"did you mean `--data {first}`? " if "--data" in options and not has_arguments else ""
        return SettingsError(f"{extra[1]!r} is one word too many: {meant}{usage}")
    name = param.opts[0] if param.param_type_name == "option" else param.metavar or param.name.upper()
    if not error.message:
        choices = ", ".join(map(str, param.type_descriptor.choices or ()))
        return SettingsError(f"{name} is missing: {f'one of {choices}; ' if choices else ''}{usage}")
    return SettingsError(f"{name}: {_value_message(error.message, param)}")


def _value_message(message: str, param: Any) -> str:
    """Without pydantic's first words, and with the choice that was probably meant."""
    message = message.removeprefix("Value error, ").removeprefix("Input ").rstrip(".")
    got, choices = re.match(r"'(.*?)' is not one of", message), param.type_descriptor.choices or ()
    near = nearest(got[1], map(str, choices)) if got else None
    return f"{message}: did you mean {near!r}?" if near else message


def _unknown_option(name: str, command: Any, args: Sequence[str], commands: Mapping[str, Any]) -> str:
    if len(name) == 2:  # of `-epochs`, which is read as letters
        name = next((word for word in args if word.startswith(name) and len(word) > 2), name)
    key = name.lstrip("-").partition("=")[0].replace("-", "_")
    if key in RENAMED:
        return f"option {name} of zarts 0.1.0 is called --{RENAMED[key]} now".replace("_", "-")
    own, written = _long_options(command), "--" + key.replace("_", "-")
    others = [] if written in own else [other for other, one in commands.items() if written in _long_options(one)]
    near = written if written in own else nearest(written, own)
    hint = f"did you mean {near}? " if near else ""
    if others:
        of = ", ".join(f"`zarts {other}`" for other in others)
        return f"{name} is no option of `{_called(command)}` but of {of}: see `{_called(command)} --help-all`"
    page = "--help-all" if command.name in commands else "--help"
    return f"unknown option {name}: {hint}`{_called(command)} {page}` lists the options"


def _long_options(command: Any) -> list[str]:
    known = [name for param in command.params for name in (*param.opts, *param.secondary_opts)]
    return [name for name in (*known, "--help") if name.startswith("--")]


def _called(command: Any) -> str:
    return "zarts" if command.name == "zarts" else f"zarts {command.name}"
