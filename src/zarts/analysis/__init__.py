"""Analysis of a search at its last checkpoint: losses around alpha, as numbers and arrays without pictures.

From outside, use the names in `__all__`; all of them leave the search as it is.
"""

from __future__ import annotations

from zarts.analysis.candidate_noise import Measurement, Needed, measure, needed
from zarts.analysis.condition_number import condition_number
from zarts.analysis.diagnosis import Diagnosis, diagnose
from zarts.analysis.landscape import Landscape, make_landscape
from zarts.analysis.loss_surface import Surface, survey
from zarts.analysis.plane import Minimum, Plane, draw_plane
from zarts.analysis.variance_components import Components, Interval, components

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
