"""Mutations of files and texts: each is a list of edits, so that it can be drawn, repeated and made smaller."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["KINDS", "TOKENS", "Edit", "drawn", "mutated"]

PAYLOAD = "faults-payload"
"""The name of the file that payloads create."""

TOKENS: tuple[bytes, ...] = (
    *(
        b"",
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"\r\n",
        b"\n---\n",
        b"'",
        b'"',
        b"\\",
        b":",
        b"{",
        b"]",
    ),
    *(b"-1", b"0", b"1e999", b"NaN", b"-Infinity", b"null", b"true", b"[]", b"{}", b"0x_", b"2001-99-99", b"!!int abc"),
    *(b"9" * 30, b"9" * 400, b"9" * 5000, b"0." + b"3" * 3000, b"1:" * 900 + b"1", b"0x" + b"f" * 5000),
    *(b"[" * 5000, b'{"a":' * 2000, b"- " * 3000, b"(" * 300, b"-" * 4000, b"&a [*a]", b"<<: *a\n", b"A" * 5000),
    b"&a [x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c]",
    f"!!python/object/apply:os.system ['touch {PAYLOAD}']".encode(),
    f'!!python/object/new:os.system ["touch {PAYLOAD}"]'.encode(),
    f"__import__('os').system('touch {PAYLOAD}')".encode(),
    f"cos\nsystem\n(S'touch {PAYLOAD}'\ntR.".encode(),
    b"../../../../etc/passwd",
    b"/dev/zero",
    b"~nobody/x",
    b"<script>alert(1)</script>",
    b"${jndi:x}%s%n{0}{x!r}",
    b"\x1b]0;x\x07\x1b[2J",
)
"""What is put into files: ends of texts and lines, numbers, depths, lengths, references, and payloads."""

KINDS = ("flip", "cut", "drop", "double", "insert", "replace", "swap")


class Edit(NamedTuple):
    """A change of a part of the content: its kind, place and length as shares of the content, and a token."""

    kind: str
    place: float
    length: float
    token: int


def drawn(generator: random.Random) -> list[Edit]:
    """One to four edits; most change little, so that what comes behind the first check is reached."""
    count = generator.choice((1, 1, 1, 2, 2, 3, 4))
    return [
        Edit(generator.choice(KINDS), generator.random(), generator.random() ** 4, generator.randrange(len(TOKENS)))
        for _ in range(count)
    ]


def mutated(content: bytes, edits: Sequence[Edit]) -> bytes:
    """The content after the edits. A replacement takes the place of a whole word, number or text in quotes."""
    for edit in edits:
        start = int(edit.place * len(content))
        end = min(len(content), start + max(1, int(edit.length * len(content))))
        token = TOKENS[edit.token % len(TOKENS)]
        match edit.kind:
            case "flip" if content:
                at = min(start, len(content) - 1)
                content = content[:at] + bytes([content[at] ^ 1 << edit.token % 8]) + content[at + 1 :]
            case "cut":
                content = content[:start]
            case "drop":
                content = content[:start] + content[end:]
            case "double":
                content = content[:end] + content[start:end] + content[end:]
            case "insert":
                content = content[:start] + token + content[start:]
            case "replace":
                start, end = _word(content, start)
                content = content[:start] + token + content[end:]
            case "swap":
                middle = (start + end) // 2
                content = content[:start] + content[middle:end] + content[start:middle] + content[end:]
    return content


_ENDS = b" \t\r\n,:;[](){}\"'<>|"


def _word(content: bytes, place: int) -> tuple[int, int]:
    start = end = place
    while start > 0 and content[start - 1] not in _ENDS and place - start < 64:
        start -= 1
    while end < len(content) and content[end] not in _ENDS and end - place < 64:
        end += 1
    return start, end
