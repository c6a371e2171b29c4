"""The first line of a result: which network to take, whether the search was worth it, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from zarts.errors import SettingsError
from zarts.planner.evidence import (
    Answers,
    Difference,
    paired_difference_of_trainings,
    smallest_difference,
)

__all__ = ["Finalist", "Verdict", "cheaper", "verdict", "why_alone"]

_INT8_LOSS = 0.5  # points; more is said
_FEW_IMAGES = 1000  # below, what they can tell is said


@dataclass(frozen=True)
class Finalist:
    """A trained network with its answers to the test images.

    Args:
        name: as people shall read it.
        correct: for each seed whether the delivered file was right, shape (n,); that of int8 if that is delivered.
        parameters: number of weights.
        latency_ms: of one image; None: not measured.
        float_correct: for each seed of a file in int8 the answers of the same network before; None: not int8.
    """

    name: str
    correct: Sequence[Answers]
    parameters: int
    latency_ms: float | None = None
    float_correct: Sequence[Answers] | None = None

    @property
    def accuracy(self) -> float:
        """Mean over images and seeds, in percent."""
        return _percent(self.correct)

    @property
    def int8_loss(self) -> float:
        """Points that int8 costs; 0 where the file is no int8."""
        return _percent(self.float_correct) - self.accuracy if self.float_correct is not None else 0.0


@dataclass(frozen=True)
class Verdict:
    """What the result is.

    Args:
        line: for the first line of terminal, report and result file.
        better: whether the searched network is better than the hand-made one; None: no difference could be shown, or
            nothing was searched.
        delivered: name of the network to take.
        difference: searched minus hand-made, in points; None: nothing was searched.
    """

    line: str
    better: bool | None
    delivered: str
    difference: Difference | None


def verdict(
    handmade: Finalist,
    found: Finalist | None = None,
    *,
    alone: str = "",
    take: Callable[[Finalist, Finalist], tuple[bool, str]] | None = None,
) -> Verdict:
    """Compare the best network of a search with the best hand-made one, on test images that chose neither.

    One is better only if the 95 % interval of the difference excludes 0. With one or two seeds the interval is over
    images (of two the mean of both, a little too wide), and the line speaks of these files; from three seeds on it is
    over seeds and images.

    Args:
        handmade: the best hand-made network, or the only finalist.
        found: the best network of the search, same seeds and images; None: there is none to compare with.
        alone: why there is none, in sentences; see `why_alone`.
        take: of the two where no difference is shown; None: `cheaper`.

    Raises:
        SettingsError: seeds or images of the two differ.
    """
    if found is None:
        line = f"Take {handmade.name}: {handmade.accuracy:.1f} % of {_images(handmade)} are right ({_costs(handmade)})."
        line += f" {alone}" if alone else ""
        return Verdict(line + _few(handmade) + _int8([handmade]), None, handmade.name, None)
    seeds = len(handmade.correct)
    if len(found.correct) != seeds or seeds == 0:
        raise SettingsError(f"{found.name} has {len(found.correct)} seeds, {handmade.name} {seeds}: needs the same")
    pairs = list(zip(found.correct, handmade.correct, strict=True))
    difference = paired_difference_of_trainings(pairs)
    best, other = (found, handmade) if difference.mean > 0 else (handmade, found)
    interval = f"{difference.low:+.1f} to {difference.high:+.1f}"
    if difference.shown:
        line = (
            f"{_title(best, found)} is better than {_title(other, found, False)}: {best.accuracy:.1f} % against "
            f"{other.accuracy:.1f} % of {_images(found)}; searched minus hand-made {difference.mean:+.1f} points "
            f"(95 % interval {interval})."
        )
        line += f" Take {best.name} ({_costs(best)}; the other {_costs(other)})."
    else:
        is_found, word = (take or cheaper)(found, handmade)
        best, other = (found, handmade) if is_found else (handmade, found)
        line = (
            f"No difference could be shown; take the {word} one: {best.name} ({_costs(best)}; {other.name} has "
            f"{_costs(other)}). {found.name}, searched: {found.accuracy:.1f} %; {handmade.name}, hand-made: "
            f"{handmade.accuracy:.1f} % of {_images(found)}; difference {difference.mean:+.1f} points "
            f"(95 % interval {interval})."
        )
    line += _scope(seeds) + _few(found) + _int8([found, handmade])
    better = None if not difference.shown else best is found
    return Verdict(line, better, best.name, difference)


def why_alone(tried: int, *, reason: str, hopeless: bool = False, diverged: str = "") -> str:
    """Why a network is compared with no other one, in a sentence.

    Args:
        tried: networks that were searched.
        reason: why none was, a phrase such as `that takes 5 minutes or more`.
        hopeless: whether none of them promised enough.
        diverged: name of the other finalist if its final training diverged; else empty.
    """
    if diverged:
        return f"It is compared with no other network, as the final training of {diverged} diverged."
    if hopeless:
        return (
            f"Of {tried} searched networks none promised enough, on validation images, to share the time of the "
            "final training with it, so it alone had all of that."
        )
    if tried:
        return f"Of {tried} searched networks none could be compared in the time, so it alone was trained to the end."
    return f"Only hand-made networks were compared, nothing was searched: {reason.rstrip('.')}."


def _title(one: Finalist, found: Finalist, first: bool = True) -> str:
    words = f"the {'searched' if one is found else 'hand-made'} network {one.name}"
    return words[0].upper() + words[1:] if first else words


def cheaper(found: Finalist, handmade: Finalist) -> tuple[bool, str]:
    """Whether the searched one is cheaper, and the word for that.

    The faster one is, if latency was measured of both and differs by a twentieth; otherwise the smaller one.
    """
    fast = (found.latency_ms, handmade.latency_ms)
    if fast[0] is not None and fast[1] is not None and max(fast[0], fast[1]) > 1.05 * min(fast[0], fast[1]):
        return fast[0] < fast[1], "faster"
    if found.parameters == handmade.parameters:
        return False, "hand-made"
    return found.parameters < handmade.parameters, "smaller"


def _scope(seeds: int) -> str:
    if seeds > 2:
        return f" This holds for the two architectures: {seeds} trainings of each, interval over trainings and images."
    files = "these two files" if seeds == 1 else "these two pairs of files"
    times = "one training" if seeds == 1 else "two trainings"
    return f" This holds for {files}, after {times} of each, not for the architectures."


def _few(one: Finalist) -> str:
    n = len(one.correct[0])
    if n >= _FEW_IMAGES:
        return ""
    least = smallest_difference(n, one.accuracy / 100)
    points = f"{math.ceil(least) if least >= 3 else round(least, 1):g} points"
    return f" With {n} test images differences below ± {points} cannot be told from chance."


def _int8(finalists: Sequence[Finalist]) -> str:
    lost = [f"{one.name} {one.int8_loss:.1f}" for one in finalists if one.int8_loss > _INT8_LOSS]
    return f" Points lost by int8: {', '.join(lost)}." if lost else ""


def _images(one: Finalist) -> str:
    return f"{len(one.correct[0]):,} test images"


def _costs(one: Finalist) -> str:
    count = f"{one.parameters / 1000:.1f}k" if one.parameters >= 1000 else str(one.parameters)
    return f"{count} parameters" + ("" if one.latency_ms is None else f", {one.latency_ms:.3g} ms")


def _percent(correct: Sequence[Answers]) -> float:
    return 100 * float(np.mean([np.asarray(one, float).mean() for one in correct]))
