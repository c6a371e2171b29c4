"""Expected failures with their exit codes; a message is one line: what was wrong, where, the way out."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from zarts.wording import worded

__all__ = [
    "DataError",
    "DivergedError",
    "FileError",
    "Interrupted",
    "KernelError",
    "NotFoundError",
    "RankError",
    "RunError",
    "SettingsError",
    "ZartsError",
    "did_you_mean",
    "nearest",
    "shorten",
    "shortened",
    "shown",
]


_MOST = 12
"""So many known names are listed in a message; more would hide what it says."""

_ECHO = 200
"""The most characters of an input in a message."""
_LONGEST = 3000
"""The most characters of a message; the names of all settings have 1,800."""
_ECHOES = re.compile(
    rf"(?<!\w)'[^']{{{_ECHO},}}'|(?<!\w)\"[^\"]{{{_ECHO},}}\"|\[[^][]{{{_ECHO},}}\]|\{{[^{{}}]{{{_ECHO},}}\}}|\S{{{_ECHO},}}"
)
"""What a message can only have from its input: a long text in quotes, list, mapping or word."""

_BREAKS = re.compile(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*")


def shorten(text: str, most: int = _ECHO) -> str:
    """The text, or its beginning and end if it has more than `most` characters."""
    return text if len(text) <= most else f"{text[: most * 2 // 3]}…{text[-most // 4 :]}"


def shown(value: object) -> str:
    """A value of any kind as messages have it; values of more than 200 characters are shortened."""
    try:
        return shorten(repr(value))
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return f"a {type(value).__name__} of thousands of digits"


def shortened(message: str) -> str:
    """The message in one line and without long pieces of input, whatever the input was."""
    line = _BREAKS.sub(" ", message)
    return shorten(_ECHOES.sub(lambda found: shorten(found[0]), line), _LONGEST)


class _Worded(BaseException):
    """An exception whose message is written with options and read with arguments; see `zarts.wording`."""

    def __str__(self) -> str:
        return worded(shortened(super().__str__()))


class ZartsError(_Worded, Exception):
    """Base of every expected failure; `exit_code` is what the command line returns for it."""

    exit_code = 1


class SettingsError(ZartsError, ValueError):
    """A setting, a name or a combination that cannot be used."""

    exit_code = 2


class DataError(ZartsError):
    """Images or a data set that cannot be used."""

    exit_code = 3


class RunError(ZartsError):
    """A run folder, checkpoint, genotype or model file that cannot be read or written."""


class FileError(RunError):
    """A file or text that is not what it should be: damaged, of another kind, or beyond the limits."""

    exit_code = 3


class NotFoundError(RunError, SettingsError):
    """A file or folder that was named does not exist; who catches either of its bases catches it too."""

    exit_code = 3


class KernelError(ZartsError):
    """The native kernels cannot be compiled or loaded on this machine."""


class DivergedError(ZartsError):
    """No loss is finite any more."""


class RankError(ZartsError):
    """A rank has died; the others cannot go on without it."""


class Interrupted(_Worded, KeyboardInterrupt):
    """The user (Ctrl-C) or the system (SIGTERM, exit code 143) asked to stop; the state has been saved.

    It is a `KeyboardInterrupt` and no `ZartsError`: `except Exception` does not catch it, so a loop over runs ends.
    """

    exit_code = 130


def nearest(got: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `got`, whatever its case; None: none is like it."""
    names = {name.casefold(): name for name in known}
    if len(got) > _ECHO:
        return None
    near = difflib.get_close_matches(got.casefold(), names, n=1, cutoff=0.5)
    return names[near[0]] if near else None


def did_you_mean(kind: str, got: str, known: Iterable[str], listed: str | None = None) -> str:
    """The message for an unknown name, with the nearest known one.

    Args:
        kind: what the name should have been, for example `space`.
        got: the unknown name.
        known: all known names.
        listed: the command that lists them, for those that are too many for a message.
    """
    names = sorted(known)
    near = nearest(got, names)
    hint = f"did you mean {near!r}? " if near else ""
    if len(names) <= _MOST or not (listed or near):
        rest = f"known are {', '.join(names)}"
    else:
        rest = f"`{listed}` lists them" if listed else ""
    return f"unknown {kind} {shorten(got)!r}: {hint}{rest}".rstrip()
