"""Costs of networks: parameters and MACs; RAM, flash and latency of files; and what is within limits.

Outside, use the names below.
"""

from __future__ import annotations

from zarts.limits.constraints import FINAL_NETWORKS, Constraints, Costs, Limit
from zarts.limits.latency import Latency, latency_by_command, machine_lock, measure_latency
from zarts.limits.macs import count_macs, count_parameters
from zarts.limits.memory import MemoryPlan, flash, peak_ram, plan_memory
from zarts.limits.profiler import Cost, count_costs

__all__ = [
    "FINAL_NETWORKS",
    "Constraints",
    "Cost",
    "Costs",
    "Latency",
    "Limit",
    "MemoryPlan",
    "count_costs",
    "count_macs",
    "count_parameters",
    "flash",
    "latency_by_command",
    "machine_lock",
    "measure_latency",
    "peak_ram",
    "plan_memory",
]
