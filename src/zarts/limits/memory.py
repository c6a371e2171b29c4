"""RAM and flash that a network needs on a device, counted from its ONNX file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zarts.limits.best_order import Step, best_order
from zarts.limits.onnx_graph import Node, OnnxGraph, OnnxModel, OnnxTensor, read_graph

__all__ = ["MemoryPlan", "flash", "peak_ram", "plan_memory"]

_VIEWS = {"Flatten", "Reshape", "Identity", "Squeeze", "Unsqueeze", "Dropout", "Cast"} | {
    *("QuantizeLinear", "DequantizeLinear"),
}
"""The same values in the same place, if they take the same bytes."""

_IN_PLACE = {
    *("Relu", "Clip", "LeakyRelu", "PRelu", "Elu", "Selu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Neg"),
    *("Abs", "Sqrt", "BatchNormalization", "Add", "Sub", "Mul", "Div"),
}
"""One value from one other value (and constants): computed where that lies, if nothing else reads it."""

_NOT_STORED = ("Clip", "Pad", "Reshape", "Slice", "Resize", "ReduceMean", "Squeeze", "Unsqueeze")
"""Constants of these are part of the operation, as sizes and bounds."""

_SCALE_BYTES = 5
"""A float32 scale and an int8 zero point."""


@dataclass(frozen=True)
class MemoryPlan:
    """The live activations of a network in one order of its operations.

    Args:
        peak: the most bytes that are live at once.
        order: names of the operations; those that work in place or move nothing are not among them.
        exact: whether no order has a smaller peak; if not, the graph is so wide that not all were compared.
    """

    peak: int
    order: tuple[str, ...]
    exact: bool


def peak_ram(model: OnnxModel | OnnxGraph, bytes_per_value: Literal[1, 4] = 4) -> int:
    """The bytes of live activations at the worst moment of the best order of operations; see `plan_memory`."""
    return plan_memory(model, bytes_per_value).peak


def plan_memory(
    model: OnnxModel | OnnxGraph, bytes_per_value: Literal[1, 4] = 4, *, most_states: int = 100_000
) -> MemoryPlan:
    """The best order of operations and the bytes of live activations that it needs.

    While an operation runs, all its inputs and its outputs are live, those of an addition of two activations too: as
    in TensorFlow Lite Micro, whose planner gives each tensor a place of its own from the operation that writes it to
    the last one that reads it. The image is live until its last reader has run, the results are until the end. What
    follows a value and is computed from it alone, one number from one (an activation, a batch norm, a scale), is fused
    with what made the value. Views cost nothing. Not counted: the runtime's own memory and the scratch of its kernels,
    weights, and padding of buffers to multiples of 16 bytes.

    Args:
        model: the ONNX file, or its graph.
        bytes_per_value: 4 for float32, 1 for a network that is quantised to 8 bits; an 8-bit image has 1 with both.
        most_states: of the search, see `best_order`; beyond them the plan is the greedy order's, and not exact.

    Raises:
        RunError: no ONNX file, or a shape is not known.
        SettingsError: the package onnx is not installed.

    Source: Liberis and Lane, Neural networks on microcontrollers: saving memory at inference via operator reordering
        (2019); tensorflow/lite/micro/micro_allocation_info.cc for when a tensor is live.
    Differs: a best-first search with a bound finds the same minimum as the paper's dynamic program over all sets.
    """
    graph = model if isinstance(model, OnnxGraph) else read_graph(model)
    buffers = _Buffers(graph, bytes_per_value)
    nodes = buffers.nodes
    order = best_order([buffers.step(node) for node in nodes], buffers.sizes, buffers.kept, most_states=most_states)
    return MemoryPlan(order.peak, tuple(nodes[number].name for number in order.steps), order.exact)


class _Buffers:
    """Which tensors share a place in memory, and the operations that are left when those in place are gone."""

    def __init__(self, graph: OnnxGraph, bytes_per_value: int) -> None:
        self._graph = graph
        self._bytes = bytes_per_value
        self._same: dict[str, str] = {}
        self.nodes = [node for node in graph.nodes if not (node.op in _VIEWS and self._joined(node))]
        readers: dict[str, int] = dict.fromkeys((self._root(name) for name in graph.outputs), 1)
        for node in self.nodes:
            for name in {self._root(name) for name in graph.reads(node)}:
                readers[name] = readers.get(name, 0) + 1
        for node in [node for node in self.nodes if node.op in _IN_PLACE]:
            before = [self._root(name) for name in graph.reads(node)]
            after = self._root(node.outputs[0])
            if len(before) == 1 and readers[before[0]] == 1 and self._joined(node):
                readers[self._root(after)] = readers.get(after, 0)
                self.nodes.remove(node)
        roots = {self._root(name): name for node in self.nodes for name in (*graph.reads(node), *node.outputs)}
        roots |= {self._root(name): name for name in (*graph.inputs, *graph.outputs) if name not in graph.constants}
        self._numbers = {root: number for number, root in enumerate(roots)}
        self.sizes = [self._size(root) for root in roots]
        self.kept = frozenset(self._number(name) for name in graph.outputs if name not in graph.constants)

    def step(self, node: Node) -> Step:
        """A node as a step between buffers."""
        reads = frozenset(self._number(name) for name in self._graph.reads(node))
        return Step(reads, frozenset(self._number(name) for name in node.outputs) - reads)

    def _number(self, name: str) -> int:
        return self._numbers[self._root(name)]

    def _size(self, name: str) -> int:
        tensor = self._graph.tensors[name]
        return tensor.values * (1 if tensor.dtype in ("int8", "uint8", "bool") else self._bytes)

    def _root(self, name: str) -> str:
        while name in self._same:
            name = self._same[name]
        return name

    def _joined(self, node: Node) -> bool:
        """Give the output of a node the place of its only input, if they take the same bytes."""
        reads = self._graph.reads(node)
        if len(reads) != 1 or len(node.outputs) != 1 or self._size(reads[0]) != self._size(node.outputs[0]):
            return False
        self._same[self._root(node.outputs[0])] = self._root(reads[0])
        return True


def flash(model: OnnxModel | OnnxGraph, int8: bool = False) -> int:
    """The bytes of weights, biases and scales, without the runtime's code and the description of the graph.

    Args:
        model: the ONNX file, or its graph.
        int8: whether to say what the network has after it is quantised to 8 bits: 1 byte a weight of a convolution or
            matrix product, 4 a bias, 5 (a float32 scale and a zero point) for each output channel; other constants as
            they are. If False, or if the file is quantised already, each value takes the bytes that it has in the file.

    Raises:
        RunError: no ONNX file, or a shape is not known.
        SettingsError: the package onnx is not installed.
    """
    graph = model if isinstance(model, OnnxGraph) else read_graph(model)
    if int8 and not any(node.op in ("QuantizeLinear", "QLinearConv") for node in graph.nodes):
        return _quantised(graph)
    read = (
        graph.constants.get(name, frozenset())
        for node in graph.nodes
        if node.op not in _NOT_STORED
        for name in node.inputs
    )
    return sum(_stored_bytes(graph.tensors[name]) for name in frozenset().union(*read))


def _quantised(graph: OnnxGraph) -> int:
    """What `flash` counts for a float32 network after its quantisation; batch norms are folded."""
    seen: set[str] = set()
    total = 0
    for node in graph.nodes:
        weights = graph.weights(node)
        if weights is not None and node.inputs[1] not in seen:
            total += weights.values + _SCALE_BYTES * graph.out_channels(node) + 4 * graph.biases(node)
        elif weights is None and node.op not in (*_NOT_STORED, "BatchNormalization"):
            names = {name for name in node.inputs if name in graph.constants} - seen
            total += sum(_stored_bytes(graph.tensors[name]) for name in names)
        seen.update(node.inputs)
    return total


def _stored_bytes(tensor: OnnxTensor) -> int:
    """Bytes of a stored tensor; none of 64-bit integers, which are sizes and axes."""
    sizes = {"float64": 8, "float16": 2, "bfloat16": 2, "int64": 0, "int8": 1, "uint8": 1, "int16": 2, "bool": 1}
    return tensor.values * sizes.get(tensor.dtype, 4)
