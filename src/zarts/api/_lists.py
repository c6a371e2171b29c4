"""Lists of what has a name: methods, spaces, presets, genotypes, hand-made networks; torch is imported late."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from zarts.runtime.columns import folded, terminal_width, two_columns
from zarts.runtime.paths import encodable

__all__ = ["Names", "list_genotypes", "list_methods", "list_networks", "list_presets", "list_spaces"]

_PLAIN = ("what", "paper", "source")
"""Columns that are always printed, without their title, each on a line of its own."""


class Names(list[str]):
    """Names in the order in which they are documented; printed, what `zarts list` shows.

    Args:
        header: the title of each column, of which the first holds the names.
        rows: a row for each name.
        recommended: the name that is marked.
        brief: columns that are printed without details, too.
    """

    def __init__(
        self, header: Sequence[str], rows: Sequence[Sequence[Any]], recommended: str = "", brief: Sequence[str] = ()
    ) -> None:
        super().__init__(row[0] for row in rows)
        self.header, self.rows, self.recommended = tuple(header), [tuple(row) for row in rows], recommended
        self._brief = tuple(brief)

    def text(self, *, details: bool = False) -> str:
        """Each name with a line or two, as wide as the terminal.

        Args:
            details: all columns.
        """
        width, rows = terminal_width(), []
        for row in self.rows:
            known = dict(zip(self.header[1:], row[1:], strict=True))
            lines = [known.pop(title) for title in _PLAIN if title in known]
            lines.append("; ".join(f"{k}: {_shown(v)}" for k, v in known.items() if details or k in self._brief))
            rows.append((f"{row[0]} *" if row[0] == self.recommended else row[0], "\n".join(filter(None, lines))))
        listed = two_columns(rows, width, indent=0)
        note = f"* recommended, and taken where no {self.header[0]} is named"
        return f"{listed}\n\n{folded(note, width)}" if self.recommended else listed

    def records(self) -> list[dict[str, Any]]:
        """A mapping for each name, from the titles of the columns to their values, for JSON."""
        titles = [title.replace(" ", "_") for title in self.header]
        marks = [{"recommended": name == self.recommended} if self.recommended else {} for name in self]
        return [dict(zip(titles, row, strict=True)) | mark for row, mark in zip(self.rows, marks, strict=True)]

    def __str__(self) -> str:
        return encodable(f"{self.text()}\n", sys.stdout)


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def list_methods() -> Names:
    """The names of all methods, for `search(method=NAME)`; printed with what each is and its paper."""
    from zarts.config import SearchSettings
    from zarts.methods import AXES, METHODS

    return Names(
        ("method", "what", "paper", *(axis.replace("_", " ") for axis in AXES)),
        [(m.name, m.summary, m.paper, *(m.axes[axis] for axis in AXES)) for m in METHODS.values()],
        recommended=SearchSettings.model_fields["method"].default,
    )


def list_spaces() -> Names:
    """The names of all spaces, for `search(space=NAME)`; printed with their sizes."""
    from zarts.spaces import SPACES

    def what(edges: int, operations: int) -> str:
        return f"{edges} edges a cell, {operations} operations an edge"

    return Names(
        ("space", "what", "source", "dimension of alpha", "operations"),
        [
            (s.name, what(len(s.edges), s.shapes["normal"][1]), s.source, s.dimension, ", ".join(s.operations))
            for s in SPACES.values()
        ],
    )


def list_presets() -> Names:
    """The names of all presets, for `search(preset=NAME)` and `retrain(preset=NAME)`; printed with what they are."""
    from zarts.config import preset_names, preset_summary

    return Names(("preset", "what"), [(name, preset_summary(name)) for name in preset_names()])


def list_genotypes() -> Names:
    """The names of all published genotypes, for `create_model(NAME)` and `retrain(NAME)`; printed with their papers."""
    from zarts.spaces import published, published_sources

    rows = []
    for name, source in published_sources().items():
        genotype = published(name)
        what = f"a cell of space {genotype.space}"
        rows.append((name, what, source, genotype.describe("normal"), genotype.describe("reduce")))
    return Names(("genotype", "what", "source", "normal cell", "reduction cell"), rows)


def list_networks() -> Names:
    """The names of all hand-made networks, for `create_model(NAME)` and `retrain(NAME)`; printed with their costs.

    These are of width 1, with 10 classes and colour images of 32×32 pixels.
    """
    import torch

    from zarts.limits import count_macs, count_parameters
    from zarts.networks import create_chain, seeded
    from zarts.spaces import HANDMADE

    rows = []
    for name, (published, summary, source) in HANDMADE.items():
        chain = published.for_images(_SIDE)
        with seeded(0), torch.device("meta"):
            network = create_chain(chain)
        parameters, macs = count_parameters(network), count_macs(network, (3, _SIDE, _SIDE))
        rows.append((name, parameters, macs, chain.stem.stride, summary, source))
    header = ("network", "parameters", "MACs", "stem stride", "what", "source")
    return Names(header, rows, brief=("parameters", "MACs"))


_SIDE = 32
