"""What `zarts diagnose` has found of a run, as a section of its report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from zarts.errors import RunError
from zarts.reports.summary import show
from zarts.runtime.io import read_mapping

__all__ = ["Diagnosis", "Share", "SigmaRow", "read_diagnosis"]

_PARTS = {"move": ("the move", "pool"), "batches": ("the mini-batches", "other"), "interaction": ("both", "dil")}
"""Parts of the variance: whose they are, and their colour: that of `interaction` is the noise."""

_NEEDED = {"samples": "N", "inner_steps": "M", "val_batches": "validation batches", "sigma": "sigma"}


class Share(NamedTuple):
    """A part of the variance: whose, its colour role, percent of the whole, and the variance in words."""

    name: str
    role: str
    percent: float
    variance: str


class SigmaRow(NamedTuple):
    """What was found at one sigma and M, in words, and the parts of the variance."""

    sigma: str
    inner_steps: str
    shares: list[Share]
    snr: str
    correlation: str
    needed: str
    silent: bool


class Diagnosis(NamedTuple):
    """The section: what it is of, its rows, and its advice."""

    of: str
    rows: list[SigmaRow]
    facts: list[tuple[str, str]]
    advice: list[str]


def read_diagnosis(folder: Path) -> Diagnosis | None:
    """The section of `diagnosis.json`; None where a run has none. What the file lacks is left out.

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
        "candidates": "{} candidate moves",
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
    whole = sum(positive.values())
    shares = [
        Share(_PARTS[key][0], _PARTS[key][1], 100 * value / whole, _interval(row[key]))
        for key, value in positive.items()
        if whole > 0
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
    """The number of an estimate, with or without its interval."""
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
