"""Native kernels of the supernets: their cells in C++ for the CPU, compiled on first use.

Outside, use the names below; `prepare` raises `KernelError` with the reason where the kernels cannot be compiled.
"""

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
