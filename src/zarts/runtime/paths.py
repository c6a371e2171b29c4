"""Paths as users give them, and the text of names that a console or a page cannot show as they are."""

from __future__ import annotations

import errno
import os
import sys
import unicodedata
from pathlib import Path

from zarts.errors import NotFoundError, SettingsError

__all__ = ["PathLike", "encodable", "existing", "path_of", "printable", "replace_unencodable"]

PathLike = str | os.PathLike[str]
"""A path as users give it: text, a `Path`, or a result, which stands for its run folder."""

_LONGEST = 80
"""The most characters of a refused path in a message."""

_REFUSED = (errno.ENAMETOOLONG, errno.EACCES, errno.ELOOP)
"""Errors by which the system says that it will not look at a path; one that does not exist is none of them."""


_JOINERS = "\u200c\u200d"
"""Invisible, but letters of some scripts, and emoji, are written with them."""


def path_of(path: PathLike) -> Path:
    """The path, with `~` as the home directory; it need not exist.

    Raises:
        SettingsError: the system takes no such path: it begins with `~NAME` and there is no such user, has a character
            NUL, is too long, leads into a folder without permission, or is a loop of links.
    """
    text = os.fspath(path)
    try:
        found = Path(text).expanduser()
        os.stat(os.path.join(found, "."))  # noqa: PTH116, PTH118 (of a folder: whether what is in it can be opened)
    except RuntimeError as error:
        raise SettingsError(f"{_short(text)}: {error}: write the path out") from None
    except ValueError as error:
        raise SettingsError(f"{_short(text)}: no path ({error}): leave that character out") from None
    except OSError as error:
        if error.errno in _REFUSED:
            raise SettingsError(f"{_short(text)}: cannot be used as a path ({error.strerror})") from None
    return found


def existing(path: PathLike, what: str = "file or folder") -> Path:
    """The path, see `path_of`, of something that exists.

    Args:
        path: as the user gives it.
        what: what it should be, for the message.

    Raises:
        NotFoundError: there is nothing at the path.
        SettingsError: it is no path.
    """
    found = path_of(path)
    if not found.exists():
        raise NotFoundError(f"{found}: no such {what}")
    return found


def printable(text: object, keep: str = "") -> str:
    r"""The text with what does not print as escapes: bytes of a name that is not UTF-8, newlines, terminal codes.

    Letters and spaces of all scripts stay as they are. `\udce9` is the byte 0xE9 of a file name; `\u202e`, which turns
    the text behind it around, becomes six harmless characters.

    Args:
        text: a name, or a line with names in it.
        keep: characters that stay, whatever they are.
    """
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(c if _is_plain(c) or c in keep else c.encode("unicode_escape").decode() for c in shown)


def _is_plain(character: str) -> bool:
    return character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs"


def encodable(text: str, stream: object) -> str:
    """The text with escapes for what the stream cannot encode."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def replace_unencodable() -> None:
    """Let standard output and error write escapes for what they cannot encode, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _short(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
