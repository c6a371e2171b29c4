"""Settings of the arch optimizers that follow a gradient with Adam: DARTS, first and second order, and REINFORCE."""

from __future__ import annotations

from typing import Literal

from zarts.config.base import ADAM, Settings, setting
from zarts.config.types import Number
from zarts.config.zero_order import SamplesSettings, StepSettings

__all__ = ["AdamSettings", "AmendedSettings", "ReinforceSettings", "UnrolledSettings"]


class AdamSettings(StepSettings):
    """Settings of Adam on alpha, or on the controller of REINFORCE."""

    arch_weight_decay: Number = setting(
        1e-3, "of alpha, or of the controller (Adam)", panel="Architecture", used_by=ADAM, ge=0
    )
    arch_beta1: float = setting(0.5, "first moment of alpha's Adam", panel="Architecture", used_by=ADAM, ge=0, lt=1)
    arch_beta2: float = setting(0.999, "second moment of alpha's Adam", panel="Architecture", used_by=ADAM, ge=0, lt=1)


class AmendedSettings(Settings):
    """Settings of the gradient of Amended-DARTS."""

    amend_strength: Number = setting(
        0.1, "eta: factor of the amending term of the gradient", panel="Architecture", used_by=("amended",), gt=0
    )


class UnrolledSettings(Settings):
    """Settings of the gradient through one unrolled weight step."""

    hessian: Literal["central", "exact"] = setting(
        "central",
        "product of the second order: central difference (eq. 1) or exact",
        panel="Architecture",
        used_by=("unrolled",),
    )


class ReinforceSettings(SamplesSettings, AdamSettings):
    """Settings of REINFORCE."""

    entropy_weight: Number = setting(
        1e-4, "of a cell's entropy in the reward of REINFORCE", panel="Architecture", used_by=("reinforce",), ge=0
    )
    baseline_decay: float = setting(
        0.99, "share of REINFORCE's old baseline after a cell", panel="Architecture", used_by=("reinforce",), ge=0, lt=1
    )
