"""The source of a retraining: its architecture, settings and initial weights."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zarts.api._architecture import Source, architecture_of, inherited, model_file, run_of
from zarts.api._new_search import notes_only, searched_settings
from zarts.config import RetrainSettings, retrain_settings
from zarts.data import PythonData
from zarts.errors import SettingsError
from zarts.limits import FINAL_NETWORKS
from zarts.networks import Network, build_network
from zarts.runs import Run, is_fit
from zarts.runs.new_run import check_given
from zarts.runs.user_files import use_operations, use_space
from zarts.runs.user_functions import without_functions
from zarts.searcher import restore_search
from zarts.spaces import HANDMADE, Architecture, Chain, Genotype, cells_of
from zarts.spaces.nasbench201 import NASBENCH201
from zarts.supernet import SuperNet, supernet_weights
from zarts.training import START, Start, load_model
from zarts.training.trainer import Callback

__all__ = ["begin_from", "owner_of", "retraining_of", "sized_architecture"]

_SUPERNET = "supernet"
_CELLS, _CHANNELS = FINAL_NETWORKS[NASBENCH201.skeleton]
_BENCHMARK = {"channels": _CHANNELS, "cells": _CELLS, "auxiliary_weight": 0.0, "drop_path": 0.0, "cutout": 0}
"""Size of the networks of space nasbench201, with the regularization that they lack set to 0; see preset `nb201`."""


def retraining_of(
    source: Source | None,
    options: Mapping[str, Any],
    *,
    preset: str | None = None,
    config: Path | None = None,
    images: PythonData | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> tuple[Source, RetrainSettings]:
    """The source of a retraining and its resolved settings; see `zarts.config.retrain_settings`.

    A search hands down its data, split, image size, flip and stem. `weights_from` determines more: a supernet channels
    and cells, a trained network also the stem and image size and, without a source, the genotype.

    Args:
        source: see `zarts.retrain`; None: the genotype of the network that `weights_from` names.
        options: settings by name; a path or result is taken as its text.
        preset: name of a preset.
        config: a YAML file with settings.
        images: the images, if they are Python objects.
        note: see `zarts.config.search_settings`.

    Raises:
        SettingsError: invalid settings, or no source.
        RunError: the source or the network cannot be read, or its images are Python objects and are not given.
    """
    options = {key: os.fspath(value) if isinstance(value, os.PathLike) else value for key, value in options.items()}
    handed = {} if source is None else dict(inherited(source))
    asked = retrain_settings(options, preset=preset, config=config, inherited=handed, handmade=None)
    weights, form = asked.weights_from, dict[str, Any]()
    if weights == _SUPERNET:
        form = {key: _search_run(source).settings("search")[key] for key in ("channels", "cells")}
    elif weights is not None:
        owner = owner_of(source, weights)
        assert owner is not None
        use_space(owner)
        use_operations(owner, asked.operations, lambda text: None)
        _, card = load_model(model_file(weights))
        source = card.architecture if source is None else source
        form = {key: getattr(card, key) for key in ("channels", "cells", "stem", "image_size")}
        if isinstance(card.architecture, Chain):
            form = {"stem_stride": card.architecture.stem.stride, "image_size": card.image_size}
    if source is None:
        raise SettingsError(
            "retrain what? name a search run, a genotype file, or one of `zarts list genotypes` or of `zarts list "
            "networks`"
        )
    architecture, _ = architecture_of(source)
    chain = isinstance(architecture, Chain)
    if isinstance(architecture, Chain) and str(source) not in HANDMADE:
        form = {"stem_stride": architecture.stem.stride, **form}  # it is meant as it is
    if preset is None and isinstance(architecture, Genotype) and architecture.space == NASBENCH201.name:
        handed = {**_BENCHMARK, **handed}
    settings = retrain_settings(
        options, preset=preset, config=config, inherited=handed, form=form, handmade=chain, note=note
    )
    searched = run_of(source)
    if searched is not None and "data" not in options:
        check_given(settings, images, searched.path, "zarts.retrain(RUN, data=...)")
    return source, settings


def sized_architecture(source: Source, settings: RetrainSettings) -> tuple[Architecture, str]:
    """The architecture of a source, and a name for it; a chain with the width and stem of the settings.

    Raises:
        RunError, SettingsError: see `architecture_of`.
    """
    found, name = architecture_of(source)
    if isinstance(found, Chain):
        found = found.scaled(1.0 if settings.width is None else settings.width, settings.stem_stride)
    return found, name


def owner_of(source: Source | None, weights_from: str | None) -> Run | None:
    """The run that keeps the user-defined space and operations of an architecture.

    It is the search that the source is, else the retraining of the network that `weights_from` names.

    Raises:
        RunError: the run has not finished, or is of another command.
    """
    searched = None if source is None else run_of(source)
    if searched is not None or weights_from in (None, _SUPERNET):
        return searched
    return Run(model_file(str(weights_from)).parent)


def begin_from(
    source: Source, architecture: Architecture, settings: RetrainSettings, run: Run, callback: Callback | None
) -> Start | None:
    """The weights that a retraining starts from; None: random ones.

    The run folder keeps where they come from, and the normalization that belongs to them.

    Raises:
        SettingsError: the weights are of another genotype, or the space has no supernet to take them from.
        RunError: the weights cannot be read.
    """
    if settings.weights_from is None:
        return None
    if settings.weights_from == _SUPERNET:
        searched = Run(_search_run(source).path, images=run.images)
        return _start_from_supernet(searched, cells_of(architecture), settings, callback)
    network, card = load_model(model_file(settings.weights_from))
    if _cells_or_chain(card.architecture) != _cells_or_chain(architecture):
        raise SettingsError(
            f"weights_from = {settings.weights_from}: the network has another genotype or, if it is hand-made, another "
            "width or name: name its own, or no source"
        )
    run.write_json(START, {"from": settings.weights_from, "mean": card.mean, "std": card.std})
    return Start(network.state_dict(), card.classes)


def _cells_or_chain(architecture: Architecture) -> object:
    return architecture if isinstance(architecture, Chain) else architecture.cells


def _search_run(source: Source | None) -> Run:
    run = None if source is None else run_of(source)
    if run is None or is_fit(run.path):
        raise SettingsError(
            "weights_from = supernet: the source is no search: name the folder of the search whose supernet it is"
        )
    return run


def _start_from_supernet(
    searched: Run, genotype: Genotype, settings: RetrainSettings, callback: Callback | None
) -> Start:
    settings_of_search = without_functions(searched_settings(searched.path))
    with restore_search(settings_of_search, searched, notes_only(callback)) as restored:
        supernet = restored.problem.model
        if not isinstance(supernet, SuperNet):
            raise SettingsError(
                f"weights_from = supernet: space {genotype.space!r} has no supernet to start from: leave it out"
            )
        network = build_network(
            genotype,
            channels=settings.channels,
            cells=settings.cells,
            num_classes=supernet.classifier.out_features,
            in_channels=next(supernet.stem.parameters()).shape[1],
            stem=settings.stem,
            auxiliary=False,
        )
        assert isinstance(network, Network)
        return Start(supernet_weights(supernet, genotype, network))
