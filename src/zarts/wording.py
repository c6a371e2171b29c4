"""Messages in the words of who reads them: options for the command line, arguments for Python.

A message is written once, with options: "take --warmup-epochs 3", "go on with `zarts search --resume RUN`". The command
line prints it as it is. Everywhere else it becomes "take warmup_epochs=3", "go on with `zarts.search(resume="RUN")`".
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["in_python", "options_in_messages", "worded"]

_FLAGS = {
    "again": "again=True",
    "checkpoint-activations": "checkpoint_activations=True",
    "no-retrain": "retrain=None",
    "trust": "trust=True",
}
"""Options without a value, as arguments. `--no-NAME` is `name=False`."""

_NAMES = {"format": "form", "from": "weights_from"}
"""Options whose argument has another name."""

_FUNCTIONS = {
    *("compare", "diagnose", "draw", "evaluate", "export", "fit", "landscape", "lookup", "predict"),
    *("report", "retrain", "search"),
}
"""Commands that are functions of `zarts` too."""

_LISTS = {"methods", "spaces", "presets", "genotypes", "networks"}
"""What `zarts list NAME` and `zarts.list_NAME()` both list."""

_WORD_AFTER = (
    "above adds all and anyway are at belongs below both changes for goes has if in is may name needs not on or out "
    "says seed so that to uses which with would"
)
"""English words that follow an option in messages and are not its value."""

_VALUE = r"'[^']*'|[^\s,;:()'][^\s,;()']*?"
_OPTION = re.compile(
    r"(?P<other>\b(?:an)?other )?(?<![\w-])--(?P<name>[a-z][a-z0-9-]*)"
    rf"(?:[ =](?!(?:{'|'.join(_WORD_AFTER.split())})\b|-)(?P<value>{_VALUE})(?=[,;:.)]?(?:\s|$)))?"
    r"(?P<out> out\b)?"
)
_CODE = re.compile(r"`([^`]*)`")


class _Reader:
    options = False


@contextmanager
def options_in_messages() -> Iterator[None]:
    """Inside, messages keep their options; the command line runs in this."""
    before = _Reader.options
    _Reader.options = True
    try:
        yield
    finally:
        _Reader.options = before


def worded(message: str) -> str:
    """The message in the words of who reads it."""
    return message if _Reader.options else in_python(message)


def in_python(message: str) -> str:
    """A message, written with options, with arguments instead."""
    parts = _CODE.split(message)
    texts = [_sentence(text) for text in parts[::2]]
    calls = [f"`{_call(command)}`" for command in parts[1::2]]
    return "".join(part for pair in zip(texts, [*calls, ""], strict=True) for part in pair)


def _sentence(text: str) -> str:
    text = _OPTION.sub(_argument, text)
    text = re.sub(r"(\w=\S*[^\s,;:.]) (?=\w+=\S)", r"\1, ", text)
    text = text.replace("the same command", "the same call").replace("(options)", "(arguments)")
    return re.sub(r"^options:", "arguments:", text)


def _argument(found: re.Match[str]) -> str:
    name, value, out = found["name"], found["value"], found["out"] or ""
    if found["other"]:
        return f"{found['other']}{_name(name)}=...{'' if value is None else f' {value}'}{out}"
    if value is not None and name not in _FLAGS:
        return f"{_name(name)}={_literal(value)}{out}"
    rest = ("" if value is None else f" {value}") + out
    if out:
        return f"{_name(name.removeprefix('no-'))}{rest}"
    if name in _FLAGS:
        return f"{_FLAGS[name]}{rest}"
    return (f"{_name(name[3:])}=False" if name.startswith("no-") else _name(name)) + rest


def _name(option: str) -> str:
    return _NAMES.get(option, option.replace("-", "_"))


def _literal(value: str) -> str:
    """The value of an option as Python: a number, a placeholder like RUN, or text in quotes."""
    value = value[1:-1] if value[:1] == "'" == value[-1:] else value
    plain = re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?|[A-Z]|\{\w*\}", value)
    return value if plain else '"' + value.replace('"', '\\"') + '"'


def _call(command: str) -> str:
    """`zarts search --resume RUN` as a call, `--epochs 3` as an argument; any other code stays as it is."""
    if command.startswith("--"):
        return _sentence(command)
    if not command.startswith("zarts "):
        return command
    try:
        words = shlex.split(command)[1:]
    except ValueError:
        return command
    if words[:1] == ["list"] and len(words) == 2 and words[1] in _LISTS:
        return f"zarts.list_{words[1]}()"
    if not words or words[0] not in _FUNCTIONS:
        return command
    if words[1:] == ["--help-all"]:
        return f"help(zarts.{words[0]})"
    name, arguments, options = words[0], list[str](), words[1:]
    while options and not options[0].startswith("--"):
        arguments.append(_literal(options.pop(0)))
    while options:
        option = options.pop(0).removeprefix("--")
        if option in _FLAGS or option.startswith("no-"):
            arguments.append(_FLAGS.get(option, f"{_name(option[3:])}=False"))
        elif options:
            arguments.append(f"{_name(option)}={_literal(options.pop(0))}")
        else:
            arguments.append(_name(option))
    return f"zarts.{name}({', '.join(arguments)})" if arguments else f"zarts.{name}"
