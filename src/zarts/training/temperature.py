"""The temperature of a trained network: chances that are as often right as they say, without another prediction."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int64
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from zarts.errors import SettingsError
from zarts.networks import AnyNetwork

__all__ = ["apply_temperature", "temperature"]

_LOWEST, _HIGHEST = 1 / 20, 20.0


def temperature(logits: Float[Tensor, "images classes"], labels: Int64[Tensor, " images"]) -> float:
    """The T for which softmax(logits / T) has the lowest cross-entropy, in [1/20, 20].

    The cross-entropy is convex in 1 / T, so that it has one minimum.

    Args:
        logits: of images that the network was not trained on; finite.
        labels: their classes.

    Raises:
        SettingsError: there are no images, or a logit is not finite.

    Source: Guo et al., On Calibration of Modern Neural Networks (ICML 2017), section 4.2.
    """
    if not len(logits) or not bool(torch.isfinite(logits).all()):
        raise SettingsError(f"temperature: needs finite logits of at least one image; got {len(logits)} images")
    exact = logits.detach().cpu().double()
    classes = labels.cpu()

    def loss(log_temperature: float) -> float:
        return float(nn.functional.cross_entropy(exact / math.exp(log_temperature), classes))

    limits = (math.log(_LOWEST), math.log(_HIGHEST))
    return math.exp(minimize_scalar(loss, bounds=limits, method="bounded", options={"xatol": 1e-6}).x)


@torch.no_grad()
def apply_temperature(network: AnyNetwork, temperature: float) -> None:
    """Divide the logits of a network by T for good: weight and bias of its linear classifier.

    Every file that is written of it has the temperature inside. Predictions stay, up to rounding.

    Args:
        network: changed in place; an auxiliary head stays as it is.
        temperature: T, above 0.

    Raises:
        SettingsError: T cannot be used.
    """
    if not (math.isfinite(temperature) and temperature > 0):
        raise SettingsError(f"temperature = {temperature}; needs a number above 0")
    network.classifier.weight.div_(temperature)
    if network.classifier.bias is not None:
        network.classifier.bias.div_(temperature)
