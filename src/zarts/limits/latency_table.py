"""Latency of a network on a device from a table: a linear model for each kind of layer, fitted to measurements."""

from __future__ import annotations

import datetime
import json
import math
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from zarts.errors import RunError, SettingsError
from zarts.limits.latency import Latency, latency_by_command, measure_latency
from zarts.limits.layer_graphs import layer_graphs, network_graphs
from zarts.limits.onnx_graph import Node, OnnxGraph, OnnxModel, read_graph
from zarts.readers import malformed, read_json
from zarts.runtime.io import write_atomically
from zarts.runtime.leftovers import temporary_folder

__all__ = ["LatencyTable", "layer_costs", "make_latency_table"]

_FORMAT = 1
_IMAGE_CHANNELS = 4
_ROUNDS = 3
_ACTIVATIONS = ("Relu", "Clip", "HardSigmoid", "Sigmoid", "BatchNormalization", "LeakyRelu", "HardSwish", "Tanh")
_FREE = ("Flatten", "Reshape", "Identity", "Squeeze", "Unsqueeze", "Dropout")
_KINDS = {
    **dict.fromkeys(("Gemm", "MatMul"), "linear"),
    **dict.fromkeys(("MaxPool", "AveragePool"), "pool"),
    **dict.fromkeys(("GlobalAveragePool", "ReduceMean"), "mean"),
    **dict.fromkeys((*_ACTIVATIONS, "Add", "Sub", "Mul", "Div", "Cast", "Softmax"), "elementwise"),
    **dict.fromkeys(("Pad", "Slice", "Concat", "Transpose", "Gather", "Split"), "copy"),
}
"""ONNX's operations, but convolutions, by kind of layer."""

KINDS = (
    *("stem", "conv", "strided-conv", "pointwise", "depthwise", "strided-depthwise"),
    *("linear", "pool", "mean", "elementwise", "copy", "graph"),
)
"""Convolutions of images (up to four channels), others, 1×1 ones and those with groups; matrix products; pools; means
over pixels; one value from one or two; what moves values only; the graph itself, with its image and result."""

Costs = tuple[float, float, float]
"""Of all layers of a kind: their number, MACs, and bytes that they read and write. Or: milliseconds for one of each."""


def layer_costs(model: OnnxModel | OnnxGraph) -> dict[str, Costs]:
    """Kind of layer to the number, the MACs, and the bytes of inputs, outputs and weights of all layers of it.

    Activations and batch norms behind a convolution or matrix product cost nothing, as runtimes fuse them.

    Raises:
        RunError: no ONNX file, a shape is not known, or an operation of no known kind.
        SettingsError: the file is quantised, or the package onnx is not installed.
    """
    graph = model if isinstance(model, OnnxGraph) else read_graph(model)
    if any(node.op in ("QuantizeLinear", "QLinearConv") for node in graph.nodes):
        raise SettingsError("a latency table is of float32 files, and this one is quantised: take --latency-command")
    writer = {name: node for node in graph.nodes for name in node.outputs}
    ends = sum(4 * graph.tensors[name].values for name in (*graph.inputs, *graph.outputs))
    costs: dict[str, Costs] = {"graph": (1.0, 0.0, float(ends))}
    for node in graph.nodes:
        kind = _kind(graph, node, writer)
        if kind is not None:
            number, macs, moved = costs.get(kind, (0.0, 0.0, 0.0))
            costs[kind] = (number + 1, macs + graph.macs_of(node), moved + _bytes_moved(graph, node))
    return costs


def _kind(graph: OnnxGraph, node: Node, writer: Mapping[str, Node]) -> str | None:
    """The kind of a layer; None: it costs nothing."""
    if node.op == "Conv":
        strided = "strided-" if max(node.attributes.get("strides", [1])) > 1 else ""
        if node.attributes.get("group", 1) > 1:
            return f"{strided}depthwise"
        weights = graph.weights(node)
        if weights is not None and max(weights.shape[2:]) == 1:
            return "pointwise"
        return "stem" if weights is not None and weights.shape[1] <= _IMAGE_CHANNELS else f"{strided}conv"
    reads = graph.reads(node)
    before = writer.get(reads[0]) if reads else None
    if node.op in _FREE or (node.op in _ACTIVATIONS and before is not None and before.op in ("Conv", "Gemm")):
        return None
    if node.op not in _KINDS:
        raise RunError(f"a latency table knows no operation {node.op!r} (of {node.name!r}): take --latency-command")
    return _KINDS[node.op]


def _bytes_moved(graph: OnnxGraph, node: Node) -> int:
    names = [name for name in dict.fromkeys((*node.inputs, *node.outputs)) if name in graph.tensors]
    return sum(4 * graph.tensors[name].values for name in names)


@dataclass(frozen=True)
class LatencyTable:
    """A model of the latency on one device: the sum of a + b · MACs + c · bytes over layers, each number by their kind.

    Args:
        device: where it was measured.
        date: when, in ISO's form.
        threads: of onnxruntime; 0: a command has measured.
        kinds: kind of layer to milliseconds a layer, a MAC and a byte, each from 0.
        spread: standard deviation of measured latencies of whole networks around those of the model, as a share.
        measured: of each graph: what was in it, measured milliseconds with their error, and those of the model.
    """

    device: str
    date: str
    threads: int
    kinds: dict[str, Costs]
    spread: float
    measured: tuple[dict[str, Any], ...] = ()

    def latency(self, model: OnnxModel | OnnxGraph) -> Latency:
        """The latency of a network; its error is `spread` of it.

        Raises:
            RunError: no ONNX file, a shape is not known, or a layer of a kind that is not in the table.
            SettingsError: the file is quantised, or the package onnx is not installed.
        """
        costs = layer_costs(model)
        if missing := sorted(set(costs) - set(self.kinds)):
            raise RunError(f"the latency table of {self.device} has no layers of kind {missing[0]}: make it anew")
        layers = [a * b for kind, cost in costs.items() for a, b in zip(self.kinds[kind], cost, strict=True)]
        ms = math.fsum(layers)
        return Latency(ms, ms * self.spread)

    def write(self, path: Path) -> None:
        """Write the table as JSON.

        Raises:
            RunError: the file cannot be written.
        """
        write_atomically(path, json.dumps({"format": _FORMAT, **asdict(self)}, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> LatencyTable:
        """Read a table that `write` wrote.

        Raises:
            RunError: there is no such file, or it is not a latency table.
        """
        data = read_json(path)
        with malformed(path, "a latency table", way_out=": `zarts latency-table` makes one"):
            if data.pop("format") != _FORMAT:
                raise ValueError("of another version")
            kinds = {kind: (a, b, c) for kind, (a, b, c) in data["kinds"].items()}
            numbers = [data["spread"], *(n for costs in kinds.values() for n in costs)]
            if not set(kinds) <= set(KINDS) or not all(type(n) in (int, float) and 0 <= n < math.inf for n in numbers):
                raise ValueError("a number or a kind of layer cannot be used")
            return cls(**{**data, "kinds": kinds, "measured": tuple(data["measured"])})


def make_latency_table(
    *,
    threads: int = 1,
    command: str | None = None,
    measure: Callable[[bytes], Latency] | None = None,
    note: Callable[[str], None] | None = None,
) -> LatencyTable:
    """Measure small graphs of all kinds of layers on a device, fit the model of their latency, and test it on networks.

    The milliseconds are found by least squares of relative errors over all graphs of layers at once, none below 0. In
    a network layers are faster than alone, because their values are in a cache and in the form that the runtime
    prefers; the factor by which whole networks differ on average is taken into account, and how far single ones are off
    after that is the table's `spread`. On this machine all graphs are measured several times, in a random order, so
    that what changes with time does not fall on one kind of layer.

    Args:
        threads: of onnxruntime, if it measures on this machine.
        command: measures an ONNX file on another device, see `latency_by_command`.
        measure: from an ONNX file to its latency, in place of both.
        note: called with a line of text for each graph.

    Raises:
        RunError: a graph cannot be measured.
        SettingsError: a package is not installed, or the command cannot be used.
    """
    rounds = 1 if measure or command else _ROUNDS
    if measure is None:
        measure = _on_this_machine(threads) if command is None else _by_command(command)
    layers, networks = list(layer_graphs()), list(network_graphs())
    graphs = layers + networks
    found: list[list[Latency]] = [[] for _ in graphs]
    for number in range(rounds):
        for place in np.random.default_rng(number).permutation(len(graphs)).tolist():
            name, data = graphs[place]
            found[place].append(measure(data))
            if note is not None:
                note(f"{found[place][-1]}: {name}")
    costs = [layer_costs(data) for _, data in graphs]
    matrix = np.array([[n for kind in KINDS for n in row.get(kind, (0.0, 0.0, 0.0))] for row in costs])
    target = np.median([[one.ms for one in several] for several in found], axis=1)
    coefficients = _fit(matrix[: len(layers)], target[: len(layers)])
    ratios = target[len(layers) :] / (matrix[len(layers) :] @ coefficients)
    coefficients = coefficients * ratios.mean()
    numbers = coefficients.reshape(len(KINDS), 3).tolist()
    return LatencyTable(
        device=_this_machine() if command is None else command,
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        threads=threads if command is None else 0,
        kinds={kind: (a, b, c) for kind, (a, b, c) in zip(KINDS, numbers, strict=True)},
        spread=float(ratios.std(ddof=1) / ratios.mean()),
        measured=tuple(
            {"graph": name, "ms": ms, "error": max(one.error for one in several), "predicted": predicted}
            for (name, _), several, ms, predicted in zip(
                graphs, found, target.tolist(), (matrix @ coefficients).tolist(), strict=True
            )
        ),
    )


def _fit(matrix: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The coefficients, none below 0, with the smallest sum of squares of relative errors."""
    from scipy.optimize import nnls

    scale = np.abs(matrix).max(axis=0).clip(1.0)  # counts, MACs and bytes differ by millions
    solution, _ = nnls(matrix / scale / target[:, None], np.ones(len(target)))
    return np.asarray(solution / scale)


def _on_this_machine(threads: int) -> Callable[[bytes], Latency]:
    return lambda data: measure_latency(data, threads=threads, blocks=7, block_seconds=0.01)


def _by_command(command: str) -> Callable[[bytes], Latency]:
    def measure(data: bytes) -> Latency:
        with temporary_folder() as folder:
            path = folder / "layers.onnx"
            path.write_bytes(data)
            return latency_by_command(command, path)

    return measure


def _this_machine() -> str:
    """The processor's name where the system tells it, the system, and the version of onnxruntime."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{name}, {platform.system()} {platform.machine()}, onnxruntime {metadata.version('onnxruntime')}"
