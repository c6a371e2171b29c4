"""`zarts diagnose`: what candidate losses consist of, as a table and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zarts.analysis import Diagnosis, Interval

__all__ = ["print_diagnosis"]

_WIDTH = 110
"""Columns that the table needs; a narrower terminal breaks its lines."""


def print_diagnosis(found: Diagnosis) -> None:
    """Print the measurements, a line each, and the advice."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("sigma", "M", "move", "batches", "both", "move / both", "", "with g u", ""):
        table.add_column(title, justify="right", no_wrap=True)
    for one in found.measurements:
        parts = one.parts
        variances = (f"{max(0.0, part.value):.1e}" for part in (parts.move, parts.batches, parts.interaction))
        ratio, correlation = _between(parts.snr, 0.0), _between(one.correlation)
        table.add_row(f"{one.sigma:.3g}", str(one.inner_steps), *variances, *ratio, *correlation)
    print(
        f"Variance of the loss of a move of alpha, by what it belongs to ({found.candidates} moves, each on "
        f"{found.draws} draws of batches, after epoch {found.epoch}); the ratio of signal to noise; the correlation "
        "with the gradient's prediction:"
    )
    Console(width=max(_WIDTH, Console().width)).print(table)
    numbers = {"condition number": found.condition_number, "dominant eigenvalue": found.eigenvalue}
    if known := [f"{name} {value:.3g}" for name, value in numbers.items() if value is not None]:
        print(", ".join(known))
    for line in found.advice:
        print(line)


def _between(value: Interval, least: float = -1.0) -> tuple[str, str]:
    """An estimate and its interval, none of them below what is possible."""
    estimate, low, high = (max(least, number) for number in value)
    return f"{estimate:.2g}", f"{low:.2g} to {high:.2g}"
