"""Supernets: networks in which all candidate cells share weights, mixed, partial or merged.

Outside, use `build_supernet` and the names below; they build cells and edges themselves.
"""

from __future__ import annotations

from zarts.supernet.factory import FORMS, SUPERNETS, AnySuperNet, build_supernet
from zarts.supernet.nasbench201 import NasBench201SuperNet
from zarts.supernet.supernet import SuperNet
from zarts.supernet.weight_inheritance import supernet_weights

__all__ = ["FORMS", "SUPERNETS", "AnySuperNet", "NasBench201SuperNet", "SuperNet", "build_supernet", "supernet_weights"]
