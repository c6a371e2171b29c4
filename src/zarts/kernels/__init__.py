"""The native kernels of the supernet: C++ that is compiled on first use, and the reason where it cannot be."""

from zarts.kernels.build import compiled, prepare
from zarts.kernels.cell import Block, Cell, Step, mixed_cell, suits
from zarts.kernels.nasbench201 import DENSE_OPS, Convolutions, DenseCell, dense_cell
from zarts.kernels.projection import Projection, project

__all__ = [
    "DENSE_OPS",
    "Block",
    "Cell",
    "Convolutions",
    "DenseCell",
    "Projection",
    "Step",
    "compiled",
    "dense_cell",
    "mixed_cell",
    "prepare",
    "project",
    "suits",
]
