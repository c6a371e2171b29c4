"""All campaigns, or one: `python -m benchmarks.faults [--only kills|disk|inputs]`, with FULL=1 at full length.

Each part is a module with a function `measure(full)`: it prints what it does, writes its figures to
`benchmarks/results/faults-PART.json`, and returns the number of faults. The exit code is 1 if there were any.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

__all__ = ["PARTS", "main"]

PARTS = ("inputs", "kills", "disk")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts; the number of faults."""
    parser = argparse.ArgumentParser(prog="benchmarks.faults", description=__doc__)
    parser.add_argument("--only", choices=PARTS, help="one part alone")
    only = parser.parse_args(arguments).only
    full = os.environ.get("FULL") == "1"
    faults = 0
    for part in [only] if only else PARTS:
        found = importlib.import_module(f"benchmarks.faults.{part}").measure(full)
        print(f"{part}: {found} faults", flush=True)
        faults += found
    return faults


if __name__ == "__main__":
    sys.exit(min(1, main()))
