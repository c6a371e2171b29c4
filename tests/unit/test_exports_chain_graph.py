"""ONNX graphs of chains: the logits of torch, for all networks, sizes and inputs, with statistics of any kind."""

import copy
import json

import numpy as np
import pytest
import torch

import zarts
from small import EVERY_KIND, random_network, smooth_images
from zarts.errors import SettingsError
from zarts.exports import Served, compare_logits, open_model, write_model
from zarts.exports.chain_graph import chain_graph
from zarts.spaces import HANDMADE, Chain, ChainStem, Stage, handmade
from zarts.training import save_model

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("unchecked")

SHRINKING = Chain(  # by strides of 3, kernels of 1 and average pools, on odd sides; shortcuts of both kinds
    ChainStem(6, 1, 1),
    (
        Stage("residual", 6, 1, 3, shortcut="padding"),
        Stage("residual", 9, 1, 1, shortcut="padding"),
        Stage("residual", 8, 1, 2),
        Stage("conv", 8, 1, 2, 1),
        Stage("inverted", 8, 1, 2, 3, expansion=1, downsampling="max-pool"),
        Stage("skip", 8, 1, 3),
    ),
)


def logits_of(model, images):
    (logits,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"images": images.numpy()})
    return torch.from_numpy(logits)


CHAINS = {**{name: handmade(name, 0.2) for name in HANDMADE}, "every": EVERY_KIND, "shrinking": SHRINKING}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize(("size", "channels"), [(28, 1), (33, 3)])
def test_logits_are_those_of_torch_and_shapes_are_right(name, size, channels):
    network, card = random_network(CHAINS[name], size, channels)
    model = chain_graph(network, card)
    levels = smooth_images(5, size, channels)
    with torch.no_grad():
        theirs = Served(network, card).eval()(levels / 255)
        expected = Served(copy.deepcopy(network).double(), card).double().eval()(levels.double() / 255)
    rounding = (theirs - expected).abs().max()  # of torch in float32
    spread = expected.std(0).mean()
    assert spread > 0.2  # images differ in their logits
    assert rounding < 1e-3
    for got in (logits_of(model, levels / 255), logits_of(chain_graph(network, card, "uint8"), levels)):
        assert (got - expected).abs().max() <= 1e-4 * spread + 2 * rounding
    shapes = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in model.graph.value_info}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    modules = [part for part in network.modules() if isinstance(part, torch.nn.Conv2d)]
    assert len(convolutions) == len(modules)
    assert all(len(shapes[node.output[0]]) == 4 and shapes[node.output[0]][3] > 0 for node in convolutions)
    assert not any(node.op_type == "BatchNormalization" for node in model.graph.node)
    assert (model.ir_version, model.opset_import[0].version) == (7, 13)


def test_a_network_of_something_else_is_refused():
    network, card = random_network(EVERY_KIND, 12, 3)
    network.layers[0] = torch.nn.Softplus()
    with pytest.raises(SettingsError, match=r"layers\.0: a Softplus"):
        chain_graph(network, card)


@pytest.fixture(scope="module")
def of_levels(tmp_path_factory):
    """A model file, and its export that takes levels."""
    folder = tmp_path_factory.mktemp("levels")
    network, card = random_network(handmade("resnet8", 0.25), 8, 1)
    save_model(folder / "model.safetensors", network, card)
    zarts.export(folder / "model.safetensors", "onnx", input="uint8", out=folder / "out")
    return folder


def test_a_file_that_takes_levels_works_like_all_others(of_levels, command):
    """Levels go in unchanged: were they truncated instead of rounded, some would be one lower."""
    file, levels = of_levels / "out" / "model.onnx", torch.arange(256).repeat(4)[: 15 * 64].reshape(15, 1, 8, 8)
    opened = open_model(file)
    assert opened.pixels == "uint8"
    straight = logits_of(onnx.load(file), levels.byte())
    assert torch.equal(opened.module(levels.float() / 255), straight)
    assert torch.equal(opened.module(levels * torch.tensor(1 / 255)), straight)
    for image, row in zip(levels[:3], straight, strict=False):
        (told,) = zarts.predict(of_levels / "out", image[0].byte().numpy(), top=3)
        chances = dict(told.classes)
        assert [chances["abc"[i]] for i in range(3)] == pytest.approx(row.softmax(0).tolist(), abs=1e-5)
    (same,) = zarts.predict(of_levels / "model.safetensors", image[0].byte().numpy(), top=3)
    assert [p for _, p in same.classes] == pytest.approx([p for _, p in told.classes], abs=1e-5)
    text = (of_levels / "out" / "README.md").read_text()
    assert "uint8 (batch, 1, 8, 8), levels from 0 to 255" in text
    assert 'astype("uint8")' in text
    code, _, error = command("export", of_levels / "model.safetensors", "--format", "python", "--input", "uint8")
    assert (code, "--input uint8: is for --format onnx only" in error) == (2, True)


@pytest.mark.long
def test_cells_take_levels_too(tmp_path, retrained):
    """By torch's exporter, which takes seconds."""
    pytest.importorskip("onnxscript")
    network, _ = zarts.load_model(retrained.run / "model.safetensors")
    _, card = zarts.load_model(retrained.run)
    write_model(network, card, "onnx", tmp_path, "uint8")
    opened = open_model(tmp_path / "model.onnx")
    assert opened.pixels == "uint8"
    assert compare_logits(network, opened, tmp_path) < 1e-4
    assert json.loads((tmp_path / "config.json").read_text())["image_size"] == 8
    assert np.isfinite(zarts.evaluate(tmp_path / "model.onnx", data="digits"))
