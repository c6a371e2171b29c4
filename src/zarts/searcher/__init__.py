"""The search: its steps, phases and early stopping, from settings to a result in a run folder.

Outside, use `prepare_search` to make one ready to run and `restore_search` to open a finished or interrupted one.
"""

from __future__ import annotations

from zarts.searcher.prepare import Runnable, measure_search, prepare_search
from zarts.searcher.restore import RestoredSearch, restore_search
from zarts.searcher.result import SearchRecord, read_result

__all__ = [
    "RestoredSearch",
    "Runnable",
    "SearchRecord",
    "measure_search",
    "prepare_search",
    "read_result",
    "restore_search",
]
