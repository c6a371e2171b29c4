"""Small ONNX graphs of layers of each kind, which a latency table of a device is made from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from zarts.limits.onnx_graph import import_onnx

__all__ = ["layer_graphs", "network_graphs"]

_CHANNELS = (8, 24, 64)
_SIDES = (8, 16, 32)
_FEATURES = ((64, 10), (256, 100), (512, 1000))
_OPSET, _IR = 18, 9
"""Readable since onnxruntime 1.14."""


def layer_graphs() -> Iterator[tuple[str, bytes]]:
    """What is in a graph, in words, and the ONNX file: float32, one image, random weights.

    Layers of a kind come alone and several in a row, so that what each costs can be told from what a graph costs.

    Raises:
        SettingsError: the package onnx is not installed.
    """
    for side in _SIDES:
        for channels in _CHANNELS:
            where = f"{channels} channels of {side}×{side}"
            yield f"3×3 convolution of the image, {where}", _convolutions(3, side, [(channels, 3, 1, 1)])
            yield f"four 3×3 convolutions, {where}", _convolutions(channels, side, [(channels, 3, 1, 1)] * 4)
            yield f"3×3 convolution of stride 2, {where}", _convolutions(channels, side, [(2 * channels, 3, 2, 1)])
            expanded = [(4 * channels, 1, 1, 1), (channels, 1, 1, 1)]
            yield f"1×1 convolution, {where}", _convolutions(channels, side, [(channels, 1, 1, 1)])
            yield (
                f"1×1 convolutions to four times the width and back, twice, {where}",
                (_convolutions(channels, side, expanded * 2)),
            )
            for kernel, stride, depth in ((3, 1, 4), (5, 1, 2), (3, 2, 1)):
                layers = [(channels, kernel, stride, channels)] * depth
                name = f"depthwise {kernel}×{kernel} of stride {stride}, {depth} in a row, {where}"
                yield name, _convolutions(channels, side, layers)
        yield from _others(_CHANNELS[1], side)
    for inputs, outputs in _FEATURES:
        graph = _Graph((inputs,))
        x = graph.layer("Gemm", "images", graph.random(inputs, outputs), graph.random(outputs))
        yield f"classifier from {inputs} to {outputs}", graph.file(x)


def network_graphs() -> Iterator[tuple[str, bytes]]:
    """Small whole networks, which tell how far a table is off: their name and the ONNX file.

    Raises:
        SettingsError: the package onnx is not installed.
    """
    for block in ("plain", "residual", "inverted", "separable"):
        for width, side in ((8, 28), (16, 32), (32, 32)):
            graph = _Graph((3, side, side))
            x, channels = graph.convolution("images", 3, width, stride=2 if width == 32 else 1), width
            for stage in range(3):
                x, channels = graph.block(block, x, channels, width << stage, 1 if stage == 0 else 2), width << stage
            x = graph.layer("Flatten", graph.layer("GlobalAveragePool", x))
            x = graph.layer("Gemm", x, graph.random(channels, 10), graph.random(10))
            yield f"network of {block} blocks, {width} channels, {side}×{side}", graph.file(x)


def _convolutions(channels: int, side: int, layers: list[tuple[int, int, int, int]]) -> bytes:
    """Convolutions in a row: each (channels, kernel, stride, groups), with its activation."""
    graph = _Graph((channels, side, side))
    x = "images"
    for outputs, kernel, stride, groups in layers:
        x, channels = graph.convolution(x, channels, outputs, kernel, stride, groups), outputs
    return graph.file(x)


def _others(channels: int, side: int) -> Iterator[tuple[str, bytes]]:
    """Layers without weights; depth tells what one costs."""
    where = f"{channels} channels of {side}×{side}"
    for depth in (1, 4):
        graph = _Graph((channels, side, side))
        x = "images"
        for _ in range(depth):
            x = graph.layer("Relu", graph.layer("Add", x, "images"))
        yield f"sum and activation, {depth} in a row, {where}", graph.file(x)
        graph = _Graph((channels, side, side))
        x = "images"
        for _ in range(depth):
            x = graph.layer("Pad", x, graph.whole([0, channels // 2, 0, 0, 0, 0, 0, 0]))
        yield f"padded channels, {depth} in a row, {where}", graph.file(x)
    for op, more in (("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}), ("GlobalAveragePool", {})):
        graph = _Graph((channels, side, side))
        yield f"{op}, {where}", graph.file(graph.layer(op, "images", **more))


class _Graph:
    """A graph that grows by a layer at a time."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._onnx = import_onnx()
        self._shape = shape
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._rng = np.random.default_rng(0)

    def layer(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; returns the name of its output."""
        name = f"{op.lower()}_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def convolution(
        self, x: str, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1, relu: bool = True
    ) -> str:
        """Add a convolution, with its activation unless `relu` is False."""
        weights = self.random(outputs, inputs // groups, kernel, kernel)
        more = {"strides": [stride] * 2, "pads": [kernel // 2] * 4, "group": groups}
        x = self.layer("Conv", x, weights, self.random(outputs), **more)
        return self.layer("Relu", x) if relu else x

    def block(self, kind: str, x: str, inputs: int, outputs: int, stride: int) -> str:
        """Add a layer of a network."""
        if kind == "plain":
            return self.convolution(self.convolution(x, inputs, outputs, 3, stride), outputs, outputs)
        if kind == "separable":
            return self.convolution(self.convolution(x, inputs, inputs, 3, stride, inputs), inputs, outputs, 1)
        if kind == "inverted":
            inner = self.convolution(x, inputs, 3 * inputs, 1)
            inner = self.convolution(inner, 3 * inputs, 3 * inputs, 3, stride, 3 * inputs)
            last = self.convolution(inner, 3 * inputs, outputs, 1, relu=False)
            return self.layer("Add", last, x) if (inputs, stride) == (outputs, 1) else last
        inner = self.convolution(self.convolution(x, inputs, outputs, 3, stride), outputs, outputs, relu=False)
        if (inputs, stride) != (outputs, 1):
            x = self.convolution(x, inputs, outputs, 1, stride, relu=False)
        return self.layer("Relu", self.layer("Add", inner, x))

    def random(self, *shape: int) -> str:
        """Weights of a size that keeps values as large as they are."""
        scale = 1 / math.sqrt(math.prod(shape[1:]))
        return self._constant((self._rng.standard_normal(shape) * scale).astype(np.float32))

    def whole(self, values: list[int]) -> str:
        """A list of whole numbers."""
        return self._constant(np.array(values, np.int64))

    def _constant(self, values: np.ndarray) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(self._onnx.numpy_helper.from_array(values, name))
        return name

    def file(self, output: str) -> bytes:
        """The file of the graph that ends with a node."""
        helper, kind = self._onnx.helper, self._onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self._nodes,
            "layers",
            [helper.make_tensor_value_info("images", kind, [1, *self._shape])],
            [helper.make_tensor_value_info(output, kind, None)],
            self._constants,
        )
        imports = [helper.make_opsetid("", _OPSET)]
        data: bytes = helper.make_model(graph, opset_imports=imports, ir_version=_IR).SerializeToString()
        return data
