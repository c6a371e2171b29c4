"""Functions and files that a reader passes who follows a candidate's loss, an alpha step or a batch.

`zarts search --preset quick --method zarts-mgs --devices 1` runs in this process until the first alpha step is done.
Counted are the named functions and lambdas of the package that it calls in the main thread, each once. Not counted are
comprehensions and generator expressions, code that runs while a module is imported, and code that libraries generate
(the `__init__` of a dataclass).

*The first candidate loss* is the first cross entropy without gradient after `ask` gave the candidates: on validation
images, after the candidate's weight steps. *The stack* is that of this call, from `zarts.cli.main` on; here a
function twice is two frames. *The search* begins with the outermost call on that stack that is not of the command
line. From there to the loss, and from the call of `ask` to the return of `tell`, functions of `data/` and those named
`forward`, which are the layers, do not count; the functions that they call do. *A batch* is that of the first weight
step, from the call that fetches it to the call of the network's `forward`: functions that load it count, functions that
began before do not.

Each count is given twice: of all, and without the rooms of the network (`supernet/`, `networks/`, `kernels/`), which a
reader enters for another question: how a supernet computes `supernet(images, weights)`.

The script needs no other one, and so measures another checkout too: `PYTHONPATH=OTHER/src python benchmarks/hops.py`.
"""

from __future__ import annotations

import argparse
import inspect
import io
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from traceback import walk_stack
from types import CodeType, FrameType
from unittest import mock

import torch
from torch import nn

import zarts.cli

__all__ = ["Walk", "main", "measure"]

WORDS = ["search", "--preset", "quick", "--method", "zarts-mgs", "--devices", "1"]

# Where each count begins and ends: folder of the package (or file beside the folders), and function called.
COMMAND_LINE = {"__main__", "cli", "config", "errors"}
ASK, TELL, FETCH = ("zo", "ask"), ("zo", "tell"), ("data", "__getitem__")
LOADING, LAYER = "data", "forward"
NETWORK = {"kernels", "networks", "supernet"}

STACK = "on the stack at the first candidate loss"
SEARCH = "run from the entry into the search to that loss"
UPDATE = "run from `ask` to `tell`"
BATCH = "run from the fetch of a batch to the network"

_PACKAGE = Path(zarts.__file__).parent
_WITHIN_FUNCTIONS = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}


class _DoneError(BaseException):
    """All is measured; no `except Exception` of the command catches it."""


class Walk:
    """Profiler of all calls of the main thread; it ends the command after the first alpha step."""

    def __init__(self) -> None:
        self.ways: dict[str, list[CodeType]] = {}
        """The counted functions by name of the count, in the order of calls."""
        self._calls: list[CodeType] = []
        self._call_index: dict[int, int] = {}
        """Identity of a frame to the index of its call in `_calls`; valid as long as the frame is on the stack."""
        self._importing, self._fetched, self._asked = 0, -1, -1

    def profile(self, frame: FrameType, event: str, _: object) -> None:
        """The function for `sys.setprofile`; raises `_DoneError` after the first alpha step."""
        code = frame.f_code
        if event == "call" and code is nn.functional.cross_entropy.__code__:
            self._loss(frame)
        elif event in ("call", "return") and _file(code.co_filename):
            if code.co_name == "<module>":
                self._importing += 1 if event == "call" else -1
            elif not self._importing and _is_function(code):
                (self._call if event == "call" else self._return)(frame)

    def _call(self, frame: FrameType) -> None:
        here = len(self._calls)
        if _enters(frame, FETCH):
            self._fetched = here
        elif _enters(frame, ASK):  # again: forget an earlier `ask`, perhaps only to count candidates
            self._asked = here
            self.ways.pop(STACK, None)
        elif BATCH not in self.ways and self._fetched >= 0 and _trains(frame):
            self.ways[BATCH] = _distinct(self._calls[self._fetched :])
        self._calls.append(frame.f_code)
        self._call_index[id(frame)] = here

    def _return(self, frame: FrameType) -> None:
        if STACK in self.ways and _enters(frame, TELL):
            self.ways[UPDATE] = self._work(self._asked)
            raise _DoneError

    def _loss(self, loss: FrameType) -> None:
        """Keep the stack of the first candidate loss."""
        if self._asked < 0 or STACK in self.ways or torch.is_grad_enabled():
            return
        stack = [f for f, _ in walk_stack(loss) if _file(f.f_code.co_filename) and _is_function(f.f_code)][::-1]
        entry = next(f for f in stack if _folder(f.f_code) not in COMMAND_LINE)
        self.ways[STACK] = [f.f_code for f in stack]
        self.ways[SEARCH] = self._work(self._call_index[id(entry)])

    def _work(self, start: int) -> list[CodeType]:
        """The functions called since that index, without loading and layers."""
        codes = _distinct(self._calls[start:])
        return [code for code in codes if code.co_name != LAYER and _folder(code) != LOADING]


@cache
def _file(name: str) -> str:
    """Path within the package; empty for files of other packages."""
    return Path(name).relative_to(_PACKAGE).as_posix() if Path(name).is_relative_to(_PACKAGE) else ""


def _folder(code: CodeType) -> str:
    return _file(code.co_filename).split("/")[0].removesuffix(".py")


def _is_function(code: CodeType) -> bool:
    """Whether it is a function, not the body of a class or module, nor a comprehension."""
    return bool(code.co_flags & inspect.CO_OPTIMIZED) and code.co_name not in _WITHIN_FUNCTIONS


def _enters(frame: FrameType, target: tuple[str, str]) -> bool:
    """Whether the frame runs the function of that folder and name, called from outside of the folder."""
    found = (_folder(frame.f_code), frame.f_code.co_name) == target
    return found and (frame.f_back is None or _folder(frame.f_back.f_code) != target[0])


def _trains(frame: FrameType) -> bool:
    """Whether the frame begins a forward pass that trains weights."""
    module = frame.f_locals.get("self") if frame.f_code.co_name == LAYER else None
    return isinstance(module, nn.Module) and module.training and torch.is_grad_enabled()


def _distinct(codes: Iterable[CodeType]) -> list[CodeType]:
    return list({id(code): code for code in codes}.values())  # by identity: equality ignores the file


def measure() -> dict[str, list[tuple[str, str]]]:
    """File and name of every counted function, in the order of calls; frames from the outermost to the innermost."""
    walk, output, handler = Walk(), io.StringIO(), signal.getsignal(signal.SIGTERM)
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(output), redirect_stderr(output):
        argv = ["zarts", *WORDS, "--out", str(Path(folder) / "run")]
        try:
            with mock.patch.object(sys, "argv", argv):
                sys.setprofile(walk.profile)
                zarts.cli.main()
        except (_DoneError, SystemExit):
            pass
        finally:
            sys.setprofile(None)
            signal.signal(signal.SIGTERM, handler)  # the command sets its own
    names = (STACK, SEARCH, UPDATE, BATCH)
    if missing := [name for name in names if name not in walk.ways]:
        raise SystemExit(f"never called: {missing}; check the names at the top of this file: {output.getvalue()}")
    return {name: [(_file(code.co_filename), code.co_qualname) for code in walk.ways[name]] for name in names}


def _above_network(way: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The functions that are not of the network, its layers and their kernels."""
    return [(file, name) for file, name in way if file.split("/")[0] not in NETWORK]


def _counts(way: Sequence[tuple[str, str]]) -> tuple[int, int]:
    """Number of functions and of their files."""
    return len(way), len({file for file, _ in way})


def origin() -> str:
    """The command, date and commit of the package."""
    words = ["git", "describe", "--always", "--exclude=*", "--dirty=-changed"]
    commit = subprocess.run(words, cwd=_PACKAGE, capture_output=True, text=True, check=False).stdout.strip()
    command = " ".join(["python -m benchmarks.hops", *sys.argv[1:]])
    return f"`{command}`, {datetime.now(UTC).date()}, commit {commit or 'unknown'}, Python {sys.version.split()[0]}"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="threads of torch (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table and all names")
    parser.add_argument("--list", action="store_true", help="also print all names, in the order of calls")
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    found, source = measure(), origin()
    names = {what: [f"{file}:{name}" for file, name in way] for what, way in found.items()}
    counts = {what: (*_counts(way), *_counts(_above_network(way))) for what, way in found.items()}
    print(f"{source}.\n\n| what | functions or frames | files | of these above the network | files |")
    print("| --- | --- | --- | --- | --- |")
    for what, numbers in counts.items():
        print(f"| {what} | {' | '.join(map(str, numbers))} |")
    for what, lines in names.items() if args.list else ():
        print("\n".join(["", f"{what}:", *lines]))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        content = {"origin": source, "counts": counts, "names": names}
        args.json.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
