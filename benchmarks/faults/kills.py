"""Runs that are killed at random moments, from the first millisecond on, and resumed as their messages say."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from benchmarks.faults.jobs import KINDS, Ended, Job, Started, faults_of, made_jobs, work_folder, write_result

__all__ = ["measure"]

_SEED = 25
_EARLY_SECONDS = 2.0
_HOWS = {"early": 0.2, "moment": 0.35, "change": 0.35, "pause": 0.1}
"""Shares of kills in the first seconds, at any moment, and just before a change of the run folder, which moments miss;
and of processes that are stopped and go on, as when a laptop sleeps."""
_PAUSE_SECONDS = 3.0
_MOST = 900.0


def measure() -> int:
    """Kill runs at 10 moments, with FULL=1 at 100, and let them go on; the number of faults."""
    number = int(os.environ.get("KILLS", 100 if os.environ.get("FULL") == "1" else 10))
    kinds = os.environ.get("KINDS", ",".join(KINDS)).split(",")
    dice, done = random.Random(_SEED), list[dict[str, Any]]()
    with work_folder() as folder:
        jobs = made_jobs(folder, kinds)
        while (killed := sum(len(one["kills"]) for one in done)) < number:
            job = jobs[len(done) % len(jobs)]
            one = _campaign(job, folder / f"killed-{len(done)}", min(number - killed, dice.choice([1, 1, 2])), dice)
            done.append(one)
            print(f"{killed + len(one['kills'])}/{number} {one}", flush=True)
    return write_result("kills", _SEED, {"kills": number}, done)


def _campaign(job: Job, run: Path, kills: int, dice: random.Random) -> dict[str, Any]:
    """Kill a run some times, let it end, and look at what came of it."""
    temporary = run.with_name(f"{run.name}-tmp")
    one: dict[str, Any] = {"kind": job.kind, "ranks": job.ranks, "kills": [], "faults": []}
    for folder in (run, temporary):
        shutil.rmtree(folder, ignore_errors=True)
    job.prepare(run)
    words = job.first(run)
    for number in range(kills):
        if number and (run / "checkpoint.pt").exists():  # what would be refused need not be killed
            words = job.again(run)
        how = dice.choices([*_HOWS], [*_HOWS.values()])[0]
        kill, ended = _killed(job, words, run, temporary, how, dice)
        one["kills"].append(kill)
        if how == "pause" and ended.code:
            one["faults"].append(f"did not go on after it was stopped: {ended.code} {ended.err[-300:]}")
        one["faults"] += [f"processes left: {len(ended.left)}"] if ended.left else []
        if "Traceback" in ended.err:
            one["faults"].append(f"traceback: {ended.err[-300:]}")
        words = _way_on(job, run, dice)
    one["faults"] += _finished(job, run, temporary, words)
    one["faults"] = [f"{job.kind} {job.ranks} {one['kills']}: {fault}" for fault in one["faults"]]
    shutil.rmtree(run, ignore_errors=True)
    shutil.rmtree(temporary, ignore_errors=True)
    return one


def _killed(
    job: Job, words: list[str], run: Path, temporary: Path, how: str, dice: random.Random
) -> tuple[dict[str, Any], Ended]:
    """Start a command and kill it; when, and how it ended."""
    if how == "change":
        number, first = dice.randint(1, max(2, job.changes)), dice.random() < 0.7
        ended = Started(words, temporary, trip=(run, number, first)).end(_MOST)
        return {"change": number, "of": job.changes, "victim": "all" if first else "the one that writes"}, ended
    moment = dice.uniform(0.001, _EARLY_SECONDS if how == "early" else job.seconds)
    started = Started(words, temporary)
    time.sleep(moment)
    members = started.members()
    kill = {"at": round(moment, 3), "of": round(job.seconds, 1)}
    if how == "pause":
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for member in members:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(member, number)
            time.sleep(_PAUSE_SECONDS)
        return {**kill, "victim": f"all, stopped for {_PAUSE_SECONDS:g} s"}, started.end(_MOST)
    rank = job.ranks > 1 and job.kind in ("search", "retrain", "landscape") and dice.random() < 0.3
    victim = dice.choice(members) if rank and members else started.process.pid
    if started.process.poll() is None:
        os.kill(victim, signal.SIGKILL)
    return {**kill, "victim": "one rank" if rank else "all"}, started.end(_MOST)


def _way_on(job: Job, run: Path, dice: random.Random) -> list[str]:
    """One of the two commands that a user tries next; if it refuses, `_finished` tries the other one."""
    return dice.choice([job.first(run), job.again(run)])


def _finished(job: Job, run: Path, temporary: Path, words: list[str]) -> list[str]:
    """Let a run end by one command or, where that says so, by the other; the faults."""
    faults = []
    for attempt in (words, job.again(run) if words == job.first(run) else job.first(run)):
        ended = Started(attempt, temporary).end(_MOST)
        if ended.left:
            faults.append(f"processes left: {len(ended.left)}")
        if "Traceback" in ended.err:
            faults.append(f"traceback: {ended.err[-300:]}")
        if ended.code == 0:
            return faults + faults_of(run, temporary, job, ended.err)
        lines = ended.err.strip().splitlines()
        if run.exists() and not (
            lines and ("--resume" in lines[-1] or "--out" in lines[-1] or "same command" in lines[-1])
        ):
            return [*faults, f"no way on: {ended.code} {' '.join(ended.err.split())[-300:]}"]
    return [*faults, f"dead end: {' '.join(ended.err.split())[-300:]}"]
