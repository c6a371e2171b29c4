"""Settings of the cost of the final network: limits, and its weight in the loss of alpha."""

from __future__ import annotations

from typing import Literal

from zarts.config.base import UPDATING, Settings, setting
from zarts.config.types import Cells, Channels, Count, Number

__all__ = ["CostSettings"]


class CostSettings(Settings):
    """Limits of the final network, and what its expected cost adds to the loss of alpha."""

    max_params: Count | None = setting(
        None,
        "the final network has at most so many parameters: the network that `zarts retrain` builds by default",
        panel="Cost",
    )
    max_macs: Count | None = setting(None, "the final network has at most so many MACs an image", panel="Cost")
    limit_penalty: Number = setting(
        0.1,
        "added to the loss of alpha at an expected cost of twice a limit, and in proportion to the excess (with 1, "
        "searches of the digits ended far below their limits)",
        panel="Cost",
        used_by=UPDATING,
        otherwise=0.0,
        ge=0,
    )
    cost_weight: Number = setting(
        0.0,
        "of the expected cost in the loss of alpha, in units of the cost at equal operation weights",
        panel="Cost",
        used_by=UPDATING,
        otherwise=0.0,
        ge=0,
    )
    cost: Literal["parameters", "macs"] = setting(
        "parameters", "what cost_weight weighs: of the final network", panel="Cost", used_by=UPDATING
    )
    final_cells: Cells | None = setting(
        None,
        "cells of the network whose cost is counted (default: retrain's 20; in nasbench201 5 a stage)",
        panel="Cost",
        ge=1,
    )
    final_channels: Channels | None = setting(
        None,
        "channels of its first cells (default: retrain's 36; in nasbench201 16)",
        panel="Cost",
        ge=2,
    )
