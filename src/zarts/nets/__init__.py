"""Networks, as plain modules: operations, the supernet of a search, the discrete network of a genotype."""

from zarts.nets.build import FORMS, SUPERNETS, AnySuperNet, build_supernet
from zarts.nets.costs import Cost, count_costs
from zarts.nets.count import count_mult_adds, count_parameters
from zarts.nets.found import AnyNetwork, build_network
from zarts.nets.inherit import supernet_weights
from zarts.nets.nasbench201 import create_nasbench201
from zarts.nets.nasbench201_supernet import NasBench201SuperNet
from zarts.nets.network import Network, Part, create_model
from zarts.nets.operations import OPERATIONS, build_operation
from zarts.nets.own import load_operations, register_operation
from zarts.nets.recompute import Recompute, recompute_cells
from zarts.nets.seeding import seeded
from zarts.nets.shared_norm import share_norms
from zarts.nets.skeleton import cell_channels
from zarts.nets.stem import STEMS
from zarts.nets.supernet import SuperNet

__all__ = [
    "FORMS",
    "OPERATIONS",
    "STEMS",
    "SUPERNETS",
    "AnyNetwork",
    "AnySuperNet",
    "Cost",
    "NasBench201SuperNet",
    "Network",
    "Part",
    "Recompute",
    "SuperNet",
    "build_network",
    "build_operation",
    "build_supernet",
    "cell_channels",
    "count_costs",
    "count_mult_adds",
    "count_parameters",
    "create_model",
    "create_nasbench201",
    "load_operations",
    "recompute_cells",
    "register_operation",
    "seeded",
    "share_norms",
    "supernet_weights",
]
