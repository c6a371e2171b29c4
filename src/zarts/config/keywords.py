"""Settings handed on as keyword parameters, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from zarts.config.common import CommonSettings

__all__ = ["keywords"]


def keywords(function: Callable[..., Any], settings: CommonSettings) -> dict[str, Any]:
    """The settings that have the names of the keyword-only parameters of `function`, or of a class."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: getattr(settings, p.name) for p in parameters if p.kind is p.KEYWORD_ONLY}
