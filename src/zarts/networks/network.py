"""The derived network: cells of a genotype, stacked; a plain module that trains, deep-copies and exports."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zarts.errors import RunError, SettingsError
from zarts.networks.activation_checkpointing import ActivationCheckpointing
from zarts.networks.auxiliary_head import AuxiliaryHead
from zarts.networks.macro import CellPlan, Preprocess, plan_cells, reduction_cells
from zarts.networks.memory_format import dense_gradient
from zarts.networks.operations import build_operation
from zarts.networks.stem import Stem, build_stem
from zarts.spaces import CellGenotype, Choice, Genotype

__all__ = ["BatchSlice", "Cell", "Network", "create_model", "drop_path"]

_STEM_CHANNELS = {"cifar": 3, "imagenet": 1}  # times `channels`; the supernet's are 3 in both

Logits = Float[Tensor, "batch classes"]
Images = Float[Tensor, "batch in_channels height width"]


class BatchSlice(NamedTuple):
    """The images of a batch of `whole` images that a pass sees: those from `first` on, as many as it gets."""

    first: int
    whole: int


def drop_path(
    x: Float[Tensor, "batch channels height width"],
    probability: float,
    generator: torch.Generator | None,
    part: BatchSlice | None = None,
) -> Float[Tensor, "batch channels height width"]:
    """Set each sample to zero with the given probability, and scale the others so that the mean stays.

    Args:
        x: output of an operation.
        probability: in [0, 1).
        generator: source of randomness; None is torch's default on the device of `x`.
        part: the part of a batch that `x` is. Numbers are drawn for the whole batch, so that what an image loses does
            not depend on how the batch is divided.

    Source: Larsson et al., FractalNet (ICLR 2017); as used in DARTS (ICLR 2019), section 3.2.
    """
    device = x.device if generator is None else generator.device
    first, whole = part or (0, x.shape[0])
    keep = torch.rand(whole, 1, 1, 1, generator=generator, device=device) >= probability
    keep = keep[first : first + x.shape[0]]
    return x * (keep.to(x.device, x.dtype) / (1 - probability))


class Node(nn.Module):
    """One intermediate node: the sum of its chosen operations, each applied to an earlier node."""

    def __init__(self, choices: Sequence[Choice], plan: CellPlan, generator: torch.Generator | None) -> None:
        super().__init__()
        self.generator = generator
        self.sources = [choice.source for choice in choices]
        self.ops = nn.ModuleList(
            build_operation(op, plan.channels, plan.stride(source), affine=True, generator=generator)
            for op, source in choices
        )

    def forward(
        self, states: list[Tensor], drop_probability: float, part: BatchSlice | None = None
    ) -> Float[Tensor, "batch channels out_height out_width"]:
        """Output of the node, from those of all earlier ones."""
        terms = []
        for op, source in zip(self.ops, self.sources, strict=True):
            output = op(states[source])
            if drop_probability > 0 and not isinstance(op, nn.Identity):
                output = drop_path(output, drop_probability, self.generator, part)
            terms.append(output)
        total: Tensor = reduce(add, terms)
        return total


class Cell(nn.Module):
    """A cell of chosen operations; its output is the concatenation of its intermediate nodes."""

    def __init__(self, genotype: CellGenotype, plan: CellPlan, generator: torch.Generator | None) -> None:
        super().__init__()
        self.preprocess = Preprocess(plan, affine=True)
        self.nodes = nn.ModuleList(Node(choices, plan, generator) for choices in genotype)

    def forward(
        self,
        before: Float[Tensor, "batch c0 h0 w0"],
        previous: Float[Tensor, "batch c1 h1 w1"],
        drop_probability: float,
        part: BatchSlice | None = None,
    ) -> Float[Tensor, "batch channels height width"]:
        """Output of the cell; drop-path with `drop_probability` spares identities; `part`: see `drop_path`."""
        states: list[Tensor] = list(self.preprocess(before, previous))
        for node in self.nodes:
            state = node(states, drop_probability, part)
            states.append(dense_gradient(state, self) if self.training else state)
        return torch.cat(states[2:], dim=1)


class Network(nn.Module):
    """Stem, cells, linear classifier and, if there is one, an auxiliary head. Built by `create_model`.

    Args:
        stem: from images to the inputs of the first cell.
        cells: first to last.
        classifier: from the average over pixels of the last cell to logits.
        auxiliary_head: second classifier, after the second reduction cell.
        drop_path: probability of drop-path.
    """

    def __init__(
        self,
        stem: Stem,
        cells: Sequence[Cell],
        classifier: nn.Linear,
        auxiliary_head: AuxiliaryHead | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.cells = nn.ModuleList(cells)
        self.classifier = classifier
        self.auxiliary_head = auxiliary_head
        self.drop_path_probability = drop_path
        self.checkpointing = ActivationCheckpointing()
        """Runs the cells; see `ActivationCheckpointing`."""
        self.part: BatchSlice | None = None
        """The part of a batch that the next passes see, for drop-path; None: a whole one."""

    @property
    def drop_path_probability(self) -> float:
        """Probability that an operation's output is dropped for a sample, while training; set it before each epoch."""
        return self._drop_path_probability

    @drop_path_probability.setter
    def drop_path_probability(self, probability: float) -> None:
        if not 0 <= probability < 1:
            raise SettingsError(f"drop-path probability is {probability}; needs to be in [0, 1)")
        self._drop_path_probability = probability

    def forward(self, images: Images) -> Logits:
        """The logits."""
        return self._classify(self._run(images)[0])

    def forward_with_auxiliary(self, images: Images) -> tuple[Logits, Logits]:
        """The logits and those of the auxiliary head.

        Raises:
            SettingsError: the network was built without that head.
        """
        if self.auxiliary_head is None:
            raise SettingsError("the network has no auxiliary head; build it with auxiliary=True")
        last, middle = self._run(images)
        return self._classify(last), self.auxiliary_head(middle)

    def _run(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs of the last cell and of the one that the auxiliary head reads."""
        drop_probability = self.drop_path_probability if self.training else 0.0
        tapped = reduction_cells(len(self.cells))[1]
        before, previous = self.stem(images)
        middle = previous
        for index, cell in enumerate(self.cells):
            before, previous = previous, self.checkpointing(cell, before, previous, drop_probability, self.part)
            if index == tapped:
                middle = previous
        return previous, middle

    def _classify(self, features: Tensor) -> Tensor:
        logits: Tensor = self.classifier(features.mean(dim=(2, 3)))
        return logits


def create_model(
    genotype: Genotype,
    *,
    channels: int = 36,
    cells: int = 20,
    num_classes: int = 10,
    in_channels: int = 3,
    stem: str = "cifar",
    auxiliary: bool = False,
    drop_path: float = 0.0,
    generator: torch.Generator | None = None,
) -> Network:
    """The network of a genotype, with torch's initial weights (see `zarts.networks.seeded`).

    Args:
        genotype: cells of the types `normal` and `reduce`.
        channels: channels of a node in the first cells (36 on CIFAR-10, 48 on ImageNet, 16 in S1 to S4).
        cells: number of cells (20 on CIFAR-10, 14 on ImageNet, 8 in S1 to S4), at least 3.
        num_classes: number of logits.
        in_channels: channels of the images.
        stem: `cifar`, or `imagenet` for images of about 100 pixels or more.
        auxiliary: whether there is an auxiliary head.
        drop_path: probability of drop-path, in [0, 1); in the papers it grows over the epochs from 0 to 0.2.
        generator: source of drop-path and of the `noise` operation; None is torch's default.

    Raises:
        RunError: the genotype's cells cannot be stacked.
        SettingsError: a number or name that cannot be used.

    Source: Liu et al., DARTS (ICLR 2019), sections 3.2 and 3.4.
    """
    _check(genotype)
    nodes = len(genotype.cells["normal"])
    entry = build_stem(stem, in_channels, _STEM_CHANNELS.get(stem, 1) * channels)
    plans = plan_cells(cells, channels, _STEM_CHANNELS[stem] * channels, nodes, entry.first_larger)
    stack = [Cell(genotype.cells[plan.kind], plan, generator) for plan in plans]
    classifier = nn.Linear(nodes * plans[-1].channels, num_classes)
    middle = plans[reduction_cells(cells)[1]]
    head = AuxiliaryHead(nodes * middle.channels, num_classes, stem) if auxiliary else None
    return Network(entry, stack, classifier, head, drop_path)


def _check(genotype: Genotype) -> None:
    """Refuse cells that cannot be stacked; `Space.check` refuses those that a space does not have."""
    if set(genotype.cells) != {"normal", "reduce"}:
        raise RunError(f"genotype has cells {sorted(genotype.cells)}; the network needs ['normal', 'reduce']")
    sizes = {kind: len(nodes) for kind, nodes in genotype.cells.items()}
    if len(set(sizes.values())) != 1 or not all(sizes.values()):
        raise RunError(f"genotype has {sizes} nodes; both cells need the same number, at least 1")
    for kind, nodes in genotype.cells.items():
        for node, chosen in enumerate(nodes, start=2):
            sources = [choice.source for choice in chosen]
            if not sources or not all(0 <= source < node for source in sources):
                raise RunError(
                    f"genotype, node {node} of cell {kind!r}: inputs {sources}; needs some of 0 to {node - 1}"
                )
