"""Public functions: search, retrain, evaluate, export, analyze, query.

They take the same settings and write the same run folders as the commands. Use the names of `__all__`; the modules are
private.
"""

from __future__ import annotations

from zarts.api._analyze import diagnose, landscape, launch_landscape_ranks
from zarts.api._architecture import Source, genotype_of
from zarts.api._evaluate import Prediction, evaluate, examine, predict
from zarts.api._export import export
from zarts.api._query import lookup
from zarts.api._ranks import launch_ranks
from zarts.api._retrain import dry_run_retrain, resume_retrain, retrain, retrained_settings, start_retrain
from zarts.api._retrain_source import retraining_of
from zarts.api._search import dry_run_search, resume_search, search, searched_settings, start_search

__all__ = [
    "Prediction",
    "Source",
    "diagnose",
    "dry_run_retrain",
    "dry_run_search",
    "evaluate",
    "examine",
    "export",
    "genotype_of",
    "landscape",
    "launch_landscape_ranks",
    "launch_ranks",
    "lookup",
    "predict",
    "resume_retrain",
    "resume_search",
    "retrain",
    "retrained_settings",
    "retraining_of",
    "search",
    "searched_settings",
    "start_retrain",
    "start_search",
]
