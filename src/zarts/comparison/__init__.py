"""Comparisons: methods times seeds, searched in parallel, judged by what a table has of their cells."""

from __future__ import annotations

from zarts.comparison.results import Summary, TrialResult
from zarts.comparison.run_comparison import Comparison, compare
from zarts.comparison.trials import Trial

__all__ = ["Comparison", "Summary", "Trial", "TrialResult", "compare"]
