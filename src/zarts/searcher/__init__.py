"""The search: its steps, phases and early stopping, from settings to a result in a run folder.

Outside, use `search` to run one and `restore_search` to open a finished or interrupted one.
"""

from __future__ import annotations

from zarts.searcher.restore import RestoredSearch, restore_search
from zarts.searcher.result import SearchRecord, read_result
from zarts.searcher.run_search import search

__all__ = ["RestoredSearch", "SearchRecord", "read_result", "restore_search", "search"]
