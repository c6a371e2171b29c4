"""Script of `make docs-test`: runs the code of all pages, parses their commands, and runs the examples.

python -m docs.tools.check [pages] [commands] [examples]     # none: all three
python -m docs.tools.check pages --only python.md fit.md     # some pages
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from docs.tools.blocks import ROOT, Block, blocks, pages, zarts_commands
from docs.tools.paste import environment, run

__all__ = ["main", "unknown_options"]

EXAMPLES: dict[str, list[str]] = {
    "fit_folder.py": [],
    "serve_onnx.py": ["runs/fit-folder/model", "my-images"],  # what fit_folder.py has left
}
"""Arguments of the examples that need some, in the order in which they run; the others follow without any."""
LITERT = "microcontroller.py"
"""The example that runs in the environment of LITERT_PYTHON, if that is set: the extra `litert` wants another torch."""


def unknown_options(block: Block) -> list[str]:
    """The commands of a block that the command line would refuse, each with the reason."""
    from docs.tools.reference import commands, group

    found, known, parent = [], commands(), group().context_class(group(), info_name="zarts")
    for words in zarts_commands(block):
        where = f"{block.page.relative_to(ROOT)}:{block.line}: zarts {' '.join(words)}"
        if words[0].startswith("-"):
            continue
        if words[0] not in known:
            found.append(f"{where}: no such command")
            continue
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                known[words[0]].make_context(words[0], words[1:], parent=parent)
        except SystemExit:  # --help and other options that end the command
            continue
        except Exception as error:
            message = error.format_message() if hasattr(error, "format_message") else str(error)
            if "$" not in message:  # a variable of the shell
                found.append(f"{where}: {message}")
    return found


def run_page(page: Path) -> int:
    """Run the blocks of a page from top to bottom, in the current folder; the number of blocks."""
    names: dict[str, Any] = {"__name__": "__page__"}
    count = 0
    for block in blocks(page):
        if not block.runs:
            continue
        count += 1
        if block.language != "python":
            run(block.code, Path.cwd())
            continue
        printed = io.StringIO()
        code = compile("\n" * (block.line - 1) + block.code, str(page), "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, names)  # noqa: S102 (our own pages)
        if block.comment.endswith("prints the table above"):
            assert printed.getvalue() in page.read_text(encoding="utf-8"), f"{page}:{block.line}: other lines"
    return count


def _run_pages(only: list[str]) -> list[str]:
    failed = []
    for page in pages():
        if not any(block.runs for block in blocks(page)) or (only and page.name not in only):
            continue
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            words = [sys.executable, "-m", "docs.tools.check", "--page", str(page)]
            done = subprocess.run(words, cwd=folder, env=environment(Path(folder)), capture_output=True, text=True)
        say = "ok" if done.returncode == 0 else "FAILED"
        print(f"{page.relative_to(ROOT)}: {say}, {time.perf_counter() - began:.0f} s", flush=True)
        if done.returncode:
            failed.append(f"{page.relative_to(ROOT)}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return failed


def _run_examples(only: list[str]) -> list[str]:
    files = sorted(path.name for path in (ROOT / "examples").glob("*.py"))
    names = [*EXAMPLES, *(name for name in files if name not in EXAMPLES)]
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for name in (name for name in names if not only or name in only):
            began = time.perf_counter()
            python = os.environ.get("LITERT_PYTHON", sys.executable) if name == LITERT else sys.executable
            words = [str(Path(python).absolute()), str(ROOT / "examples" / name), *EXAMPLES.get(name, [])]
            done = subprocess.run(words, cwd=folder, env=environment(Path(folder)), capture_output=True, text=True)
            skipped = "skipped" in done.stderr
            say = "ok" if done.returncode == 0 else "skipped" if skipped else "FAILED"
            print(f"examples/{name}: {say}, {time.perf_counter() - began:.0f} s", flush=True)
            if say == "FAILED":
                failed.append(f"examples/{name}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return failed


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=["pages", "commands", "examples", []], default=[])
    parser.add_argument("--only", nargs="+", default=[], metavar="FILE", help="names of pages or examples")
    parser.add_argument("--page", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.page:
        try:
            run_page(options.page)
        except Exception:
            traceback.print_exc()
            sys.exit(1)
        sys.stdout.flush()
        os._exit(0)  # nothing of a page keeps the process
    parts, failed = options.parts or ["commands", "pages", "examples"], []
    if "commands" in parts:
        failed += [line for page in pages() for block in blocks(page) for line in unknown_options(block)]
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    running = {"pages": _run_pages, "examples": _run_examples}  # each starts one process at a time
    with ThreadPoolExecutor(len(running)) as pool:
        futures = [pool.submit(work, options.only) for part, work in running.items() if part in parts]
        failed += [text for future in futures for text in future.result()]
    if failed:
        raise SystemExit("\n\n".join(failed))
    print("all is well")


if __name__ == "__main__":
    main()
