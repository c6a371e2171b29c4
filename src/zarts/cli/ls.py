"""The command `list`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

__all__ = ["Kind", "list_"]


class Kind(StrEnum):
    """What can be listed."""

    METHODS = "methods"
    SPACES = "spaces"
    PRESETS = "presets"
    GENOTYPES = "genotypes"
    NETWORKS = "networks"


def list_(kind: Annotated[Kind, typer.Argument(help="what to list")]) -> None:
    """List the methods, spaces, presets, published genotypes or hand-made networks."""
    from rich.console import Console

    from zarts import api

    lists = {
        Kind.METHODS: api.list_methods,
        Kind.SPACES: api.list_spaces,
        Kind.PRESETS: api.list_presets,
        Kind.GENOTYPES: api.list_genotypes,
        Kind.NETWORKS: api.list_networks,
    }
    Console().print(lists[kind]().table())
