"""What settings of a search do not go together, and which of them mean nothing beside the others."""

from __future__ import annotations

from collections.abc import Callable

from zarts.config.components import members, used
from zarts.config.phases import check_schedule
from zarts.config.settings import SearchSettings
from zarts.errors import SettingsError
from zarts.methods import LIBRARIES, ZERO_ORDER, member

__all__ = ["check_search", "idle_because", "takes_part"]


def check_search(settings: SearchSettings) -> None:
    """Refuse settings that do not go together.

    Raises:
        SettingsError: with the reason.
    """
    if settings.warmup_epochs >= settings.epochs and settings.phases == "one" and settings.arch_optimizer != "none":
        raise SettingsError(
            f"warmup_epochs = {settings.warmup_epochs} leaves no epoch of {settings.epochs} in which alpha moves: "
            f"take --warmup-epochs below {settings.epochs}"
        )
    if settings.ablation != "none" and not _tries(settings):
        raise SettingsError(
            f"ablation = {settings.ablation}: arch_optimizer = {settings.arch_optimizer} evaluates no candidates "
            f"whose losses could be left out: choose one of {', '.join(ZERO_ORDER)}, or --select local-search"
        )
    if settings.ablation != "none" and member(settings.arch_optimizer) in LIBRARIES:
        raise SettingsError(
            f"ablation = {settings.ablation}: arch_optimizer = {settings.arch_optimizer} goes by the order of "
            "the losses, and without them by the order of its points: choose mgs, rs or gld"
        )
    if settings.ablation != "none" and settings.arch_optimizer == "mgs" and settings.importance_weights != "softmax":
        raise SettingsError(
            f"ablation = {settings.ablation}: importance_weights = {settings.importance_weights} weighs by "
            "more than the losses: take softmax"
        )
    if settings.learning_rate_min > settings.learning_rate:
        raise SettingsError(
            f"learning_rate_min = {settings.learning_rate_min:g} is above learning_rate = {settings.learning_rate:g}"
        )
    if settings.benchmark_table is not None and settings.space != "nasbench201":
        raise SettingsError(
            f"benchmark_table = {settings.benchmark_table}: holds cells of space 'nasbench201', this search is "
            f"in {settings.space!r}: leave --benchmark-table out, or take --space nasbench201"
        )
    if settings.space == "nasbench201" and settings.supernet not in ("mixed", "none"):
        raise SettingsError(
            f"supernet = {settings.supernet}: is made of cells of DARTS' kind, not of those of space 'nasbench201': "
            "take another space, or --supernet mixed --no-edge-normalization"
        )
    if settings.compile and settings.arch_optimizer == "unrolled" and settings.hessian == "exact":
        raise SettingsError(
            "compile = True: compiled networks have no second derivatives, which hessian = exact needs: "
            "take --hessian central, or leave --compile out"
        )
    if settings.select_recalibration and settings.select_batch_norm == "train":
        raise SettingsError(
            f"select_recalibration = {settings.select_recalibration} is of running statistics, which "
            "select_batch_norm = train does not look at: take --select-batch-norm eval, or leave it out"
        )
    check_schedule(settings)


def _fine_tunes(settings: SearchSettings) -> bool:
    return settings.inner_steps > 0 and settings.ablation == "none"


def _tries(settings: SearchSettings) -> bool:
    return member(settings.arch_optimizer) in ZERO_ORDER or settings.select == "local-search"


def _judged(settings: SearchSettings) -> bool:
    return settings.ablation == "none"


def _limited(settings: SearchSettings) -> bool:
    return settings.max_params is not None or settings.max_macs is not None


def _counted(settings: SearchSettings) -> bool:
    return _limited(settings) or settings.cost_weight > 0


_CONDITIONS: dict[str, tuple[str, Callable[[SearchSettings], bool]]] = {
    "crop_padding": ("crop = pad", lambda settings: settings.crop == "pad"),
    "ablation": ("a zero-order update or select = local-search", _tries),
    "tau": ("ablation = none", _judged),
    "esr_target": ("tau = auto", lambda settings: settings.tau == "auto" and settings.ablation == "none"),
    "inner_steps": ("ablation = none", _judged),
    "inner_learning_rate": ("inner_steps above 0", _fine_tunes),
    "inner_momentum": ("inner_steps above 0", _fine_tunes),
    "warmup_epochs": ("phases = one or prune", lambda settings: settings.phases != "restart"),
    "reduction": ("space = nasbench201", lambda settings: settings.space == "nasbench201"),
    "limit_penalty": ("max_params or max_macs", _limited),
    "cost": ("cost_weight above 0", lambda settings: settings.cost_weight > 0),
    "final_cells": ("a limit or a cost_weight", _counted),
    "final_channels": ("a limit or a cost_weight", _counted),
    "eigenvalue_growth": ("eigenvalue_every above 0", lambda settings: settings.eigenvalue_every > 0),
    "eigenvalue_after": ("eigenvalue_growth", lambda settings: settings.eigenvalue_growth is not None),
    "select_tune_steps": ("select_order = progressive", lambda settings: settings.select_order == "progressive"),
    **dict.fromkeys(
        ("select_rounds", "select_cells", "select_screen_steps", "select_finalists", "select_early_steps"),
        ("ablation = none", _judged),
    ),
}
"""Settings that mean something only beside a certain value of another one."""


def idle_because(key: str, settings: SearchSettings) -> str:
    """What a setting that the method uses means something with only, if that is not so here; else nothing."""
    reason, holds = _CONDITIONS.get(key, ("", lambda _: True))
    return "" if holds(settings) else reason


def takes_part(key: str, settings: SearchSettings) -> bool:
    """Whether anything depends on a setting: the method uses it, and the other settings do not switch it off."""
    return used(key, members(settings)) and not idle_because(key, settings)
