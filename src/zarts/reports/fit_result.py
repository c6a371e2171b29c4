"""What came of a fit, read from its `result.json`; parts that it lacks are empty."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from zarts.readers import malformed
from zarts.runtime.io import read_mapping
from zarts.spaces import Chain

__all__ = ["FINAL", "Difference", "FitResult", "Network", "Share", "Trust", "front", "length_words", "read_fit"]

FINAL = "T"
"""The length of a final training."""

_PARTS = {2: "half", 3: "third", 9: "ninth", 27: "27th", 81: "81st"}


@dataclass(frozen=True)
class Network:
    """A network that the fit tried.

    Args:
        number: counted from 1.
        name: in a few words.
        origin: `hand-made`, `found`, `random` or `yours`.
        image_size: pixels a side; None: not known.
        parent: number of the network that it was changed from.
        change: what was changed, in words.
        chain: its layers; None: not known, as of a user's own.
        costs: of those that were counted or measured; `step_seconds` is the mean over its trainings.
        validation: length to the accuracies on validation images, one for each seed, in percent; short lengths first.
        test: accuracies on test images, one for each seed.
    """

    number: int
    name: str
    origin: str
    image_size: int | None = None
    parent: int | None = None
    change: str = ""
    chain: Chain | None = None
    costs: Mapping[str, float] = field(default_factory=dict)
    validation: dict[str, list[float]] = field(default_factory=dict)
    test: Sequence[float] = ()

    @property
    def longest(self) -> str:
        """The longest training that gave an accuracy; empty if none did."""
        return next(reversed(self.validation), "") if self.validation else ""

    def accuracy(self, length: str) -> float | None:
        """Mean validation accuracy after trainings of a length, in percent; None where there is none."""
        return fmean(self.validation[length]) if length in self.validation else None


@dataclass(frozen=True)
class Difference:
    """Test accuracy of the best found network minus that of the best hand-made one, in points, with its interval."""

    mean: float
    low: float
    high: float
    seeds: int
    images: int


@dataclass(frozen=True)
class Trust:
    """Rank correlation between the accuracies after a short and after a long training, with its interval."""

    short: str
    long: str
    value: float
    low: float
    high: float
    n: int
    text: str


@dataclass(frozen=True)
class Share:
    """A limit and how much of it the delivered network uses; `most` is None where only the text is known."""

    name: str
    text: str
    share: float | None
    most: float | None


@dataclass(frozen=True)
class FitResult:
    """The contents of `result.json`.

    `lengths` has those of all trainings, short ones first; `has_own_networks`: ONNX files or networks in
    torch of the user were compared.
    """

    verdict: str
    details: list[str]
    networks: list[Network]
    lengths: list[str]
    delivered: Network | None
    finalists: list[Network]
    difference: Difference | None
    trust: list[Trust]
    limits: list[Share]
    data: Mapping[str, Any]
    time: Mapping[str, Any]
    has_own_networks: bool
    int8: Mapping[str, Any]
    temperature: float | None
    files: Mapping[str, str]
    repeat: str

    def known(self, cost: str) -> list[Network]:
        """The networks that have an accuracy and this cost."""
        return [network for network in self.networks if network.longest and cost in network.costs]


def read_fit(folder: Path) -> FitResult | None:
    """Read the result of a fit; None where it has none (yet).

    Raises:
        RunError: `result.json` is damaged.
    """
    path = folder / "result.json"
    data = read_mapping(path)
    if "verdict" not in data:
        return None
    with malformed(path, "the result of a fit"):
        return _result(data, str(path))


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The points that no other one beats, which costs at most as much and is at least as accurate.

    Args:
        points: cost and accuracy of each.

    Returns:
        Their places in `points`, by growing cost; of equal points the first.
    """
    best, found = -math.inf, []
    for place in sorted(range(len(points)), key=lambda place: (points[place][0], -points[place][1])):
        if points[place][1] > best:
            best = points[place][1]
            found.append(place)
    return found


def length_words(length: str) -> str:
    """A length in words: `T/9` is "a ninth of the final training"."""
    if length == FINAL:
        return "the final training"
    divisor = _divisor(length)
    if divisor is None:
        return length
    part = f"a {_PARTS[divisor]}" if divisor in _PARTS else f"1/{divisor}"
    return f"{part} of the final training"


def _divisor(length: str) -> int | None:
    found = re.fullmatch(r"T/(\d{1,6})", length)
    return int(found[1]) if found and int(found[1]) else None


def _by_length(length: str) -> float:
    divisor = 1 if length == FINAL else _divisor(length)
    return 1 / divisor if divisor else 0.0


def _result(data: Mapping[str, Any], where: str) -> FitResult:
    finals = data.get("finals") or []
    networks = [_network(one, finals, where) for one in data.get("candidates") or []]
    by_number = {network.number: network for network in networks}
    difference = data.get("difference")
    return FitResult(
        verdict=str(data["verdict"]),
        details=[str(line) for line in data.get("details") or []],
        networks=networks,
        lengths=sorted({length for network in networks for length in network.validation}, key=_by_length),
        delivered=by_number.get(data.get("delivered") or 0),
        finalists=[by_number[n] for n in dict.fromkeys(one["candidate"] for one in finals) if n in by_number],
        difference=None if not difference else _difference(difference),
        trust=[_trust(one) for one in data.get("lengths") or [] if one.get("value") is not None],
        limits=[_share(one) for one in data.get("limits") or []],
        data=data.get("data") or {},
        time=_time(data.get("time") or {}),
        has_own_networks=bool(data.get("onnx_baselines") or data.get("torch_baselines")),
        int8=_int8(data.get("int8") or {}),
        temperature=_number(data.get("temperature")),
        files={str(name): str(what) for name, what in (data.get("files") or {}).items()},
        repeat=str(data.get("repeat") or ""),
    )


def _network(data: Mapping[str, Any], finals: Sequence[Mapping[str, Any]], where: str) -> Network:
    number = int(data["number"])
    own = [one for one in finals if one["candidate"] == number]
    scores = data.get("scores") or []
    trainings = [(str(one["length"]), one.get("seed"), _number(one.get("accuracy"))) for one in scores]
    trainings += [(FINAL, one.get("seed"), _number(one.get("val_accuracy"))) for one in own]
    accuracies: dict[str, dict[Any, float]] = {}
    for length, seed, accuracy in sorted(trainings, key=lambda training: _by_length(training[0])):
        if accuracy is not None:
            accuracies.setdefault(length, {})[seed] = accuracy
    counted = {key: data.get(key) for key in ("parameters", "macs")} | dict(data.get("costs") or {})
    steps = [value for one in scores if (value := _number(one.get("step_seconds"))) is not None]
    if steps:
        counted["step_seconds"] = fmean(steps)
    chain = data.get("chain")
    return Network(
        number=number,
        name=str(data.get("name") or f"network {number}"),
        origin=str(data.get("origin") or ""),
        image_size=None if data.get("image_size") is None else int(data["image_size"]),
        parent=None if data.get("parent") is None else int(data["parent"]),
        change=str(data.get("change") or ""),
        chain=Chain.from_dict(chain, f"{where}: network {number}") if chain else None,
        costs={key: value for key, cost in counted.items() if (value := _number(cost)) is not None},
        validation={length: list(seeds.values()) for length, seeds in accuracies.items()},
        test=[value for one in own if (value := _number(one.get("test_accuracy"))) is not None],
    )


def _number(value: Any) -> float | None:
    """A finite number; None for anything else."""
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    return number if math.isfinite(number) else None


def _time(data: Mapping[str, Any]) -> dict[str, Any]:
    parts = {str(name): seconds for name, one in (data.get("parts") or {}).items() if (seconds := _number(one))}
    return {
        **{key: _number(data.get(key)) for key in ("asked", "taken", "final")},
        "parts": parts,
        "processes": int(data.get("processes") or 1),
        "ended": str(data.get("ended") or ""),
    }


def _int8(data: Mapping[str, Any]) -> dict[str, Any]:
    accuracies = {key: _number(data.get(key)) for key in ("accuracy", "fp32")}
    return {**accuracies, **{key: str(data.get(key) or "") for key in ("file", "method")}}


def _difference(data: Mapping[str, Any]) -> Difference:
    mean, low, high = (float(data[key]) for key in ("mean", "low", "high"))
    return Difference(mean, low, high, int(data.get("seeds") or 0), int(data.get("images") or 0))


def _trust(data: Mapping[str, Any]) -> Trust:
    value = float(data["value"])
    low, high = (value if data.get(key) is None else float(data[key]) for key in ("low", "high"))
    n = int(data.get("n") or 0)
    return Trust(str(data["short"]), str(data["long"]), value, low, high, n, str(data.get("text") or ""))


def _share(data: Mapping[str, Any]) -> Share:
    value, most, share = (_number(data.get(key)) for key in ("value", "limit", "share"))
    if share is None and value is not None and most:
        share = value / most
    return Share(str(data["name"]), str(data.get("text") or ""), share, most)
