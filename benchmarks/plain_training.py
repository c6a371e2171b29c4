"""What one would write without zarts: ResNet-8 in plain torch, fp32, NCHW, OneCycle, crop and flip."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["PlainResNet8", "batches", "train_plain"]

_BATCH, _RATE, _MOMENTUM, _DECAY, _PADDING = 128, 0.2, 0.9, 5e-4, 4


class _Pair(nn.Module):
    """Two 3×3 convolutions beside a shortcut (a strided 1×1 convolution where the width changes)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class PlainResNet8(nn.Sequential):
    """ResNet-8 of MLPerf Tiny in stock modules; 77,562 parameters with grey images and ten classes."""

    def __init__(self, channels: int = 1, classes: int = 10) -> None:
        super().__init__(
            nn.Conv2d(channels, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            _Pair(16, 16, 1),
            _Pair(16, 32, 2),
            _Pair(32, 64, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(64, classes),
        )


def batches(images: Tensor, labels: Tensor, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of shuffled, cropped and flipped batches."""
    order = torch.randperm(len(images), generator=generator)
    side = images.shape[-1]
    for start in range(0, len(images) - _BATCH + 1, _BATCH):
        index = order[start : start + _BATCH]
        padded = F.pad(images[index], (_PADDING,) * 4)
        top, left = torch.randint(2 * _PADDING + 1, (2, _BATCH), generator=generator)
        rows = (top[:, None] + torch.arange(side))[:, None, :, None]
        columns = (left[:, None] + torch.arange(side))[:, None, None, :]
        batch = padded[
            torch.arange(_BATCH)[:, None, None, None], torch.arange(images.shape[1])[:, None, None], rows, columns
        ]
        mirrored = torch.rand(_BATCH, 1, 1, 1, generator=generator) < 0.5
        yield torch.where(mirrored, batch.flip(3), batch), labels[index]


def train_plain(
    train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], epochs: int, seed: int
) -> tuple[float, float, int]:
    """Train by OneCycle; test accuracy in percent, CPU seconds of the training, and its steps.

    Args:
        train: normalised images (n, c, h, w), and labels.
        test: likewise.
        epochs: length of the training.
        seed: of weights, order and augmentation.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = PlainResNet8(train[0].shape[1])
    optimizer = torch.optim.SGD(network.parameters(), _RATE, momentum=_MOMENTUM, nesterov=True, weight_decay=_DECAY)
    steps = epochs * (len(train[0]) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, steps)
    begun = time.process_time()
    for _ in range(epochs):
        for images, labels in batches(*train, generator):
            loss = F.cross_entropy(network(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    seconds = time.process_time() - begun
    network.eval()
    with torch.no_grad():
        right = sum(int((network(x).argmax(1) == y).sum()) for x, y in zip(*(t.split(500) for t in test), strict=True))
    return 100 * right / len(test[0]), seconds, steps
