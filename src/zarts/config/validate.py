"""Validation of the settings of a search: refused combinations, and settings that others leave without effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from zarts.config.components import members, used
from zarts.config.functions import has_no_gradient
from zarts.config.phases import conflicts_of_schedule
from zarts.config.settings import SearchSettings
from zarts.methods import GRADIENT, LIBRARIES, ZERO_ORDER, member

__all__ = ["conflicts", "idle_because", "takes_part"]


def conflicts(settings: SearchSettings) -> Iterator[str]:
    """What does not go together in the settings of a search, a message each."""
    if settings.warmup_epochs >= settings.epochs and settings.phases == "one" and settings.arch_optimizer != "none":
        yield (
            f"warmup_epochs = {settings.warmup_epochs} leaves no epoch of {settings.epochs} to update alpha in: "
            f"take --warmup-epochs below {settings.epochs}"
        )
    if settings.arch_optimizer in GRADIENT and has_no_gradient(settings.objective):
        yield (
            f"objective = {settings.objective} with arch_optimizer = {settings.arch_optimizer}: method "
            f"{settings.method!r} follows the gradient of the objective, and {settings.objective} is constant wherever "
            "it has one: take a zero-order method (zarts-mgs, zarts-rs, zarts-gld), or --objective loss"
        )
    if settings.ablation != "none" and member(settings.arch_optimizer) in LIBRARIES:
        yield (
            f"ablation = {settings.ablation}: arch_optimizer = {settings.arch_optimizer} ranks candidates by their "
            "losses and cannot do without: choose mgs, rs or gld"
        )
    if settings.ablation != "none" and settings.arch_optimizer == "mgs" and settings.importance_weights != "softmax":
        yield (
            f"ablation = {settings.ablation}: importance_weights = {settings.importance_weights} weighs by "
            "more than the losses: take --importance-weights softmax"
        )
    if settings.learning_rate_min > settings.learning_rate:
        yield (
            f"learning_rate_min = {settings.learning_rate_min:g} is above learning_rate = {settings.learning_rate:g}"
        )
    if settings.benchmark_table is not None and settings.space != "nasbench201":
        yield (
            f"benchmark_table = {settings.benchmark_table}: it holds cells of space 'nasbench201', and this search is "
            f"in {settings.space!r}: leave --benchmark-table out, or take --space nasbench201"
        )
    if settings.space == "nasbench201" and settings.supernet not in ("mixed", "none"):
        yield (
            f"supernet = {settings.supernet}: it has cells of DARTS and none of space 'nasbench201': "
            "take another space, or --supernet mixed --no-edge-normalization"
        )
    if settings.compile and settings.arch_optimizer == "unrolled" and settings.hessian == "exact":
        yield (
            "compile = True: compiled networks have no second derivatives, which hessian = exact needs: "
            "take --hessian central, or leave --compile out"
        )
    if settings.select_recalibration and settings.select_batch_norm == "train":
        yield (
            f"select_recalibration = {settings.select_recalibration}: it computes running statistics, which "
            "select_batch_norm = train does not use: take --select-batch-norm eval, or leave it out"
        )
    yield from conflicts_of_schedule(settings)


def _fine_tunes(settings: SearchSettings) -> bool:
    return settings.inner_steps > 0 and settings.ablation == "none"


def _has_candidates(settings: SearchSettings) -> bool:
    return member(settings.arch_optimizer) in ZERO_ORDER or settings.select == "local-search"


def _evaluates(settings: SearchSettings) -> bool:
    return settings.ablation == "none"


def _limited(settings: SearchSettings) -> bool:
    return settings.max_params is not None or settings.max_macs is not None


def _counted(settings: SearchSettings) -> bool:
    return _limited(settings) or settings.cost_weight > 0


_CONDITIONS: dict[str, tuple[str, Callable[[SearchSettings], bool]]] = {
    "crop_padding": ("crop = pad", lambda settings: settings.crop == "pad"),
    "ablation": ("a zero-order arch_optimizer or --select local-search", _has_candidates),
    "mixture_lambda": (
        "an objective that has a gradient",
        lambda settings: not has_no_gradient(settings.objective),
    ),
    "tau": ("ablation = none", _evaluates),
    "esr_target": ("tau = auto", lambda settings: settings.tau == "auto" and settings.ablation == "none"),
    "inner_steps": ("ablation = none", _evaluates),
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
        ("ablation = none", _evaluates),
    ),
}
"""Settings that have an effect only with certain values of other ones: the condition in words, and its check."""


def idle_because(key: str, settings: SearchSettings) -> str:
    """The condition under which a setting has an effect if it does not hold here; else an empty string."""
    reason, holds = _CONDITIONS.get(key, ("", lambda _: True))
    return "" if holds(settings) else reason


def takes_part(key: str, settings: SearchSettings) -> bool:
    """Whether a setting has an effect: the method uses it, and no other setting switches it off."""
    return used(key, members(settings)) and not idle_because(key, settings)
