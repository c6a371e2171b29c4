"""Costs of networks: parameters and MACs; RAM, flash and latency of files; and what is within limits.

Outside, use the names below.
"""

from __future__ import annotations

from zarts.limits.constraints import FINAL_NETWORKS, Constraints, Costs, Limit
from zarts.limits.macs import count_macs, count_parameters
from zarts.limits.memory import MemoryPlan, flash, peak_ram, plan_memory
from zarts.limits.profiler import Cost, count_costs

__all__ = [
    "FINAL_NETWORKS",
    "Constraints",
    "Cost",
    "Costs",
    "Limit",
    "MemoryPlan",
    "count_costs",
    "count_macs",
    "count_parameters",
    "flash",
    "peak_ram",
    "plan_memory",
]
