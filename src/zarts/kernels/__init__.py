"""The native kernels of the supernet: C++ that is compiled on first use, and the reason where it cannot be."""

from zarts.kernels.build import compiled, prepare
from zarts.kernels.cell import Block, Cell, Step, mixed_cell, suits

__all__ = ["Block", "Cell", "Step", "compiled", "mixed_cell", "prepare", "suits"]
