"""Settings that are functions: a built-in one by name, one of a Python file, or a Python object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator
from pydantic_core import PydanticCustomError

from zarts.errors import did_you_mean

__all__ = ["CRITERIA", "FUNCTIONS", "OBJECTIVES", "Criterion", "Objective", "UserFunction", "has_no_gradient"]

OBJECTIVES = ("loss", "error", "balanced-error", "macro-f1")
CRITERIA = ("cross-entropy", "balanced")
FUNCTIONS: tuple[str, ...] = ("criterion", "objective")
"""Settings whose value may be a function."""

_FROM_PYTHON = "python:"


@dataclass(frozen=True)
class UserFunction:
    """A user-defined function of logits and labels.

    Args:
        name: what is recorded of it: `FILE.py:function`, or `python:NAME` of an object that was passed in Python.
        path: the file to take it from; None: it is an object, or it has to be named again.
        function: the function; None: its file has not been run.
        source: the text of its file, once that has been run.
    """

    name: str
    path: Path | None = None
    function: Callable[..., Any] | None = None
    source: str | None = None

    @property
    def attribute(self) -> str:
        """The name of the function in its file, or of the object."""
        return self.name.rpartition(":")[2]

    @property
    def is_object(self) -> bool:
        """Whether it was passed in Python."""
        return self.name.startswith(_FROM_PYTHON)

    @staticmethod
    def of(value: Any) -> UserFunction | None:
        """The function that a value of a setting means; None: the value is no function."""
        if isinstance(value, UserFunction):
            return value
        if callable(value):
            return UserFunction(_FROM_PYTHON + str(getattr(value, "__name__", type(value).__name__)), function=value)
        file, _, attribute = str(value).rpartition(":")
        if not attribute.isidentifier() or not (file.endswith(".py") or f"{file}:" == _FROM_PYTHON):
            return None
        return UserFunction(str(value), Path(file) if file.endswith(".py") else None)


def has_no_gradient(objective: str | UserFunction) -> bool:
    """Whether an objective is a metric that is constant almost everywhere; False for functions yet to be tried."""
    return objective in OBJECTIVES and objective != "loss"


def _checked(kind: str, known: tuple[str, ...]) -> PlainValidator:
    """Accepts a known name, `FILE.py:function`, what `UserFunction.name` records, or a callable."""

    def check(value: Any) -> str | UserFunction:
        if value in known:
            return str(value)
        if (function := UserFunction.of(value)) is not None:
            return function
        message = did_you_mean(kind, str(value), known).replace("{", "(").replace("}", ")")
        raise PydanticCustomError("function", message + "; or FILE.py:function")

    return PlainValidator(check)


_BY_NAME = PlainSerializer(lambda value: value.name if isinstance(value, UserFunction) else value, return_type=str)

Objective = Annotated[str | UserFunction, _checked("objective", OBJECTIVES), _BY_NAME]
"""What candidates are compared by."""

Criterion = Annotated[str | UserFunction, _checked("criterion", CRITERIA), _BY_NAME]
"""What weights are trained by."""
