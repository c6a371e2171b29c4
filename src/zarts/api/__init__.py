"""Public functions: search, retrain, evaluate, predict, export, analyze, query, draw, list.

They take the same settings and write the same run folders as the commands. Use the names of `__all__`; the modules are
private. The names load when they are first used: those of the lists need no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zarts.api._analyze import diagnose, landscape, launch_landscape_ranks
    from zarts.api._architecture import HANDED_DOWN, Source, architecture_of, genotype_of
    from zarts.api._draw import draw, report
    from zarts.api._evaluate import evaluate, examine
    from zarts.api._export import export
    from zarts.api._fit import fit, resume_fit, start_fit
    from zarts.api._fit_more import MoreImages, pick, train_on
    from zarts.api._fit_result import FitResult
    from zarts.api._lists import Names, list_genotypes, list_methods, list_networks, list_presets, list_spaces
    from zarts.api._networks import create_model, load_model
    from zarts.api._new_search import (
        begun_search,
        dry_run_search,
        new_search,
        resume_search,
        searched_settings,
        start_search,
    )
    from zarts.api._predict import ImageLike, Prediction, iter_predictions, predict
    from zarts.api._query import lookup
    from zarts.api._ranks import launch_ranks
    from zarts.api._results import RetrainResult, SearchResult, load_result
    from zarts.api._retrain import dry_run_retrain, resume_retrain, retrain, retrained_settings, start_retrain
    from zarts.api._retrain_source import retraining_of
    from zarts.api._search import search

_HOMES = {
    "FitResult": "_fit_result",
    "ImageLike": "_predict",
    "MoreImages": "_fit_more",
    "Names": "_lists",
    "Prediction": "_predict",
    "RetrainResult": "_results",
    "SearchResult": "_results",
    "HANDED_DOWN": "_architecture",
    "Source": "_architecture",
    "begun_search": "_new_search",
    "architecture_of": "_architecture",
    "create_model": "_networks",
    "diagnose": "_analyze",
    "draw": "_draw",
    "dry_run_retrain": "_retrain",
    "dry_run_search": "_new_search",
    "evaluate": "_evaluate",
    "examine": "_evaluate",
    "export": "_export",
    "fit": "_fit",
    "genotype_of": "_architecture",
    "iter_predictions": "_predict",
    "landscape": "_analyze",
    "launch_landscape_ranks": "_analyze",
    "launch_ranks": "_ranks",
    "list_genotypes": "_lists",
    "list_methods": "_lists",
    "list_networks": "_lists",
    "list_presets": "_lists",
    "list_spaces": "_lists",
    "load_model": "_networks",
    "load_result": "_results",
    "lookup": "_query",
    "new_search": "_new_search",
    "pick": "_fit_more",
    "predict": "_predict",
    "report": "_draw",
    "resume_fit": "_fit",
    "resume_retrain": "_retrain",
    "resume_search": "_new_search",
    "retrain": "_retrain",
    "retrained_settings": "_retrain",
    "retraining_of": "_retrain_source",
    "search": "_search",
    "searched_settings": "_new_search",
    "start_fit": "_fit",
    "start_retrain": "_retrain",
    "start_search": "_new_search",
    "train_on": "_fit_more",
}

__all__ = [
    "HANDED_DOWN",
    "FitResult",
    "ImageLike",
    "MoreImages",
    "Names",
    "Prediction",
    "RetrainResult",
    "SearchResult",
    "Source",
    "architecture_of",
    "begun_search",
    "create_model",
    "diagnose",
    "draw",
    "dry_run_retrain",
    "dry_run_search",
    "evaluate",
    "examine",
    "export",
    "fit",
    "genotype_of",
    "iter_predictions",
    "landscape",
    "launch_landscape_ranks",
    "launch_ranks",
    "list_genotypes",
    "list_methods",
    "list_networks",
    "list_presets",
    "list_spaces",
    "load_model",
    "load_result",
    "lookup",
    "new_search",
    "pick",
    "predict",
    "report",
    "resume_fit",
    "resume_retrain",
    "resume_search",
    "retrain",
    "retrained_settings",
    "retraining_of",
    "search",
    "searched_settings",
    "start_fit",
    "start_retrain",
    "start_search",
    "train_on",
]


def __getattr__(name: str) -> Any:
    """Load a public name from the module where it lives (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
