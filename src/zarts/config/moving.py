"""Second part of the settings of a search: costs, candidates, what updates alpha, early stopping."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zarts.config.base import SUPERNET, setting
from zarts.config.searching import ADAM, SAMPLING, UPDATING, SearchingSettings
from zarts.methods import GRADIENT, ZERO_ORDER

__all__ = ["MovingSettings"]


class MovingSettings(SearchingSettings):
    """The second part of the settings of a search, see `zarts.config.SearchSettings`."""

    max_params: int | None = setting(
        None,
        "the final network has at most so many parameters: the network that `zarts retrain` builds by default",
        panel="Cost",
        ge=1,
    )
    max_macs: int | None = setting(None, "the final network has at most so many MACs an image", panel="Cost", ge=1)
    limit_penalty: float = setting(
        0.1,
        "added to the loss of alpha at an expected cost of twice a limit, and in proportion to the excess (with 1, "
        "searches of the digits ended far below their limits)",
        panel="Cost",
        used_by=UPDATING,
        ge=0,
    )
    cost_weight: float = setting(
        0.0,
        "of the expected cost in the loss of alpha, in units of the cost at equal operation weights",
        panel="Cost",
        used_by=UPDATING,
        ge=0,
    )
    cost: Literal["parameters", "macs"] = setting(
        "parameters", "what cost_weight weighs: of the final network", panel="Cost", used_by=UPDATING
    )
    final_cells: int | None = setting(
        None,
        "cells of the network whose cost is counted (default: retrain's 20; in nasbench201 5 a stage)",
        panel="Cost",
        ge=1,
    )
    final_channels: int | None = setting(
        None,
        "channels of its first cells (default: retrain's 36; in nasbench201 16)",
        panel="Cost",
        ge=2,
    )

    ablation: Literal["none", "uniform"] = setting(
        "none",
        "uniform: evaluate no candidate and weigh all alike: a zero-order optimizer or a local search without its "
        "losses, for comparison",
        panel="Candidates",
        used_by=SUPERNET,
    )
    inner_steps: int = setting(
        10,
        "M: weight steps of a candidate, on its own copy of the weights, before its loss; 0: first order",
        panel="Candidates",
        used_by=ZERO_ORDER,
        ge=0,
    )
    val_batches: int = setting(
        4,
        "validation batches in one loss (the released code has 1: its losses are mostly noise)",
        panel="Candidates",
        used_by=UPDATING,
        ge=1,
    )
    val_batch_size: int | None = setting(
        None, "images a validation batch (default: batch_size)", panel="Candidates", used_by=UPDATING, ge=2
    )
    inner_learning_rate: float | None = setting(
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

    arch_learning_rate: float = setting(
        1.0,
        "step size of alpha: factor of the MGS update, xi of RS, Adam's rate of the others",
        panel="Architecture",
        used_by=("mgs", "rs", *ADAM),
        gt=0,
    )
    samples: int = setting(
        8,
        "N: candidates (MGS, other packages), directions (RS) or cells (REINFORCE) an update",
        panel="Architecture",
        used_by=("mgs", "rs", "cmaes", "nevergrad", "reinforce"),
        ge=1,
    )
    sigma: float = setting(
        0.2,
        "standard deviation of MGS's perturbations (the paper's scripts: 0.025; 0.2 in s1-s4), of the first ones of "
        "other packages",
        panel="Architecture",
        used_by=("mgs", "cmaes", "nevergrad"),
        gt=0,
    )
    sigma_decay: Literal["cosine", "constant"] = setting(
        "cosine", "schedule of sigma after the warm-up", panel="Architecture", used_by=("mgs",)
    )
    tau: Annotated[float, Field(gt=0)] | Literal["auto"] = setting(
        "auto",
        "temperature of MGS's weights; auto: solved at each update so that N_e / N is esr_target",
        panel="Architecture",
        used_by=("mgs",),
    )
    esr_target: float = setting(
        0.5, "N_e / N that tau=auto aims at", panel="Architecture", used_by=("mgs",), gt=0, lt=1
    )
    mixture_lambda: float = setting(
        1e-3,
        "lambda: share of the proposal that is not centred at minus the gradient; 1: no gradient at all",
        panel="Architecture",
        used_by=("mgs",),
        ge=0,
        le=1,
    )
    proposal: Literal["mixture", "sum"] = setting(
        "mixture", "mixture (eq. 8) or sum of the two Gaussians (as released)", panel="Architecture", used_by=("mgs",)
    )
    importance_weights: Literal["exact", "released", "softmax"] = setting(
        "softmax",
        "exact (eq. 7; degenerates in many dimensions), released or softmax",
        panel="Architecture",
        used_by=("mgs",),
    )
    antithetic: bool = setting(
        True, "draw MGS's noise in pairs of opposite sign", panel="Architecture", used_by=("mgs",)
    )
    estimator: Literal["antithetic", "forward", "one-point"] = setting(
        "antithetic", "finite difference of RS", panel="Architecture", used_by=("rs",)
    )
    directions: Literal["sphere", "gaussian", "ball"] = setting(
        "sphere", "draw of RS (sphere, gaussian) and GLD (sphere, ball)", panel="Architecture", used_by=("rs", "gld")
    )
    smoothing: float = setting(1.0, "delta: smoothing radius of RS", panel="Architecture", used_by=("rs",), gt=0)
    radius_max: float = setting(2.8, "R: largest radius of GLD", panel="Architecture", used_by=("gld",), gt=0)
    radius_min: float = setting(0.04, "r: smallest radius of GLD", panel="Architecture", used_by=("gld",), gt=0)
    radius_decay: Literal["cosine", "constant"] = setting(
        "cosine", "schedule of GLD's R after the warm-up", panel="Architecture", used_by=("gld",)
    )
    arch_weight_decay: float = setting(
        1e-3, "of alpha, or of the controller (Adam)", panel="Architecture", used_by=ADAM, ge=0
    )
    arch_beta1: float = setting(0.5, "first moment of alpha's Adam", panel="Architecture", used_by=ADAM, ge=0, lt=1)
    arch_beta2: float = setting(0.999, "second moment of alpha's Adam", panel="Architecture", used_by=ADAM, ge=0, lt=1)
    amend_strength: float = setting(
        0.1, "eta: factor of the amending term of the gradient", panel="Architecture", used_by=("amended",), gt=0
    )
    hessian: Literal["central", "exact"] = setting(
        "central",
        "product of the second order: central difference (eq. 1) or exact",
        panel="Architecture",
        used_by=("unrolled",),
    )
    entropy_weight: float = setting(
        1e-4, "of a cell's entropy in the reward of REINFORCE", panel="Architecture", used_by=("reinforce",), ge=0
    )
    baseline_decay: float = setting(
        0.99, "share of REINFORCE's old baseline after a cell", panel="Architecture", used_by=("reinforce",), ge=0, lt=1
    )
    weight_noise: float = setting(
        1.0, "standard deviation of alpha's noise while weights train", panel="Architecture", used_by=("noisy",), gt=0
    )
    perturbation_start: float = setting(
        0.03,
        "radius of the box around the operation weights in which weights train, in the first epoch",
        panel="Architecture",
        used_by=("perturbed", "adversarial"),
        ge=0,
        le=1,
    )
    perturbation: float = setting(
        0.3,
        "radius of this box after the last epoch: it grows by the same in every epoch",
        panel="Architecture",
        used_by=("perturbed", "adversarial"),
        ge=0,
        le=1,
    )
    temperature: float = setting(
        10.0,
        "tau of the Gumbel draws in the first epoch",
        panel="Architecture",
        used_by=("gumbel", "gumbel-soft"),
        gt=0,
    )
    temperature_min: float = setting(
        0.1, "tau of the Gumbel draws in the last epoch", panel="Architecture", used_by=("gumbel", "gumbel-soft"), gt=0
    )

    eigenvalue_every: int = setting(
        0,
        "compute the dominant eigenvalue of the validation loss's Hessian in alpha every N epochs (0: never)",
        panel="Architecture",
        used_by=(*ZERO_ORDER, *GRADIENT),
        ge=0,
    )
    eigenvalue_growth: float | None = setting(
        None,
        "early stopping: once the local mean of five eigenvalues is more than this many times that of four eigenvalues "
        "earlier, the search ends with the cell of that earlier epoch (RobustDARTS: 1.3; default: never)",
        panel="Architecture",
        used_by=(*ZERO_ORDER, *GRADIENT),
        gt=1,
    )
    eigenvalue_after: int = setting(
        10,
        "first epoch whose cell early stopping may return",
        panel="Architecture",
        used_by=(*ZERO_ORDER, *GRADIENT),
        ge=1,
    )
