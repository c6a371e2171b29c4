"""Comparisons: methods x settings x seeds as trials that run in parallel, get a score and fill tables.

From outside, use `compare` and the classes of its result; the modules here are private.
"""

from __future__ import annotations

from zarts.comparison.results import Summary, TrialResult
from zarts.comparison.run_comparison import Comparison, compare
from zarts.comparison.trials import Trial

__all__ = ["Comparison", "Summary", "Trial", "TrialResult", "compare"]
