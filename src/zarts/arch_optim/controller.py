"""The controller of ENAS: an LSTM that draws cells, one decision after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from typing_extensions import override

from zarts.spaces import Space

__all__ = ["Controller", "Draw"]

_HIDDEN, _LAYERS = 32, 2
_TANH, _TEMPERATURE = 2.5, 5.0
_INIT = 0.1


class Draw(NamedTuple):
    """Drawn cells.

    Args:
        weights: operation weights, 1 for the operations of a cell and 0 for all others, flat as alpha.
        log_probability: of each cell.
        entropy: of the distributions that its decisions were drawn from, summed.
    """

    weights: Float[Tensor, "n d"]
    log_probability: Float[Tensor, " n"]
    entropy: Float[Tensor, " n"]


class Controller(nn.Module):
    """Draws the operation of one edge after the other; where a node keeps only some of its edges, the edge first.

    Each decision is drawn from softmax(2.5 tanh(z / 5)), with z a linear function of the LSTM's output. The input of
    the LSTM is the previous decision.

    Args:
        space: whose cells.
        generator: draws the initial parameters, uniform in [-0.1, 0.1].

    Source: Pham et al., ENAS (ICML 2018), section 2.1; sizes and constants: the search of NAS-Bench-201 (ICLR 2020).
    """

    def __init__(self, space: Space, generator: torch.Generator) -> None:
        super().__init__()
        self.space = space
        sources, self.ops = space.inputs + space.nodes, max(ops for _, ops in space.shapes.values())
        self.embedding = nn.Embedding(1 + self.ops + sources, _HIDDEN)  # the start, operations, sources
        self.lstm = nn.LSTM(_HIDDEN, _HIDDEN, _LAYERS)
        self.heads = nn.ModuleDict({"op": nn.Linear(_HIDDEN, self.ops), "source": nn.Linear(_HIDDEN, sources)})
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -_INIT, _INIT, generator=generator)
        self._allowed = {
            kind: torch.tensor(
                [[op in allowed[edge] for op in ops] for edge, ops in zip(space.edges, candidates, strict=True)]
            )
            for kind, candidates in space.candidates.items()
            for allowed in (space.allowed(kind),)
        }

    @override
    def forward(self, n: int, generator: torch.Generator | None) -> Draw:
        """Draw n cells; without a generator, take the most likely decisions."""
        matrices = {kind: torch.zeros(n, *shape) for kind, shape in self.space.shapes.items()}
        rollout = _Rollout(self, n, generator)
        for kind, matrix in matrices.items():
            for edges in self._edges(rollout):
                chosen = rollout.decide("op", self._allowed[kind][edges])
                matrix[torch.arange(n), edges, chosen] = 1
        weights = torch.cat([matrix.flatten(1) for matrix in matrices.values()], dim=1)
        return Draw(weights, rollout.log_probability, rollout.entropy)

    def _edges(self, rollout: _Rollout) -> Iterator[Int[Tensor, " n"]]:
        """One edge of each cell after the other, by their rows in alpha."""
        space, first = self.space, 0
        for node in range(space.inputs, space.inputs + space.nodes):
            free = torch.arange(space.inputs + space.nodes).expand(rollout.n, -1) < node
            for slot in range(space.keep or node):
                source = torch.full((rollout.n,), slot)
                if space.keep is not None:
                    source = rollout.decide("source", free)
                    free = free.scatter(1, source[:, None], False)
                yield first + source
            first += node


class _Rollout:
    """The decisions of n cells, made side by side."""

    def __init__(self, controller: Controller, n: int, generator: torch.Generator | None) -> None:
        self._controller, self.n, self._generator = controller, n, generator
        self._last = torch.zeros(n, dtype=torch.long)
        self._state: tuple[Tensor, Tensor] | None = None
        self.log_probability, self.entropy = torch.zeros(n), torch.zeros(n)

    def decide(self, what: str, free: Bool[Tensor, "n choices"]) -> Int[Tensor, " n"]:
        """One decision of each cell, among those that are free."""
        controller = self._controller
        output, self._state = controller.lstm(controller.embedding(self._last)[None], self._state)
        logits = _TANH * torch.tanh(controller.heads[what](output[0]) / _TEMPERATURE)
        logs = logits.masked_fill(~free, -torch.inf).log_softmax(-1)
        probabilities = logs.exp()
        if self._generator is None:
            chosen = probabilities.argmax(-1)
        else:
            chosen = torch.multinomial(probabilities.detach(), 1, generator=self._generator)[:, 0]
        self.log_probability = self.log_probability + logs.gather(1, chosen[:, None])[:, 0]
        self.entropy = self.entropy - (probabilities * logs.masked_fill(~free, 0.0)).sum(-1)
        self._last = 1 + chosen + (controller.ops if what == "source" else 0)
        return chosen
