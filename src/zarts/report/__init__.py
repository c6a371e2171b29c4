"""Pictures and the HTML page, made from the files of a run only.

The names below are loaded when they are first used, so that `import zarts.report` imports no matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zarts.report.cells import draw_cells
    from zarts.report.curves import Curve, draw_curves
    from zarts.report.landscape import draw_landscape
    from zarts.report.page import write_report
    from zarts.report.strip import draw_strip

__all__ = ["Curve", "draw_cells", "draw_curves", "draw_landscape", "draw_strip", "write_report"]

_HOMES = {
    "Curve": "curves",
    "draw_cells": "cells",
    "draw_curves": "curves",
    "draw_landscape": "landscape",
    "draw_strip": "strip",
    "write_report": "page",
}


def __getattr__(name: str) -> Any:
    """Load a public name from the module where it lives (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
