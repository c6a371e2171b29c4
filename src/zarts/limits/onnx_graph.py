"""An ONNX file as a graph with the shape of every tensor, for one image; and its parameters and MACs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from zarts.errors import FileError, SettingsError
from zarts.readers import malformed, read_bytes, reason

__all__ = ["Node", "OnnxGraph", "OnnxModel", "OnnxTensor", "import_onnx", "onnx_bytes", "read_graph"]

OnnxModel: TypeAlias = Any
"""An `onnx.ModelProto`, the bytes of an ONNX file, or its path; onnx is imported only when it is used."""

_MOST_BYTES = 1 << 31  # which protobuf can hold
_SHAPE_OPS = ("Shape", "Size")
_NONE: frozenset[str] = frozenset()
_FLOATS = ("float16", "float32", "float64", "bfloat16")


@dataclass(frozen=True)
class OnnxTensor:
    """A tensor of the graph.

    Args:
        shape: its sides; of activations the first is the one image.
        dtype: numpy's name of the type of its values.
    """

    shape: tuple[int, ...]
    dtype: str

    @property
    def values(self) -> int:
        """The number of values."""
        return math.prod(self.shape)

    @property
    def is_float(self) -> bool:
        """Whether its values are no whole numbers."""
        return self.dtype in _FLOATS


@dataclass(frozen=True)
class Node:
    """An operation that has to be computed for each image.

    Args:
        name: unique in most files.
        op: its kind in ONNX, such as `Conv`.
        inputs: names of all tensors that it reads, in ONNX's order; empty ones are left out of the file.
        outputs: names of the tensors that it writes.
        attributes: name to value.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class OnnxGraph:
    """The graph of an ONNX file.

    Args:
        nodes: in an order in which they can be computed, without what depends on no image.
        inputs: names of the images.
        outputs: names of the results.
        tensors: name to shape and type of every tensor.
        constants: names of the tensors that depend on no image, with those in the file that they are computed from.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tensors: dict[str, OnnxTensor]
    constants: dict[str, frozenset[str]]

    def reads(self, node: Node) -> list[str]:
        """The tensors that a node reads and that depend on the image, each once."""
        return [name for name in dict.fromkeys(node.inputs) if name and name not in self.constants]

    def weights(self, node: Node) -> OnnxTensor | None:
        """The weights of a convolution or a matrix product; None: the node has none."""
        if node.op in ("Conv", "Gemm", "MatMul") and node.inputs[1] in self.constants:
            return self.tensors[node.inputs[1]]
        return None

    def biases(self, node: Node) -> int:
        """The number of biases of a node with weights; a batch norm behind it, folded into it, gives one a channel."""
        if self.weights(node) is None:
            return 0
        if node.op != "MatMul" and len(node.inputs) > 2 and node.inputs[2] in self.constants:
            return self.tensors[node.inputs[2]].values
        return self.out_channels(node) if node.outputs[0] in self.normed else 0

    @cached_property
    def normed(self) -> frozenset[str]:
        """The tensors that a batch norm reads."""
        return frozenset(node.inputs[0] for node in self.nodes if node.op == "BatchNormalization")

    def out_channels(self, node: Node) -> int:
        """The number of rows of the weights of a node, of which each makes one channel."""
        weights = self.weights(node)
        assert weights is not None
        first = node.op == "Conv" or (node.op == "Gemm" and node.attributes.get("transB", 0))
        return weights.shape[0 if first else -1]

    def macs_of(self, node: Node) -> int:
        """The multiply-adds of a convolution or matrix product; 0 for other nodes, as in `count_macs`."""
        weights = self.weights(node)
        if weights is None:
            return 0
        return self.tensors[node.outputs[0]].values * (weights.values // self.out_channels(node))

    def macs(self) -> int:
        """The multiply-adds of one image, as `zarts.limits.count_macs` counts them."""
        return sum(self.macs_of(node) for node in self.nodes)

    def parameters(self) -> int:
        """The number of weights and biases of convolutions and matrix products; batch norms are folded into them."""
        layers = [(self.weights(node), self.biases(node)) for node in self.nodes]
        return sum(weights.values + biases for weights, biases in layers if weights is not None)


def import_onnx() -> Any:
    """The package onnx.

    Raises:
        SettingsError: it is not installed.
    """
    try:
        import onnx
        import onnx.shape_inference  # not with the package itself
    except ImportError:
        raise SettingsError("onnx is not installed, which limits of a file need: pip install 'zarts[export]'") from None
    return onnx


def onnx_bytes(model: OnnxModel) -> bytes:
    """The file of a model.

    Raises:
        RunError: it cannot be read.
    """
    if isinstance(model, bytes):
        return model
    if not isinstance(model, Path):
        data: bytes = model.SerializeToString()
        return data
    return read_bytes(model, most=_MOST_BYTES)


def read_graph(model: OnnxModel) -> OnnxGraph:
    """Read a graph, with the shapes that its tensors have for one image.

    Raises:
        RunError: it is no ONNX file, or a shape is not known.
        SettingsError: the package onnx is not installed.
    """
    onnx = import_onnx()
    where = str(model) if isinstance(model, Path) else "the ONNX model"
    try:
        proto = onnx.load_model_from_string(onnx_bytes(model))  # a copy, which may change
        known = {tensor.name for tensor in proto.graph.initializer}
        for value in proto.graph.input:
            if value.name not in known:
                _for_one_image(value, where)
        del proto.graph.value_info[:]  # they may have another batch
        for value in proto.graph.output:
            value.type.tensor_type.ClearField("shape")
        proto = onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
    except FileError:
        raise
    except Exception as error:  # of protobuf and of onnx, without a common class
        raise FileError(f"{where}: cannot be read as ONNX ({reason(error)})") from error
    with malformed(where, "a graph of ONNX"):
        return _graph(onnx, proto.graph, where)


def _for_one_image(value: Any, where: str) -> None:
    """Set the batch of an input to one image."""
    sides = value.type.tensor_type.shape.dim
    if len(sides):
        sides[0].dim_value = 1
    if not len(sides) or any(side.dim_value < 1 for side in sides):
        raise FileError(f"{where}: the size of its input {value.name!r} is not fixed: export it for one size of image")


def _graph(onnx: Any, graph: Any, where: str) -> OnnxGraph:
    tensors = {
        tensor.name: OnnxTensor(tuple(tensor.dims), _dtype(onnx, tensor.data_type)) for tensor in graph.initializer
    }
    constants = {name: frozenset({name}) for name in tensors}
    images = [value.name for value in graph.input if value.name not in constants]
    for value in (*graph.input, *graph.value_info, *graph.output):
        sides = [side.dim_value for side in value.type.tensor_type.shape.dim]
        if value.type.tensor_type.HasField("shape") and 0 not in sides and value.name not in constants:
            tensors[value.name] = OnnxTensor(tuple(sides), _dtype(onnx, value.type.tensor_type.elem_type))
    nodes = []
    for proto in graph.node:
        node = Node(
            proto.name or proto.output[0],
            proto.op_type,
            tuple(proto.input),
            tuple(name for name in proto.output if name),
            {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in proto.attribute},
        )
        if node.op in _SHAPE_OPS or all(not name or name in constants for name in node.inputs):
            read = (constants.get(name, _NONE) for name in node.inputs)
            parts = frozenset(node.outputs) if node.op == "Constant" else _NONE.union(*read)
            constants.update(dict.fromkeys(node.outputs, parts))
            continue
        for name in (*node.inputs, *node.outputs):
            if name and name not in tensors and name not in constants:
                raise FileError(f"{where}: the shape of {name!r}, at {node.op} {node.name!r}, is not known")
        nodes.append(node)
    return OnnxGraph(tuple(nodes), tuple(images), tuple(v.name for v in graph.output), tensors, constants)


def _dtype(onnx: Any, kind: int) -> str:
    return str(onnx.helper.tensor_dtype_to_np_dtype(kind))
