"""The table of methods: one row each, a combination of axes with the defaults of its paper.

A method is a row of this table, not a class. This module holds names only and imports no torch, so that
the command line can list and check methods at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zarts.errors import SettingsError, did_you_mean

__all__ = [
    "AXES",
    "DEFAULTS",
    "EVALUATING",
    "GRADIENT",
    "LIBRARIES",
    "METHODS",
    "ZERO_ORDER",
    "Method",
    "get_method",
    "member",
]

LIBRARIES = ("cmaes", "nevergrad")
"""Arch optimizers of other packages."""

ZERO_ORDER = ("mgs", "rs", "gld", *LIBRARIES)
"""Arch optimizers that update alpha by the losses of candidates."""

GRADIENT = ("gradient", "unrolled", "amended")
"""Arch optimizers that follow a gradient of the validation loss in alpha."""

EVALUATING = ("best-of", "evolution", "perturbation", "local-search")
"""Selections that evaluate cells or operations on validation images, once, when all weights are trained."""

_OF_ALPHA = ("softmax", "gumbel", "gumbel-soft", "path")

AXES: dict[str, tuple[str, ...]] = {
    "arch_optimizer": (*ZERO_ORDER, *GRADIENT, "reinforce", "none"),
    "relaxation": (*_OF_ALPHA, "cell", "none"),
    "weight_relaxation": ("same", *_OF_ALPHA, "uniform", "noisy", "perturbed", "adversarial"),
    "supernet": ("mixed", "partial", "merged", "none"),
    "edge_normalization": ("False", "True"),
    "select": ("argmax", *EVALUATING, "random"),
    "phases": ("one", "prune", "restart"),
}
"""The axes that can be set one by one, and their members. A name means the same on every axis."""


def member(value: str) -> str:
    """The member that a value of an axis names: `nevergrad` for `nevergrad:CMA`, an optimiser of that library."""
    return "nevergrad" if value.startswith("nevergrad:") else value


@dataclass(frozen=True)
class Method:
    """One row of the table of methods.

    Args:
        name: the name on the command line.
        summary: what it is, in a few words.
        arch_optimizer: what updates alpha: a key of `zarts.arch_optim.ARCH_OPTIMIZERS`.
        paper: where it was published.
        relaxation: alpha to operation weights: a key of `zarts.relax.RELAXATIONS`, or `none`.
        weight_relaxation: the relaxation while weights train: such a key, or `same` as `relaxation`.
        supernet: the network that shares weights between architectures, see `zarts.supernet.build_supernet`, or `none`.
        edge_normalization: whether edges have weights of their own, see `zarts.relax.Parameterization`.
        select: from the trained supernet to one genotype: a key of `zarts.select.SELECTIONS`.
        phases: `one`; `prune`: every phase drops operations; `restart`: weights and alpha start anew, too.
        defaults: settings that differ from the defaults of its axes, see `DEFAULTS`, and of
            `zarts.config.SearchSettings`.
    """

    name: str
    summary: str
    arch_optimizer: str
    paper: str
    relaxation: str = "softmax"
    weight_relaxation: str = "same"
    supernet: str = "mixed"
    edge_normalization: bool = False
    select: str = "argmax"
    phases: str = "one"
    defaults: Mapping[str, object] = field(default_factory=dict)

    @property
    def axes(self) -> dict[str, str]:
        """Each axis of `AXES` with its member."""
        return {
            "arch_optimizer": self.arch_optimizer,
            "relaxation": self.relaxation,
            "weight_relaxation": self.weight_relaxation,
            "supernet": self.supernet,
            "edge_normalization": str(self.edge_normalization),
            "select": self.select,
            "phases": self.phases,
        }


# DARTS alternates one step of alpha, on one batch, with one step of the weights, from the first epoch on (its code).
_ALTERNATING = {"arch_learning_rate": 3e-4, "arch_update_interval": 1, "warmup_epochs": 0, "val_batches": 1}

DEFAULTS: dict[str, Mapping[str, object]] = {
    "rs": {"samples": 4},
    "gradient": _ALTERNATING,
    "unrolled": _ALTERNATING,
    "amended": _ALTERNATING,
    "reinforce": {
        "arch_learning_rate": 1e-3,
        "arch_beta1": 0.0,
        "arch_weight_decay": 0.0,
        "objective": "error",  # the reward is the accuracy
        "arch_update_interval": 4,  # 50 steps of the controller in an epoch of 196 weight steps (released code)
        "warmup_epochs": 0,
        "samples": 20,
        "val_batches": 1,
    },
    "gumbel-soft": {"temperature": 5.0, "temperature_min": 0.09},  # FBNet: 0.956 an epoch, 90 epochs
    "best-of": {"select_metric": "accuracy", "select_images": 512, "select_batch_norm": "train"},
    "evolution": {"select_metric": "accuracy", "select_images": 512, "select_samples": 50, "select_recalibration": 20},
    "prune": {"phase_operations": (4, 2, 1), "phase_starts": (0.4, 0.6, 0.8)},
    "restart": {"phase_operations": (5, 3)},
    "local-search": {"select_samples": 24},  # every neighbour of a cell in space nasbench201
}
"""Settings of a member of an axis that differ from the defaults of `zarts.config.SearchSettings`."""

_ZARTS = "Wang et al., ZARTS (NeurIPS 2022)"
_DARTS = "Liu et al., DARTS (ICLR 2019)"
_SDARTS = "Chen and Hsieh, SDARTS (ICML 2020)"

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("zarts-mgs", "zero-order, MLE-guided parameter search", "mgs", _ZARTS),
        Method("zarts-rs", "zero-order, random search", "rs", _ZARTS),
        Method("zarts-gld", "zero-order, gradientless descent", "gld", _ZARTS),
        Method(
            "zarts",
            "zero-order; alpha stays uniform; perturbation proposes a cell, a local search keeps the neighbour that "
            "learns fastest",
            "none",
            "this project; it starts from the one-pass selection of DARTS-PT (ICLR 2021)",
            select="local-search",
            defaults={"select_images": 1280},  # all that preset nb201-small has: more images, less noise
        ),
        Method("darts", "first-order gradient", "gradient", _DARTS),
        Method("darts-2nd", "gradient through one unrolled weight step", "unrolled", _DARTS),
        Method(
            "darts-pt",
            "gradient; keeps the operations whose removal from the trained supernet hurts most",
            "gradient",
            "Wang et al., DARTS-PT (ICLR 2021)",
            select="perturbation",
        ),
        Method(
            "amended-darts",
            "gradient with an amending term instead of the inverse Hessian",
            "amended",
            "Bi et al., Amended-DARTS (2019)",
        ),
        Method(
            "pc-darts",
            "gradient; operations see a part of the channels, edges have weights of their own",
            "gradient",
            "Xu et al., PC-DARTS (ICLR 2020)",
            supernet="partial",
            edge_normalization=True,
            defaults={
                "arch_learning_rate": 6e-4,
                "batch_size": 256,
                "learning_rate": 0.1,
                "learning_rate_min": 0.0,
                "warmup_epochs": 15,
            },
        ),
        Method(
            "mergenas",
            "gradient; the convolutions of an edge are merged into one kernel",
            "gradient",
            "Wang et al., MergeNAS (IJCAI 2020)",
            supernet="merged",
            defaults={"warmup_epochs": 10},
        ),
        Method("merge-zarts", "zero-order, MGS; convolutions of an edge are merged", "mgs", _ZARTS, supernet="merged"),
        Method(
            "r-darts",
            "darts-2nd with drop-path; stops before the loss becomes sharp in alpha",
            "unrolled",
            "Zela et al., RobustDARTS (ICLR 2020)",
            defaults={"drop_path": 0.2, "eigenvalue_every": 2, "eigenvalue_growth": 1.3},
        ),
        Method(
            "sdarts-rs",
            "gradient; weights trained at operation weights drawn near alpha's",
            "gradient",
            _SDARTS,
            weight_relaxation="perturbed",
        ),
        Method(
            "sdarts-adv",
            "gradient; weights trained at the worst operation weights near alpha's",
            "gradient",
            _SDARTS,
            weight_relaxation="adversarial",
        ),
        Method(
            "p-darts",
            "gradient; three phases, each with fewer operations and a deeper network; two skips",
            "gradient",
            "Chen et al., P-DARTS (ICCV 2019)",
            phases="restart",
            defaults={  # published with 75 epochs and batches of 96
                "arch_learning_rate": 6e-4,
                "learning_rate_min": 0.0,
                "skip_dropout": (0.0, 0.4, 0.7),
                "max_skips": 2,
            },
        ),
        Method(
            "p-zarts",
            "zero-order; weak operations are dropped along the search; two skips",
            "mgs",
            _ZARTS,
            phases="prune",
            defaults={"max_skips": 2},
        ),
        Method(
            "gdas",
            "gradient through one operation an edge, drawn with Gumbel noise",
            "gradient",
            "Dong and Yang, GDAS (CVPR 2019)",
            relaxation="gumbel",
        ),
        Method(
            "gzas", "zero-order, one operation an edge, drawn with Gumbel noise", "mgs", _ZARTS, relaxation="gumbel"
        ),
        Method(
            "proxyless",
            "gradient through the gates of one path, drawn by softmax(alpha); the expected cost in the loss",
            "gradient",
            "Cai et al., ProxylessNAS (ICLR 2019)",
            relaxation="path",
            defaults={"arch_learning_rate": 0.006, "arch_beta1": 0.0, "arch_weight_decay": 0.0, "cost_weight": 0.1},
        ),
        Method(
            "fbnet",
            "gradient through weights drawn with Gumbel noise; the expected cost in the loss",
            "gradient",
            "Wu et al., FBNet (CVPR 2019)",
            relaxation="gumbel-soft",
            defaults={"arch_learning_rate": 0.01, "arch_weight_decay": 5e-4, "cost_weight": 0.1},
        ),
        Method(
            "rsps",
            "weights trained on random cells; the best of random cells",
            "none",
            "Li and Talwalkar (UAI 2019)",
            relaxation="none",
            weight_relaxation="uniform",
            select="best-of",
        ),
        Method(
            "spos",
            "weights trained on random cells; the best of cells that evolve",
            "none",
            "Guo et al., SPOS (ECCV 2020)",
            relaxation="none",
            weight_relaxation="uniform",
            select="evolution",
        ),
        Method(
            "setn",
            "weights trained on random cells, alpha updated by gradient; the best of cells drawn by alpha",
            "gradient",
            "Dong and Yang, SETN (ICCV 2019)",
            weight_relaxation="uniform",
            select="best-of",
        ),
        Method(
            "enas",
            "weights trained on cells that an LSTM draws, which learns from their accuracy; the best of its cells",
            "reinforce",
            "Pham et al., ENAS (ICML 2018)",
            relaxation="cell",
            select="best-of",
        ),
        Method(
            "random",
            "an architecture drawn uniformly: the baseline of every table",
            "none",
            "Li and Talwalkar (UAI 2019); Yang et al. (ICLR 2020)",
            relaxation="none",
            supernet="none",
            select="random",
        ),
    )
}


def get_method(name: str) -> Method:
    """The method of that name.

    Raises:
        SettingsError: there is none.
    """
    if name not in METHODS:
        raise SettingsError(did_you_mean("method", name, METHODS, "zarts list methods"))
    return METHODS[name]
