"""The jobs of the command line, from Python: the same settings, the same run folders."""

from __future__ import annotations

from zarts.api._analyze import diagnose, landscape, spread_landscape
from zarts.api._architecture import Source, genotype_of
from zarts.api._evaluate import Prediction, evaluate, examine, predict
from zarts.api._export import export
from zarts.api._query import lookup
from zarts.api._retrain import rehearse_retrain, resume_retrain, retrain, retrained_settings, start_retrain
from zarts.api._retrain_source import retraining_of
from zarts.api._search import rehearse_search, resume_search, search, searched_settings, spread, start_search

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
