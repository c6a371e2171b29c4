"""Lists of what has a name: methods, spaces, presets, genotypes, hand-made networks; torch is imported late."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Names", "list_genotypes", "list_methods", "list_networks", "list_presets", "list_spaces"]


class Names(list[str]):
    """Names in the order in which they are documented; printed, the table that `zarts list` shows.

    Args:
        header: the title of each column, of which the first holds the names.
        rows: a row for each name.
    """

    def __init__(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        super().__init__(row[0] for row in rows)
        self.header, self.rows = tuple(header), [tuple(row) for row in rows]

    def table(self) -> Table:
        """The table, for a console of rich."""
        from rich.table import Table

        table = Table(*self.header, box=None, pad_edge=False)
        for row in self.rows:
            table.add_row(*row)
        return table

    def __str__(self) -> str:
        from rich.console import Console

        from zarts.runtime.paths import encodable

        console = Console()
        with console.capture() as capture:
            console.print(self.table())
        return encodable(capture.get(), sys.stdout)


def list_methods() -> Names:
    """The names of all methods, for `search(method=NAME)`; printed with the axes and the paper of each."""
    from zarts.methods import METHODS

    axes = ("relaxation", "weight_relaxation", "supernet", "edge_normalization", "arch_optimizer", "select", "phases")
    return Names(
        ("method", "what", *(axis.replace("_", " ") for axis in axes), "paper"),
        [(m.name, m.summary, *(m.axes[axis] for axis in axes), m.paper) for m in METHODS.values()],
    )


def list_spaces() -> Names:
    """The names of all spaces, for `search(space=NAME)`; printed with their sizes and operations."""
    from zarts.spaces import SPACES

    return Names(
        ("space", "edges", "operations an edge", "dimension of alpha", "operations", "source"),
        [
            (s.name, str(len(s.edges)), str(s.shapes["normal"][1]), str(s.dimension), ", ".join(s.operations), s.source)
            for s in SPACES.values()
        ],
    )


def list_presets() -> Names:
    """The names of all presets, for `search(preset=NAME)` and `retrain(preset=NAME)`; printed with what they are."""
    from zarts.config import preset_names, preset_summary

    return Names(("preset", "what"), [(name, preset_summary(name)) for name in preset_names()])


def list_genotypes() -> Names:
    """The names of all published genotypes, for `create_model(NAME)` and `retrain(NAME)`; printed with their cells."""
    from zarts.spaces import published, published_sources

    rows = []
    for name, source in published_sources().items():
        genotype = published(name)
        rows.append((name, genotype.space, genotype.describe("normal"), genotype.describe("reduce"), source))
    return Names(("genotype", "space", "normal cell", "reduction cell", "source"), rows)


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
        costs = (f"{count_parameters(network):,}", f"{count_macs(network, (3, _SIDE, _SIDE)):,}")
        rows.append((name, *costs, str(chain.stem.stride), summary, source))
    return Names(("network", "parameters", "MACs", "stem stride", "what", "source"), rows)


_SIDE = 32
