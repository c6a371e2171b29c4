"""SVG from matplotlib figures: the same bytes each time, and fit for an HTML page."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zarts.reports.primitives import FAMILIES
from zarts.reports.theme import ROLES

__all__ = ["chart_axes", "drawing", "inline", "to_png", "to_svg"]

_RC: dict[Any, Any] = {
    "svg.hashsalt": "zarts",
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "font.sans-serif": list(FAMILIES),
    "text.parse_math": False,
    "text.color": ROLES["ink"].light,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw with our settings of matplotlib; the user's are restored afterwards."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)
        yield


def chart_axes(figure: Figure, place: tuple[float, float, float, float], x_label: str, size: float) -> Axes:
    """Axes of a chart: a line below, faint lines across.

    Args:
        figure: gets the axes.
        place: left, bottom, width and height, as fractions of the figure.
        x_label: label of the x axis.
        size: font size, in points.
    """
    axes = figure.add_axes(place)
    axes.set_facecolor("none")
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(ROLES["muted"].light)
    axes.grid(axis="y", color=ROLES["rule"].light, linewidth=0.9)
    axes.set_axisbelow(True)
    axes.tick_params(colors=ROLES["muted"].light, labelsize=size, length=0, pad=5)
    axes.set_xlabel(x_label, fontsize=size, color=ROLES["muted"].light, loc="right")
    return axes


def to_svg(figure: Figure) -> str:
    """The figure as an SVG file, without date and version. Only inside `drawing`."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return buffer.getvalue()


def to_png(figure: Figure, dpi: float) -> bytes:
    """The figure as a PNG file, without the version of matplotlib. Only inside `drawing`."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def inline(svg: str, name: str, alt: str) -> str:
    """An SVG file as an element of an HTML page.

    Its ids begin with `name`, so that those of two pictures differ. Its colours are the CSS variables of their roles
    (`--ink`, …), so that the page decides on light and dark. Its text has the font of the page.

    Args:
        svg: an SVG file as `to_svg` returns it.
        name: letters, digits and hyphens; unique in the page.
        alt: text for readers who do not see the picture.
    """
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r" font-family: [^;\"]*;", "", svg)
    svg = re.sub(r"font: (?:(\w+) )?([\d.]+)px [^;\"]*", _page_font, svg)  # the form before matplotlib 3.10
    for role, colour in ROLES.items():
        svg = svg.replace(colour.light, f"var(--{role})")
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r"\n\s*", "\n", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{html.escape(alt)}"', 1)


def _page_font(match: re.Match[str]) -> str:
    weight = f"font-weight: {match[1]}; " if match[1] else ""
    return f"{weight}font-size: {match[2]}px"
