"""Report: a measured table with its command, commit and machine, printed as Markdown and saved as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

__all__ = ["Report", "environment", "options"]


def options(text: str) -> argparse.ArgumentParser:
    """The options that all scripts share.

    Args:
        text: the script's docstring.
    """
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=_count, default=2, help="threads of torch (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table and all raw numbers")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"needs a whole number from 1, got {text!r}")
    return int(text)


def environment() -> dict[str, Any]:
    """The command, date, commit and machine of the measurement."""
    return {
        "command": " ".join(["python -m", f"benchmarks.{Path(sys.argv[0]).stem}", *sys.argv[1:]]),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _commit(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "system": f"{platform.system()} {platform.machine()}",
    }


def _commit() -> str:
    """The commit of the code; files in `results/` may be newer."""

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *words], cwd=Path(__file__).parents[1], capture_output=True, text=True)

    changed = git("diff", "--quiet", "HEAD", "--", "src", "benchmarks/*.py").returncode
    return (git("rev-parse", "--short", "HEAD").stdout.strip() or "unknown") + ("-changed" if changed else "")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


@dataclass
class Report:
    """A table.

    Args:
        columns: titles of the columns.
        rows: texts of the rows.
        note: explanation of the figures, one sentence or more.
        environment: see `environment`.
        raw: every number behind the table.
    """

    columns: list[str]
    rows: list[list[str]]
    note: str
    environment: dict[str, Any]
    raw: Any

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.columns) for row in self.rows)

    def markdown(self) -> str:
        """The table under a line with command, commit and machine."""
        e = self.environment
        origin = (
            f"`{e['command']}`, {e['date']}, commit {e['commit']}: {e['processor']}, {e['cores']} cores, "
            f"{e['threads']} threads, torch {e['torch']}, {e['system']}. {self.note}"
        )
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "\n".join([origin, "", *(f"| {' | '.join(line)} |" for line in lines)])

    def publish(self, file: Path | None) -> None:
        """Print the table; write everything to `file` unless it is None."""
        print(self.markdown())
        if file:
            self.write(file)

    def write(self, file: Path) -> None:
        """Write everything as JSON."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @staticmethod
    def load(file: Path) -> Report:
        """The report that `publish` wrote."""
        return Report(**json.loads(file.read_text()))
