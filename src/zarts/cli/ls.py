"""The command `list`."""

from __future__ import annotations

from enum import StrEnum
from json import dumps
from typing import Annotated

import typer

from zarts.runtime.paths import printable

__all__ = ["Kind", "list_"]


class Kind(StrEnum):
    """What can be listed."""

    METHODS = "methods"
    SPACES = "spaces"
    PRESETS = "presets"
    GENOTYPES = "genotypes"
    NETWORKS = "networks"


def list_(
    kind: Annotated[Kind, typer.Argument(help="methods, spaces, presets, genotypes or networks")],
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="show all that is known of each")] = False,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """List methods, spaces, presets, genotypes or networks."""
    from zarts import api

    lists = {
        Kind.METHODS: api.list_methods,
        Kind.SPACES: api.list_spaces,
        Kind.PRESETS: api.list_presets,
        Kind.GENOTYPES: api.list_genotypes,
        Kind.NETWORKS: api.list_networks,
    }
    names = lists[kind]()
    print(dumps(names.records(), indent=2) if json else printable(names.text(details=verbose), keep="\n"))
