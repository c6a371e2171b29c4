"""From what a page shows to its HTML: one file that needs nothing else, safe whatever its texts are.

What scripts need lies in it compressed: the library plotly, and the data of the page as JSON. A browser without
scripts, or that cannot unpack them, shows the still pictures.
"""

from __future__ import annotations

import base64
import gzip
import json
from functools import lru_cache
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from zarts.reports.charts import Chart
from zarts.reports.plotly_charts import Figure, figure_of
from zarts.reports.static_charts import draw_chart
from zarts.reports.svg import inline
from zarts.reports.theme import ROLES

__all__ = ["Still", "fragment", "pack", "render", "stills"]


class Still(NamedTuple):
    """A chart as a page shows it until its script has run: `name` is that of its figure in the page's data."""

    name: str
    title: str
    note: str
    svg: Markup


def stills(charts: list[Chart]) -> list[Still]:
    """Charts drawn for a page."""
    return [
        Still(chart.name, chart.title, chart.note, Markup(inline(draw_chart(chart), chart.name, chart.title)))  # ours
        for chart in charts
    ]


def render(template: str, charts: list[Chart], figures: dict[str, Figure], data: dict[str, Any], **shown: Any) -> str:
    """A page.

    Args:
        template: its name.
        charts: those that are drawn by `interactive.figure_of`.
        figures: others, by name.
        data: what else its scripts need.
        shown: what the template shows.
    """
    every = {**{chart.name: figure_of(chart) for chart in charts}, **figures}
    data = {"figures": every, **data}
    return (
        _environment()
        .get_template(template)
        .render(roles=ROLES, data=_packed_data(data), plotly=_plotly() if every else "", **shown)
    )


def fragment(template: str, **shown: Any) -> str:
    """A piece of a page."""
    return _environment().get_template(template).render(**shown)


def pack(text: str) -> str:
    """A text as base64 of gzip; the same each time."""
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def _packed_data(data: dict[str, Any]) -> str:
    return pack(json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


@lru_cache(maxsize=1)
def _plotly() -> str:
    return pack(get_plotlyjs())


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("zarts.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
