"""The form of a result in a notebook: its lines of text above the pictures of its cells."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

from zarts.errors import RunError
from zarts.reports.cells import cell_svg
from zarts.runtime.paths import printable
from zarts.spaces import Genotype

__all__ = ["result_html"]

_WIDTH = "max-width: 100%; width: 480px; margin: 4px"


def result_html(lines: Sequence[str], genotype: Genotype | None) -> str:
    """A table of the lines and, below it, the cells.

    Each cell is an image of its own, so that neither the styles of the page nor the ids of another result's pictures
    touch it.

    Args:
        lines: what the result is, where it is, and its figures.
        genotype: has the cells, one that cannot be drawn is left out; None: there are none.
    """
    rows = "".join(f'<tr><td style="text-align: left">{html.escape(printable(line))}</td></tr>' for line in lines)
    pictures = "" if genotype is None else "".join(_picture(genotype, kind) for kind in genotype.cells)
    return f"<table>{rows}</table>{pictures}"


def _picture(genotype: Genotype, kind: str) -> str:
    try:
        svg = cell_svg(genotype, kind)
    except RunError:
        return ""
    data = base64.b64encode(svg.encode("utf-8", "backslashreplace")).decode()
    return f'<img style="{_WIDTH}" alt="{html.escape(kind)} cell" src="data:image/svg+xml;base64,{data}">'
