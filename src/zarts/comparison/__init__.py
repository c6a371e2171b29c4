"""Comparisons: methods times seeds, searched in parallel, judged by what a table has of their cells."""

from __future__ import annotations

from zarts.comparison.results import Found, Summary
from zarts.comparison.run_comparison import Comparison, compare
from zarts.comparison.trials import Cell

__all__ = ["Cell", "Comparison", "Found", "Summary", "compare"]
