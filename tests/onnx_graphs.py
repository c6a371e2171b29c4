"""Small ONNX graphs, written node by node."""

import numpy as np
import onnx
import onnx.shape_inference
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """A graph that grows; each method adds a node and returns the name of its output."""

    def __init__(self, shape, dtype=TensorProto.FLOAT, batch=1):
        self.nodes, self.constants = [], []
        self.inputs = [helper.make_tensor_value_info("images", dtype, [batch, *shape])]
        self.channels = {"images": shape[0]}

    def constant(self, array):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(self, op, *inputs, channels=None, **attributes):
        name = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        self.channels[name] = self.channels.get(inputs[0]) if channels is None else channels
        return name

    def conv(self, x, outputs, kernel=3, stride=1, groups=1, bias=True):
        rng = np.random.default_rng(len(self.nodes))
        weights = rng.standard_normal((outputs, self.channels[x] // groups, kernel, kernel)).astype(np.float32) / 8
        names = [self.constant(weights), *([self.constant(np.zeros(outputs, np.float32))] if bias else [])]
        more = {"strides": [stride] * 2, "pads": [kernel // 2] * 4, "group": groups}
        return self.node("Conv", x, *names, channels=outputs, **more)

    def gemm(self, x, outputs):
        weights = self.constant(np.full((outputs, self.channels[x]), 0.1, np.float32))
        bias = self.constant(np.zeros(outputs, np.float32))
        return self.node("Gemm", x, weights, bias, channels=outputs, transB=1)

    def classifier(self, x, classes=10):
        return self.gemm(self.node("Flatten", self.node("GlobalAveragePool", x)), classes)

    def model(self, *outputs):
        results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "g", self.inputs, results, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def chain(width=8, depth=2, side=16, classes=10, **more):
    """Convolutions of one width, each with its activation, and a classifier."""
    graph = Graph((3, side, side), **more)
    x = "images"
    for _ in range(depth):
        x = graph.node("Relu", graph.conv(x, width))
    return graph.model(graph.classifier(x, classes))


def checked(model):
    onnx.checker.check_model(onnx.shape_inference.infer_shapes(model), full_check=True)
    return model
