"""What a retraining is of and starts from: its settings, genotype and first weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zarts.api._architecture import Source, genotype_of, inherited, model_file, run_of
from zarts.api._search import notes, searched_settings
from zarts.config import RetrainSettings, retrain_settings
from zarts.errors import SettingsError
from zarts.limits import FINAL_NETWORKS
from zarts.networks import Network, build_network
from zarts.runs import Run
from zarts.runs.user_files import use_operations, use_space
from zarts.searcher import restore_search
from zarts.spaces import Genotype
from zarts.spaces.nasbench201 import NASBENCH201
from zarts.supernet import SuperNet, supernet_weights
from zarts.training import START, Start, load_model
from zarts.training.trainer import Callback

__all__ = ["begin_from", "owner_of", "retraining_of"]

_SUPERNET = "supernet"
_CELLS, _CHANNELS = FINAL_NETWORKS[NASBENCH201.skeleton]
_BENCHMARK = {"channels": _CHANNELS, "cells": _CELLS, "auxiliary_weight": 0.0, "drop_path": 0.0, "cutout": 0}
"""Of the networks of space nasbench201, and what they do not have; see preset `nb201`."""


def retraining_of(
    source: Source | None,
    options: Mapping[str, Any],
    *,
    preset: str | None = None,
    config: Path | None = None,
) -> tuple[Source, RetrainSettings]:
    """What is retrained, and its settings: see `zarts.config.retrain_settings`.

    A search hands down its data, split, image size, flip and stem. Weights that are started from say width and depth
    or, of a trained network, genotype, width, depth, stem and image size.

    Args:
        source: see `zarts.retrain`; None: the architecture of the network that `weights_from` names.
        options: settings by name.
        preset: name of a preset.
        config: a YAML file with settings.

    Raises:
        SettingsError: settings that cannot be, or there is no source.
        RunError: a source or a network that cannot be read.
    """
    handed = {} if source is None else dict(inherited(source))
    asked = retrain_settings(options, preset=preset, config=config, inherited=handed)
    weights, form = asked.weights_from, dict[str, Any]()
    if weights == _SUPERNET:
        form = {key: _searched(source).settings("search")[key] for key in ("channels", "cells")}
    elif weights is not None:
        owner = owner_of(source, weights)
        assert owner is not None
        use_space(owner)
        use_operations(owner, asked.operations, lambda text: None)
        _, card = load_model(model_file(Path(weights).expanduser()))
        source = card.genotype if source is None else source
        form = {key: getattr(card, key) for key in ("channels", "cells", "stem", "image_size")}
    if source is None:
        raise SettingsError("retrain what? name a search run, a genotype file, or a genotype of `zarts list genotypes`")
    if preset is None and genotype_of(source)[0].space == NASBENCH201.name:
        handed = {**_BENCHMARK, **handed}
    return source, retrain_settings(options, preset=preset, config=config, inherited=handed, form=form)


def owner_of(source: Source | None, weights_from: str | None) -> Run | None:
    """The run that has what its architecture needs of one's own.

    It is the search that the source is, else the training of the network whose weights are started from.

    Raises:
        RunError: it is not finished, or a folder of another kind.
    """
    searched = None if source is None else run_of(source)
    if searched is not None or weights_from in (None, _SUPERNET):
        return searched
    return Run(model_file(Path(str(weights_from)).expanduser()).parent)


def begin_from(
    source: Source, genotype: Genotype, settings: RetrainSettings, run: Run, callback: Callback | None
) -> Start | None:
    """The weights that a retraining starts from, None for random ones; its folder keeps what else belongs to them.

    Raises:
        SettingsError: weights of another network, or none of that kind.
        RunError: they cannot be read.
    """
    if settings.weights_from is None:
        return None
    if settings.weights_from == _SUPERNET:
        return _of_supernet(_searched(source), genotype, settings, callback)
    network, card = load_model(model_file(Path(settings.weights_from).expanduser()))
    if card.genotype.cells != genotype.cells:
        raise SettingsError(
            f"weights_from = {settings.weights_from}: is a network of another genotype: name no source, or that one's"
        )
    run.write_json(START, {"from": settings.weights_from, "mean": card.mean, "std": card.std})
    return Start(network.state_dict(), card.classes)


def _searched(source: Source | None) -> Run:
    run = None if source is None else run_of(source)
    if run is None:
        raise SettingsError("weights_from = supernet: name the folder of a search, whose supernet it is")
    return run


def _of_supernet(searched: Run, genotype: Genotype, settings: RetrainSettings, callback: Callback | None) -> Start:
    with restore_search(searched_settings(searched.path), searched, notes(callback)) as opened:
        supernet = opened.problem.model
        if not isinstance(supernet, SuperNet):
            raise SettingsError(
                f"weights_from = supernet: networks of space {genotype.space!r} do not start from one: leave it out"
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
