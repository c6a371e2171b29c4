"""Batch norms over the images of all ranks."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from zarts.runtime.distributed import Ranks

__all__ = ["SharedNorm", "share_norms"]

Features = Float[Tensor, "batch channels height width"]


class _Sum(torch.autograd.Function):
    """The sum over ranks; every rank's loss depends on it, so that the gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        return ranks.all_reduce(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.ranks.all_reduce(gradients[0].contiguous()), None


class SharedNorm(nn.BatchNorm2d):
    """Batch norm whose statistics while training are those of the images of all ranks.

    torch's `SyncBatchNorm` does the same on GPUs, and refuses the CPU. All ranks have the same running statistics
    and must pass batches at the same time.

    Args:
        norm: the batch norm whose parameters and statistics it takes over.
        ranks: the processes of the run.
    """

    def __init__(self, norm: nn.BatchNorm2d, ranks: Ranks) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine)
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked
        self._ranks = ranks
        self.train(norm.training)

    @override
    def forward(self, input: Features) -> Features:
        """Normalised features."""
        if not self.training:
            return super().forward(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        assert self.num_batches_tracked is not None
        # moments around a mean that all ranks know: the square of a large mean would cost digits
        off = input.to(self.running_mean.dtype) - self.running_mean[:, None, None]
        pixels = torch.full((1,), off[:, 0].numel(), dtype=off.dtype, device=off.device)
        sums = _Sum.apply(torch.cat([off.sum((0, 2, 3)), off.square().sum((0, 2, 3)), pixels]), self._ranks)
        first, second, count = sums.split([self.num_features, self.num_features, 1])
        mean = first / count
        var = second / count - mean.square()
        with torch.no_grad():
            self.running_mean.add_(mean, alpha=self.momentum)
            self.running_var.lerp_(var * count / (count - 1), self.momentum)
            self.num_batches_tracked.add_(1)
        scale, shift = (var + self.eps).rsqrt(), torch.zeros_like(mean)
        if self.affine:
            scale, shift = scale * self.weight, self.bias
        output: Tensor = torch.addcmul((shift - mean * scale)[:, None, None], off, scale[:, None, None])
        return output.to(input.dtype)


def share_norms(network: nn.Module, ranks: Ranks, device: torch.device) -> nn.Module:
    """The network with batch norms over the images of all ranks; parameters and buffers stay the same."""
    if ranks.count == 1:
        return network
    if device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return converted
    for part in list(network.modules()):
        for name, child in part.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(part, name, SharedNorm(child, ranks))
    return network
