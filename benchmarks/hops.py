"""How far a reader walks through the code who follows a candidate's loss, a move of alpha or a batch.

`zarts search --preset quick --method zarts-mgs --devices 1` runs in this process until alpha has moved once. Counted
are the named functions and lambdas of the package that it calls in the main thread, each once however often it is
called. Not counted are comprehensions and generator expressions, whatever runs while a module is imported, and code
that libraries make (the `__init__` of a dataclass).

*The first candidate loss* is the first cross entropy without gradient after `ask` gave the candidates: on validation
images, after the candidate's weight steps. *The stack* is what is under way there, from `zarts.cli.main` on; here a
function twice is two frames. *The search* is entered by the outermost call on that stack that is not of the command
line. From there to the loss, and from the call of `ask` to the return of `tell`, functions of `data/` and those named
`forward`, which are the layers, do not count; what they call does. *A batch* is that of the first weight step, from the
call that fetches it until the network's `forward` is called: what loads it counts, what was under way before does not.

It needs no other script, and so measures another checkout too: `PYTHONPATH=OTHER/src python benchmarks/hops.py`.
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

# Where ways begin and end: in which folder of the package, or file beside them, and by a call of which function.
COMMAND_LINE = {"__main__", "cli", "config", "errors"}
ASK, TELL, FETCH = ("zo", "ask"), ("zo", "tell"), ("data", "__getitem__")
LOADING, LAYER = "data", "forward"

STACK = "on the stack at the first candidate loss"
SEARCH = "run from the entry into the search to that loss"
MOVE = "run from `ask` to `tell`"
BATCH = "run from the fetch of a batch to the network"

_PACKAGE = Path(zarts.__file__).parent
_WITHIN_FUNCTIONS = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}


class TrialResult(BaseException):
    """All is measured; no `except Exception` on the way out of the command holds it up."""


class Walk:
    """Hears every call of the main thread, and ends the command when alpha has moved."""

    def __init__(self) -> None:
        self.ways: dict[str, list[CodeType]] = {}
        """What is counted, in the order of calls."""
        self._calls: list[CodeType] = []
        self._places: dict[int, int] = {}
        """Identity of a frame to where its call is in `_calls`; right as long as the frame is on the stack."""
        self._importing, self._fetched, self._asked = 0, -1, -1

    def hear(self, frame: FrameType, event: str, _: object) -> None:
        """What `sys.setprofile` calls; raises `TrialResult` once alpha has moved."""
        code = frame.f_code
        if event == "call" and code is nn.functional.cross_entropy.__code__:
            self._judge(frame)
        elif event in ("call", "return") and _file(code.co_filename):
            if code.co_name == "<module>":
                self._importing += 1 if event == "call" else -1
            elif not self._importing and _is_function(code):
                (self._call if event == "call" else self._return)(frame)

    def _call(self, frame: FrameType) -> None:
        here = len(self._calls)
        if _enters(frame, FETCH):
            self._fetched = here
        elif _enters(frame, ASK):  # again: what was asked before, perhaps only to count candidates, is forgotten
            self._asked = here
            self.ways.pop(STACK, None)
        elif BATCH not in self.ways and self._fetched >= 0 and _trains(frame):
            self.ways[BATCH] = _distinct(self._calls[self._fetched :])
        self._calls.append(frame.f_code)
        self._places[id(frame)] = here

    def _return(self, frame: FrameType) -> None:
        if STACK in self.ways and _enters(frame, TELL):
            self.ways[MOVE] = self._work(self._asked)
            raise TrialResult

    def _judge(self, loss: FrameType) -> None:
        """A loss is calculated; the first one of a candidate is kept."""
        if self._asked < 0 or STACK in self.ways or torch.is_grad_enabled():
            return
        stack = [f for f, _ in walk_stack(loss) if _file(f.f_code.co_filename) and _is_function(f.f_code)][::-1]
        entry = next(f for f in stack if _folder(f.f_code) not in COMMAND_LINE)
        self.ways[STACK] = [f.f_code for f in stack]
        self.ways[SEARCH] = self._work(self._places[id(entry)])

    def _work(self, start: int) -> list[CodeType]:
        """The functions called since then, without loading and layers."""
        codes = _distinct(self._calls[start:])
        return [code for code in codes if code.co_name != LAYER and _folder(code) != LOADING]


@cache
def _file(name: str) -> str:
    """Path within the package; empty where it is not of the package."""
    return Path(name).relative_to(_PACKAGE).as_posix() if Path(name).is_relative_to(_PACKAGE) else ""


def _folder(code: CodeType) -> str:
    return _file(code.co_filename).split("/")[0].removesuffix(".py")


def _is_function(code: CodeType) -> bool:
    """Not the body of a class or module, nor a comprehension."""
    return bool(code.co_flags & inspect.CO_OPTIMIZED) and code.co_name not in _WITHIN_FUNCTIONS


def _enters(frame: FrameType, place: tuple[str, str]) -> bool:
    """Whether it runs the function of that folder and name, called from outside of the folder."""
    found = (_folder(frame.f_code), frame.f_code.co_name) == place
    return found and (frame.f_back is None or _folder(frame.f_back.f_code) != place[0])


def _trains(frame: FrameType) -> bool:
    """Whether it begins a pass through a network that weights learn from."""
    module = frame.f_locals.get("self") if frame.f_code.co_name == LAYER else None
    return isinstance(module, nn.Module) and module.training and torch.is_grad_enabled()


def _distinct(codes: Iterable[CodeType]) -> list[CodeType]:
    return list({id(code): code for code in codes}.values())  # not by equality, which overlooks files


def measure() -> dict[str, list[tuple[str, str]]]:
    """File and name of every function counted, in the order of calls; of frames from the outermost on."""
    walk, said, handler = Walk(), io.StringIO(), signal.getsignal(signal.SIGTERM)
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(said), redirect_stderr(said):
        argv = ["zarts", *WORDS, "--out", str(Path(folder) / "run")]
        try:
            with mock.patch.object(sys, "argv", argv):
                sys.setprofile(walk.hear)
                zarts.cli.main()
        except (TrialResult, SystemExit):
            pass
        finally:
            sys.setprofile(None)
            signal.signal(signal.SIGTERM, handler)  # the command sets its own
    names = (STACK, SEARCH, MOVE, BATCH)
    if missing := [name for name in names if name not in walk.ways]:
        raise SystemExit(f"not seen, are the names at the top still right? {missing}: {said.getvalue()}")
    return {name: [(_file(code.co_filename), code.co_qualname) for code in walk.ways[name]] for name in names}


def origin() -> str:
    """Where the figures come from; the commit is that of the package."""
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
    counts = {what: (len(way), len({file for file, _ in way})) for what, way in found.items()}
    print(f"{source}.\n\n| what | functions or frames | files |\n| --- | --- | --- |")
    for what, (number, files) in counts.items():
        print(f"| {what} | {number} | {files} |")
    for what, lines in names.items() if args.list else ():
        print("\n".join(["", f"{what}:", *lines]))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        content = {"origin": source, "counts": counts, "names": names}
        args.json.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
