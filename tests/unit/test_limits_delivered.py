"""What a file costs, and which limits it keeps."""

import sys

import pytest
import torch

from onnx_graphs import chain
from zarts.config import LimitSettings
from zarts.errors import RunError
from zarts.limits import (
    Latency,
    LatencyTable,
    NetworkCosts,
    count_macs,
    count_network,
    exceeded,
    flash,
    limit_shares,
    network_latency,
    plan_memory,
)
from zarts.limits.onnx_graph import read_graph
from zarts.networks import create_chain
from zarts.spaces import Chain, ChainStem, Stage

COSTS = NetworkCosts(120_000, 8_000_000, 60_000, 480_000, 500_000, Latency(1.99, 0.02))


def test_each_limit_is_told_in_words():
    tight = LimitSettings(
        max_params="100k", max_macs="8M", max_latency="1.5ms", max_ram="50KB", max_flash="600KB", max_file="500KB"
    )
    assert exceeded(tight, COSTS) == [
        "parameters 120,000 > 100,000",
        "latency 1.99 ms ± 0.02 > 1.5 ms",
        "RAM 60,000 > 50,000 bytes",
    ]
    shares = limit_shares(tight, COSTS)
    assert [share.name for share in shares] == ["parameters", "MACs", "latency", "RAM", "flash", "file"]
    assert [share.share for share in shares] == pytest.approx([1.2, 1.0, 2.03 / 1.5, 1.2, 0.8, 1.0])
    assert [share.kept for share in shares] == [False, True, False, False, True, True]
    assert exceeded(LimitSettings(), COSTS) == []
    assert [share.setting for share in limit_shares(LimitSettings(), COSTS)] == ["max_file"]


def test_a_latency_passes_with_two_standard_errors_more():
    assert exceeded(LimitSettings(max_latency="2.03ms"), COSTS) == []
    (text,) = exceeded(LimitSettings(max_latency="2.02ms"), COSTS)
    assert text == "latency 1.99 ms ± 0.02 (with two standard errors 2.03 ms) > 2.02 ms"
    none = NetworkCosts(1, 1, 1, 1, 1)
    assert "not been measured" in exceeded(LimitSettings(max_latency="9ms"), none)[0]
    assert exceeded(LimitSettings(max_latency="9ms"), none, measured=False) == []


def test_costs_of_a_file(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(chain(8, 2).SerializeToString())
    weights, biases = 216 + 576 + 80, 8 + 8 + 10
    costs = count_network(path)
    assert costs == NetworkCosts(
        parameters=weights + biases,
        macs=(216 + 576) * 256 + 80,
        ram=4 * (2048 + 2048),
        flash=4 * (weights + biases),
        file=path.stat().st_size,
    )
    small = count_network(path, int8=True, latency=Latency(1.0))
    assert (small.ram, small.flash, small.latency) == (4096, weights + 9 * biases, Latency(1.0))


def test_latency_comes_from_where_the_settings_say(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(chain(8, 2).SerializeToString())
    kinds = dict.fromkeys(("stem", "conv", "mean", "linear"), (0.5, 0.0, 0.0)) | {"graph": (1.0, 0.0, 0.0)}
    table = LatencyTable("phone", "2026-01-01", 1, kinds, 0.1)
    table.write(tmp_path / "table.json")
    assert network_latency(LimitSettings(latency_table=tmp_path / "table.json"), path) == Latency(3.0, 0.1 * 3.0)
    assert network_latency(LimitSettings(latency_table=tmp_path / "absent.json"), path, table).ms == 3.0
    with pytest.raises(RunError, match=r"absent\.json"):
        network_latency(LimitSettings(latency_table=tmp_path / "absent.json"), path)
    command = f'"{sys.executable}" -S -c "print(7)"'
    assert network_latency(LimitSettings(latency_command=command), path) == Latency(7.0)
    assert 0 < network_latency(LimitSettings(), path).ms < 1000


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")  # of torch's exporter
def test_a_network_that_torch_exports_has_the_costs_of_its_module():
    """All kinds of layers; the exporter folds batch norms, and leaves shapes of any batch."""
    stages = (
        Stage("residual", 8, stride=2),
        Stage("residual", 12, stride=2, shortcut="padding"),
        Stage("inverted", 12, depth=2, expansion=3, squeeze_excitation=True),
        Stage("separable", 16, stride=2, downsampling="max-pool"),
        Stage("skip", 24),
    )
    network = create_chain(Chain(ChainStem(8), stages, head=32), in_channels=1).eval()
    for tensor in network.state_dict().values():
        tensor.copy_(torch.rand(tensor.shape) + 0.5)  # a bias of zeros would be left out
    images = torch.zeros(2, 1, 28, 28)
    batch = ({0: torch.export.Dim("batch")},)
    program = torch.onnx.export(network, (images,), dynamo=True, dynamic_shapes=batch, verbose=False)
    graph = read_graph(program.model_proto)
    assert graph.macs() == count_macs(network, (1, 28, 28))
    norms = sum(part.num_features for part in network.modules() if isinstance(part, torch.nn.BatchNorm2d))
    parameters = sum(p.numel() for p in network.parameters())
    assert graph.parameters() == parameters - norms  # a bias in the place of each scale and shift
    channels = sum(p.shape[0] for p in network.parameters() if p.dim() > 1)
    biases = graph.parameters() - sum(p.numel() for p in network.parameters() if p.dim() > 1)
    assert flash(graph, int8=True) == graph.parameters() + 3 * biases + 5 * channels
    plan = plan_memory(graph, 1)
    assert plan.exact
    # the stem's output, a convolution's, and the rows that are picked for the shortcut before its columns are
    assert plan.peak == 8 * (28 * 28 + 14 * 14 + 14 * 28)
