"""Networks, as plain modules: operations, the supernet of a search, the discrete network of a genotype."""

from zarts.nets.count import count_mult_adds, count_parameters
from zarts.nets.network import Network, create_model
from zarts.nets.operations import OPERATIONS, build_operation
from zarts.nets.seeding import seeded
from zarts.nets.skeleton import cell_channels
from zarts.nets.stem import STEMS
from zarts.nets.supernet import SuperNet

__all__ = [
    "OPERATIONS",
    "STEMS",
    "Network",
    "SuperNet",
    "build_operation",
    "cell_channels",
    "count_mult_adds",
    "count_parameters",
    "create_model",
    "seeded",
]
