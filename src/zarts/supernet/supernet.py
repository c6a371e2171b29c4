"""The supernet: every operation of the space on every edge, mixed by the weights of each call."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from zarts.errors import SettingsError
from zarts.networks import ActivationCheckpointing
from zarts.networks.macro import plan_cells
from zarts.networks.memory_format import dense_gradient
from zarts.networks.stem import build_stem
from zarts.spaces import Space
from zarts.supernet.active_ops import Running, layout
from zarts.supernet.drop import Drop
from zarts.supernet.merged_ops import convolutions, merge, with_merged
from zarts.supernet.mixed_cell import MixedCell

__all__ = ["SuperNet"]


class SuperNet(nn.Module):
    """A stack of mixed cells between a stem and a linear classifier.

    Holds no architecture parameters: the weight of every operation comes with each call. So dense weights (softmax)
    and one-hot rows work alike. All batch norms but the stem's are without affine.

    On the CPU a cell is one native kernel, `zarts.kernels`. Elsewhere, and where it does not suit, edges are computed
    in groups: the convolutions of one kind of a whole group are one grouped convolution; the weight of an operation
    is the scale of its batch norm. The result is that of the textbook supernet, where every operation on every edge is
    a module of its own (`benchmarks/textbook.py`), several times faster.

    Args:
        space: the candidates; cells of two inputs, of the types `normal` and `reduce`.
        channels: channels of a node in the first cells (16 in the papers).
        cells: number of cells (8 in the papers), at least 3.
        num_classes: number of logits.
        in_channels: channels of the images.
        stem: `cifar` or `imagenet`.
        generator: source of the `noise` operation and of what is dropped; None is torch's default.
        native: use the native kernels where they suit; never where something is dropped.
        parts: K: operations see the first 1 / K of the channels of a node. The others bypass them, and the channels
            of a node are shuffled; what bypasses has the sum of the weights of an edge's operations. With 1 nothing
            bypasses and nothing is shuffled.
        merged: the convolutions of an edge are merged into one, see `zarts.supernet.merged_ops`.

    Raises:
        SettingsError: a space of another form, or a number or name that cannot be used.

    Source: Liu et al., DARTS (ICLR 2019), sections 2.1 and 3.1; Xu et al., PC-DARTS (ICLR 2020), section 3.2, for
        partial channels; Wang et al., MergeNAS (IJCAI 2020).
    Differs: from PC-DARTS' released code, which shuffles the output of each edge, not the nodes. The result is the
        same, because the shuffle is linear and the same for all edges.
    """

    def __init__(
        self,
        space: Space,
        *,
        channels: int,
        cells: int,
        num_classes: int,
        in_channels: int = 3,
        stem: str = "cifar",
        generator: torch.Generator | None = None,
        native: bool = True,
        parts: int = 1,
        merged: bool = False,
    ) -> None:
        super().__init__()
        if space.inputs != 2 or set(space.candidates) != {"normal", "reduce"}:
            raise SettingsError(
                f"space {space.name!r} has {space.inputs} inputs and cells {sorted(space.candidates)}; "
                "this supernet needs 2 inputs and cells ['normal', 'reduce']"
            )
        self.space, self.shapes = space, space.shapes
        self._left: dict[str, list[list[bool]]] = {}
        self.layouts = {kind: layout(space, kind) for kind in space.shapes}
        self.merged = {kind: convolutions(space, kind) for kind in space.shapes} if merged else {}
        """Which operations are merged."""
        if merged:
            self.layouts = {kind: merge(groups, space, kind) for kind, groups in self.layouts.items()}
        self.stem = build_stem(stem, in_channels, 3 * channels)
        plans = plan_cells(cells, channels, 3 * channels, space.nodes, self.stem.first_larger)
        self.drop = Drop(generator)
        """Dropping while weights train: none until its probabilities are set."""
        self.cells = nn.ModuleList(
            MixedCell(space, plan, self.layouts[plan.kind], generator, native, parts, self.drop) for plan in plans
        )
        self.kinds = [plan.kind for plan in plans]
        self.checkpointing = ActivationCheckpointing()
        """Runs the cells; see `ActivationCheckpointing`."""
        self.classifier = nn.Linear(space.nodes * plans[-1].channels, num_classes)

    def restrict(self, left: Mapping[str, Bool[Tensor, "_ _"]]) -> None:
        """Run only the operations that are `left` from now on.

        The others have weight 0; they do not run where the weights require a gradient either.

        Args:
            left: cell type to whether each operation may run; empty: all may.
        """
        self._left = {kind: mask.tolist() for kind, mask in left.items()}

    def forward(
        self,
        images: Float[Tensor, "batch in_channels height width"],
        weights: Mapping[str, Float[Tensor, "_ _"]],
    ) -> Float[Tensor, "batch classes"]:
        """The logits.

        Args:
            images: normalised images.
            weights: for each cell type the weight `(edges, ops)` of every operation on every edge. Where they do
                not require a gradient, operations of weight 0 do not run.

        Raises:
            SettingsError: weights of another shape than the space's.
        """
        self.space.check_weights(weights)
        if self.merged:
            weights = {kind: with_merged(matrix, self.merged[kind]) for kind, matrix in weights.items()}
        running = {kind: Running(self.layouts[kind], weights[kind], self._left.get(kind)) for kind in self.shapes}
        if self.checkpointing.active:
            for shared in running.values():
                shared.prepare()
        before, previous = self.stem(images)
        for kind, cell in zip(self.kinds, self.cells, strict=True):
            before, previous = previous, self.checkpointing(cell, before, previous, running[kind])
        logits: Tensor = self.classifier(dense_gradient(previous).mean(dim=(2, 3)))
        return logits
