"""The ONNX graph of a chain network, written node by node: batch norms are inside the convolutions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from zarts.errors import SettingsError
from zarts.exports.preprocessing import EXTRA, Pixels
from zarts.networks import ChainNetwork
from zarts.networks.chain import ConvNorm, Convolution, InvertedBottleneck, PaddingShortcut, ResidualPair
from zarts.networks.chain import SqueezeExcitation as Excitation
from zarts.training import ModelCard

__all__ = ["chain_graph"]

_OPSET = 13
"""The first operator set in which weights have a scale for each channel; all that is used here exists in it, and every
runtime and converter (TensorRT, OpenVINO, TFLite) reads it, which newer sets cannot be said of."""
_IR_VERSION = 7
"""The form of the file that came with it; onnxruntime 1.18 reads up to 10."""


def chain_graph(network: ChainNetwork, card: ModelCard, pixels: Pixels = "float") -> Any:
    """The ONNX graph of a chain network: images in, logits out, any batch size; normalization and card inside.

    Batch norms are folded into the convolutions in float64 and rounded once, to float32. Normalization stays on its
    own in front: in the first convolution, the zeros around an image would be black pixels instead of average ones.

    Args:
        network: in evaluation mode, on the CPU.
        card: size and normalization of its images; it is stored under the key `zarts`.
        pixels: what the input `images` (batch, c, h, w) has: `float`: float32 from 0 to 1; `uint8`: levels 0 to 255.

    Returns:
        An `onnx.ModelProto` with the shapes of all values.

    Raises:
        SettingsError: onnx is not installed, or the network has a module that no chain has.
    """
    try:
        import onnx
    except ImportError as error:
        raise SettingsError(f"--format onnx: {error.name} is not installed: pip install 'zarts[export]'") from None
    graph, channels, size = _Graph(onnx), len(card.mean), card.image_size
    x = graph.normalized(_Value("images", channels, size), card, pixels)
    x = graph.add(network.stem, "stem", x)
    for number, layer in enumerate(network.layers):
        x = graph.add(layer, f"layers.{number}", x)
    graph.classified(network.classifier, x)
    form = onnx.TensorProto.FLOAT if pixels == "float" else onnx.TensorProto.UINT8
    shape: list[str | int | None] = ["batch", channels, size, size]
    whole = onnx.helper.make_graph(
        graph.nodes,
        "chain",
        [onnx.helper.make_tensor_value_info("images", form, shape)],
        [
            onnx.helper.make_tensor_value_info(
                "logits", onnx.TensorProto.FLOAT, ["batch", network.classifier.out_features]
            )
        ],
        graph.weights,
    )
    sets = [onnx.helper.make_opsetid("", _OPSET)]
    model = onnx.helper.make_model(whole, producer_name="zarts", opset_imports=sets, ir_version=_IR_VERSION)
    onnx.helper.set_model_props(model, {EXTRA: card.to_json()})
    onnx.checker.check_model(model)
    return onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)


class _Value(NamedTuple):
    """A value in the graph: (batch, channels, size, size)."""

    name: str
    channels: int
    size: int


class _Graph:
    """Nodes and weights so far; each method adds some and returns their output, named as the module is."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def node(self, kind: str, name: str, *inputs: str, **attributes: Any) -> str:
        """Add a node whose name is also that of its output."""
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        """Add a weight, or another constant."""
        array = value.numpy() if isinstance(value, Tensor) else np.asarray(value)
        self.weights.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array, dtype), name))
        return name

    def normalized(self, x: _Value, card: ModelCard, pixels: Pixels) -> _Value:
        """(images - mean) / std as a product and a sum."""
        mean, std = np.array(card.mean)[:, None, None], np.array(card.std)[:, None, None]
        name = x.name
        if pixels == "uint8":
            name = self.node("Cast", "images.float", name, to=self.onnx.TensorProto.FLOAT)
            scale = 1 / (255 * std)
        else:
            scale = 1 / std
        name = self.node("Mul", "images.scaled", name, self.constant("scale", scale))
        return x._replace(name=self.node("Add", "images.normalized", name, self.constant("shift", -mean / std)))

    def add(self, part: nn.Module, name: str, x: _Value) -> _Value:
        """A part of the network."""
        match part:
            case nn.Sequential():
                for key, child in part.named_children():
                    x = self.add(child, f"{name}.{key}", x)
            case ConvNorm():
                x = self.add(part.activation, f"{name}.activation", self.convolution(part.conv, name, x, part.norm))
            case nn.Conv2d():
                x = self.convolution(part, name, x)
            case ResidualPair():
                inner = self.add(part.second, f"{name}.second", self.add(part.first, f"{name}.first", x))
                beside = self.add(part.shortcut, f"{name}.shortcut", x)
                inner = inner._replace(name=self.node("Add", f"{name}.sum", inner.name, beside.name))
                x = self.add(part.activation, f"{name}.activation", inner)
            case InvertedBottleneck():
                inner = self.add(part.layers, f"{name}.layers", x)
                total = self.node("Add", f"{name}.sum", x.name, inner.name) if part.adds else inner.name
                x = inner._replace(name=total)
            case PaddingShortcut():
                x = self.padded(part, name, x)
            case Excitation():
                x = self.excited(part, name, x)
            case nn.MaxPool2d() | nn.AvgPool2d():
                x = self.pooled(part, name, x)
            case nn.ReLU6():  # a kind of Hardtanh, not of ReLU
                low, high = self.constant(f"{name}.min", 0), self.constant(f"{name}.max", 6)
                x = x._replace(name=self.node("Clip", name, x.name, low, high))
            case nn.ReLU():
                x = x._replace(name=self.node("Relu", name, x.name))
            case nn.Identity():
                pass
            case _:
                raise SettingsError(f"{name}: a {type(part).__name__} is no part of a chain network")
        return x

    def convolution(self, part: nn.Conv2d, name: str, x: _Value, norm: nn.Module | None = None) -> _Value:
        """A convolution, with the batch norm behind it inside."""
        weight, bias = _folded(part, norm)
        stride = part.stride[0] * (part.picks if isinstance(part, Convolution) else 1)
        kernel, padding = part.kernel_size[0], int(part.padding[0])
        inputs = [x.name, self.constant(f"{name}.weight", weight)]
        if bias is not None:
            inputs.append(self.constant(f"{name}.bias", bias))
        sides = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [padding] * 4, "group": part.groups}
        output = self.node("Conv", f"{name}.conv", *inputs, **sides)
        return _Value(output, part.out_channels, (x.size + 2 * padding - kernel) // stride + 1)

    def padded(self, part: PaddingShortcut, name: str, x: _Value) -> _Value:
        """Every so manieth pixel, and channels of zeros."""
        output, size = x.name, -(-x.size // part.stride)
        if part.stride > 1:
            limits = {"starts": [0, 0], "ends": [x.size] * 2, "axes": [2, 3], "steps": [part.stride] * 2}
            inputs = [self.constant(f"{name}.{key}", value, np.int64) for key, value in limits.items()]
            output = self.node("Slice", f"{name}.slice", output, *inputs)
        if part.more:
            pads = self.constant(f"{name}.pads", [0, 0, 0, 0, 0, part.more, 0, 0], np.int64)
            output = self.node("Pad", f"{name}.pad", output, pads)
        return _Value(output, x.channels + part.more, size)

    def excited(self, part: Excitation, name: str, x: _Value) -> _Value:
        """Each channel times a number that depends on the averages of all."""
        mean = _Value(self.node("GlobalAveragePool", f"{name}.mean", x.name), x.channels, 1)
        squeezed = self.convolution(part.reduce, f"{name}.reduce", mean)
        squeezed = squeezed._replace(name=self.node("Relu", f"{name}.relu", squeezed.name))
        scale = self.convolution(part.expand, f"{name}.expand", squeezed)
        gate = self.node("HardSigmoid", f"{name}.scale", scale.name, alpha=1 / 6, beta=0.5)
        return x._replace(name=self.node("Mul", name, x.name, gate))

    def pooled(self, part: nn.MaxPool2d | nn.AvgPool2d, name: str, x: _Value) -> _Value:
        """A pool; windows that reach over the end of the image are padded, which is left out of maximum and average."""
        kernel, stride, padding = (_side(value) for value in (part.kernel_size, part.stride, part.padding))
        size, rest = divmod(x.size + 2 * padding - kernel, stride)
        more = stride - rest if part.ceil_mode and rest else 0
        pads = [padding, padding, padding + more, padding + more]
        kind = "MaxPool" if isinstance(part, nn.MaxPool2d) else "AveragePool"
        output = self.node(kind, name, x.name, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads)
        return _Value(output, x.channels, size + 1 + bool(more))

    def classified(self, part: nn.Linear, x: _Value) -> None:
        """Average over pixels and a linear layer."""
        mean = self.node("Flatten", "features", self.node("GlobalAveragePool", "mean", x.name), axis=1)
        weights = (("weight", part.weight.detach()), ("bias", part.bias.detach()))
        inputs = [self.constant(f"classifier.{key}", value) for key, value in weights]
        self.node("Gemm", "logits", mean, *inputs, transB=1)


def _side(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]


@torch.no_grad()
def _folded(part: nn.Conv2d, norm: nn.Module | None) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of a convolution and the batch norm behind it as one convolution, in float64."""
    weight, bias = part.weight.double(), None if part.bias is None else part.bias.double()
    if norm is None:
        return weight, bias
    if not isinstance(norm, nn.BatchNorm2d) or norm.running_var is None or norm.running_mean is None:
        raise SettingsError(f"a {type(norm).__name__} is no batch norm with statistics")
    factor = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    shift = norm.bias.double() - norm.running_mean.double() * factor
    return weight * factor[:, None, None, None], shift if bias is None else shift + bias * factor
