"""The methods: one row each, a combination of axes with the defaults of its paper.

A method is a row of this table, not a class. This module holds names only and imports no torch, so that
the command line can list and check methods at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zarts.errors import SettingsError, unknown

__all__ = ["METHODS", "Method", "get_method"]


@dataclass(frozen=True)
class Method:
    """One row of the table of methods.

    Args:
        name: the name on the command line.
        summary: what it is, in a few words.
        update: who moves alpha: a key of `zarts.updates.UPDATES`, or `none`.
        paper: where it was published.
        relaxation: alpha to operation weights: a key of `zarts.relax.RELAXATIONS`, or `none`.
        supernet: the network that shares weights between architectures: `mixed`, or `none`.
        selection: from the trained supernet to one genotype: `argmax` or `random`.
        defaults: settings in which it differs from the defaults of `zarts.config.SearchSettings`.
    """

    name: str
    summary: str
    update: str
    paper: str
    relaxation: str = "softmax"
    supernet: str = "mixed"
    selection: str = "argmax"
    defaults: Mapping[str, object] = field(default_factory=dict)


_ZARTS = "Wang et al., ZARTS (NeurIPS 2022)"
_DARTS = "Liu et al., DARTS (ICLR 2019)"

# DARTS alternates one step of alpha, on one batch, with one step of the weights, from the first epoch on (its code).
_GRADIENT = {"alpha_lr": 3e-4, "alpha_every": 1, "warmup_epochs": 0, "val_batches": 1}

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("zarts-mgs", "zero-order, MLE-guided parameter search", "mgs", _ZARTS),
        Method("zarts-rs", "zero-order, random search", "rs", _ZARTS, defaults={"samples": 4}),
        Method("zarts-gld", "zero-order, gradientless descent", "gld", _ZARTS),
        Method("darts", "first-order gradient", "gradient", _DARTS, defaults=_GRADIENT),
        Method("darts-2nd", "gradient through one unrolled weight step", "unrolled", _DARTS, defaults=_GRADIENT),
        Method(
            "random",
            "an architecture drawn uniformly: the baseline of every table",
            "none",
            "Li and Talwalkar (UAI 2019); Yang et al. (ICLR 2020)",
            relaxation="none",
            supernet="none",
            selection="random",
        ),
    )
}


def get_method(name: str) -> Method:
    """The row of that name.

    Raises:
        SettingsError: there is none.
    """
    if name not in METHODS:
        raise SettingsError(unknown("method", name, METHODS))
    return METHODS[name]
