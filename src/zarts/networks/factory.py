"""The network that fits a genotype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zarts.errors import SettingsError
from zarts.networks.nasbench201 import Skeleton, create_nasbench201
from zarts.networks.network import Network, create_model
from zarts.spaces import Genotype
from zarts.spaces.nasbench201 import NASBENCH201

__all__ = ["AnyNetwork", "build_network"]

AnyNetwork = Network | Skeleton


def _nasbench201(genotype: Genotype, *, stem: str, auxiliary: bool, **options: Any) -> Skeleton:
    """Its stem is always the same, and it has neither a second classifier nor anything that draws."""
    if stem != "cifar":
        raise SettingsError(f"stem = {stem!r}: the networks of space {genotype.space!r} have the stem 'cifar' only")
    if auxiliary:
        raise SettingsError(
            f"auxiliary_weight: the networks of space {genotype.space!r} have no auxiliary head: set it to 0"
        )
    return create_nasbench201(genotype, **{key: value for key, value in options.items() if key != "generator"})


_OTHERS: dict[str, Callable[..., AnyNetwork]] = {NASBENCH201.name: _nasbench201}


def build_network(genotype: Genotype, **options: Any) -> AnyNetwork:
    """The network of a genotype, by its space: of the benchmark's kind, or of DARTS'.

    Args:
        genotype: the cells.
        options: see `create_model` and `create_nasbench201`.

    Raises:
        RunError, SettingsError: see there; or an option that such networks do not have.
    """
    return _OTHERS.get(genotype.space, create_model)(genotype, **options)
