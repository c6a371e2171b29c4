"""What a search is told about the cost of its networks: limits, a term in the loss of alpha, a record for the log."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from zarts.config import RetrainSettings, SearchSettings
from zarts.data import DataSet
from zarts.limits import count_costs
from zarts.relax import Matrices
from zarts.select import Limit, Within
from zarts.spaces import Genotype, Space

__all__ = ["FINAL_NETWORKS", "Costs"]

_DEFAULTS = RetrainSettings.model_fields
FINAL_NETWORKS = {"darts": (_DEFAULTS["cells"].default, _DEFAULTS["channels"].default), "nasbench201": (5, 16)}
"""Cells and channels of the networks that costs are counted of: what a retraining builds, and the benchmark."""


class Costs:
    """Costs of the networks that a retraining builds for these images; nothing is counted unless it is asked for.

    Args:
        settings: the limits, the term's weight, and the form of the networks.
        space: the space.
        data: the images.

    Raises:
        SettingsError: limits that no network is within.
    """

    def __init__(self, settings: SearchSettings, space: Space, data: DataSet) -> None:
        self._weight, self._penalty = settings.cost_weight, settings.limit_penalty
        most = {"parameters": ("max_params", settings.max_params), "mult_adds": ("max_macs", settings.max_macs)}
        cells, channels = FINAL_NETWORKS[space.skeleton]
        self._counted = {}
        if self._weight > 0 or any(limit is not None for _, limit in most.values()):
            self._counted = count_costs(
                space,
                channels=settings.final_channels or channels,
                cells=settings.final_cells or cells,
                num_classes=len(data.classes),
                in_channels=data.channels,
                image_size=data.image_size,
                stem=settings.stem,
            )
        limits = [
            Limit(setting, self._counted[name], limit) for name, (setting, limit) in most.items() if limit is not None
        ]
        self.within = Within(space, limits)
        """The genotypes that may be chosen."""
        self._most = {name: limit for name, (_, limit) in most.items()}
        if self._weight > 0:
            self._cost = self._counted[settings.cost]
            even = {kind: torch.full(shape, 1 / shape[1]) for kind, shape in space.shapes.items()}
            self._unit = self._cost.expected(even).item()

    def term(self, weights: Matrices) -> Float[Tensor, ""]:
        """What is added to the loss of alpha, differentiable in the operation weights.

        `limit_penalty` times the share of each limit by which the expected cost is beyond it, and `cost_weight` times
        the expected cost, in units of that of a mixture of equal weights.

        Source: Cai et al., ProxylessNAS (ICLR 2019), eq. 6 and 7; Wu et al., FBNet (CVPR 2019), eq. 2.
        Differs: parameters or multiply-adds in the place of measured latencies; FBNet multiplies the loss by a power of
            the latency of its draw, here softmax(alpha) is what is expected, whatever is drawn.
        """
        total = torch.zeros((), dtype=torch.float64)
        for limit in self.within.limits:
            total = total + self._penalty * (limit.cost.expected(weights) / limit.most - 1).clamp_min(0)
        if self._weight > 0:
            total = total + self._weight * self._cost.expected(weights) / self._unit
        return total

    def of(self, genotype: Genotype) -> dict[str, int]:
        """What is counted, of one network."""
        return {name: cost.of(genotype) for name, cost in self._counted.items()}

    def record(self, genotype: Genotype, weights: Matrices) -> dict[str, dict[str, Any]]:
        """For the log: what is expected of the operation weights, what the genotype has, and the limit."""
        return {
            name: {"expected": cost.expected(weights).item(), "derived": cost.of(genotype), "limit": self._most[name]}
            for name, cost in self._counted.items()
        }
