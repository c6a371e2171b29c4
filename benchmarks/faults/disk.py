"""Runs whose disk gets full at a random moment: what is there stays whole, and they go on when there is room again."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.faults.jobs import Job, Started, faults_of, made_jobs, work_folder, write_result

__all__ = ["measure"]

_SEED = 26
_MEGABYTES = 64
"""Size of the disk that gets full."""
_LEFT = 40_000
"""The most bytes that are left: fewer than a checkpoint needs, more than an event does."""
_MOST = 900.0
_KINDS = ("search", "retrain", "fit", "compare")
_AFTER = {"its start": 1.0, "its folder": 0.2, "its first checkpoint": 0.3}
"""After what a disk gets full, and in which share of the time of a whole run."""


def measure() -> int:
    """Fill the disk of 5 runs, with FULL=1 of 20; the number of faults."""
    number = int(os.environ.get("DISKS", 20 if os.environ.get("FULL") == "1" else 5))
    kinds = os.environ.get("KINDS", ",".join(_KINDS)).split(",")
    dice, done = random.Random(_SEED), list[dict[str, Any]]()
    with work_folder() as folder:
        jobs = [job for job in made_jobs(folder, kinds) if job.ranks == 1]
        for i in range(number):
            one = _campaign(jobs[i % len(jobs)], folder / f"disk-{i}", dice)
            done.append(one)
            print(f"{i + 1}/{number} {one}", flush=True)
    return write_result("disk", _SEED, {"disks": number}, done)


@contextmanager
def _disk(folder: Path) -> Iterator[Path]:
    """A small disk of its own.

    Raises:
        SystemExit: this user may not mount one; `unshare -rm` makes a place where everybody may.
    """
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={_MEGABYTES}m", "tmpfs", str(folder)]
    if subprocess.run(words, check=False).returncode:
        raise SystemExit(f"no disk can be mounted: start it by `unshare -rm {sys.executable} -m benchmarks.faults`")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def _campaign(job: Job, folder: Path, dice: random.Random) -> dict[str, Any]:
    """Fill the disk at a random moment of a run, make room, let it go on; what came of it."""
    after, share = dice.choice([*_AFTER.items()])
    moment, left = dice.uniform(0.0, share * job.seconds), dice.randrange(_LEFT)
    one: dict[str, Any] = {"kind": job.kind, "at": round(moment, 1), "after": after}
    one |= {"of": round(job.seconds, 1), "left": left}
    faults: list[str] = []
    temporary = folder.with_name(f"{folder.name}-tmp")
    with _disk(folder) as disk:
        run, filler = disk / "run", disk / "filler"
        started = Started(job.first(run), temporary)
        while started.process.poll() is None and not _has_come(after, run):
            time.sleep(0.01)
        time.sleep(moment)
        _fill(filler, left)
        ended = started.end(_MOST)
        one["code"], one["said"] = ended.code, " ".join(ended.err.split())[-200:]
        lines = ended.err.strip().splitlines()
        if ended.code not in (0, 1) or "Traceback" in ended.err or (ended.code and not lines[-1].startswith("zarts: ")):
            faults.append(f"exit code {ended.code}: {one['said']}")
        filler.unlink()
        if ended.code:
            words = job.again(run) if "--resume" in one["said"] or job.kind == "compare" else job.first(run)
            again = Started(words, temporary).end(_MOST)
            if again.code:
                faults.append(f"does not go on: {' '.join(again.err.split())[-300:]}")
            ended = again
        if (run / "result.json").exists() or job.kind == "compare":
            faults += faults_of(run, temporary, job, ended.err)
    shutil.rmtree(temporary, ignore_errors=True)
    return {**one, "faults": [f"{job.kind} {one['at']}: {fault}" for fault in faults]}


def _has_come(what: str, run: Path) -> bool:
    """Whether a run is as far as one of `_AFTER` says."""
    if what == "its first checkpoint":
        return (run / "work").exists() or any(run.rglob("checkpoint.pt"))
    return what == "its start" or run.exists()


def _fill(file: Path, left: int) -> None:
    """Leave so many bytes of a disk free."""
    with file.open("wb", buffering=0) as filler:
        while True:
            stat = os.statvfs(file.parent)
            free = stat.f_bavail * stat.f_frsize - left
            if free <= 0:
                return
            try:
                filler.write(b"x" * min(free, 1 << 20))
            except OSError:  # the run has written at the same time
                return
