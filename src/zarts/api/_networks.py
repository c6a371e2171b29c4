"""Networks in memory: a new one for any genotype or hand-made network, or a trained one from its file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from zarts.api._architecture import Source, architecture_of, folder_of, model_file
from zarts.errors import SettingsError
from zarts.limits import FINAL_NETWORKS
from zarts.networks import AnyNetwork, build_network, create_chain
from zarts.runs import Run
from zarts.runs.user_files import use_operations, use_space
from zarts.runtime.paths import PathLike, path_of
from zarts.spaces import SPACES, Chain
from zarts.training import ModelCard
from zarts.training import load_model as read_model

__all__ = ["create_model", "load_model"]

_IMAGENET = (14, 48)
"""Cells and channels of the published networks with the stem `imagenet`."""


def create_model(
    source: Source,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    channels: int | None = None,
    cells: int | None = None,
    stem: str = "cifar",
    width: float | None = None,
    stem_stride: int | None = None,
    auxiliary: bool = False,
    drop_path: float = 0.0,
    generator: torch.Generator | None = None,
    operations: PathLike | None = None,
) -> AnyNetwork:
    """The network of a genotype, or a hand-made one, with new weights: a `torch.nn.Module` of images to logits.

    Args:
        source: the name of a published genotype (see `list_genotypes`), for example `DARTS_V2`, or of a hand-made
            network (see `list_networks`), for example `resnet8`; a `Genotype`, its file or its text; a
            `zarts.spaces.Chain` or its file; a search or retraining, its result or its folder.
        num_classes: number of logits.
        in_channels: channels of the images.
        channels: channels of the first cells; None: as published, 36, with stem `imagenet` 48, and 16 for a cell of
            space `nasbench201`.
        cells: number of cells, at least 3; None: as published, 20, with stem `imagenet` 14. For a cell of space
            `nasbench201` cells a stage, of three stages; None: 5.
        stem: `cifar`, or `imagenet` for images of about 100 pixels or more.
        width: factor of the widths of a hand-made network, above 0; None: 1. It has none of the settings channels,
            cells, stem, auxiliary and drop_path, and a genotype has neither width nor stem_stride.
        stem_stride: stride of a hand-made network's stem; None: as published.
        auxiliary: whether there is an auxiliary head, whose logits `forward_with_auxiliary` returns too.
        drop_path: probability of drop-path while training, in [0, 1).
        generator: source of drop-path, of dropout and of the operation `noise`; None: torch's default.
        operations: the file of user-defined operations, if the run has such; its code is run.

    Raises:
        RunError: the source cannot be read, or nothing has that name.
        SettingsError: a number or name that cannot be used.
    """
    genotype, name = architecture_of(source)
    _use_operations_in(folder_of(source), operations)
    if isinstance(genotype, Chain):
        others = {"channels": channels, "cells": cells, "auxiliary": auxiliary or None, "drop_path": drop_path or None}
        _refuse(others | {"stem": None if stem == "cifar" else stem}, f"{name} is a network without cells")
        chain = genotype.scaled(1.0 if width is None else width, stem_stride)
        return create_chain(chain, num_classes=num_classes, in_channels=in_channels, generator=generator)
    _refuse({"width": width, "stem_stride": stem_stride}, f"{name} is no hand-made network")
    skeleton = SPACES[genotype.space].skeleton if genotype.space in SPACES else "darts"
    if skeleton != "darts" and drop_path:
        raise SettingsError(f"drop_path = {drop_path:g}: a network of space {genotype.space!r} has none: leave it out")
    usual = _IMAGENET if stem == "imagenet" and skeleton == "darts" else FINAL_NETWORKS[skeleton]
    return build_network(
        genotype,
        channels=usual[1] if channels is None else channels,
        cells=usual[0] if cells is None else cells,
        num_classes=num_classes,
        in_channels=in_channels,
        stem=stem,
        auxiliary=auxiliary,
        generator=generator,
        **({"drop_path": drop_path} if drop_path else {}),
    )


def load_model(model: PathLike, *, operations: PathLike | None = None) -> tuple[AnyNetwork, ModelCard]:
    """A trained network, in evaluation mode on the CPU, and its card: classes, image size, normalization.

    Args:
        model: a retraining (its result or its folder), or its `model.safetensors`.
        operations: the file of user-defined operations, if the run has such; its code is run.

    Raises:
        RunError: there is no such model, or its file is cut short.
        SettingsError: the file of operations is not named, or is another one.
    """
    path = path_of(model)
    _use_operations_in(path if path.is_dir() else None, operations)
    return read_model(model_file(path))


def _refuse(options: Mapping[str, Any], reason: str) -> None:
    for key, value in options.items():
        if value is not None:
            raise SettingsError(f"{key} = {value}: {reason}: leave it out")


def _use_operations_in(folder: Path | None, operations: PathLike | None) -> None:
    """Register the user-defined operations of a run folder, if it has some."""
    if folder is not None:
        use_space(Run(folder))
        use_operations(Run(folder), None if operations is None else path_of(operations), lambda text: None)
    elif operations is not None:
        raise SettingsError("--operations belongs to a run: name the folder of the run, or leave it out")
