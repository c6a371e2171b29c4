"""Plain networks: operations, stems, the derived network of a genotype, chains; nothing here shares weights.

Outside, use the names below; `register_operation` adds a user-defined operation.
"""

from __future__ import annotations

from zarts.networks.activation_checkpointing import ActivationCheckpointing, checkpoint_cells
from zarts.networks.chain import ChainNetwork, create_chain
from zarts.networks.custom_ops import load_operations, register_operation
from zarts.networks.factory import AnyNetwork, build_network
from zarts.networks.fused import use_kernels
from zarts.networks.init import seeded
from zarts.networks.macro import cell_channels
from zarts.networks.memory_format import set_layout
from zarts.networks.nasbench201 import create_nasbench201
from zarts.networks.network import BatchSlice, Network, create_model
from zarts.networks.operations import OPERATIONS, build_operation
from zarts.networks.stem import STEMS
from zarts.networks.sync_batchnorm import share_norms

__all__ = [
    "OPERATIONS",
    "STEMS",
    "ActivationCheckpointing",
    "AnyNetwork",
    "BatchSlice",
    "ChainNetwork",
    "Network",
    "build_network",
    "build_operation",
    "cell_channels",
    "checkpoint_cells",
    "create_chain",
    "create_model",
    "create_nasbench201",
    "load_operations",
    "register_operation",
    "seeded",
    "set_layout",
    "share_norms",
    "use_kernels",
]
