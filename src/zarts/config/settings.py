"""The settings of a search: one name and one meaning on the command line, in YAML and in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from zarts.config.common import SUPERNET, CommonSettings, setting
from zarts.config.lists import Counts, Shares
from zarts.methods import GRADIENT, JUDGING, ZERO_ORDER

__all__ = ["UNTIED", "SearchSettings"]

DRAWING = (*ZERO_ORDER, "reinforce")
MOVING = (*DRAWING, *GRADIENT)
ADAM = (*GRADIENT, "reinforce")
STAGES = ("prune", "renew")

UNTIED = ("devices", "table", "operations", "logger")
"""Settings of a search that its result does not depend on: it may go on with others."""


class SearchSettings(CommonSettings):
    """Settings of `zarts search`. Letters are the paper's; a default that is not the paper's says why."""

    space: str = setting(
        "darts",
        "darts, darts-zero, s1, s2, s3, s4, nasbench201, or a YAML file with a space of your own",
        panel="Search",
    )
    method: str = setting("zarts-mgs", "a row of `zarts list methods`", panel="Search")
    update: str = setting(
        "mgs",
        "who moves alpha, instead of the method's own: mgs, rs, gld, cmaes, nevergrad:NAME (packages of their own), "
        "gradient, unrolled, amended, reinforce or none",
        panel="Search",
    )
    relaxation: str = setting(
        "softmax",
        "alpha to operation weights, instead of the method's own: softmax, gumbel, gumbel-soft, path, cell or none",
        panel="Search",
    )
    weight_relaxation: str = setting(
        "same",
        "relaxation at which weights train, instead of the method's own: same, softmax, noisy, perturbed, adversarial, "
        "gumbel, gumbel-soft, path or uniform",
        panel="Search",
    )
    supernet: str = setting(
        "mixed",
        "network that shares weights, instead of the method's own: mixed, partial (operations see 1 / K of the "
        "channels) or merged (the convolutions of an edge are one)",
        panel="Search",
    )
    edges: str = setting(
        "plain",
        "normalized: edges have weights of their own, a softmax over those that enter a node, instead of the method's "
        "own choice; plain: they have none",
        panel="Search",
    )
    select: str = setting(
        "argmax",
        "from the trained supernet to a cell, instead of the method's own: argmax, perturbation, local-search, best-of "
        "or evolution",
        panel="Search",
    )
    stages: str = setting(
        "one",
        "instead of the method's own: one; prune: weak operations are dropped along the search; renew: the same, and "
        "weights and alpha start anew in each stage",
        panel="Stages",
    )
    stage_operations: Counts = setting(
        (),
        "operations kept on an edge in each stage after the first, by softmax(alpha); an edge with fewer keeps all",
        panel="Stages",
        used_by=STAGES,
    )
    stage_starts: Shares | None = setting(
        None,
        "where each stage after the first starts, as a share of all epochs (default: stages of equal length)",
        panel="Stages",
        used_by=STAGES,
    )
    stage_cells: Counts | None = setting(
        None,
        "cells of the network in each stage (default: 5/8, 11/8, 17/8 … of `cells`; P-DARTS: 5, 11, 17)",
        panel="Stages",
        used_by=("renew",),
    )
    stage_warmup: float = setting(
        0.4,
        "share of each stage's epochs before alpha moves, in the place of warmup_epochs (P-DARTS: 10 of 25)",
        panel="Stages",
        used_by=("renew",),
        ge=0,
        lt=1,
    )
    skip_dropout: Shares = setting(
        (0.0,),
        "dropout on identities while weights train, at the start of all stages or of each; it falls within a stage",
        panel="Stages",
        used_by=SUPERNET,
    )
    cells: int = setting(
        8,
        "cells in the network, two of which reduce; in space nasbench201 cells a stage (the benchmark's 5)",
        panel="Network",
        used_by=SUPERNET,
        ge=1,
    )
    partial_channels: int = setting(
        4, "K: operations see the first 1 / K of a node's channels", panel="Network", used_by=("partial",), ge=1
    )
    reduction: Literal["residual", "light"] = setting(
        "residual",
        "between stages in space nasbench201: the benchmark's residual blocks, or light: a pool and a 1x1 convolution",
        panel="Network",
        used_by=SUPERNET,
    )
    warmup_epochs: int = setting(10, "epochs before alpha moves", panel="Search", used_by=MOVING, ge=0)
    alpha_every: int = setting(
        10, "weight steps from one alpha update to the next", panel="Search", used_by=MOVING, ge=1
    )
    learning_rate_min: float = setting(0.001, "end of the cosine", panel="Weights", used_by=SUPERNET, ge=0)
    cutout: int = setting(
        0, "side of the square cut out of every image, in pixels; 0: none", panel="Data", used_by=SUPERNET, ge=0
    )
    drop_path: float = setting(
        0.0,
        "probability that the output of an operation, but for identities, is dropped for an image while weights train: "
        "in epoch e of E, from 0, e / E of this",
        panel="Network",
        used_by=SUPERNET,
        ge=0,
        lt=1,
    )

    devices: Annotated[int, Field(ge=1)] | Literal["auto"] = setting(
        "auto",
        "processes (on GPUs: one each) that share the candidates; auto: for small networks, one a processor; else 1",
        panel="Run",
        used_by=DRAWING,
    )
    table: Path | Literal["auto"] | None = setting(
        None,
        "NAS-Bench-201's true accuracies, logged beside a search in its space: their file or its directory, or auto: "
        "the directory ZARTS_DATA",
        panel="Run",
    )

    kernels: Literal["auto", "native", "torch"] = setting(
        "auto",
        "of the supernet on the CPU: compiled from C++ where that works (auto), always (native), or torch's own",
        panel="Run",
        used_by=SUPERNET,
    )

    max_params: int | None = setting(
        None,
        "the final network has at most so many parameters: the network that `zarts retrain` builds by default",
        panel="Cost",
        ge=1,
    )
    max_macs: int | None = setting(
        None, "the final network has at most so many multiply-adds an image", panel="Cost", ge=1
    )
    limit_penalty: float = setting(
        0.1,
        "added to the loss of alpha where the cost that it lets expect is twice a limit, and in proportion (1 made "
        "searches of the digits end far below their limits)",
        panel="Cost",
        used_by=MOVING,
        ge=0,
    )
    cost_weight: float = setting(
        0.0,
        "of the expected cost in the loss of alpha, in units of the cost of a mixture of equal weights",
        panel="Cost",
        used_by=MOVING,
        ge=0,
    )
    cost: Literal["parameters", "mult_adds"] = setting(
        "parameters", "what cost_weight weighs: of the final network", panel="Cost", used_by=MOVING
    )
    final_cells: int | None = setting(
        None,
        "cells of the networks that costs are counted of (default: retrain's 20; in nasbench201 5 a stage)",
        panel="Cost",
        ge=1,
    )
    final_channels: int | None = setting(
        None,
        "channels of the first cells of these networks (default: retrain's 36; in nasbench201 16)",
        panel="Cost",
        ge=2,
    )

    control: Literal["none", "uniform"] = setting(
        "none",
        "uniform: no candidate is judged and all weigh alike: a zero-order recipe, or a local search, without its "
        "losses, for comparison",
        panel="Candidates",
        used_by=SUPERNET,
    )
    inner_steps: int = setting(
        10,
        "M: weight steps on a candidate's own copy before it is judged; 0: first order",
        panel="Candidates",
        used_by=ZERO_ORDER,
        ge=0,
    )
    val_batches: int = setting(
        4,
        "validation batches in one loss (the released code has 1: its losses are mostly noise)",
        panel="Candidates",
        used_by=MOVING,
        ge=1,
    )
    val_batch_size: int | None = setting(
        None, "images a validation batch (default: batch_size)", panel="Candidates", used_by=MOVING, ge=2
    )
    inner_learning_rate: float | None = setting(
        None, "of the inner steps (default: the weights' current one)", panel="Candidates", used_by=ZERO_ORDER, gt=0
    )
    inner_momentum: float | None = setting(
        None, "of the inner steps (default: the weights')", panel="Candidates", used_by=ZERO_ORDER, ge=0, lt=1
    )
    batch_norm: Literal["train", "eval"] = setting(
        "train",
        "statistics while judging: of the batch (train, as released) or running ones (eval)",
        panel="Candidates",
        used_by=DRAWING,
    )

    alpha_lr: float = setting(
        1.0,
        "step size of alpha: factor of the MGS move, xi of RS, Adam's rate of the others",
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
        "standard deviation of MGS's moves (the paper's scripts: 0.025; 0.2 in s1-s4), of other packages' first ones",
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
    weights: Literal["exact", "released", "softmax"] = setting(
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
    alpha_weight_decay: float = setting(
        1e-3, "of alpha, or of the controller (Adam)", panel="Architecture", used_by=ADAM, ge=0
    )
    alpha_beta1: float = setting(0.5, "first moment of alpha's Adam", panel="Architecture", used_by=ADAM, ge=0, lt=1)
    alpha_beta2: float = setting(0.999, "second moment of alpha's Adam", panel="Architecture", used_by=ADAM, ge=0, lt=1)
    amending: float = setting(
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
        1.0, "standard deviation of alpha's noise where weights train", panel="Architecture", used_by=("noisy",), gt=0
    )
    perturbation_start: float = setting(
        0.03,
        "radius of the box around the operation weights where weights train, in the first epoch",
        panel="Architecture",
        used_by=("perturbed", "adversarial"),
        ge=0,
        le=1,
    )
    perturbation: float = setting(
        0.3,
        "the same in the last epoch",
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
        "epochs from one dominant eigenvalue of the validation loss's Hessian in alpha to the next; 0: none is had",
        panel="Architecture",
        used_by=(*ZERO_ORDER, *GRADIENT),
        ge=0,
    )
    eigenvalue_growth: float | None = setting(
        None,
        "the search ends when the local mean of five eigenvalues is so many times that of four eigenvalues earlier, "
        "with the cell of then (RobustDARTS: 1.3; default: it does not end early)",
        panel="Architecture",
        used_by=(*ZERO_ORDER, *GRADIENT),
        gt=1,
    )
    eigenvalue_after: int = setting(
        10,
        "first epoch whose cell such a search may end with",
        panel="Architecture",
        used_by=(*ZERO_ORDER, *GRADIENT),
        ge=1,
    )

    max_skips: int | None = setting(
        None,
        "the normal cell has at most so many skips: the weakest ones are deleted (P-DARTS: 2; default: no limit)",
        panel="Selection",
        used_by=("argmax",),
        ge=0,
    )
    select_judge: Literal["loss", "accuracy"] = setting(
        "loss", "what cells and operations are judged by at the end", panel="Selection", used_by=JUDGING
    )
    select_images: int = setting(
        640,
        "validation images, the same for all, that they are judged on; at most all there are",
        panel="Selection",
        used_by=JUDGING,
        ge=1,
    )
    select_batch_norm: Literal["train", "eval"] = setting(
        "eval", "statistics while they are judged: see batch_norm", panel="Selection", used_by=JUDGING
    )
    select_recalibration: int = setting(
        0,
        "training batches whose statistics take the place of the running ones before each is judged",
        panel="Selection",
        used_by=JUDGING,
        ge=0,
    )
    select_samples: int = setting(
        100,
        "K: cells that are drawn, of which the best is kept; of evolution: cells a generation (SPOS: 50); of "
        "local-search: candidates a round",
        panel="Selection",
        used_by=("best-of", "evolution", "local-search"),
        ge=1,
    )
    select_generations: int = setting(
        20, "generations of evolution after the first", panel="Selection", used_by=("evolution",), ge=0
    )
    select_parents: int = setting(
        10, "best cells that have children in evolution", panel="Selection", used_by=("evolution",), ge=1
    )
    select_mutation: float = setting(
        0.1,
        "probability that a node is drawn anew in a mutation",
        panel="Selection",
        used_by=("evolution",),
        ge=0,
        le=1,
    )
    select_order: Literal["one-pass", "progressive"] = setting(
        "one-pass",
        "take operations from the whole mixture, or from what is left as edge after edge is decided (the paper)",
        panel="Selection",
        used_by=("perturbation",),
    )
    select_tune_steps: int = setting(
        100, "weight steps after each of these decisions", panel="Selection", used_by=("perturbation",), ge=0
    )
    select_rounds: int = setting(
        1,
        "moves of local-search, each to a cell that differs in one choice, at most",
        panel="Selection",
        used_by=("local-search",),
        ge=1,
    )
    select_cells: int | None = setting(
        None,
        "cells of the networks in which it trains each candidate by itself (default: in nasbench201 the benchmark's 5 "
        "a stage, else those of the search)",
        panel="Selection",
        used_by=("local-search",),
        ge=1,
    )
    select_screen_steps: int = setting(
        50,
        "weight steps of each candidate before the first judgement",
        panel="Selection",
        used_by=("local-search",),
        ge=1,
    )
    select_finalists: int = setting(
        3, "candidates that come to the second judgement", panel="Selection", used_by=("local-search",), ge=1
    )
    select_early_steps: int = setting(
        150, "weight steps of each finalist there", panel="Selection", used_by=("local-search",), ge=1
    )
