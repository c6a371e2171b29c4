"""Colours and labels of all pictures: each role has a colour for light and for dark paper.

Line colours have a contrast of at least 4.5 to their paper. The hues follow Okabe and Ito: colour-blind readers can
tell them apart. Each light value occurs only once, because `svg.inline` replaces it by the CSS variable of its role.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["ROLES", "Kind", "Role", "kind_of", "label_of"]


class Role(NamedTuple):
    """A colour on light and on dark paper."""

    light: str
    dark: str


ROLES: dict[str, Role] = {
    "paper": Role("#fdfdfc", "#181b20"),
    "ink": Role("#1f2329", "#e7e9ec"),
    "muted": Role("#626b76", "#9ba5b1"),
    "wire": Role("#aab2bc", "#5c6672"),
    "rule": Role("#e1e4e9", "#333a43"),
    "node": Role("#eceef2", "#2a3038"),
    "sep": Role("#0067a6", "#5fb4ec"),
    "sep-tint": Role("#dcedfa", "#16344a"),
    "dil": Role("#b84a05", "#f2965a"),
    "dil-tint": Role("#fdeadd", "#472b18"),
    "pool": Role("#08775a", "#48c39d"),
    "pool-tint": Role("#daf2ea", "#133a2f"),
    "skip": Role("#84449a", "#cf98df"),
    "skip-tint": Role("#f3e6f7", "#3a2642"),
    "other": Role("#59636f", "#a7b1bc"),
    "other-tint": Role("#e7eaee", "#2d343c"),
}


class Kind(NamedTuple):
    """A family of operations: its colour role and the dashes of its wires (on, off; in points)."""

    role: str
    dashes: tuple[float, float] | None = None


_KINDS = {
    "sep_conv": Kind("sep"),
    "dil_conv": Kind("dil"),
    "max_pool": Kind("pool"),
    "avg_pool": Kind("pool"),
    "skip_connect": Kind("skip", (5.0, 2.6)),
    "noise": Kind("other", (1.4, 2.2)),
    "nor_conv": Kind("sep"),
}
_OTHER = Kind("other")


def kind_of(op: str) -> Kind:
    """The family of an operation; grey for an unknown one."""
    return next((kind for prefix, kind in _KINDS.items() if op.startswith(prefix)), _OTHER)


def label_of(op: str) -> str:
    """An operation in words: `sep_conv_3x3` is `sep conv 3×3`, `skip_connect` is `skip`."""
    if op == "skip_connect":
        return "skip"
    return re.sub(r"(?<=\d)x(?=\d)", "\N{MULTIPLICATION SIGN}", op).replace("_", " ")
