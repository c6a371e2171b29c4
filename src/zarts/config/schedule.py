"""What changes along a search: whether its settings go together."""

from __future__ import annotations

from zarts.config.settings import SearchSettings
from zarts.errors import SettingsError

__all__ = ["check_schedule"]


def check_schedule(settings: SearchSettings) -> None:
    """Refuse settings of a schedule that do not go together.

    Raises:
        SettingsError: with the reason.
    """
    _check_eigenvalues(settings)


def _check_eigenvalues(settings: SearchSettings) -> None:
    if settings.eigenvalue_every == 0:
        return
    if settings.relaxation != "softmax":
        raise SettingsError(
            f"eigenvalue_every = {settings.eigenvalue_every}: the loss has no Hessian in alpha with relaxation = "
            f"{settings.relaxation}, which draws: take --relaxation softmax, or --eigenvalue-every 0"
        )
    if settings.compile:
        raise SettingsError(
            f"eigenvalue_every = {settings.eigenvalue_every}: compiled networks have no second derivatives: "
            "leave --compile out, or take --eigenvalue-every 0"
        )
    if settings.eigenvalue_growth is not None and settings.select != "argmax":
        raise SettingsError(
            f"eigenvalue_growth = {settings.eigenvalue_growth:g}: the search would end with the cell of an earlier "
            f"epoch, and select = {settings.select} judges with the weights of the last one: take --select argmax, "
            "or --eigenvalue-every 0"
        )
