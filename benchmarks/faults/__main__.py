"""All campaigns, two at a time, or one: `python -m benchmarks.faults [--only inputs|kills|disk]`.

Each part is a module with a function `measure`: it prints what it does, writes its figures to
`benchmarks/results/faults-PART.json`, and returns the number of faults. With FULL=1 there are 100 kills in place of
10, and 20 full disks in place of 5. The exit code is 1 if there were any faults.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

__all__ = ["PARTS", "main"]

PARTS = ("inputs", "kills", "disk")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts; the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks.faults", description=__doc__)
    parser.add_argument("--only", choices=PARTS, help="one part alone")
    only = parser.parse_args(arguments).only
    if only is None:
        command = [sys.executable, "-m", "benchmarks.faults", "--only"]
        with ThreadPoolExecutor(2) as pool:  # inputs take as long as the other two
            codes = pool.map(lambda part: subprocess.run([*command, part], check=False).returncode, PARTS)
        return max(abs(code) for code in codes)
    found = importlib.import_module(f"benchmarks.faults.{only}").measure()
    print(f"{only}: {found} faults", flush=True)
    return min(1, found)


if __name__ == "__main__":
    sys.exit(main())
