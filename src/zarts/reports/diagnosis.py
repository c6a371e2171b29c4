"""The report section on signal and noise, from the `diagnosis.json` of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from zarts.errors import RunError
from zarts.reports.summary import show
from zarts.runtime.io import read_mapping

__all__ = ["Diagnosis", "Share", "SigmaRow", "read_diagnosis"]

_PARTS = {
    "move": ("the perturbation", "pool"),
    "batches": ("the mini-batches", "other"),
    "interaction": ("both", "dil"),
}
"""Components of the variance: their source in words and their colour role; `interaction` is the noise."""

_NEEDED = {"samples": "N", "inner_steps": "M", "val_batches": "validation batches", "sigma": "sigma"}


class Share(NamedTuple):
    """A component of the variance: its source, colour role, percent of the sum, and the variance in words."""

    name: str
    role: str
    percent: float
    variance: str


class SigmaRow(NamedTuple):
    """The estimates at one sigma and M in words, and the components of the variance."""

    sigma: str
    inner_steps: str
    shares: list[Share]
    snr: str
    correlation: str
    needed: str
    silent: bool


class Diagnosis(NamedTuple):
    """The contents of the section: the sample that it comes from, its rows, further numbers, and advice."""

    of: str
    rows: list[SigmaRow]
    facts: list[tuple[str, str]]
    advice: list[str]


def read_diagnosis(folder: Path) -> Diagnosis | None:
    """Read the section from `diagnosis.json`; None where a run has no such file. Numbers that it lacks are left out.

    Raises:
        RunError: the file is damaged.
    """
    path = folder / "diagnosis.json"
    data = read_mapping(path)
    if not data:
        return None
    sigmas, advice = data.get("sigmas", []), data.get("advice", [])
    if not isinstance(sigmas, list) or not all(isinstance(row, dict) for row in sigmas) or not isinstance(advice, list):
        raise RunError(f"{path}: not a diagnosis; expected lists sigmas, of mappings, and advice")
    words = {
        "epoch": "after epoch {}",
        "candidates": "{} perturbations",
        "draws": "{} draws of mini-batches",
    }
    facts = {"condition_number": "condition number in alpha", "eigenvalue": "dominant eigenvalue in alpha"}
    return Diagnosis(
        ", ".join(form.format(show(data[key])) for key, form in words.items() if key in data),
        [_row(row) for row in sigmas],
        [(name, _number(data[key])) for key, name in facts.items() if data.get(key) is not None],
        [show(line) for line in advice],
    )


def _row(row: Mapping[str, Any]) -> SigmaRow:
    values = {key: _value(row.get(key)) for key in _PARTS}
    positive = {key: max(value, 0.0) for key, value in values.items() if value is not None}
    total = sum(positive.values())
    shares = [
        Share(_PARTS[key][0], _PARTS[key][1], 100 * value / total, _interval(row[key]))
        for key, value in positive.items()
        if total > 0
    ]
    ratio = _value(row.get("snr"))
    needed = row.get("needed")
    wanted = needed if isinstance(needed, dict) else {}
    parts = [f"{name} = {_number(wanted[key])}" for key, name in _NEEDED.items() if wanted.get(key) is not None]
    return SigmaRow(
        _number(row.get("sigma")),
        _number(row.get("inner_steps")),
        shares,
        _interval(row.get("snr")),
        _interval(row.get("correlation")),
        " or ".join(parts) or "–",
        silent=ratio is not None and ratio < 1,
    )


def _value(entry: Any) -> float | None:
    """The number of an estimate, which may have an interval; None where it is not finite."""
    value = entry.get("value") if isinstance(entry, dict) else entry
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return float(value)


def _interval(entry: Any) -> str:
    """An estimate with its confidence interval, in words."""
    if _value(entry) is None:
        return "–"
    if not isinstance(entry, dict):
        return _number(entry)
    low, high = _value(entry.get("low")), _value(entry.get("high"))
    return _number(entry["value"]) + ("" if low is None or high is None else f" ({low:.2g} to {high:.2g})")


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else show(value) if value is not None else "–"
