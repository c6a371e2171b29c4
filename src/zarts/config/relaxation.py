"""Settings of the relaxations."""

from __future__ import annotations

from zarts.config.base import Settings, setting
from zarts.config.types import Number

__all__ = ["GaussianSettings", "GumbelSettings", "RelaxationSettings", "SmoothDartsSettings"]


class GaussianSettings(Settings):
    """Settings of relaxation `noisy`."""

    weight_noise: Number = setting(
        1.0, "standard deviation of alpha's noise while weights train", panel="Architecture", used_by=("noisy",), gt=0
    )


class SmoothDartsSettings(Settings):
    """Settings of the relaxations `perturbed` and `adversarial`."""

    perturbation_start: float = setting(
        0.03,
        "radius of the box around the operation weights in which weights train, in the first epoch",
        panel="Architecture",
        used_by=("perturbed", "adversarial"),
        otherwise=0.0,
        ge=0,
        le=1,
    )
    perturbation: float = setting(
        0.3,
        "radius of this box after the last epoch: it grows by the same in every epoch",
        panel="Architecture",
        used_by=("perturbed", "adversarial"),
        otherwise=0.0,
        ge=0,
        le=1,
    )


class GumbelSettings(Settings):
    """Settings of the relaxations `gumbel` and `gumbel-soft`."""

    temperature: Number = setting(
        10.0,
        "tau of the Gumbel draws in the first epoch",
        panel="Architecture",
        used_by=("gumbel", "gumbel-soft"),
        gt=0,
    )
    temperature_min: Number = setting(
        0.1, "tau of the Gumbel draws in the last epoch", panel="Architecture", used_by=("gumbel", "gumbel-soft"), gt=0
    )


class RelaxationSettings(GumbelSettings, SmoothDartsSettings, GaussianSettings):
    """The settings of all relaxations."""
