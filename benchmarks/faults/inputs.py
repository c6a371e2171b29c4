"""Damaged and hostile inputs of every kind: each is read as it should be, or refused in one line.

A fault is an error that is none of zarts' own, a message of several lines or with more than 200 characters of the
input, more than 20 seconds of processor time, or a file that a payload has made. Everything is drawn by a seed.
"""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from benchmarks.faults.mutations import PAYLOAD, Edit, drawn, mutated
from benchmarks.faults.seeds import small_files, write_runs
from benchmarks.faults.targets import Target, of_files, of_runs, of_texts
from benchmarks.report import environment

__all__ = ["fault_of", "measure"]

SEED = 25
COUNT, COMMANDS = 2000, 100
_ECHO = 200
_SECONDS = 20
_RESULTS = Path(__file__).parents[1] / "results" / "faults-inputs.json"


class _Hang(BaseException):
    """Too much processor time."""


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    def hang(*_: object) -> None:
        raise _Hang(f"more than {seconds} s")

    before = signal.signal(signal.SIGPROF, hang)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def fault_of(target: Target, content: bytes) -> tuple[str, str]:
    """What comes of an input: `read`, `exit 2` and so on, or `fault`; and the message or traceback.

    Args:
        target: reads it.
        content: the input.
    """
    from zarts.errors import ZartsError
    from zarts.networks import OPERATIONS
    from zarts.spaces import SPACES

    spaces, operations, here = dict(SPACES), dict(OPERATIONS), Path.cwd()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.chdir(folder)
        (inner := Path(folder) / "inner").mkdir()
        outcome, detail = "read", ""
        try:
            with _limited(_SECONDS):
                target.use(inner, content)
        except ZartsError as error:
            outcome, detail = f"exit {error.exit_code}", str(error)
            if problem := _problem(detail, content):
                outcome, detail = "fault", f"{problem}: {detail}"
        except (Exception, _Hang) as error:
            frames = [f for f in traceback.extract_tb(error.__traceback__) if "zarts" in f.filename]
            where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
            outcome, detail = "fault", f"{type(error).__name__} at {where}: {str(error)[:200]}"
        finally:
            os.chdir(here)
            for known, old in ((SPACES, spaces), (OPERATIONS, operations)):
                known.clear()
                known.update(old)
        if list(Path(folder).rglob(PAYLOAD)) or (here / PAYLOAD).exists():
            outcome, detail = "fault", "a payload ran"
    return outcome, detail


def _problem(message: str, content: bytes) -> str:
    """What is wrong with a message; empty: nothing."""
    if "\n" in message.strip():
        return "several lines"
    text = content.decode("utf-8", "replace")
    if any(message[i : i + _ECHO + 1] in text for i in range(len(message) - _ECHO)):
        return "repeats the input"
    return "" if len(message) <= 3000 else "long"


def _commands(runs: Path) -> list[tuple[list[str], str, bytes]]:
    """Words, the file among them that is damaged, and its content."""
    files = small_files()
    search, table = runs / "search", str(runs / "none.csv")
    model = (runs / "retrain" / "model.safetensors").read_bytes()
    return [
        (["search", "--config", "search.yaml", "--print-config"], "search.yaml", files["search.yaml"]),
        (["retrain", "resnet8", "--config", "retrain.yaml", "--print-config"], "retrain.yaml", files["retrain.yaml"]),
        (["search", "--space", "space.yaml", "--dry-run"], "space.yaml", files["space.yaml"]),
        (["fit", "digits", "--config", "fit.yaml", "--print-config"], "fit.yaml", files["fit.yaml"]),
        (["retrain", "chain.json", "--dry-run", "--epochs", "1"], "chain.json", files["chain.json"]),
        (["draw", "darts.txt", "--out", "out"], "darts.txt", files["darts.txt"]),
        (["lookup", "nasbench.txt", "--benchmark-table", table], "nasbench.txt", files["nasbench.txt"]),
        (["lookup", "0", "--benchmark-table", "table.csv"], "table.csv", files["table.csv"]),
        (["evaluate", "model.safetensors", "--data", "digits"], "model.safetensors", model),
        (["predict", str(runs / "retrain"), "image.png"], "image.png", files["image.png"]),
        (["search", "--data", "arrays.npz", "--dry-run", "--epochs", "1"], "arrays.npz", files["arrays.npz"]),
        (["report", "run"], "run/result.json", (search / "result.json").read_bytes()),
        (["search", "--resume", "run"], "run/config.yaml", (search / "config.yaml").read_bytes()),
    ]


def _run(words: Sequence[str], file: str, content: bytes, runs: Path) -> tuple[str, str]:
    """What comes of a command: see `fault_of`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file
        if path.parent != Path(folder):
            shutil.copytree(runs / "search", path.parent)
        path.write_bytes(content)
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        command = [sys.executable, "-m", "zarts", *words]
        try:
            found = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=300, check=False)
        except subprocess.TimeoutExpired:
            return "fault", "more than 300 s"
        errors = found.stderr.decode("utf-8", "replace")
        said = [line for line in errors.splitlines() if line.startswith("zarts: ")]
        if list(Path(folder).rglob(PAYLOAD)):
            return "fault", "a payload ran"
        if "Traceback" in errors or found.returncode not in (0, 1, 2, 3):
            return "fault", f"exit {found.returncode}: {errors[-300:]}"
        if found.returncode and (len(said) != 1 or _problem(said[0], content)):
            return "fault", f"{len(said)} lines: {errors[-300:]}"
        return f"exit {found.returncode}" if found.returncode else "read", said[0] if said else ""


def measure(count: int = COUNT, commands: int = COMMANDS, seed: int = SEED, made: Path | None = None) -> int:
    """Read damaged inputs of all kinds in this process, and some by the command line; the number of faults.

    Args:
        count: of inputs in this process.
        commands: of those by the command line.
        seed: of the mutations.
        made: a folder that `write_runs` has filled; None: a new one.
    """
    generator, begun = random.Random(seed), time.time()
    outcomes: dict[str, Counter[str]] = {}
    faults: list[dict[str, Any]] = []

    def keep(name: str, edits: Sequence[Edit], outcome: str, detail: str) -> None:
        outcomes.setdefault(name, Counter())[outcome] += 1
        if outcome == "fault":
            faults.append({"input": name, "edits": [list(edit) for edit in edits], "detail": detail})
            print(f"fault: {name}: {detail}", flush=True)

    with tempfile.TemporaryDirectory() as temporary:
        runs = made or Path(temporary)
        if made is None:
            with redirect_stdout(io.StringIO()):
                write_runs(runs)
        targets = {**of_texts(), **of_files(), **of_runs(runs)}
        for name, target in targets.items():
            outcome, detail = fault_of(target, target.content)
            if outcome != "read":
                raise AssertionError(f"{name}: the input itself is refused: {detail}")
        for number in range(count):
            name = list(targets)[number % len(targets)]
            edits = drawn(generator)
            keep(name, edits, *fault_of(targets[name], mutated(targets[name].content, edits)))
        possible = _commands(runs)
        chosen = [(*possible[number % len(possible)], drawn(generator)) for number in range(commands)]

        def command(words: list[str], file: str, content: bytes, edits: Sequence[Edit]) -> tuple[str, str]:
            return _run(words, file, mutated(content, edits), runs)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for (words, file, _, edits), found in zip(chosen, pool.map(lambda one: command(*one), chosen), strict=True):
                keep(f"zarts {words[0]} {file}", edits, *found)
    total = Counter[str]()
    for found in outcomes.values():
        total += found
    print(f"{count} inputs and {commands} commands in {time.time() - begun:.0f} s: {dict(total)}", flush=True)
    _RESULTS.write_text(
        json.dumps(
            {
                "environment": {**environment(), "command": "python -m benchmarks.faults --only inputs"},
                **{"seed": seed, "inputs": count, "commands": commands, "seconds": round(time.time() - begun)},
                **{"total": dict(total), "faults": faults},
                "by_input": {name: dict(found) for name, found in outcomes.items()},
            },
            indent=1,
        )
        + "\n"
    )
    return len(faults)
