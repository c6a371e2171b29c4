"""What a network costs, and the networks within limits: parameters and multiply-adds (MACs).

Outside, use the names below.
"""

from __future__ import annotations

from zarts.limits.constraints import FINAL_NETWORKS, Costs, Limit, Within
from zarts.limits.macs import count_mult_adds, count_parameters
from zarts.limits.profiler import Cost, count_costs

__all__ = ["FINAL_NETWORKS", "Cost", "Costs", "Limit", "Within", "count_costs", "count_mult_adds", "count_parameters"]
