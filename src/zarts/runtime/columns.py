"""Plain text as wide as the terminal: paragraphs, two columns, and terms with their text below; no word is cut."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable

__all__ = ["folded", "terminal_width", "terms", "two_columns"]

_LEAST, _MOST = 40, 100
"""Columns of a page: narrower ones cannot be read, in wider ones the eye loses its line."""


_TOGETHER = "\u00a0"


def terminal_width() -> int:
    """Columns to write in: those of the terminal or of the variable COLUMNS, from 40 to 100."""
    return max(_LEAST, min(_MOST, shutil.get_terminal_size().columns))


def folded(text: str, width: int, first: str = "", rest: str = "") -> str:
    """A paragraph; `first` begins its first line and `rest` the others; lines break at spaces and behind `|`.

    A no-break space becomes a space where no line breaks.
    """
    lines, line, before = [], first, ""
    begun = False
    for word in re.split(r"[ \n]+", text.strip()):
        for piece in re.findall(r"[^|]+\|?|\|", word):
            if begun and len(line + before + piece) > width:
                lines.append(line)
                line, before = rest, ""
            line, before, begun = line + before + piece, "", True
        before = " "
    return "\n".join([*lines, line]).replace(_TOGETHER, " ")


def two_columns(rows: Iterable[tuple[str, str]], width: int, *, indent: int = 2, most: int = 24) -> str:
    """Names on the left, their texts on the right.

    Args:
        rows: name and text of each row; each line of a text is a paragraph.
        width: columns of the page.
        indent: spaces before a name.
        most: the widest name that stands beside its text; the text of a longer one begins in the line below.
    """
    rows = list(rows)
    left = indent + 2 + max((len(name) for name, _ in rows if len(name) <= most), default=2)
    lines = []
    for name, text in rows:
        start = f"{' ' * indent}{name}"
        if len(name) > most:
            lines.append(folded(name, width, " " * indent, " " * (indent + 4)))
            start = ""
        for paragraph in text.split("\n"):
            lines.append(folded(paragraph, width, start.ljust(left), " " * left).rstrip())
            start = ""
    return "\n".join(lines)


def terms(rows: Iterable[tuple[str, str]], width: int, *, indent: int = 2) -> str:
    """Each name on a line of its own, its text indented below."""
    before, below = " " * indent, " " * (indent + 4)
    return "\n".join(
        f"{folded(name, width, before, below + '  ')}\n{folded(text, width, below, below)}" for name, text in rows
    )
