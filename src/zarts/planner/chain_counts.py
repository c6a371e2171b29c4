"""Sides, parameters and MACs of a chain network in closed form: what a search asks of networks that it never builds."""

from __future__ import annotations

from zarts.spaces import Chain, Stage

__all__ = ["chain_counts", "last_side"]


def last_side(chain: Chain, image_size: int) -> int:
    """Pixels a side of the last features; each stride rounds up, as the layers do."""
    side = image_size
    for stride in (chain.stem.stride, 1 + chain.stem.pool, *(stage.stride for stage in chain.stages)):
        side = -(-side // stride)
    return side


def chain_counts(chain: Chain, image_size: int, *, num_classes: int = 10, in_channels: int = 3) -> tuple[int, int]:
    """Parameters, and MACs for one image, as `count_parameters` and `count_macs` find them in the built network.

    Args:
        chain: the network.
        image_size: pixels a side.
        num_classes: number of logits.
        in_channels: channels of an image.
    """
    side = -(-image_size // chain.stem.stride)
    weights = chain.stem.kernel**2 * in_channels * chain.stem.width
    parameters, macs = weights + 2 * chain.stem.width, weights * side**2
    side, width = -(-side // (1 + chain.stem.pool)), chain.stem.width
    for stage in chain.stages:
        for stride in (stage.stride, *[1] * (stage.depth - 1)):
            before, side = side, -(-side // stride)
            # a max pool makes the image smaller before the layer begins
            first = side if stage.downsampling == "max-pool" else before
            more_parameters, more_macs = _layer(stage, width, stride, first**2, side**2)
            parameters, macs, width = parameters + more_parameters, macs + more_macs, stage.width
    if chain.head is not None:
        parameters += width * chain.head + 2 * chain.head
        macs += width * chain.head * side**2
        width = chain.head
    return parameters + (width + 1) * num_classes, macs + width * num_classes


def _layer(stage: Stage, inputs: int, stride: int, before: int, after: int) -> tuple[int, int]:
    """Parameters and MACs of one layer; `before` and `after` are pixels. A batch norm has two parameters a channel."""
    width, taps = stage.width, stage.kernel**2
    if stage.kind == "conv":
        return taps * inputs * width + 2 * width, taps * inputs * width * after
    if stage.kind == "residual":
        weights = taps * width * (inputs + width)
        if stage.shortcut == "projection" and (inputs, stride) != (width, 1):
            weights += inputs * width
        return weights + 4 * width, weights * after
    if stage.kind == "skip":
        weights = 0 if inputs == width else inputs * width
        return weights + (2 * width if weights else 0), weights * after
    inner = inputs * stage.expansion
    weights, macs, norms = inner * (taps + width), inner * (taps + width) * after, 2 * (inner + width)
    if stage.kind == "inverted" and stage.expansion > 1:
        weights, macs, norms = weights + inputs * inner, macs + inputs * inner * before, norms + 2 * inner
    if stage.squeeze_excitation:
        squeezed = max(1, inner // 4)
        weights, macs = weights + 2 * inner * squeezed, macs + 2 * inner * squeezed
        norms += inner + squeezed  # biases
    return weights + norms, macs
