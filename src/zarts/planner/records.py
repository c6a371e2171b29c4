"""What a fit knows: its networks, their scores, and `plan.yaml`, from which a fit goes on or is repeated."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal

from zarts.errors import FileError, RunError, shown
from zarts.readers import malformed, parse_json, read_text
from zarts.runtime.io import WriteError, cut
from zarts.spaces import Chain

__all__ = ["PLAN", "Candidate", "Origin", "Plan", "Schedule", "Score", "training_key"]

FINAL = "T"
"""Name of the length of a final training."""
NO_VALUE = 1e30
"""Value of the objective of a network that cannot be compared: its training diverged, or was cut short."""
PLAN = "plan.yaml"
"""File of a fit: every decision that depends on a clock and every training, a line each, as they come."""

Origin = Literal["hand-made", "found", "random", "yours"]


@dataclass(frozen=True)
class Candidate:
    """A network that a fit tries.

    Args:
        number: counted from 1, in the order in which they are proposed.
        name: in a few words.
        origin: `hand-made`, `found` by the search, drawn at `random`, or given by the user (`yours`).
        chain: its layers.
        image_size: pixels a side.
        parent: number of the network that it was changed from; None: of none.
        change: what was changed, in words.
        parameters: number of parameters.
        macs: MACs for one image.
    """

    number: int
    name: str
    origin: Origin
    chain: Chain
    image_size: int
    parent: int | None = None
    change: str = ""
    parameters: int = 0
    macs: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain data, the inverse of `from_dict`."""
        return {**vars(self), "chain": self.chain.to_dict()}

    @staticmethod
    def from_dict(data: Mapping[str, Any], where: str) -> Candidate:
        """Read what `to_dict` wrote.

        Raises:
            RunError: it is something else.
        """
        with malformed(where, "a network of a fit"):
            return Candidate(**{**data, "chain": Chain.from_dict(data["chain"], where)})


@dataclass(frozen=True)
class Schedule:
    """The steps of a training.

    Args:
        warmup: steps in which the learning rate rises.
        steps: in all.
        falls_at: the first step in which the learning rate falls.
        corrections: step to the number of all steps that was known from it on.
    """

    warmup: int
    steps: int
    falls_at: int
    corrections: Mapping[int, int]


@dataclass(frozen=True)
class Score:
    """A training of a candidate, and what came of it.

    Args:
        candidate: its number.
        length: of the training, by its name: `T/27`, `T/9`, `T/3` or `T`.
        seed: of weights and batches.
        schedule: its steps.
        seconds: of the training, see `zarts.planner.clock.Clock`.
        accuracy: on the validation images, in percent.
        value: of the objective there; smaller is better.
        step_seconds: of a step, the median.
    """

    candidate: int
    length: str
    seed: int
    schedule: Schedule
    seconds: float
    accuracy: float
    value: float
    step_seconds: float

    @property
    def key(self) -> str:
        """See `training_key`."""
        return training_key(self.candidate, self.length, self.seed)


def training_key(number: int, length: str, seed: int) -> str:
    """What is trained, by number of the network, length and seed: no two trainings of a fit have the same."""
    return f"{number} {length} {seed}"


class Plan:
    """The decisions and trainings of a fit, kept in a file as they come, and read back from it.

    A fit that goes on takes all of them from its own file. One that repeats another takes the decisions and the
    numbers of steps from that one's file, and trains again.

    Args:
        file: where they are kept; those that it has are read.
        repeated: the file of another fit; None: this one decides for itself.

    Raises:
        RunError: a file is damaged.
    """

    def __init__(self, file: Path, repeated: Path | None = None) -> None:
        self._file = file
        self._decided: dict[str, Any] = {}
        self._scores: dict[str, Score] = {}
        self._others: dict[str, Score] = {}
        if repeated is not None:
            for entry in _entries(repeated, mends=False):
                if "score" in entry:
                    score = _score(entry["score"], repeated)
                    self._others[score.key] = score
                else:
                    self._decided.update(_decisions(entry["decided"], repeated))
        if repeated is not None and not {"time", "final seconds"} <= set(self._decided):
            raise RunError(f"{repeated}: of a fit that has not finished: go on with that one by --resume")
        self._own: set[str] = set()
        for entry in _entries(file, mends=True) if file.exists() else []:
            if "score" in entry:
                score = _score(entry["score"], file)
                self._scores[score.key] = score
            else:
                self._decided.update(_decisions(entry["decided"], file))
                self._own |= set(entry["decided"])

    def decide(self, name: str, make: Callable[[], Any], read: Callable[[Any], Any] | None = None) -> Any:
        """A decision: as the file has it, else made now and kept.

        Args:
            name: of the decision, once in a fit.
            make: decides; gives plain data.
            read: makes of the plain data what is returned; None: nothing.

        Raises:
            RunError: the file cannot be written, or what it has cannot be read.
        """
        if name not in self._decided:
            self._decided[name] = make()
        if name not in self._own:
            self._own.add(name)
            self._append({"decided": {name: self._decided[name]}})
        with malformed(f"{self._file}: {name}", "a decision of a fit", way_out=": was the file changed?"):
            return read(self._decided[name]) if read else self._decided[name]

    def has(self, name: str) -> bool:
        """Whether something was decided."""
        return name in self._decided

    def decided(self, name: str, read: Callable[[Any], Any]) -> Any:
        """A decision of a fit that has finished.

        Args:
            name: of the decision.
            read: makes of the plain data what is returned.

        Raises:
            RunError: the file has none of that name, or it cannot be read.
        """
        if name not in self._decided:
            raise RunError(f"{self._file}: has no decision {name!r}, as that of a finished fit has: was it changed?")
        with malformed(f"{self._file}: {name}", "a decision of a fit", way_out=": was the file changed?"):
            return read(self._decided[name])

    def score(self, key: str) -> Score | None:
        """The score of a training that this fit has done already."""
        return self._scores.get(key)

    def repeated(self, key: str) -> Score | None:
        """The score that the repeated fit had for a training; None: nothing is repeated."""
        return self._others.get(key)

    def keep(self, score: Score) -> None:
        """Keep a score."""
        self._scores[score.key] = score
        self._append({"score": asdict(score)})

    def _append(self, entry: Mapping[str, Any]) -> None:
        try:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"- {json.dumps(entry, ensure_ascii=False)}\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise WriteError(self._file, error) from error


def _entries(file: Path, *, mends: bool) -> Iterator[dict[str, Any]]:
    """The entries of a file: a YAML list with an entry a line, each in JSON; a last line that was cut off is left out.

    Args:
        file: the file.
        mends: whether such a line is deleted, so that what comes next begins on a line of its own.

    Raises:
        RunError: the file cannot be read, or has other content.
    """
    lines = read_text(file).split("\n")
    if lines[-1] and mends:
        cut(file, file.stat().st_size - len(lines[-1].encode()))
    for number, line in enumerate(lines[:-1], start=1):
        where = f"{file}: line {number}"
        entry = parse_json(line.removeprefix("- "), where)
        if not isinstance(entry, dict) or not ("score" in entry or isinstance(entry.get("decided"), dict)):
            raise RunError(f"{where}: not one of a fit's plan (no decision and no score)")
        yield entry


_KINDS: Mapping[str, tuple[type, ...]] = {
    "image": (int, NoneType),
    "reading": (dict, NoneType),
    "group": (int,),
    "beside": (int,),
    "final": (int, float),
    "finals": (bool,),
    "width": (dict, NoneType),
    "muon": (int, float),
    "path": (dict,),
    "paths": (bool,),
    "time": (dict,),
    "to": (list,),
    "epochs": (dict, NoneType),
    "baselines": (list,),
    "round": (int,),
    "share": (int, float),
    "second": (int,),
    "torch": (list,),
    "hopeless": (bool,),
    "take": (list,),
}
"""The first word of a decision's name to the types that it may have."""
_PATH = ("precision", "layout", "kernels", "threads")


def _decisions(found: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
    """Check the types of decisions.

    Raises:
        FileError: one has another.
    """
    for name, value in found.items():
        word = name.partition(" ")[0]
        kinds = _KINDS.get(word, (type(value),))
        whole = word != "path" or (type(value) is dict and set(value) == set(_PATH))
        if not whole or type(value) not in kinds or (type(value) in (int, float) and not 0 <= value < 1e9):
            raise FileError(f"{file}: {name} is {shown(value)}, which no fit decides: was the file changed?")
    return found


def _score(data: Any, file: Path) -> Score:
    with malformed(file, "the plan of a fit: a score is damaged"):
        steps = data["schedule"]
        corrections = {int(step): int(count) for step, count in steps["corrections"].items()}
        return Score(**{**data, "schedule": Schedule(steps["warmup"], steps["steps"], steps["falls_at"], corrections)})
