"""Costs of networks, parameters and MACs (multiply-adds), and the genotypes within limits.

Outside, use the names below.
"""

from __future__ import annotations

from zarts.limits.constraints import FINAL_NETWORKS, Constraints, Costs, Limit
from zarts.limits.macs import count_macs, count_parameters
from zarts.limits.profiler import Cost, count_costs

__all__ = ["FINAL_NETWORKS", "Constraints", "Cost", "Costs", "Limit", "count_costs", "count_macs", "count_parameters"]
