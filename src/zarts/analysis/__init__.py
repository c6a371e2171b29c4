"""What can be learnt from a search where it stands: numbers and arrays, no pictures."""

from __future__ import annotations

from zarts.analysis.components import Components, Interval, components
from zarts.analysis.condition import condition_number
from zarts.analysis.diagnosis import Diagnosis, diagnose
from zarts.analysis.measurement import Measurement, Needed, measure, needed

__all__ = [
    "Components",
    "Diagnosis",
    "Interval",
    "Measurement",
    "Needed",
    "components",
    "condition_number",
    "diagnose",
    "measure",
    "needed",
]
