"""The supernet of NAS-Bench-201: every operation on every edge, mixed by the weights of each call.

Source: Dong and Yang, NAS-Bench-201 (ICLR 2020), section 2.1 and the search networks of its released code.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from zarts.networks.nasbench201 import Skeleton
from zarts.spaces import Space
from zarts.supernet.drop import Drop
from zarts.supernet.nasbench201_cell import DenseMixedCell, Mixture

__all__ = ["NasBench201SuperNet"]


class NasBench201SuperNet(nn.Module):
    """The supernet of space `nasbench201`, with weights from outside; see `SuperNet`.

    The batch norms of the operations are without affine, and no batch norm follows the average pool.
    On the CPU a cell is one native kernel, `zarts.kernels`; elsewhere, and where it does not suit, the edges that
    leave a node share its ReLU, its average pool and its convolutions. `benchmarks/textbook_nasbench201.py` has the
    textbook form, where every operation on every edge is a module of its own.

    Args:
        space: the candidates, the same on each edge.
        channels: channels of the first stage (16 in the benchmark).
        cells: cells a stage (5 in the benchmark).
        num_classes: number of logits.
        in_channels: channels of the images.
        reduction: between the stages: `residual`, the benchmark's block, or `light`.
        generator: source of what is dropped; None is torch's default.
        native: use the native kernels where they suit; never where something is dropped.

    Raises:
        SettingsError: no cell.
    """

    def __init__(
        self,
        space: Space,
        *,
        channels: int,
        cells: int,
        num_classes: int,
        in_channels: int = 3,
        reduction: str = "residual",
        generator: torch.Generator | None = None,
        native: bool = True,
    ) -> None:
        super().__init__()
        self.space = space
        self._left: list[list[bool]] | None = None
        self.drop = Drop(generator)
        """Dropping while weights train: none until its probabilities are set."""
        self.skeleton = Skeleton(
            lambda width: DenseMixedCell(space, width, native, self.drop),
            channels=channels,
            cells=cells,
            num_classes=num_classes,
            in_channels=in_channels,
            reduction=reduction,
        )

    def restrict(self, left: Mapping[str, Bool[Tensor, "_ _"]]) -> None:
        """Run only the operations that are `left` from now on, see `SuperNet.restrict`."""
        self._left = left["normal"].tolist() if left else None

    def forward(
        self, images: Float[Tensor, "batch in_channels height width"], weights: Mapping[str, Float[Tensor, "_ _"]]
    ) -> Float[Tensor, "batch classes"]:
        """The logits.

        Args:
            images: normalised images.
            weights: under `normal` the weight `(edges, ops)` of every operation on every edge. Where they do not
                require a gradient, operations of weight 0 do not run.

        Raises:
            SettingsError: weights of another shape than the space's.
        """
        self.space.check_weights(weights)
        mixture = Mixture(self.space, weights["normal"], self._left)
        if self.skeleton.checkpointing.active:
            mixture.prepare()
        logits: Tensor = self.skeleton(images, mixture)
        return logits
