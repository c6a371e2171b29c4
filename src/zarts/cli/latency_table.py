"""The command `latency-table`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["latency_table"]


def latency_table(
    out: Annotated[Path, typer.Argument(help="the new file", metavar="FILE")] = Path("latency.json"),
    latency_threads: Annotated[
        int, typer.Option(help="threads of onnxruntime, which measures on this machine", metavar="INT", min=1)
    ] = 1,
    latency_command: Annotated[
        str | None,
        typer.Option(
            help="measure by this command: it gets the path of an ONNX file as its last word, and prints milliseconds",
            metavar="TEXT",
        ),
    ] = None,
) -> None:
    """Measure a device once, to predict latencies on it.

    It measures small networks, and writes a table by which `zarts fit --latency-table` knows those of others.
    """
    from zarts.errors import SettingsError
    from zarts.limits import make_latency_table
    from zarts.runtime.paths import path_of

    path = path_of(out)
    if path.exists():
        raise SettingsError(f"{path}: exists, and nothing is overwritten: name another file")
    if latency_command is not None and latency_threads > 1:
        raise SettingsError(
            f"--latency-threads {latency_threads} has no effect beside --latency-command, which chooses the threads "
            "itself: leave it out"
        )
    table = make_latency_table(
        threads=latency_threads, command=latency_command, note=lambda text: print(text, file=sys.stderr)
    )
    table.write(path)
    print(f"{path}: {len(table.measured)} graphs measured; whole networks are off by {table.spread:.0%} (typically)")
