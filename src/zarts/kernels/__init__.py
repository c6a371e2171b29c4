"""Native kernels in C++ for the CPU, compiled on first use: cells of supernets and layers of chains.

Outside, use the names below; `prepare` raises `KernelError` with the reason where the kernels cannot be compiled.
"""

from zarts.kernels.build import compiled, prepare
from zarts.kernels.cell import Block, Cell, Step, mixed_cell, suits
from zarts.kernels.chain import ChainLayer, chain_convolution, chain_layer, prepare_chain
from zarts.kernels.nasbench201 import DENSE_OPS, Convolutions, DenseCell, dense_cell
from zarts.kernels.projection import Projection, project

__all__ = [
    "DENSE_OPS",
    "Block",
    "Cell",
    "ChainLayer",
    "Convolutions",
    "DenseCell",
    "Projection",
    "Step",
    "chain_convolution",
    "chain_layer",
    "compiled",
    "dense_cell",
    "mixed_cell",
    "prepare",
    "prepare_chain",
    "project",
    "suits",
]
