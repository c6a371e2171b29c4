"""The network of a chain: stem, stages, head, classifier; a plain module that trains, deep-copies and exports."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from zarts.networks.activation_checkpointing import ActivationCheckpointing
from zarts.networks.fused import FusedLayer, fused, fused_shortcut
from zarts.networks.memory_format import channels_last, dense_gradient, laid_out
from zarts.networks.network import BatchSlice
from zarts.spaces import Chain, ChainStem, Stage

__all__ = ["ChainNetwork", "create_chain"]

Features = Float[Tensor, "batch channels height width"]
Output = Float[Tensor, "batch out_channels out_height out_width"]
Images = Float[Tensor, "batch in_channels height width"]
Logits = Float[Tensor, "batch classes"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "relu6": nn.ReLU6}
_SQUEEZE = 4


class Convolution(nn.Conv2d):
    """k×k convolution without bias; by a stride of s a side of n becomes n / s, rounded up.

    A strided 1×1 convolution picks its pixels first and then has stride 1: oneDNN's backward pass of it on few channels
    in channels_last writes outside its memory (seen with torch 2.14.1 on the CPU).
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, *, depthwise: bool = False) -> None:
        picks, groups = stride if kernel == 1 else 1, inputs if depthwise else 1
        super().__init__(inputs, outputs, kernel, stride // picks, kernel // 2, groups=groups, bias=False)
        self.picks = picks

    def forward(self, x: Features) -> Output:
        """Another number of channels, the strided size."""
        return super().forward(x[:, :, :: self.picks, :: self.picks] if self.picks > 1 else x)


class ConvNorm(FusedLayer):
    """Convolution, batch norm and, if there is one, an activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        depthwise: bool = False,
        activation: str | None = None,
    ) -> None:
        super().__init__()
        self.conv = Convolution(inputs, outputs, kernel, stride, depthwise=depthwise)
        self.norm = nn.BatchNorm2d(outputs)
        self.activation = nn.Identity() if activation is None else _ACTIVATIONS[activation]()

    def forward(self, x: Features) -> Output:
        """Another number of channels, the strided size."""
        if (native := fused(self, x)) is not None:
            return native
        output: Tensor = self.activation(self.norm(self.conv(x)))
        return output


class PaddingShortcut(nn.Module):
    """Leaves out pixels and adds channels of zeros: a shortcut without weights (He et al. 2016, option A)."""

    def __init__(self, more: int, stride: int) -> None:
        super().__init__()
        self.more, self.stride = more, stride

    def forward(self, x: Features) -> Output:
        """More channels, the strided size."""
        return pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))


class ResidualPair(nn.Module):
    """Two 3×3 convolutions beside a shortcut; the activation follows the sum."""

    def __init__(self, inputs: int, stage: Stage, stride: int, activation: str) -> None:
        super().__init__()
        self.first = ConvNorm(inputs, stage.width, 3, stride, activation=activation)
        self.second = ConvNorm(stage.width, stage.width, 3)
        self.shortcut: nn.Module = nn.Identity()
        if (inputs, stride) != (stage.width, 1):
            if stage.shortcut == "padding":
                self.shortcut = PaddingShortcut(stage.width - inputs, stride)
            else:
                self.shortcut = Convolution(inputs, stage.width, 1, stride)
        self.activation = _ACTIVATIONS[activation]()

    def forward(self, x: Features) -> Output:
        """The width of the stage, the strided size."""
        inner, beside = self.first(x), fused_shortcut(self.second, self.shortcut, x)
        if (native := fused(self.second, inner, beside, self.activation)) is not None:
            return native
        output: Tensor = self.activation(self.second(inner) + beside)
        return output


class SqueezeExcitation(nn.Module):
    """Scales each channel by a number that depends on the averages of all (Hu et al. 2018; as in MobileNetV3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(1, channels // _SQUEEZE)
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Features) -> Features:
        """The same shape."""
        scale = self.expand(torch.relu(self.reduce(x.mean(dim=(2, 3), keepdim=True))))
        return x * nn.functional.hardsigmoid(scale)


class InvertedBottleneck(nn.Module):
    """1×1 to more channels, depthwise k×k, 1×1 to fewer without activation; a shortcut where the shape stays."""

    def __init__(self, inputs: int, stage: Stage, stride: int, activation: str) -> None:
        super().__init__()
        inner = inputs * stage.expansion
        layers: list[nn.Module] = []
        if stage.expansion > 1:
            layers.append(ConvNorm(inputs, inner, activation=activation))
        layers.append(ConvNorm(inner, inner, stage.kernel, stride, depthwise=True, activation=activation))
        if stage.squeeze_excitation:
            layers.append(SqueezeExcitation(inner))
        layers.append(ConvNorm(inner, stage.width))
        self.layers = nn.Sequential(*layers)
        self.adds = (inputs, stride) == (stage.width, 1)

    def forward(self, x: Features) -> Output:
        """The width of the stage, the strided size."""
        output: Tensor = self.layers(x)
        return x + output if self.adds else output


def _convolution(inputs: int, stage: Stage, stride: int, activation: str) -> nn.Module:
    return ConvNorm(inputs, stage.width, stage.kernel, stride, activation=activation)


def _separable(inputs: int, stage: Stage, stride: int, activation: str) -> nn.Module:
    """Depthwise k×k and 1×1, both with batch norm and activation."""
    depthwise = ConvNorm(inputs, inputs, stage.kernel, stride, depthwise=True, activation=activation)
    return nn.Sequential(depthwise, ConvNorm(inputs, stage.width, activation=activation))


def _skip(inputs: int, stage: Stage, stride: int, activation: str) -> nn.Module:
    """Nothing; an average pool where the size changes, a 1×1 convolution where the width does."""
    pool = [nn.AvgPool2d(stride, ceil_mode=True)] if stride > 1 else []
    project = [ConvNorm(inputs, stage.width, activation=activation)] if inputs != stage.width else []
    return nn.Sequential(*pool, *project)


_LAYERS: dict[str, Callable[[int, Stage, int, str], nn.Module]] = {
    "conv": _convolution,
    "residual": ResidualPair,
    "inverted": InvertedBottleneck,
    "separable": _separable,
    "skip": _skip,
}
"""Kind of layer to its module, from the channels of its input, the stage, the stride and the activation."""


class Dropout(nn.Module):
    """Sets each feature to zero with a probability while training; its draws come from a generator of its own.

    Args:
        probability: in [0, 1).
        generator: source of randomness; None is torch's default on the device of the features.
    """

    def __init__(self, probability: float, generator: torch.Generator | None) -> None:
        super().__init__()
        self.probability, self.generator = probability, generator

    def forward(
        self, x: Float[Tensor, "batch features"], part: BatchSlice | None = None
    ) -> Float[Tensor, "batch features"]:
        """`part`: see `zarts.networks.network.drop_path`."""
        if not self.training or self.probability == 0:
            return x
        device = x.device if self.generator is None else self.generator.device
        first, whole = part or (0, x.shape[0])
        keep = torch.rand(whole, x.shape[1], generator=self.generator, device=device) >= self.probability
        return x * (keep[first : first + x.shape[0]].to(x.device, x.dtype) / (1 - self.probability))


class ChainNetwork(nn.Module):
    """The network of a chain. Built by `create_chain`.

    Args:
        stem: from images to features.
        layers: of all stages, first to last, and the head.
        dropout: before the classifier.
        classifier: from the average over pixels to logits.
    """

    def __init__(self, stem: nn.Module, layers: list[nn.Module], dropout: Dropout, classifier: nn.Linear) -> None:
        super().__init__()
        self.stem = stem
        self.layers = nn.ModuleList(layers)
        self.dropout = dropout
        self.classifier = classifier
        self.checkpointing = ActivationCheckpointing()
        """Runs the layers; see `ActivationCheckpointing`."""
        self.part: BatchSlice | None = None
        """The part of a batch that the next passes see, for dropout; None: a whole one."""

    def forward(self, images: Images) -> Logits:
        """The logits."""
        x = channels_last(self.checkpointing(self.stem, laid_out(images, self)), self)
        for layer in self.layers:
            x = self.checkpointing(layer, x)
        features = dense_gradient(x, self).mean(dim=(2, 3))
        logits: Tensor = self.classifier(self.dropout(features, self.part))
        return logits


def create_chain(
    chain: Chain, *, num_classes: int = 10, in_channels: int = 3, generator: torch.Generator | None = None
) -> ChainNetwork:
    """The network of a chain, with new weights; a layer that is smaller than its kernel sees zeros around the image.

    Weights of convolutions are normal with variance 2 / fan-out (He et al. 2015) and those of the classifier with a
    standard deviation of 0.01, as in torchvision's VGG and MobileNetV2; biases are 0, batch norms the identity. They
    are drawn from torch's default generator, see `zarts.networks.seeded`.

    Args:
        chain: the description.
        num_classes: number of logits.
        in_channels: channels of the images.
        generator: source of dropout; None is torch's default.
    """
    layers: list[nn.Module] = []
    stem, width = _stem(chain.stem, in_channels, chain.activation), chain.stem.width
    for stage in chain.stages:
        for place in range(stage.depth):
            layers.append(_layer(width, stage, stage.stride if place == 0 else 1, chain.activation))
            width = stage.width
    if chain.head is not None:
        layers.append(ConvNorm(width, chain.head, activation=chain.activation))
        width = chain.head
    network = ChainNetwork(stem, layers, Dropout(chain.dropout, generator), nn.Linear(width, num_classes))
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out")
            _to_zero(part.bias)
        elif isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, 0, 0.01)
            _to_zero(part.bias)
    return network


def _stem(stem: ChainStem, in_channels: int, activation: str) -> nn.Module:
    convolution = ConvNorm(in_channels, stem.width, stem.kernel, stem.stride, activation=activation)
    return nn.Sequential(convolution, *([nn.MaxPool2d(3, 2, padding=1)] if stem.pool else []))


def _layer(inputs: int, stage: Stage, stride: int, activation: str) -> nn.Module:
    """One layer of a stage, behind a max pool if that makes the image smaller."""
    build = _LAYERS[stage.kind]
    if stride > 1 and stage.downsampling == "max-pool":
        pool = nn.MaxPool2d(stride, ceil_mode=True)
        return nn.Sequential(pool, build(inputs, stage, 1, activation))
    return build(inputs, stage, stride, activation)


def _to_zero(bias: Tensor | None) -> None:
    if bias is not None:
        nn.init.zeros_(bias)
