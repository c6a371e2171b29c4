"""Muon: steps of convolutions are made orthogonal; all other weights take SGD's steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.optim.sgd import sgd

__all__ = ["Muon", "is_convolution", "orthogonal"]

MOMENTUM = 0.6
"""Of a convolution's gradients."""
DECAY = 0.1
"""Of a convolution's weights: a step of length l shortens them by this times l."""
_POLYNOMIAL, _ITERATIONS = (3.4445, -4.7750, 2.0315), 5
"""a, b, c of a x + b x^3 + c x^5; five iterations bring singular values from 0.002 to 1 between 0.68 and 1.21."""
_LEAST = 1e-30
"""Square of the norm below which a matrix counts as zero."""


def is_convolution(weight: nn.Parameter) -> bool:
    """Whether Muon changes a weight: that of a convolution which mixes channels, so no depthwise one's."""
    return weight.dim() == 4 and weight.shape[1] > 1


@torch.no_grad()
def orthogonal(matrices: Sequence[Float32[Tensor, "_ _"]]) -> list[Float32[Tensor, "_ _"]]:
    """Matrices with the singular vectors of these, and with singular values near 1.

    Newton and Schulz' iteration, X <- (a + b X X^T + c (X X^T)^2) X. Here X is only multiplied in the end: every
    factor is a polynomial of the first X X^T, whose side is the shorter one of X. That is little more than a third of
    the multiplications where the other side is nine times as long. Matrices with equal shorter sides are iterated
    together.

    Args:
        matrices: of any shapes.

    Source: K. Jordan et al., Muon (2024); the polynomial is theirs.
    """
    flat = [matrix if len(matrix) <= matrix.shape[1] else matrix.T for matrix in matrices]
    alike: dict[int, list[int]] = {}
    for index, matrix in enumerate(flat):
        alike.setdefault(len(matrix), []).append(index)
    found = list(matrices)
    for same in alike.values():
        gram = torch.stack([flat[index] @ flat[index].T for index in same])
        norm = gram.diagonal(dim1=1, dim2=2).sum(1).clamp(min=_LEAST)[:, None, None]  # squared
        gram /= norm
        product = factor = _factor(gram)
        for _ in range(_ITERATIONS - 1):
            gram = factor @ gram @ factor
            factor = _factor(gram)
            product = factor @ product
        product = product / norm.sqrt()
        for each, index in enumerate(same):
            whole = product[each] @ flat[index]
            found[index] = whole if flat[index] is matrices[index] else whole.T
    return found


def _factor(gram: Tensor) -> Tensor:
    """The factor a + b G + c G^2 of each matrix G of a stack."""
    a, b, c = _POLYNOMIAL
    factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
    factor.diagonal(dim1=1, dim2=2).add_(a)
    return factor


class Muon(torch.optim.Optimizer):
    """Orthogonal steps for convolutions, steps of SGD for all else.

    A convolution's weight of shape `(out, in, h, w)` is a matrix `(out, in h w)`. Its step is orthogonal and as long
    as `lr * ratio`: with rows of norm 1, as they begin, it changes each by that share. All momenta have to exist, see
    `weight_optimizer`.

    Args:
        convolutions: the weights that Muon changes.
        others: groups of SGD, with their `weight_decay`.
        lr: of SGD; whoever changes it for all groups changes both.
        ratio: of the length of Muon's steps to `lr`.
        momentum: of SGD.
        nesterov: of SGD.

    Source: K. Jordan et al., Muon: an optimizer for hidden layers in neural networks (2024).
    """

    def __init__(
        self,
        convolutions: Iterable[nn.Parameter],
        others: Iterable[Mapping[str, Any]],
        *,
        lr: float,
        ratio: float,
        momentum: float,
        nesterov: bool,
    ) -> None:
        plain = {"ratio": 0.0, "momentum": momentum, "nesterov": nesterov, "weight_decay": 0.0}
        own = {"params": list(convolutions), "ratio": ratio, "momentum": MOMENTUM, "weight_decay": DECAY}
        super().__init__([own, *map(dict, others)], {"lr": lr, **plain})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take a step; weights without a gradient stay."""
        assert closure is None
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            gradients = [weight.grad for weight in weights]
            buffers = [self.state[weight]["momentum_buffer"] for weight in weights]
            if not weights:
                continue
            if group["ratio"] == 0:
                of_sgd = {key: group[key] for key in ("lr", "momentum", "weight_decay", "nesterov")}
                sgd(weights, gradients, buffers, fused=True, dampening=0.0, maximize=False, **of_sgd)
                continue
            torch._foreach_mul_(buffers, group["momentum"])
            torch._foreach_add_(buffers, gradients)
            ahead = torch._foreach_add(gradients, buffers, alpha=group["momentum"])  # Nesterov's
            steps = orthogonal([one.reshape(len(one), -1) for one in ahead])
            length = group["lr"] * group["ratio"]
            torch._foreach_mul_(weights, 1 - length * group["weight_decay"])
            for weight, change in zip(weights, steps, strict=True):
                weight.add_(change.reshape(weight.shape), alpha=-length)
