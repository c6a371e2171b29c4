"""RAM and flash against counts by hand, exhaustive search, and onnxruntime's own quantisation."""

import math
import random
import time

import numpy as np
import pytest
from onnx import TensorProto, helper

from onnx_graphs import Graph, chain, checked
from zarts.errors import RunError
from zarts.limits import flash, peak_ram, plan_memory
from zarts.limits.onnx_graph import read_graph

# Counts by hand; an activation works in the place of its convolution, and flattening moves nothing.


def test_a_plain_chain():
    graph = Graph((3, 8, 8))
    x = graph.node("Relu", graph.conv("images", 8))
    x = graph.node("Relu", graph.conv(x, 16, stride=2))
    model = checked(graph.model(graph.classifier(x)))
    # image 3·64 = 192, first 8·64 = 512, second 16·16 = 256, mean 16, logits 10
    assert peak_ram(model, 4) == 4 * max(192 + 512, 512 + 256, 256 + 16, 16 + 10) == 3072
    assert peak_ram(model, 1) == 768
    assert flash(model) == 4 * ((3 * 8 * 9 + 8) + (8 * 16 * 9 + 16) + (16 * 10 + 10))
    assert flash(model, int8=True) == (216 + 1152 + 160) + (4 + 5) * (8 + 16 + 10)
    counted = read_graph(model)
    assert counted.macs() == 216 * 64 + 1152 * 16 + 160
    assert counted.parameters() == 224 + 1168 + 170


def test_an_image_of_bytes():
    """It has one byte a value. As float32 it is a second tensor; in 8 bits it is scaled where it lies."""
    graph = Graph((3, 8, 8), TensorProto.UINT8, batch="batch")
    x = graph.node("Cast", "images", to=TensorProto.FLOAT)
    x = graph.node("Div", x, graph.constant(np.float32(255)))
    model = checked(graph.model(graph.conv(x, 2, stride=2)))
    assert peak_ram(model, 4) == 192 * 1 + 192 * 4  # while it is cast; the convolution takes (192 + 2·16) · 4 = 896
    assert peak_ram(model, 1) == 192 + 32


def test_a_residual_block_with_a_projection():
    graph = Graph((8, 8, 8))
    inner = graph.node("Relu", graph.conv("images", 16, stride=2))
    beside = graph.conv("images", 16, kernel=1, stride=2)
    total = graph.node("Relu", graph.node("Add", graph.conv(inner, 16), beside))
    # input 512, three tensors of 256: while the second of them is written, the input and the first are live
    assert peak_ram(graph.model(total), 1) == 512 + 256 + 256
    assert peak_ram(graph.model(total, inner), 1) == 512 + 256 + 256  # at the end: sum, its two terms, and inner


def test_an_inverted_bottleneck():
    for stride, peak in ((1, 256 + 1536 + 1536), (2, 1536 + 384)):  # with stride 1 the input waits for the sum
        graph = Graph((4, 8, 8))
        x = graph.node(
            "Clip", graph.conv("images", 24, 1), graph.constant(np.float32(0)), graph.constant(np.float32(6))
        )
        x = graph.node("Relu", graph.conv(x, 24, 3, stride, groups=24))
        x = graph.conv(x, 4, 1)
        model = checked(graph.model(graph.node("Add", "images", x) if stride == 1 else x))
        assert peak_ram(model, 1) == peak
        assert read_graph(model).macs() == 96 * 64 + (216 + 96) * 64 // stride**2
        assert flash(model) == 4 * (4 * 24 + 24 + 9 * 24 + 24 + 24 * 4 + 4)


def test_squeeze_and_excitation_needs_its_input_twice():
    graph = Graph((4, 8, 8))
    x = graph.node("Relu", graph.conv("images", 8))
    squeezed = graph.node("ReduceMean", x, graph.constant(np.array([2, 3])))
    scale = graph.node("HardSigmoid", graph.conv(graph.node("Relu", graph.conv(squeezed, 2, 1)), 8, 1))
    assert peak_ram(graph.model(graph.node("Mul", x, scale)), 1) == 512 + 8 + 512


def test_an_activation_of_a_value_that_is_read_elsewhere_is_not_in_place():
    graph = Graph((4, 8, 8))
    x = graph.conv("images", 4)
    total = graph.node("Add", x, graph.node("Relu", x))
    assert peak_ram(graph.model(total), 1) == 3 * 256


def test_branches_one_after_the_other():
    """Two wide branches: in the file's order both wide tensors are live at once."""
    graph = Graph((1, 8, 8))
    wide = [graph.conv("images", 10, 1) for _ in range(2)]
    narrow = [graph.conv(x, 1, 1) for x in wide]
    plan = plan_memory(graph.model(graph.node("Concat", *narrow, axis=1, channels=2)), 1)
    assert (plan.peak, plan.exact) == (64 * (10 + 1 + 1), True)  # in the file's order 64 · (1 + 10 + 10)
    assert plan.order[0][-1] == "0"
    assert plan.order[1][-1] == "2"


def random_graph(rng, count):
    """Convolutions and concatenations of random earlier tensors, as tensor: (inputs, bytes); and the model."""
    graph, nodes, sizes = Graph((rng.randint(1, 6), 2, 2)), {}, {}
    sizes["images"] = 4 * graph.channels["images"]
    for _ in range(count):
        inputs = tuple(rng.sample(sorted(sizes)[-5:], k=min(len(sizes), rng.choice((1, 1, 2)))))
        if len(inputs) == 1:
            name = graph.conv(inputs[0], rng.randint(1, 9), 1)
        else:
            name = graph.node("Concat", *inputs, axis=1, channels=sum(graph.channels[x] for x in inputs))
        nodes[name], sizes[name] = inputs, 4 * graph.channels[name]
    read = {x for inputs in nodes.values() for x in inputs}
    outputs = [name for name in nodes if name not in read]
    return graph.model(*outputs), nodes, sizes, outputs


def peak_of(order, nodes, sizes, outputs):
    """Simulates an order: a tensor is live from where it is written to where it is last read."""
    last = {x: place for place, name in enumerate(order) for x in nodes[name]}
    live, peak = {"images"}, 0
    for place, name in enumerate(order):
        live.add(name)
        peak = max(peak, sum(sizes[x] for x in live))
        live = {x for x in live if x in outputs or last.get(x, -1) > place}
    return peak


def orders(nodes, done=()):
    if len(done) == len(nodes):
        yield done
    for name in nodes:
        if name not in done and all(x == "images" or x in done for x in nodes[name]):
            yield from orders(nodes, (*done, name))


@pytest.mark.parametrize("seed", range(40))
def test_equals_exhaustive_search(seed):
    rng = random.Random(seed)
    model, nodes, sizes, outputs = random_graph(rng, rng.randint(3, 7))
    every = [peak_of(order, nodes, sizes, outputs) for order in orders(nodes)]
    plan = plan_memory(model, 1)
    assert plan.exact
    assert plan.peak == min(every)
    assert peak_of(plan.order, nodes, sizes, outputs) == plan.peak


def test_the_search_is_needed_and_its_limit_is_told():
    """Over random graphs the greedy order is sometimes worse; it never is better, and it is an order of that peak."""
    worse = 0
    for seed in range(60):
        model, nodes, sizes, outputs = random_graph(random.Random(seed), 9)
        best, greedy = plan_memory(model, 1), plan_memory(model, 1, most_states=0)
        assert peak_of(greedy.order, nodes, sizes, outputs) == greedy.peak >= best.peak
        assert best.exact
        assert greedy.peak == best.peak or not greedy.exact
        worse += greedy.peak > best.peak
    assert worse >= 3


def test_long_chains_and_wide_graphs_take_no_time():
    graph, begin = Graph((4, 8, 8)), time.process_time()
    x = "images"
    for _ in range(60):
        x = graph.node("Add", x, graph.conv(graph.node("Relu", graph.conv(x, 4)), 4))
    assert peak_ram(graph.model(x), 1) == 3 * 256
    wide = [graph.conv("images", 1 + i % 7, 1) for i in range(40)]
    ends = [graph.conv(graph.conv(name, 9 - i % 5, 1), 1 + i % 3, 1) for i, name in enumerate(wide)]
    joined = graph.node("Concat", *ends, axis=1)
    plan = plan_memory(graph.model(joined), 1, most_states=2000)
    assert math.isfinite(plan.peak)
    assert time.process_time() - begin < 10


def test_quantised_files(tmp_path):
    """What is forecast is what onnxruntime writes, less the scales of biases and activations, which it stores too."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    import onnx

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            self.left = [{"images": np.random.default_rng(0).random((1, 3, 16, 16), np.float32)}] * 2

        def get_next(self):
            return self.left.pop() if self.left else None

    model = chain(8, 3)
    onnx.save(model, tmp_path / "float.onnx")
    quantization.quantize_static(
        tmp_path / "float.onnx",
        tmp_path / "int8.onnx",
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
    )
    written = tmp_path / "int8.onnx"
    channels = 3 * 8 + 10
    forecast = flash(model, int8=True)
    assert forecast == (216 + 2 * 576 + 80) + 9 * channels
    assert forecast <= flash(written) == flash(written, int8=True) <= forecast + 8 * channels + 5 * 12
    assert peak_ram(written, 1) == peak_ram(model, 1) == 2 * 8 * 256
    assert read_graph(written).macs() == read_graph(model).macs()


def test_files_that_cannot_be_counted(tmp_path):
    for wrong, word in ((b"not onnx", "cannot be read as ONNX"), (tmp_path / "absent.onnx", "cannot be read")):
        with pytest.raises(RunError, match=word):
            peak_ram(wrong)
    model = chain()
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    with pytest.raises(RunError, match="size of its input"):
        flash(model)
    graph = Graph((1, 4, 4))
    graph.nodes.append(helper.make_node("Unheard", ["images"], ["y"], domain="somewhere"))
    model = graph.model("y")
    model.opset_import.append(helper.make_opsetid("somewhere", 1))
    with pytest.raises(RunError, match="shape of 'y'"):
        peak_ram(model)
