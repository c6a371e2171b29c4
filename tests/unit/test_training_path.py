"""The path of a training: the fastest is taken, it is kept, and it changes nothing that settings by hand would not."""

import json

import pytest
import torch
from safetensors.torch import load_file

import zarts
from small import TRAIN, needs_compiler, stop_at
from zarts.config import retrain_settings
from zarts.errors import Interrupted, RunError
from zarts.networks import create_chain, seeded, set_layout
from zarts.runtime.device import idle_processors
from zarts.spaces import handmade
from zarts.training import compute_path, path_choice
from zarts.training.compute_path import ComputePath, Cost, candidates, fastest

CHAIN = {
    **{k: v for k, v in TRAIN.items() if k in ("data", "subset", "batch_size", "cutout")},
    "epochs": 1,
    "width": 0.5,
}
AUTO = dict.fromkeys(("precision", "layout", "kernels", "threads"), "auto")
CPU = torch.device("cpu")


def path(layout="channels-last", threads=1, precision="32-true", kernels="torch"):
    return ComputePath(precision, layout, kernels, threads)


class Clock:
    """Steps of given costs; the first on each path takes three times as long."""

    def __init__(self, costs):
        self.costs, self.taken = costs, []

    def __call__(self, path):
        first = 1 if path in self.taken else 3
        self.taken.append(path)
        return Cost(*(first * seconds for seconds in self.costs[path.layout, path.threads]))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("zarts.training.path_choice.idle_processors", lambda: 1)
    return tmp_path / "cache" / "zarts" / "paths"


@pytest.fixture
def measured(monkeypatch):
    """The choices that were measured, all with the plain layout in bfloat16 as the fastest, whatever the processor."""
    calls = []
    monkeypatch.setattr(compute_path, "computes_in_bfloat16", lambda device: True)
    monkeypatch.setattr(path_choice, "computes_in_bfloat16", lambda device: True)

    def measure(paths, threads, step, most):
        calls.append(paths)
        for one in paths:
            step(one)
        best = next(one for one in paths if (one.layout, one.precision) == ("nchw", "bf16-mixed"))
        return best, [compute_path.Measured(best, 0.21, 1), compute_path.Measured(paths[0], 0.29, 1)]

    monkeypatch.setattr("zarts.training.path_choice.fastest", measure)
    return calls


@pytest.mark.parametrize(
    ("costs", "chosen"),
    [
        # two threads take 80 % of the time, four no less than that: two; then the layouts with two
        ({1: (1.0, 1.0), 2: (0.8, 1.6), 4: (0.79, 3.2)}, 2),
        # a second thread that gains 5 % is not worth it; the time that passes decides, not that of processors
        ({1: (1.0, 1.0), 2: (0.95, 1.0), 4: (0.95, 1.0)}, 1),
        # hopeless at the first step: not measured again
        ({1: (0.2, 0.2), 2: (0.5, 1.0), 4: (9.0, 36.0)}, 1),
    ],
)
def test_the_fastest_path_is_taken(costs, chosen):
    costs = {("channels-last", n): cost for n, cost in costs.items()} | {("nchw", n): (0.1, 0.1) for n in (1, 2, 4)}
    clock = Clock(costs)
    best, found = fastest([path(), path("nchw")], [4, 2, 1], clock)
    assert best == path("nchw", chosen) == found[0].path
    assert found[0].seconds == 0.1
    assert clock.taken.count(path(threads=4)) == (2 if costs["channels-last", 4][0] == 9 else 3)


def test_one_thread_is_compared_by_the_processors_time():
    """Another program took the processor away from the steps of the first path."""
    best, _ = fastest([path(), path("nchw")], [1], Clock({("channels-last", 1): (9.0, 0.9), ("nchw", 1): (1.0, 1.0)}))
    assert best == path()


def test_candidates_are_what_is_auto_and_bfloat16_needs_the_processor(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 6)
    auto = retrain_settings(AUTO, handmade=None)
    for has, precisions in (({"avx512_f": True}, {"32-true"}), ({"amx_bf16": True}, {"32-true", "bf16-mixed"})):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has=has: has, raising=False)
        paths, threads = candidates(auto, CPU, [], 99)
        assert {one.precision for one in paths} == precisions
        assert len({*paths}) == len(paths) == 2 * len(precisions)
        assert threads == [6, 3, 1]
    assert candidates(auto, CPU, [], 5)[1] == [3, 1]
    assert candidates(auto, CPU, [], 0)[1] == [1]
    native = candidates(auto, CPU, ["32-true", "bf16-mixed"], 0)[0]
    assert {one.precision for one in native if one.kernels == "native"} == {"32-true", "bf16-mixed"}
    assert {one.layout for one in native if one.kernels == "native"} == {"channels-last"}
    native = candidates(auto, CPU, ["32-true"], 0)[0]
    assert {one.precision for one in native if one.kernels == "native"} == {"32-true"}
    fixed = retrain_settings({"precision": 32, "threads": 2}, handmade=None)
    assert fixed.precision == "32-true"
    assert candidates(fixed, CPU, [], 0) == ([path(threads=2)], [2])


@needs_compiler
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_native_kernels_are_of_the_precision(precision):
    settings = retrain_settings(
        {**AUTO, "layout": "channels-last", "kernels": "native", "precision": precision}, handmade=True
    )
    network = create_chain(handmade("resnet8", 0.2), in_channels=1)
    path_choice.put_on_path(network, settings)
    wanted = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16}[precision]
    assert network.stem[0].native == {wanted}


def test_idle_processors_are_told_from_the_systems_ticks(tmp_path, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    (tmp_path / "stat").write_text("cpu  500 0 100 250 50 50 25 25 9 9\ncpu0 1 1 1 1\n")  # 300 of 1,000 are idle
    assert idle_processors(0.0, tmp_path / "stat") == round(8 * 0.3)
    assert idle_processors(0.0, tmp_path / "none") == 8


def test_layouts_give_the_same_numbers_and_gradients():
    images = torch.rand(4, 12, 12, 1).permute(0, 3, 1, 2).double()
    gradients = []
    for layout in ("channels-last", "nchw"):
        with seeded(0):
            network = create_chain(handmade("mobilenet_v2", 0.1).for_images(12), in_channels=1).double().eval()
        set_layout(network, layout)
        seen = []
        network.layers[3].register_forward_hook(lambda _, inputs, output, seen=seen: seen.append(output))
        network(images).square().sum().backward()
        assert seen[0].is_contiguous(memory_format=torch.channels_last) == (layout == "channels-last")
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
    assert torch.allclose(*gradients, rtol=1e-9, atol=1e-12)
    assert gradients[0].abs().sum() > 0


def weights(run):
    """All of them in one list, for comparisons to the bit."""
    tensors = load_file(run / "model.safetensors")
    return [(name, tensors[name].tolist()) for name in sorted(tensors)]


def notes(events):
    return [event["text"] for event in events if event["event"] == "note" and event["text"].startswith("path: ")]


@pytest.mark.usefixtures("no_pictures", "unchecked")
def test_auto_has_the_bits_of_its_path_by_hand_and_is_kept_and_cached(tmp_path, measured, cache):
    heard = []
    options = {**CHAIN, "quiet": True, "callbacks": [heard.append]}
    auto = zarts.retrain("resnet8", out=tmp_path / "auto", **options, **AUTO)
    by_hand = {"precision": "bf16-mixed", "layout": "nchw", "kernels": "torch", "threads": 1}
    hand = zarts.retrain("resnet8", out=tmp_path / "hand", **options, **by_hand)
    other = zarts.retrain("resnet8", out=tmp_path / "other", **options, threads=1)
    assert weights(auto.run) == weights(hand.run) != weights(other.run)
    (note,) = notes(heard)
    assert note.startswith("path: bf16, NCHW, 1 thread: 0.21 s a step (fp32, channels last")
    assert note.endswith(" 0.29; measured now)")
    kept = json.loads((auto.run / "path.json").read_text())
    assert kept["path"] == by_hand
    assert [one["seconds"] for one in kept["measured"]] == [0.21, 0.29]
    assert not (hand.run / "path.json").exists()

    again = zarts.retrain("resnet8", out=tmp_path / "again", **options, **AUTO)
    assert weights(again.run) == weights(auto.run)
    assert len(measured) == 1  # the second time it is cached
    assert "measured before" in notes(heard)[-1]
    (file,) = cache.iterdir()
    for damage in ("{", '{"path": {"layout": "nchw"}, "measured": []}', "[]"):
        file.write_text(damage)
    zarts.retrain("resnet8", out=tmp_path / "third", **options, **AUTO)
    assert len(measured) == 2
    assert json.loads(file.read_text())["path"] == kept["path"]


@pytest.mark.usefixtures("no_pictures", "unchecked")
def test_a_resumed_run_keeps_its_path(tmp_path, measured, cache, monkeypatch):
    whole = zarts.retrain("resnet8", out=tmp_path / "whole", quiet=True, **CHAIN, **AUTO)
    with monkeypatch.context() as patched:
        patched.setattr("zarts.training.trainer.stop_request", stop_at(3))
        with pytest.raises(Interrupted):
            zarts.retrain("resnet8", out=tmp_path / "run", quiet=True, **CHAIN, **AUTO)
    for file in cache.iterdir():
        file.unlink()
    monkeypatch.setattr(path_choice, "computes_in_bfloat16", lambda device: False)
    heard = []
    resumed = zarts.retrain(resume=tmp_path / "run", quiet=True, callbacks=[heard.append])
    assert weights(resumed.run) == weights(whole.run)
    assert len(measured) == 1
    assert notes(heard)[0].endswith("as when the run began)")
    assert [event for event in heard if "no instructions for bfloat16" in event.get("text", "")]
    assert not [event for event in heard if "last bits may differ" in event.get("text", "")]
    (tmp_path / "run" / "result.json").unlink()
    (tmp_path / "run" / "path.json").write_text("{}")
    with pytest.raises(RunError, match=r"path\.json"):
        zarts.retrain(resume=tmp_path / "run", quiet=True)


@pytest.mark.usefixtures("no_pictures", "unchecked")
def test_measuring_real_steps_leaves_torch_as_it_was(tmp_path):
    """Without a stand-in: networks of cells, with an auxiliary head, drop-path and fewer images than a batch."""
    options = {**TRAIN, "epochs": 1, "auxiliary_weight": 0.4, "drop_path": 0.2, "quiet": True}
    state = torch.get_rng_state()
    found = zarts.retrain("DARTS_V2", out=tmp_path / "run", **options, **AUTO, memory_limit="300MB")
    assert torch.equal(state, torch.get_rng_state())
    kept = json.loads((found.run / "path.json").read_text())
    precisions = 2 if compute_path.computes_in_bfloat16(torch.device("cpu")) else 1
    assert len(kept["measured"]) == 2 * precisions
    assert min(one["seconds"] for one in kept["measured"]) > 0
    hand = zarts.retrain("DARTS_V2", out=tmp_path / "hand", **options, **kept["path"], memory_limit="300MB")
    assert weights(found.run) == weights(hand.run)
