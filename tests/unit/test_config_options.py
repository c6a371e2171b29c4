"""The typed keyword arguments of `zarts.search` and `zarts.retrain` are the settings, by name and type.

`python tests/unit/test_config_options.py` writes the module anew after a setting has changed.
"""

import inspect
import types
import typing
from pathlib import Path

import pytest
from pydantic import ByteSize

import zarts
from zarts.config import RetrainSettings, SearchSettings, UserFunction
from zarts.config import options as module
from zarts.config.fit import FitSettings
from zarts.config.types import Count, Duration, Milliseconds
from zarts.wording import in_python

NAMED = {"search": {"data"}, "retrain": {"data"}, "fit": {"data"}}
"""Settings that are parameters of the function by themselves."""


def text(kind):
    """The type that a setting is given in, as source text."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    for own, given in ((Duration, "float | str"), (Count, "int | str"), (Milliseconds, "str")):
        if kind == own:
            return given
    if origin is typing.Annotated:
        return text(inner[0])
    if origin in (typing.Union, types.UnionType):
        return " | ".join(dict.fromkeys(part for one in inner for part in text(one).split(" | ")))
    if origin is typing.Literal:
        return f"Literal{list(inner)}".replace("'", '"')
    if origin is tuple:
        return f"Sequence[{text(inner[0])}]"
    return {type(None): "None", ByteSize: "int | str", Path: "Path | str", UserFunction: "Callable[..., Any]"}.get(
        kind
    ) or kind.__name__


def fields(kind, function):
    hints = typing.get_type_hints(kind, include_extras=True)
    return {name: text(hints[name]) for name in kind.model_fields if name not in NAMED[function]}


def source():
    search, retrain = fields(SearchSettings, "search"), fields(RetrainSettings, "retrain")
    shared = {name: kind for name, kind in search.items() if retrain.get(name) == kind}
    fit = fields(FitSettings, "fit")
    common = {name: kind for name, kind in shared.items() if fit.get(name) == kind}
    lines = [
        '"""The settings as keyword arguments, for type checkers; made from the models by',
        "tests/unit/test_config_options.py, which says how to make it anew.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "from collections.abc import Callable, Sequence",
        "from pathlib import Path",
        "from typing import Any, Literal, TypedDict",
        "",
        '__all__ = ["FitOptions", "RetrainOptions", "SearchOptions"]',
    ]
    for name, base, docs, own, inherited in (
        ("_CommonOptions", "TypedDict, total=False", "Settings of all three, of the same types.", common, {}),
        ("_SharedOptions", "_CommonOptions, total=False", "Settings of searches and retrainings.", shared, common),
        ("SearchOptions", "_SharedOptions, total=False", "Settings of `zarts.search`.", search, shared),
        ("RetrainOptions", "_SharedOptions, total=False", "Settings of `zarts.retrain`.", retrain, shared),
        ("FitOptions", "_CommonOptions, total=False", "Settings of `zarts.fit`.", fit, common),
    ):
        lines += ["", "", f"class {name}({base}):", f'    """{docs}"""', ""]
        lines += [f"    {key}: {kind}" for key, kind in own.items() if key not in inherited]
    return "\n".join(lines) + "\n"


def test_the_module_is_made_from_the_models():
    assert Path(module.__file__).read_text() == source(), f"run `python {Path(__file__).name}`"


@pytest.mark.parametrize(
    ("name", "settings"), [("search", SearchSettings), ("retrain", RetrainSettings), ("fit", FitSettings)]
)
def test_signature_and_help_list_the_settings(name, settings):
    function = getattr(zarts, name)
    parameters = inspect.signature(function).parameters
    own = {key for key, one in parameters.items() if one.kind is not one.KEYWORD_ONLY}
    assert own == {"search": {"data"}, "retrain": {"source"}, "fit": {"data"}}[name]
    for key, field in settings.model_fields.items():
        if key not in NAMED[name]:
            assert parameters[key].kind is inspect.Parameter.KEYWORD_ONLY
            assert parameters[key].default == field.default
            assert f"{key} = {field.default!r}" in function.__doc__
            assert in_python(field.description).split()[0] in function.__doc__
    assert "--" not in function.__doc__


if __name__ == "__main__":
    Path(module.__file__).write_text(source())
