"""Settings of the selections: from the trained supernet to a genotype."""

from __future__ import annotations

from typing import Literal

from zarts.config.base import Settings, setting
from zarts.config.types import Cells, Images, Samples, Whole
from zarts.methods import EVALUATING

__all__ = [
    "ArgmaxSettings",
    "DrawSettings",
    "EvaluationSettings",
    "EvolutionSettings",
    "LocalSearchSettings",
    "PerturbationSettings",
    "SelectionSettings",
]


class ArgmaxSettings(Settings):
    """Settings of the selection by alpha."""

    max_skips: Whole | None = setting(
        None,
        "the normal cell has at most so many skips: the weakest ones are deleted (P-DARTS: 2; default: no limit)",
        panel="Selection",
        used_by=("argmax",),
        ge=0,
    )


class EvaluationSettings(Settings):
    """How a selection evaluates cells and operations."""

    select_metric: Literal["objective", "loss", "accuracy"] = setting(
        "objective",
        "what the selection compares cells and operations by: the objective, the loss, or the share of wrong answers",
        panel="Selection",
        used_by=EVALUATING,
    )
    select_images: Images = setting(
        640,
        "validation images that they are evaluated on, the same for all; at most all there are",
        panel="Selection",
        used_by=EVALUATING,
        ge=1,
    )
    select_batch_norm: Literal["train", "eval"] = setting(
        "eval", "statistics during this evaluation: see batch_norm", panel="Selection", used_by=EVALUATING
    )
    select_recalibration: Whole = setting(
        0,
        "training batches whose statistics replace the running ones before each evaluation",
        panel="Selection",
        used_by=EVALUATING,
        ge=0,
    )


class DrawSettings(Settings):
    """The number of cells that a selection draws."""

    select_samples: Samples = setting(
        100,
        "best-of: cells that are drawn (K); evolution: cells a generation (SPOS: 50); local-search: candidates a round",
        panel="Selection",
        used_by=("best-of", "evolution", "local-search"),
        ge=1,
    )


class EvolutionSettings(DrawSettings):
    """Settings of the selection `evolution`."""

    select_generations: Whole = setting(
        20, "generations of evolution after the first", panel="Selection", used_by=("evolution",), ge=0
    )
    select_parents: Samples = setting(
        10,
        "best cells of a generation that have children in evolution",
        panel="Selection",
        used_by=("evolution",),
        ge=1,
    )
    select_mutation: float = setting(
        0.1,
        "probability that a node is drawn anew in a mutation",
        panel="Selection",
        used_by=("evolution",),
        ge=0,
        le=1,
    )


class PerturbationSettings(Settings):
    """Settings of the selection `perturbation`."""

    select_order: Literal["one-pass", "progressive"] = setting(
        "one-pass",
        "one-pass: remove each operation from the whole supernet; progressive: decide edge after edge, and remove from "
        "what is left (the paper)",
        panel="Selection",
        used_by=("perturbation",),
    )
    select_tune_steps: Whole = setting(
        100,
        "weight steps after each decision of select_order = progressive",
        panel="Selection",
        used_by=("perturbation",),
        ge=0,
    )


class LocalSearchSettings(DrawSettings):
    """Settings of the selection `local-search`."""

    select_rounds: Whole = setting(
        1,
        "largest number of rounds of local-search, each to a neighbour: a cell that differs in one choice",
        panel="Selection",
        used_by=("local-search",),
        ge=1,
    )
    select_cells: Cells | None = setting(
        None,
        "cells of the networks in which local-search trains each candidate by itself (default: in nasbench201 the "
        "benchmark's 5 a stage, else those of the search)",
        panel="Selection",
        used_by=("local-search",),
        ge=1,
    )
    select_screen_steps: Whole = setting(
        50,
        "weight steps of each candidate before the first evaluation",
        panel="Selection",
        used_by=("local-search",),
        ge=1,
    )
    select_finalists: Samples = setting(
        3, "candidates that reach the second evaluation", panel="Selection", used_by=("local-search",), ge=1
    )
    select_early_steps: Whole = setting(
        150, "weight steps of each finalist before it", panel="Selection", used_by=("local-search",), ge=1
    )


class SelectionSettings(
    LocalSearchSettings, PerturbationSettings, EvolutionSettings, DrawSettings, EvaluationSettings, ArgmaxSettings
):
    """The settings of all selections."""
