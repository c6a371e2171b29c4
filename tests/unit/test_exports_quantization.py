"""Files in 8 bits: close to those in 32, with the same input and card; the best calibration stays; nothing is said."""

import logging

import numpy as np
import pytest
import torch

from small import random_network, smooth_images
from zarts.errors import RunError, SettingsError
from zarts.exports import CALIBRATIONS, best_int8, has_vnni, onnx_answers, open_model, quantize, write_model
from zarts.exports.onnx_answers import FileAnswers
from zarts.spaces import Chain, ChainStem, Stage

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("unchecked")

NETWORK = Chain(
    ChainStem(8, 2),
    (Stage("residual", 8), Stage("residual", 12, 1, 2, shortcut="padding"), Stage("inverted", 12, expansion=2)),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Float files of both inputs, images and card."""
    folder = tmp_path_factory.mktemp("quantization")
    network, card = random_network(NETWORK, 16, 3)
    for pixels in ("float", "uint8"):
        (folder / pixels).mkdir()
        write_model(network, card, "onnx", folder / pixels, pixels)
    return folder, smooth_images(256, 16, 3), card


@pytest.mark.parametrize(("method", "pixels"), [("minmax", "uint8"), ("entropy", "float"), ("percentile", "float")])
def test_eight_bits_give_nearly_the_same_logits(made, tmp_path, capfd, method, pixels):
    """Seven bits of weights and eight of activations, a dozen layers: errors of a few hundredths of the spread."""
    folder, images, card = made
    file, out = folder / pixels / "model.onnx", tmp_path / "model.int8.onnx"
    handlers = list(logging.getLogger().handlers)
    calibration = images[:80] if pixels == "uint8" else images[:80] / 255
    quantize(file, out, calibration, method=method, reduce_range=True)
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger().handlers == handlers
    exact, got = onnx_answers(file, images, batch=100), onnx_answers(out, images)
    errors = (got.logits - exact.logits).square().mean().sqrt() / exact.logits.std(0).mean()
    assert 1e-4 < errors < 0.15
    assert torch.equal(got.predicted, got.logits.argmax(1))
    assert (got.predicted == exact.predicted).float().mean() > 0.9
    opened = open_model(out)
    assert (opened.card, opened.pixels) == (card, pixels)
    torch.testing.assert_close(opened.module(images[:9] / 255), got.logits[:9])
    before, after = onnx.load(file), onnx.load(out)
    assert after.graph.input == before.graph.input
    assert [entry.domain for entry in after.opset_import] == [""]
    onnx.checker.check_model(after)
    weights = {w.name: onnx.numpy_helper.to_array(w) for w in after.graph.initializer}
    kernels = [w for w in weights.values() if w.ndim == 4]
    assert len(kernels) == sum(node.op_type == "Conv" for node in before.graph.node)
    assert all(kernel.dtype == np.int8 and np.abs(kernel).max() == 64 for kernel in kernels)
    assert {len(weights[name]) for name in weights if name.endswith("weight_scale")} >= {8, 12}  # one a channel
    names = {"images.float", "images.scaled", "images.normalized"}
    normalizing = [[node for node in model.graph.node if node.output[0] in names] for model in (before, after)]
    assert [node.op_type for node in normalizing[0]] == ["Cast", "Mul", "Add"][pixels == "float" :]
    assert [(node.op_type, node.input) for node in normalizing[1]] == [(n.op_type, n.input) for n in normalizing[0]]
    again = tmp_path / "again.onnx"
    quantize(file, again, calibration, method=method, reduce_range=True)
    assert again.read_bytes() == out.read_bytes()


def test_the_best_calibration_stays(made, tmp_path, monkeypatch):
    folder, images, _ = made
    file, out = folder / "uint8" / "model.onnx", tmp_path / "model.int8.onnx"
    exact = onnx_answers(file, images).logits
    margins = exact.topk(2).values
    clear = margins[:, 0] - margins[:, 1] > 0.5  # no method errs on these: all have 100 %
    labels = exact.argmax(1)
    assert best_int8(file, out, images[:64], images[clear], labels[clear]) == (100, "minmax")
    assert torch.equal(onnx_answers(out, images[clear]).predicted, labels[clear])
    minmax = out.read_bytes()

    def told(name, given):
        right = {"minmax": 3, "entropy": 3, "percentile": 5}[name.stem]
        return FileAnswers(torch.tensor([1] * right + [0] * (8 - right)), torch.zeros(8, 3))

    monkeypatch.setattr("zarts.exports.quantization.onnx_answers", told)
    assert best_int8(file, out, images[:64], images[:8], torch.ones(8).long()) == (62.5, "percentile")
    quantize(file, tmp_path / "same.onnx", images[:64], method="percentile")
    assert out.read_bytes() == (tmp_path / "same.onnx").read_bytes() != minmax
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.int8.onnx", "same.onnx"]


def test_what_cannot_be_quantized(made, tmp_path):
    folder, images, _ = made
    file = folder / "uint8" / "model.onnx"
    with pytest.raises(SettingsError, match="no images"):
        quantize(file, tmp_path / "out.onnx", images[:0])
    with pytest.raises(SettingsError, match=", ".join(CALIBRATIONS)):
        quantize(file, tmp_path / "out.onnx", images, method="maximum")
    for wrong in (images[:, :1], images / 255):  # of another shape, of another type
        with pytest.raises(RunError, match="cannot be quantized"):
            quantize(file, tmp_path / "out.onnx", wrong)
    (tmp_path / "text.onnx").write_text("text")
    with pytest.raises(RunError, match="cannot be quantized"):
        quantize(tmp_path / "text.onnx", tmp_path / "out.onnx", images)
    with pytest.raises(RunError, match="cannot be run"):
        onnx_answers(tmp_path / "text.onnx", images)
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("flags\t\t: fpu avx avx2 avx512f", False),
        ("flags\t\t: fpu avx512_vnni", True),
        ("flags\t\t: avx2 avx_vnni", True),
        ("Features\t: fp asimd asimddp", True),
        ("Features\t: fp asimd", False),
    ],
)
def test_processors(tmp_path, monkeypatch, line, expected):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{line}\n")
    assert has_vnni(tmp_path / "cpuinfo") == expected
    monkeypatch.setattr("platform.system", lambda: "Windows")
    assert not has_vnni(tmp_path / "none")
