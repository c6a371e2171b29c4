"""Small whole runs of each kind, started as a user starts them, and what two of them must share to the last bit."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.report import environment

__all__ = [
    *("KINDS", "THEIRS", "Ended", "Job", "Started"),
    *("faults_of", "made_jobs", "same_bits", "work_folder", "write_result"),
]

_NETWORK = ["--data", "digits", "--channels", "2", "--cells", "3", "--batch-size", "16", "--epochs", "2"]
_SEARCH = [
    *_NETWORK,
    "--subset",
    "64",
    "--space",
    "s2",
    "--method",
    "zarts-mgs",
    "--samples",
    "2",
    "--inner-steps",
    "1",
]
_SEARCH += ["--warmup-epochs", "1", "--arch-update-interval", "1", "--val-batches", "1"]
_TRAIN = [*_NETWORK, "--subset", "64", "--auxiliary-weight", "0", "--drop-path", "0", "--cutout", "0"]
_COMPARE = ["compare", "--methods", "darts,random", "--seeds", "1", *_NETWORK, "--subset", "64", "--space", "s2"]
_COMPARE += ["--warmup-epochs", "1", "--arch-update-interval", "1", "--val-batches", "1"]
_COMPARE += [f"--retrain={word}" for word in ("epochs=1", "channels=2", "cells=3", "subset=64", "batch_size=16")]
_COMPARE += ["--retrain=auxiliary_weight=0", "--retrain=drop_path=0"]
_FIT = ["fit", "digits", "--time", "40s", "--max-params", "3k"]
KINDS = ("search", "retrain", "fit", "compare", "landscape")
_TIMED = {
    *(
        "run",
        "verdict",
        "seconds",
        "retrain_seconds",
        "retraining",
        "data_wait",
        "time",
        "step_seconds",
        "latency_ms",
        "latency_error",
        "share",
        "value",
        "text",
    ),
    *("environment", "details", "repeat", "limits", "eigenvalue_seconds", "checksum", "date", "command"),
}
"""Keys of what a clock has a part in, or the place of the run."""
THEIRS = ("torchinductor_", "zarts-latency.lock", ".ses", "pymp-")
"""What stays among temporary files: a cache of torch, a lock of all processes, a mark of onnxruntime, and a folder for
sockets of multiprocessing, in whose name no process is told."""
_KEY = "ZARTS_FAULTS"
"""Environment variable by which the processes of a run are found."""
_TRIPWIRE = Path(__file__).parent / "tripwire"
_QUIET_SECONDS = 15.0
"""So long the processes of a killed run may take to end."""


@dataclass
class Job:
    """A command, and how it goes on.

    Args:
        kind: one of `KINDS`.
        ranks: processes that it uses.
        words: of the command, without its folder.
        seconds: that the whole run takes.
        changes: of its folder, about, by the process that changes it most.
        bits: of the whole run; see `same_bits`.
        source: the folder that a landscape is of.
    """

    kind: str
    ranks: int
    words: Sequence[str]
    seconds: float = 0.0
    changes: int = 0
    bits: dict[str, Any] = field(default_factory=dict)
    source: Path | None = None

    def prepare(self, run: Path) -> None:
        """Copy the search that a landscape is of."""
        if self.source is not None:
            shutil.copytree(self.source, run)

    def first(self, run: Path) -> list[str]:
        """The command."""
        if self.kind == "landscape":
            return [self.words[0], str(run), *self.words[1:]]
        return [*self.words, "--out", str(run)]

    def again(self, run: Path) -> list[str]:
        """The command that resumes it; the same one, where there is no other."""
        if self.kind in ("compare", "landscape"):
            return self.first(run)
        more = ["--devices", str(self.ranks)] if self.kind in ("search", "retrain") else []
        return [self.kind, "--resume", str(run), *more]


@dataclass
class Ended:
    """A process that has ended: its exit code, what it printed on standard error, and the processes it left."""

    code: int
    err: str
    left: list[int]


class Started:
    """`zarts WORDS` in a process of its own, in a temporary folder of its own.

    Args:
        words: of the command.
        temporary: folder for temporary files.
        trip: a run folder, and the number of the change of it before which a process is killed, with (True) or without
            the first process; see `tripwire/sitecustomize.py`. None: they are not counted.
    """

    def __init__(self, words: Sequence[str], temporary: Path, trip: tuple[Path, int, bool] | None = None) -> None:
        self.key = uuid.uuid4().hex
        more = {_KEY: self.key, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        if trip is not None:
            folder, number, first = trip
            path = os.pathsep.join(filter(None, [str(_TRIPWIRE), os.environ.get("PYTHONPATH")]))
            more |= {"PYTHONPATH": path, "TRIP_FOLDER": str(folder), "TRIP_NUMBER": str(number)}
            more |= {"TRIP_FIRST": "1"} if first else {}
        temporary.mkdir(exist_ok=True)
        self._errors = temporary.with_name(f"{self.key}.err").open("w+b")
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "zarts", *words],
            env={**os.environ, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
        )

    def members(self) -> list[int]:
        """The numbers of all its processes that live."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                mine = f"{_KEY}={self.key}".encode() in (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if mine and state != "Z":
                found.append(int(folder.name))
        return found

    def end(self, seconds: float) -> Ended:
        """Wait for its end, and for that of all its processes; kill what is left after the time."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = 999
            self.process.kill()
            self.process.wait()
        end = time.monotonic() + _QUIET_SECONDS
        while (left := self.members()) and time.monotonic() < end:
            time.sleep(0.05)
        for number in left:
            os.kill(number, 9)
        self._errors.seek(0)
        err = self._errors.read().decode(errors="replace")
        self._errors.close()
        Path(self._errors.name).unlink()
        return Ended(code, err, left)


def _untimed(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _untimed(value) for key, value in data.items() if key not in _TIMED}
    return [_untimed(value) for value in data] if isinstance(data, list) else data


def same_bits(run: Path) -> dict[str, Any]:
    """All that a run that was killed and resumed shares with one that was not, file by file."""
    found: dict[str, Any] = {}
    for file in sorted(run.rglob("*")):
        name = str(file.relative_to(run))
        if file.name in ("result.json", "landscape.json", "table.json", "genotype.json", "test.json"):
            found[name] = _untimed(json.loads(file.read_text()))
        elif file.name == "metrics.jsonl" and not (file.parent / "plan.yaml").exists():  # that of a fit has times
            found[name] = [_untimed(json.loads(line)) for line in file.read_text().splitlines()]
        elif file.suffix == ".safetensors":
            found[name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def faults_of(run: Path, temporary: Path, job: Job, said: str = "") -> list[str]:
    """What is wrong with a run that has ended: other bits, stray files.

    Args:
        run: its folder.
        temporary: its folder for temporary files.
        job: what it is to be like.
        said: its last words on standard error, which may say that a part is missing.
    """
    found = []
    bits = same_bits(run)
    other = [name for name in sorted({*bits, *job.bits}) if bits.get(name) != job.bits.get(name)]
    if "error analysis is missing" in said:  # which is a line of the log, too
        other = [name for name in other if Path(name).name not in ("test.json", "metrics.jsonl")]
    if other:
        found.append(f"other bits: {', '.join(other[:4])}")
    stray = [str(file.relative_to(run)) for file in run.rglob(".*")]
    stray += [f"tmp/{file.name}" for file in temporary.iterdir() if not _is_theirs(file)]
    if stray:
        found.append(f"stray files: {', '.join(stray[:4])}")
    return found


def _is_theirs(file: Path) -> bool:
    """Whether a temporary file is another library's; `tempfile` of Python tries a folder with one of four letters."""
    tried = re.fullmatch(r"[a-z0-9_]{8}", file.name) is not None and file.is_file()
    return file.name.startswith(THEIRS) or (tried and file.read_bytes() in (b"", b"blat"))


@contextmanager
def work_folder() -> Iterator[Path]:
    """A temporary folder; or the one that FAULTS_FOLDER names, which stays, with the runs that were not killed."""
    if "FAULTS_FOLDER" in os.environ:
        folder = Path(os.environ["FAULTS_FOLDER"])
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        yield Path(name)


def made_jobs(folder: Path, kinds: Sequence[str] = KINDS, most: float = 900.0) -> list[Job]:
    """All jobs of some kinds, with 1 and 2 ranks, each run whole once.

    Raises:
        RuntimeError: one of them fails.
    """
    jobs: list[Job] = []
    searched = folder / "search-1"
    for kind in KINDS:
        for ranks in (1, 2):
            if kind not in kinds and not (kind == "search" and ranks == 1):
                continue
            job = Job(kind, ranks, _words(kind, ranks, folder))
            if kind == "landscape":
                job.source = folder / "searched"
                if not job.source.exists():
                    shutil.copytree(searched, job.source)
            run, temporary = folder / f"{kind}-{ranks}", folder / "tmp"
            known = folder / f"{kind}-{ranks}.json"
            if not known.exists():
                shutil.rmtree(run, ignore_errors=True)
                job.prepare(run)
                _run_whole(job, run, temporary, most)
            if kind == "fit" and ranks == 1:  # what is killed repeats the plan of this one
                job.words = [*job.words, "--plan", str(folder / "fit-1" / "plan.yaml")]
                if not known.exists():
                    shutil.rmtree(folder / "fit-1-again", ignore_errors=True)
                    _run_whole(job, folder / "fit-1-again", temporary, most)
            if known.exists():
                job.seconds, job.changes, job.bits = json.loads(known.read_text())
            known.write_text(json.dumps([job.seconds, job.changes, job.bits]))
            print(f"{kind}, {ranks}: {job.seconds:.1f} s, {job.changes} changes, {len(job.bits)} files", flush=True)
            if kind in kinds:
                jobs.append(job)
    return jobs


def _words(kind: str, ranks: int, folder: Path) -> list[str]:
    several = ["--devices", str(ranks)]
    if kind == "fit":
        repeats = ["--plan", str(folder / "fit-1" / "plan.yaml")] if ranks > 1 else []
        return [*_FIT, "--processes", str(ranks), *repeats]
    return {
        "search": ["search", *_SEARCH, *several],
        "retrain": ["retrain", "DARTS_V2", *_TRAIN, *several],
        "compare": [*_COMPARE, "--jobs", str(ranks)],
        "landscape": ["landscape", "--grid", "5", "--inner-steps", "0,1", *several],
    }[kind]


def _run_whole(job: Job, run: Path, temporary: Path, most: float) -> None:
    """Run a job to its end, which gives its time, its changes and its bits.

    Raises:
        RuntimeError: it fails.
    """
    started = Started(job.first(run), temporary, trip=(run, 0, False))
    ended = started.end(most)
    if ended.code:
        raise RuntimeError(f"{' '.join(job.first(run))}: exit code {ended.code}: {ended.err[-500:]}")
    counted = list(temporary.glob("changes-*"))
    job.changes = max((int(file.read_text()) for file in counted), default=0)
    for file in counted:
        file.unlink()
    job.seconds, job.bits = time.monotonic() - started.begun, same_bits(run)


def write_result(part: str, seed: int, counts: Mapping[str, int], runs: Sequence[Mapping[str, Any]]) -> int:
    """Keep what came of a part of the campaign in `results/faults-PART.json`; the number of faults."""
    faults = [fault for one in runs for fault in one["faults"]]
    facts = {**environment(), "command": f"python -m benchmarks.faults --only {part}", "seed": seed}
    file = Path(__file__).parents[1] / "results" / f"faults-{part}.json"
    file.write_text(json.dumps({"facts": facts, **counts, "faults": faults, "runs": runs}, indent=2) + "\n")
    return len(faults)
