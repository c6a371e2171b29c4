"""Script that puts the tables of `benchmarks/results/*.json` into the pages of `docs/`, each under its marker."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.report import Report

__all__ = ["filled", "main"]

ROOT = Path(__file__).parents[1]
PAGES = tuple(
    ROOT / "docs" / f"{name}.md"
    for name in ("performance", "methods", "memory", "data", "recipes", "fit", "fit-figures")
)
_BLOCK = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str, results: Path) -> str:
    """The page with the present tables of `results`; for a missing file it says so."""

    def table(match: re.Match[str]) -> str:
        file = results / f"{match[2]}.json"
        text = (
            Report.load(file).markdown()
            if file.exists()
            else f"**Not measured yet**: `benchmarks/results/{file.name}`."
        )
        return f"{match[1]}{text}\n{match[3]}"

    return _BLOCK.sub(table, page)


def main() -> None:
    """The command."""
    for page in PAGES:
        page.write_text(filled(page.read_text(), ROOT / "benchmarks" / "results"))


if __name__ == "__main__":
    main()
