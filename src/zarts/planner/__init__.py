"""The best small network for given images, in a given time, within the limits of a device: `zarts fit`.

A fit is its stages (`fit.py`), of which each asks for networks (`handmade.py`, `proposals.py`), has them trained
(`candidates.py`, `training.py`, `workers.py`) and keeps what it decides (`records.py`). Its end is `ending.py`.
"""

from __future__ import annotations

from zarts.planner.records import Candidate, Plan, Score

__all__ = ["Candidate", "Plan", "Score"]
