"""The collapse watch: signs that a search ends in a cell of skips and pools, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from zarts.reports.series import by_epoch, per_epoch

__all__ = ["COLLAPSE", "GROWTH", "Sign", "signs", "spans"]

COLLAPSE = 4
"""More parameterless operations than this in a normal cell are a sign of collapse."""

GROWTH = 1.3
"""Growth of the dominant eigenvalue that counts as a warning: the factor at which RobustDARTS ends a search."""

_FEWER = (
    "Train the network before you trust it, beside one drawn at random. If it is worse, search again with another seed "
    "or method, with fewer epochs, or with --max-skips 2, which a selection by alpha takes."
)
_EARLIER = (
    f"Search again with --eigenvalue-growth {GROWTH}, which ends a search at such a growth, or with another seed."
)


class Sign(NamedTuple):
    """Name of the quantity, its development in words, whether this is a warning, and what to do then."""

    name: str
    text: str
    warning: bool
    advice: str = ""


def signs(events: Sequence[Mapping[str, Any]]) -> list[Sign]:
    """Signs in the events of a search: parameterless operations of the normal cell, growth of the eigenvalue, warnings.

    Returns:
        A sign for each of the first two for which the events have numbers, and one for each warning.

    Source: Liang et al., DARTS+ (2019), for skips as the sign; Zela et al., RobustDARTS (ICLR 2020), for eigenvalues.
    """
    found = [_parameterless(events), _eigenvalue(events)]
    warnings = [_warning(event) for event in events if event.get("event") == "warning"]
    return [*(sign for sign in found if sign is not None), *warnings]


def _warning(event: Mapping[str, Any]) -> Sign:
    return Sign(f"Warning in epoch {event.get('epoch', '?')}", f"{event.get('text', '')}.", warning=True)


def spans(epochs: Iterable[int]) -> str:
    """Ascending numbers in words: `3, 7–9 and 31–50`."""
    runs: list[list[int]] = []
    for epoch in epochs:
        if runs and epoch == runs[-1][-1] + 1:
            runs[-1].append(epoch)
        else:
            runs.append([epoch])
    words = [str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs]
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1] if words else "") if part)


def _parameterless(events: Sequence[Mapping[str, Any]]) -> Sign | None:
    epochs, counts = per_epoch(by_epoch(events, "genotype"), "parameterless", "normal")
    if not counts:
        return None
    most, name = max(counts), "Parameterless operations"
    if most <= COLLAPSE:
        text = f"never more than {most:.0f} in the normal cell; more than {COLLAPSE} would be a sign of collapse."
        return Sign(name, text, warning=False)
    over = [round(epoch) for epoch, count in zip(epochs, counts, strict=True) if count > COLLAPSE]
    at = f"epoch{'s' if len(over) > 1 else ''} {spans(over)} (at most {most:.0f})"
    text = (
        f"more than {COLLAPSE} pools and skips in the normal cell in {at}, which is a sign of collapse; "
        f"{counts[-1]:.0f} after the last epoch."
    )
    return Sign(name, text, warning=True, advice=_FEWER)


def _eigenvalue(events: Sequence[Mapping[str, Any]]) -> Sign | None:
    """Growth of the eigenvalue from its lowest value to its last one."""
    watched = by_epoch(events, "eigenvalue")
    epochs, values = per_epoch(watched, "eigenvalue")
    if len(values) < 2:
        return None
    name, last, least = "Dominant eigenvalue in alpha", values[-1], min(values)
    ended = any(event.get("stopped") for event in watched)
    last_text = f"{last:.3g} in epoch {epochs[-1]:.0f}"
    if least <= 0 or last < GROWTH * least:
        text = f"has not grown: {last_text}, {values[0]:.3g} in epoch {epochs[0]:.0f}."
        return Sign(name, text, warning=False)
    since = epochs[values.index(least)]
    text = (
        f"grew {last / least:.1f} times, from {least:.3g} in epoch {since:.0f} to {last_text}: the derived cell loses "
        "more accuracy than the supernet suggests"
    )
    if ended:
        return Sign(name, f"{text}; early stopping ended the search.", warning=True)
    return Sign(name, f"{text}.", warning=True, advice=_EARLIER)
