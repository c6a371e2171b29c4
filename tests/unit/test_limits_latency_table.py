"""A latency table finds the costs of a pretended device, and refuses what it cannot tell."""

import json
import sys

import numpy as np
import pytest

from onnx_graphs import Graph, chain
from zarts.errors import RunError, SettingsError
from zarts.limits import Latency, LatencyTable, make_latency_table
from zarts.limits.latency_table import KINDS, layer_costs
from zarts.limits.layer_graphs import network_graphs

DEVICE = {kind: (0.01 + 0.002 * i, (5 + i) * 1e-8, (3 + i) * 1e-7) for i, kind in enumerate(KINDS)}
DEVICE |= {kind: (DEVICE[kind][0], 0.0, DEVICE[kind][2]) for kind in ("pool", "mean", "elementwise", "copy", "graph")}


def pretended(data):
    costs = layer_costs(data)
    return Latency(sum(a * b for kind in costs for a, b in zip(DEVICE[kind], costs[kind], strict=True)), 0.001)


@pytest.fixture(scope="module")
def table():
    return make_latency_table(measure=pretended)


def test_costs_of_layers_by_hand():
    graph = Graph((3, 8, 8))
    x = graph.node("Relu", graph.conv("images", 8))
    y = graph.node("Relu", graph.conv(x, 8, 3, 1, groups=8))
    x = graph.node("Relu", graph.node("Add", x, graph.conv(y, 8, 1)))
    assert layer_costs(graph.model(graph.classifier(x, 10))) == {
        "stem": (1, 216 * 64, 4 * (192 + 216 + 8 + 512)),
        "depthwise": (1, 72 * 64, 4 * (512 + 72 + 8 + 512)),
        "pointwise": (1, 64 * 64, 4 * (512 + 64 + 8 + 512)),
        "elementwise": (2, 0, 4 * (3 * 512 + 2 * 512)),
        "mean": (1, 0, 4 * (512 + 8)),
        "linear": (1, 80, 4 * (8 + 80 + 10 + 10)),
        "graph": (1, 0, 4 * (192 + 10)),
    }


def test_it_finds_the_costs_of_a_device(table):
    for kind in KINDS:
        assert table.kinds[kind] == pytest.approx(DEVICE[kind], rel=1e-3, abs=1e-15), kind
    assert table.spread < 1e-6
    model = chain(12, 3)
    found = table.latency(model)
    assert found.ms == pytest.approx(pretended(model.SerializeToString()).ms, rel=1e-4)
    assert found.error == pytest.approx(found.ms * table.spread)


def test_noise_of_five_percent_is_averaged_and_the_spread_tells_it():
    rng = np.random.default_rng(0)
    noisy = make_latency_table(measure=lambda data: Latency(pretended(data).ms * rng.normal(1, 0.05)))
    true = {name: pretended(data).ms for name, data in network_graphs()}
    errors = [m["predicted"] / true[m["graph"]] - 1 for m in noisy.measured if m["graph"] in true]
    assert len(errors) == 12
    assert np.sqrt(np.mean(np.square(errors))) < 0.05
    assert 0.03 < noisy.spread < 0.1


def test_a_factor_of_whole_networks_is_found():
    """A device on which networks take .8 of the sum of their layers."""
    networks = {data for _, data in network_graphs()}
    faster = make_latency_table(measure=lambda data: Latency(pretended(data).ms * (0.8 if data in networks else 1)))
    assert faster.latency(chain(12, 3)).ms == pytest.approx(0.8 * pretended(chain(12, 3)).ms, rel=1e-4)
    assert faster.spread < 1e-6


def test_it_is_read_as_it_was_written(table, tmp_path):
    path = tmp_path / "device.json"
    table.write(path)
    assert LatencyTable.read(path) == table
    good = json.loads(path.read_text())
    for change in (
        {"format": 2},
        {"spread": -1},
        {"spread": "1"},
        {"kinds": {"conv": [1, 2]}},
        {"kinds": {"other": [1, 2, 3]}},
        {"more": 1},
        {"spread": float("nan")},
    ):
        path.write_text(json.dumps(good | change))
        with pytest.raises(RunError, match="not a latency table"):
            LatencyTable.read(path)
    path.write_text("[" * 5000)
    with pytest.raises(RunError, match="nested"):
        LatencyTable.read(path)
    with pytest.raises(RunError, match="no such file"):
        LatencyTable.read(tmp_path / "absent.json")


def test_what_it_cannot_tell(table):
    graph = Graph((4, 8, 8))
    strange = graph.model(graph.node("LRN", "images", size=3))
    with pytest.raises(RunError, match="'LRN'"):
        table.latency(strange)
    few = LatencyTable("phone", "", 1, {"stem": (1.0, 0.0, 0.0), "conv": (1.0, 0.0, 0.0)}, 0.1)
    with pytest.raises(RunError, match=r"phone has no layers of kind graph"):
        few.latency(chain())
    graph = Graph((4, 8, 8))
    names = [graph.constant(np.float32(0.1)), graph.constant(np.uint8(0))]
    with pytest.raises(SettingsError, match="quantised"):
        table.latency(
            graph.model(graph.node("DequantizeLinear", graph.node("QuantizeLinear", "images", *names), *names))
        )


def test_the_command_makes_it(command, tmp_path, monkeypatch):
    """By a command that pretends to be a phone: it answers with the size of the file."""
    monkeypatch.setattr("zarts.limits.latency_table.network_graphs", lambda: list(network_graphs())[:2])
    few = [("a", chain().SerializeToString()), ("b", chain(16).SerializeToString())]
    monkeypatch.setattr("zarts.limits.latency_table.layer_graphs", lambda: few)
    path = tmp_path / "phone.json"
    phone = f'"{sys.executable}" -S -c "import os, sys; print(os.path.getsize(sys.argv[1]) / 1e4)"'
    code, out, err = command("latency-table", path, "--latency-command", phone)
    assert (code, out.count("4 graphs measured")) == (0, 1), err
    assert len(err.splitlines()) == 4
    table = LatencyTable.read(path)
    assert (table.device, table.threads) == (phone, 0)
    assert [one["ms"] for one in table.measured[:2]] == [len(data) / 1e4 for _, data in few]
    assert command("latency-table", path)[0] == 2  # exists
    assert command("latency-table", tmp_path / "x", "--latency-command", "c", "--latency-threads", 2)[0] == 2
    assert command("latency-table", tmp_path / "x", "--latency-command", "no-such-program-here")[0] == 3
