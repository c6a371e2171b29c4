"""The code blocks of a page, and the comments in front of them that say what the checks do with them.

- `<!-- not run: REASON -->`: a Python block that is not run.
- `<!-- run with: OLD => NEW; OLD => NEW -->`: the block is run after these replacements; with none: as it is.
- `<!-- output: COMMAND -->` … `<!-- end -->`: made by `docs.tools.paste`; `output, loose:` if its lines differ from run
  to run.

Python blocks are run unless a comment forbids it, others only if one asks for it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DOCS", "ROOT", "Block", "blocks", "pages", "zarts_commands"]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_BLOCK = re.compile(r"(?:^ *<!-- ([^>]*(?:=>[^>]*)*) -->\n)?^( *)```(\w*)\n(.*?)^ *```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        page: its file.
        line: its first line of code, counted from 1.
        language: what follows the fence.
        text: the code.
        comment: the comment in the line before.
    """

    page: Path
    line: int
    language: str
    text: str
    comment: str

    @property
    def replacements(self) -> dict[str, str]:
        """What `run with` replaces."""
        pairs = self.comment.partition("run with:")[2].split(";")
        return {old.strip(): new.strip() for pair in pairs if "=>" in pair for old, new in [pair.split("=>", 1)]}

    @property
    def code(self) -> str:
        """The code as it is run."""
        text = self.text
        for old, new in self.replacements.items():
            if old not in text:
                raise SystemExit(f"{self.page}:{self.line}: {old!r} of the comment is not in the block")
            text = text.replace(old, new)
        return text

    @property
    def runs(self) -> bool:
        """Whether the checks run it."""
        if self.comment.startswith("output"):
            return False
        return self.comment.startswith("run with:") or (
            self.language == "python" and not self.comment.startswith("not run:")
        )


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    text, found = page.read_text(encoding="utf-8"), []
    for match in _BLOCK.finditer(text):
        line = text[: match.start(4)].count("\n") + 1
        body = "".join(line.removeprefix(match[2]) for line in match[4].splitlines(keepends=True))
        found.append(Block(page, line, match[3], body, match[1] or ""))
    return found


def pages() -> list[Path]:
    """README and all pages of the documentation."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]


def zarts_commands(block: Block) -> Iterator[list[str]]:
    """The words behind `zarts` of each of its commands in a block; what follows in a pipe is left out."""
    if block.language not in ("", "sh", "text", "console"):
        return
    lines = block.text.replace("\\\n", " ").splitlines()
    for line in (re.sub(r"^\s*(?:\$ )?(?:[A-Z_]+=\S+ )*", "", line) for line in lines):
        found = re.match(r"(?:torchrun .* -m )?zarts ([a-z].*)", line)
        if found:
            lexer = shlex.shlex(found[1], posix=True, punctuation_chars=";&|>")
            lexer.whitespace_split = True
            words = list(lexer)
            ends = [number for number, word in enumerate(words) if set(word) <= set(";&|>")]
            yield [word for word in words[: min(ends, default=len(words))] if word != "…"]
