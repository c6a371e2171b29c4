"""Rendering of a page: one HTML file that needs no other, with all texts escaped.

The file holds, compressed, what its scripts need: the library plotly and the data of the page as JSON. A browser that
runs no scripts, or cannot unpack them, shows the still pictures.
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
from zarts.runtime.paths import printable

__all__ = ["Still", "fragment", "pack", "render", "stills"]


class Still(NamedTuple):
    """A chart as a page shows it until its scripts run; `name` is the name of its figure in the data of the page."""

    name: str
    title: str
    note: str
    svg: Markup


def stills(charts: list[Chart]) -> list[Still]:
    """Draw charts as still pictures for a page."""
    return [
        Still(
            chart.name, chart.title, chart.note, Markup(inline(draw_chart(chart), chart.name, chart.title))
        )  # made by us
        for chart in charts
    ]


def render(template: str, charts: list[Chart], figures: dict[str, Figure], data: dict[str, Any], **shown: Any) -> str:
    """Render a page from a template.

    Args:
        template: file name of the template.
        charts: the charts of the page, which become figures by `plotly_charts.figure_of`.
        figures: further figures of plotly, by name.
        data: further data for the scripts.
        shown: variables of the template.
    """
    all_figures = {**{chart.name: figure_of(chart) for chart in charts}, **figures}
    data = {"figures": all_figures, **data}
    return (
        _environment()
        .get_template(template)
        .render(roles=ROLES, data=_packed_data(data), plotly=_plotly() if all_figures else "", **shown)
    )


def fragment(template: str, **shown: Any) -> str:
    """Render a piece of a page from a template."""
    return _environment().get_template(template).render(**shown)


def pack(text: str) -> str:
    """A text compressed by gzip, as base64; the same bytes each time."""
    return base64.b64encode(gzip.compress(text.encode("utf-8", "backslashreplace"), 9, mtime=0)).decode()


def _packed_data(data: dict[str, Any]) -> str:
    return pack(json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


@lru_cache(maxsize=1)
def _plotly() -> str:
    return pack(get_plotlyjs())


def _shown(value: object) -> object:
    """A text from a run, as a page shows it; a line may break."""
    return printable(value, keep="\n\t") if isinstance(value, str) and not isinstance(value, Markup) else value


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("zarts.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
