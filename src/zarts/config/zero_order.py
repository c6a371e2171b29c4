"""Settings of the zero-order optimizers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zarts.config.base import ADAM, Settings, setting
from zarts.config.types import Number, Samples

__all__ = ["GLDSettings", "MGSSettings", "RSSettings", "SamplesSettings", "StepSettings", "ThirdPartySettings"]


class StepSettings(Settings):
    """The step size of alpha, of zero-order optimizers and of Adam."""

    arch_learning_rate: Number = setting(
        1.0,
        "step size of alpha: factor of the MGS update, xi of RS, Adam's rate of the others",
        panel="Architecture",
        used_by=("mgs", "rs", *ADAM),
        gt=0,
    )


class SamplesSettings(Settings):
    """The number of candidates an update."""

    samples: Samples = setting(
        8,
        "N: candidates (MGS, other packages), directions (RS) or cells (REINFORCE) an update",
        panel="Architecture",
        used_by=("mgs", "rs", "cmaes", "nevergrad", "reinforce"),
        ge=1,
    )


class ThirdPartySettings(SamplesSettings):
    """Settings of the optimizers of other packages, which MGS has too."""

    sigma: Number = setting(
        0.2,
        "standard deviation of MGS's perturbations (the paper's scripts: 0.025; 0.2 in s1-s4), of the first ones of "
        "other packages",
        panel="Architecture",
        used_by=("mgs", "cmaes", "nevergrad"),
        gt=0,
    )


class MGSSettings(ThirdPartySettings, StepSettings):
    """Settings of MLE-guided parameter search."""

    sigma_decay: Literal["cosine", "constant"] = setting(
        "cosine", "schedule of sigma after the warm-up", panel="Architecture", used_by=("mgs",)
    )
    tau: Annotated[Number, Field(gt=0)] | Literal["auto"] = setting(
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
    importance_weights: Literal["exact", "released", "softmax"] = setting(
        "softmax",
        "exact (eq. 7; degenerates in many dimensions), released or softmax",
        panel="Architecture",
        used_by=("mgs",),
    )
    antithetic: bool = setting(
        True, "draw MGS's noise in pairs of opposite sign", panel="Architecture", used_by=("mgs",)
    )


class DirectionSettings(Settings):
    """The draw of directions, by RS and GLD."""

    directions: Literal["sphere", "gaussian", "ball"] = setting(
        "sphere", "draw of RS (sphere, gaussian) and GLD (sphere, ball)", panel="Architecture", used_by=("rs", "gld")
    )


class RSSettings(DirectionSettings, SamplesSettings, StepSettings):
    """Settings of random search."""

    estimator: Literal["antithetic", "forward", "one-point"] = setting(
        "antithetic", "finite difference of RS", panel="Architecture", used_by=("rs",)
    )
    smoothing: Number = setting(1.0, "delta: smoothing radius of RS", panel="Architecture", used_by=("rs",), gt=0)


class GLDSettings(DirectionSettings):
    """Settings of gradientless descent."""

    radius_max: Number = setting(2.8, "R: largest radius of GLD", panel="Architecture", used_by=("gld",), gt=0)
    radius_min: Number = setting(0.04, "r: smallest radius of GLD", panel="Architecture", used_by=("gld",), gt=0)
    radius_decay: Literal["cosine", "constant"] = setting(
        "cosine", "schedule of GLD's R after the warm-up", panel="Architecture", used_by=("gld",)
    )
