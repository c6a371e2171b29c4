"""Factory of derived networks: the network that fits a genotype's space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zarts.errors import SettingsError
from zarts.networks.chain import ChainNetwork
from zarts.networks.nasbench201 import Skeleton, create_nasbench201
from zarts.networks.network import Network, create_model
from zarts.spaces import Genotype
from zarts.spaces.nasbench201 import NASBENCH201

__all__ = ["AnyNetwork", "build_network"]

AnyNetwork = Network | Skeleton | ChainNetwork


def _nasbench201(genotype: Genotype, *, stem: str, auxiliary: bool, **options: Any) -> Skeleton:
    """A network of NAS-Bench-201: its stem is fixed, it has no auxiliary head, and nothing in it draws."""
    if stem != "cifar":
        raise SettingsError(
            f"stem = {stem!r}: the networks of space {genotype.space!r} have the stem 'cifar' only: take it"
        )
    if auxiliary:
        raise SettingsError(
            f"auxiliary_weight: the networks of space {genotype.space!r} have no auxiliary head: set it to 0"
        )
    return create_nasbench201(genotype, **{key: value for key, value in options.items() if key != "generator"})


_BY_SPACE: dict[str, Callable[..., AnyNetwork]] = {NASBENCH201.name: _nasbench201}


def build_network(genotype: Genotype, **options: Any) -> AnyNetwork:
    """The derived network of a genotype: NAS-Bench-201's in its space, DARTS' in all others.

    Args:
        genotype: the cells.
        options: see `create_model` and `create_nasbench201`.

    Raises:
        RunError, SettingsError: see `create_model`; or an option that networks of this space do not have.
    """
    return _BY_SPACE.get(genotype.space, create_model)(genotype, **options)
