"""Script that pastes outputs: each block below `<!-- output: COMMAND -->` becomes what the command prints now.

    python -m docs.tools.paste [PAGE ...]     # pages of docs/; none: all that have such blocks
    python -m docs.tools.paste --check        # changes nothing; the blocks have to have the same shape

The other code of a page runs first, then its commands one after the other in the same folder, 80 columns wide. Below
each block stands when, on what and how long. The shape of an output is its text with every number as 0; a block with
`output, loose:` only has to end well.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from docs.tools.blocks import DOCS, ROOT, blocks, pages

__all__ = ["environment", "main", "pasted", "run", "shape"]

_OUTPUT = re.compile(r"<!-- (output(?:, loose)?): ((?:(?!-->).)+) -->\n.*?<!-- end -->", re.S)


def environment(folder: Path) -> dict[str, str]:
    """The environment of a command: `zarts` and `python` are those of this process, and nothing is coloured."""
    shims = folder / ".bin"
    shims.mkdir(parents=True, exist_ok=True)
    for name, words in {"zarts": "-m zarts", "python": ""}.items():
        (shims / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (shims / name).chmod(0o755)
    path = os.pathsep.join(filter(None, [str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    own = {"PATH": f"{shims}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": path, "COLUMNS": "80", "TERM": "dumb"}
    return {**os.environ, **own, "NO_COLOR": "1", "ZARTS_ROOT": str(ROOT)}


def run(command: str, folder: Path) -> str:
    """What a command of the shell prints on both streams.

    Raises:
        SystemExit: it fails.
    """
    words = ["sh", "-ec", command]
    done = subprocess.run(
        words, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise SystemExit(f"{command}\nended with {done.returncode}:\n{done.stdout}")
    return done.stdout.replace(f"{folder.resolve()}{os.sep}", "")


def _machine() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    processor = next((one.split(":")[1].strip() for one in lines if one.startswith("model name")), platform.processor())
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    busy = f", beside other work (load {load:.1f})" if load > (os.cpu_count() or 1) else ""
    return f"{processor}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}{busy}"


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def shape(block: str) -> str:
    """A block without what differs from run to run: numbers, widths of tables, the line that says when."""
    text = re.sub(r"\n\*Pasted .*?\*\n", "\n", block)
    text = re.sub(r"\d+(?:[.,]\d+)*", "0", text)
    return re.sub(r"[ ─━-]+", " ", text).strip()


def pasted(page: str, runner: Callable[[str], str]) -> str:
    """The page with the present outputs of its commands."""

    def block(match: re.Match[str]) -> str:
        began = time.perf_counter()
        text = _trimmed(runner(match[2]))
        took = f"{time.perf_counter() - began:.0f} s"
        table = text.startswith("|")  # in Markdown
        body = text if table else f"```text\n$ {match[2]}\n{text}\n```"
        note = f"*Pasted by a script on {datetime.now(UTC).date()}, after {took} on {_machine()}.*"
        return f"<!-- {match[1]}: {match[2]} -->\n{body}\n\n{note}\n<!-- end -->"

    return _OUTPUT.sub(block, page)


def _differences(old: str, new: str) -> list[str]:
    pairs = zip(_OUTPUT.finditer(old), _OUTPUT.finditer(new), strict=True)
    return [one[2] for one, other in pairs if "loose" not in one[1] and shape(one[0]) != shape(other[0])]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", type=Path)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    wrong = []
    for page in [page.resolve() for page in options.pages] or pages():
        old = page.read_text(encoding="utf-8")
        if not _OUTPUT.search(old):
            continue
        with tempfile.TemporaryDirectory() as folder:
            if any(block.runs for block in blocks(page)):
                run(f"python -m docs.tools.check --page {page}", Path(folder))
            new = pasted(old, lambda command, folder=folder: run(command, Path(folder)))
        if options.check:
            wrong += [f"{page.relative_to(ROOT)}: {command}" for command in _differences(old, new)]
        else:
            page.write_text(new, encoding="utf-8")
        print(f"{page.relative_to(DOCS.parent)}: {len(_OUTPUT.findall(old))} outputs", flush=True)
    if wrong:
        raise SystemExit("other outputs than in the docs; run `python -m docs.tools.paste`:\n" + "\n".join(wrong))


if __name__ == "__main__":
    main()
