"""Arguments of the public functions: settings in signature and help, and what a resumed run refuses."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from zarts.config import FUNCTIONS, CommonSettings, resumable
from zarts.config.base import Settings
from zarts.errors import SettingsError
from zarts.wording import in_python

__all__ = ["check_resumed", "with_settings"]

_F = TypeVar("_F", bound=Callable[..., Any])


def with_settings(kind: type[Settings], options: type[Any]) -> Callable[[_F], _F]:
    """Give a function that ends in `**options` a signature and a docstring that list the settings.

    The defaults are those of the settings; a method or a preset may bring others.

    Args:
        kind: the settings. One that is a parameter of the function already is not listed again.
        options: the same as a `TypedDict`, whose types are the shorter ones to read.
    """
    types = {name: getattr(hint, "__forward_arg__", hint) for name, hint in options.__annotations__.items()}

    def decorate(function: _F) -> _F:
        signature = inspect.signature(function)
        own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
        fields = {name: field for name, field in kind.model_fields.items() if name not in signature.parameters}
        settings = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=types[name])
            for name, field in fields.items()
        ]
        function.__signature__ = signature.replace(parameters=[*own, *settings])  # type: ignore[attr-defined]
        function.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\n{_listed(fields)}"
        return function

    return decorate


def _listed(fields: dict[str, Any]) -> str:
    """The settings by group, each with its default and help."""
    groups: dict[str, list[str]] = {}
    for name, field in fields.items():
        line = f"{name} = {field.default!r}: {in_python(field.description)}"
        indented = textwrap.fill(line, 116, initial_indent=" " * 4, subsequent_indent=" " * 8, break_on_hyphens=False)
        groups.setdefault(field.json_schema_extra["panel"], []).append(indented)
    return "\n\n".join(f"Settings: {panel}\n" + "\n".join(lines) for panel, lines in groups.items()) + "\n"


def check_resumed(
    run: Path | str, others: Mapping[str, Any], options: Mapping[str, Any], kind: type[CommonSettings]
) -> None:
    """Refuse what a resumed run cannot take.

    Raises:
        SettingsError: another argument is given, or a setting that may not change.
    """
    free = [*resumable(kind), "devices", *FUNCTIONS]
    for name in (*(key for key, value in others.items() if value is not None), *options):
        if name not in free:
            raise SettingsError(f"resume = {str(run)!r} uses the settings of that run: leave {name} out")
