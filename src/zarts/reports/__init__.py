"""Pictures and HTML pages of runs and comparisons, drawn from the files in their folders only.

Use the names of `__all__`, and the modules `series`, `collapse`, `comparison` and `epoch_charts`. The names load when
they are first used, so that `import zarts.reports` imports no matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zarts.reports.cells import draw_cells
    from zarts.reports.landscape import draw_landscape
    from zarts.reports.notebook import result_html
    from zarts.reports.run_page import watch_report, write_report
    from zarts.reports.run_verdict import guesses
    from zarts.reports.static_charts import Curve, draw_curves
    from zarts.reports.timeline import draw_strip

__all__ = [
    "Curve",
    "draw_cells",
    "draw_curves",
    "draw_landscape",
    "draw_strip",
    "guesses",
    "result_html",
    "watch_report",
    "write_report",
]

_HOMES = {
    "Curve": "static_charts",
    "draw_cells": "cells",
    "draw_curves": "static_charts",
    "draw_landscape": "landscape",
    "draw_strip": "timeline",
    "guesses": "run_verdict",
    "result_html": "notebook",
    "watch_report": "run_page",
    "write_report": "run_page",
}


def __getattr__(name: str) -> Any:
    """Load a public name from the module where it lives (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
