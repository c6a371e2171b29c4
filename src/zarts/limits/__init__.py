"""Costs of networks: parameters and MACs; RAM, flash and latency of files; and what is within limits.

Outside, use the names below.
"""

from __future__ import annotations

from zarts.limits.constraints import FINAL_NETWORKS, Constraints, Costs, Limit
from zarts.limits.delivered import LimitShare, NetworkCosts, count_network, exceeded, limit_shares, network_latency
from zarts.limits.latency import Latency, latency_by_command, machine_lock, measure_latency
from zarts.limits.latency_table import LatencyTable, make_latency_table
from zarts.limits.macs import count_macs, count_parameters
from zarts.limits.memory import MemoryPlan, flash, peak_ram, plan_memory
from zarts.limits.profiler import Cost, count_costs

__all__ = [
    "FINAL_NETWORKS",
    "Constraints",
    "Cost",
    "Costs",
    "Latency",
    "LatencyTable",
    "Limit",
    "LimitShare",
    "MemoryPlan",
    "NetworkCosts",
    "count_costs",
    "count_macs",
    "count_network",
    "count_parameters",
    "exceeded",
    "flash",
    "latency_by_command",
    "limit_shares",
    "machine_lock",
    "make_latency_table",
    "measure_latency",
    "network_latency",
    "peak_ram",
    "plan_memory",
]
