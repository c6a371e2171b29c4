"""Comparisons: methods times seeds, searched in parallel, judged by what a table has of their cells."""

from __future__ import annotations

from zarts.comparison.plan import Cell
from zarts.comparison.results import Found, Summary
from zarts.comparison.run import Comparison, compare

__all__ = ["Cell", "Comparison", "Found", "Summary", "compare"]
