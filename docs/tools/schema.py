"""Script that prints the keys of `result.json` with their types, as tables, from tiny runs that it makes.

python -m docs.tools.schema search|retrain|fit
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zarts

__all__ = ["keys", "made", "main"]

_TINY = {"data": "digits", "subset": 64, "channels": 2, "cells": 3, "batch_size": 16, "epochs": 1, "quiet": True}


def made(kind: str, folder: Path) -> Path:
    """The folder of a finished run of that kind."""
    if kind == "fit":
        limits = {"max_params": "20k", "int8": True, "search": False, "processes": 1}
        return zarts.fit("digits", time="20s", out=folder / "fit", quiet=True, **limits).run
    found = zarts.search(method="gdas", space="s2", warmup_epochs=0, out=folder / "search", **_TINY)
    return found.run if kind == "search" else found.retrain(auxiliary_weight=0, out=folder / "retrain", **_TINY).run


def _type(value: Any) -> str:
    if value is None:
        return "null, or a value"
    names = {bool: "true or false", int: "whole number", float: "number", str: "text", list: "list", dict: "mapping"}
    if isinstance(value, list) and value and not isinstance(value[0], list | dict):
        return f"list of {_type(value[0])}s"
    return names[type(value)]


def keys(value: dict[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    """Every key with the type of its value; those of a mapping follow it, and of a list those of its fullest item."""
    for key, one in value.items():
        yield f"{place}{key}", _type(one)
        if isinstance(one, dict) and key not in ("genotype", "alphas", "chain", "parts"):
            yield from keys(one, f"{place}{key}.")
        elif isinstance(one, list) and one and isinstance(one[0], dict):
            yield from max((list(keys(item, f"{place}{key}[].")) for item in one), key=len)


def main() -> None:
    """The command."""
    with tempfile.TemporaryDirectory() as folder:
        result = json.loads((made(sys.argv[1], Path(folder)) / "result.json").read_text("utf-8"))
    print("| key | value |\n| --- | --- |")
    for key, kind in keys(result):
        print(f"| `{key}` | {kind} |")


if __name__ == "__main__":
    main()
