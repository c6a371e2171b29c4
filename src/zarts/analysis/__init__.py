"""What can be learnt from a search where it stands: numbers and arrays, no pictures."""

from __future__ import annotations

from zarts.analysis.components import Components, Interval, components
from zarts.analysis.condition import condition_number
from zarts.analysis.diagnosis import Diagnosis, diagnose
from zarts.analysis.landscape import Landscape, make_landscape
from zarts.analysis.measurement import Measurement, Needed, measure, needed
from zarts.analysis.plane import Minimum, Plane, draw_plane
from zarts.analysis.survey import Surface, survey

__all__ = [
    "Components",
    "Diagnosis",
    "Interval",
    "Landscape",
    "Measurement",
    "Minimum",
    "Needed",
    "Plane",
    "Surface",
    "components",
    "condition_number",
    "diagnose",
    "draw_plane",
    "make_landscape",
    "measure",
    "needed",
    "survey",
]
