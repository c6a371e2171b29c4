"""TFLite files in LiteRT: the logits of the network, also in 8 bits; skipped where the extra is not installed."""

import sys

import numpy as np
import pytest
import torch

import zarts
from small import random_network, smooth_images
from zarts.errors import RunError, SettingsError
from zarts.exports import Served, open_model, quantize_tflite, write_model
from zarts.spaces import Chain, ChainStem, Stage
from zarts.training import save_model

pytestmark = pytest.mark.usefixtures("unchecked")

NETWORK = Chain(
    ChainStem(8, 2), (Stage("residual", 8), Stage("residual", 12, 1, 2), Stage("inverted", 12, expansion=2))
)


@pytest.fixture
def no_extra(monkeypatch):
    for name in ("litert_torch", "ai_edge_litert", "ai_edge_litert.interpreter", "ai_edge_quantizer"):
        monkeypatch.setitem(sys.modules, name, None)


def test_what_is_missing_is_named(tmp_path, no_extra, capfd):
    network, card = random_network(NETWORK, 9, 1)
    for call in (
        lambda: write_model(network, card, "tflite", tmp_path),
        lambda: quantize_tflite(tmp_path / "config.json", tmp_path / "out.tflite", torch.zeros(1, 1, 9, 9).byte()),
        lambda: open_model(tmp_path / "model.tflite"),
    ):
        (tmp_path / "model.tflite").touch()
        (tmp_path / "config.json").write_text(card.to_json())
        with pytest.raises(SettingsError, match=r"pip install 'zarts\[litert\]'"):
            call()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("channels", [1, 3])
def test_a_file_and_its_eight_bits(tmp_path, capfd, channels):
    """Through `zarts.export`, which compares the logits; strided 1×1 convolutions are one operation."""
    pytest.importorskip("litert_torch")
    network, card = random_network(NETWORK, 17, channels)
    save_model(tmp_path / "model.safetensors", network, card)
    capfd.readouterr()
    file = zarts.export(tmp_path / "model.safetensors", "tflite", out=tmp_path / "out")[0]
    out = tmp_path / "out" / "model.int8.tflite"
    images = smooth_images(200, 17, channels)
    quantize_tflite(file, out, images[:80])
    exact, got = (open_model(path).module for path in (file, out))
    assert capfd.readouterr() == ("", "")
    with torch.no_grad():
        expected = Served(network, card).eval()(images / 255)
    torch.testing.assert_close(exact(images / 255), expected, rtol=1e-4, atol=1e-4)
    errors = (got(images / 255) - expected).square().mean().sqrt() / expected.std(0).mean()
    assert 1e-3 < errors < 0.25  # with a moving average of extremes, as the package takes it: 0.9
    assert {place["dtype"] for place in (got.input, got.output)} == {np.int8}
    assert out.stat().st_size < file.stat().st_size
    kinds = [one["op_name"] for one in exact.interpreter._get_ops_details()]
    assert "STRIDED_SLICE" not in kinds
    assert list(got.input["shape"]) == [1, 17, 17, channels]
    assert got.input["quantization"] == pytest.approx((1 / 255, -128), rel=0.05)
    assert len(zarts.predict(tmp_path / "out", images[0].permute(1, 2, 0).numpy())) == 1
    (tmp_path / "out" / "config.json").unlink()
    with pytest.raises(RunError, match=r"config\.json"):
        open_model(file)
    with pytest.raises(RunError, match="cannot be quantized"):
        quantize_tflite(tmp_path / "model.safetensors", out, images)
    with pytest.raises(SettingsError, match="no images"):
        quantize_tflite(file, out, images[:0])
