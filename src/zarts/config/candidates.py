"""Settings of the evaluation of candidates, and of the validation batches of gradient methods."""

from __future__ import annotations

from typing import Literal

from zarts.config.base import SAMPLING, SUPERNET, UPDATING, Settings, setting
from zarts.config.functions import Objective
from zarts.config.types import Number, Whole
from zarts.methods import EVALUATING, ZERO_ORDER

__all__ = ["CandidateSettings"]


class CandidateSettings(Settings):
    """How a candidate is evaluated."""

    objective: Objective = setting(
        "loss",
        "what candidates are compared by, on validation images: loss (the criterion), error, balanced-error, macro-f1, "
        "or FILE.py:function of (logits, labels), whose code is run; its attribute larger_is_better says which way is "
        "better; methods that follow its gradient in alpha take loss or a differentiable function",
        panel="Candidates",
        used_by=(*UPDATING, *EVALUATING),
    )
    ablation: Literal["none", "uniform"] = setting(
        "none",
        "uniform: evaluate no candidate and weigh all alike: a zero-order optimizer or a local search without its "
        "losses, for comparison",
        panel="Candidates",
        used_by=SUPERNET,
    )
    inner_steps: Whole = setting(
        10,
        "M: weight steps of a candidate, on its own copy of the weights, before its loss; 0: first order",
        panel="Candidates",
        used_by=ZERO_ORDER,
        otherwise=0,
        ge=0,
    )
    val_batches: Whole = setting(
        4,
        "validation batches in one loss (the released code has 1: its losses are mostly noise)",
        panel="Candidates",
        used_by=UPDATING,
        ge=1,
    )
    val_batch_size: Whole | None = setting(
        None, "images a validation batch (default: batch_size)", panel="Candidates", used_by=UPDATING, ge=2
    )
    inner_learning_rate: Number | None = setting(
        None, "of the inner steps (default: the weights' current one)", panel="Candidates", used_by=ZERO_ORDER, gt=0
    )
    inner_momentum: float | None = setting(
        None, "of the inner steps (default: the weights')", panel="Candidates", used_by=ZERO_ORDER, ge=0, lt=1
    )
    batch_norm: Literal["train", "eval"] = setting(
        "train",
        "statistics during evaluation: of the batch (train, as released) or running ones (eval)",
        panel="Candidates",
        used_by=SAMPLING,
    )
