"""The jobs of the command line, from Python: the same settings, the same run folders."""

from __future__ import annotations

from zarts.api.evaluating import Prediction, evaluate, examine, predict
from zarts.api.exporting import export
from zarts.api.landscaping import landscape, spread_landscape
from zarts.api.looking_into import diagnose
from zarts.api.looking_up import lookup
from zarts.api.retraining import (
    rehearse_retrain,
    resume_retrain,
    retrain,
    retrained_settings,
    start_retrain,
)
from zarts.api.searching import rehearse_search, resume_search, search, searched_settings, spread, start_search
from zarts.api.starting import retraining_of
from zarts.sources import Source, genotype_of

__all__ = [
    "Prediction",
    "Source",
    "diagnose",
    "evaluate",
    "examine",
    "export",
    "genotype_of",
    "landscape",
    "lookup",
    "predict",
    "rehearse_retrain",
    "rehearse_search",
    "resume_retrain",
    "resume_search",
    "retrain",
    "retrained_settings",
    "retraining_of",
    "search",
    "searched_settings",
    "spread",
    "spread_landscape",
    "start_retrain",
    "start_search",
]
