"""Benchmarks: the harness, the counters behind the tables, and the tables in the docs."""

import pickle
import statistics
from functools import partial

import pytest
import torch
from torch import nn

from benchmarks import batches, breakdown, forecast, memory, methods, overhead, passes, scaling, soak, supernet, tables
from benchmarks.beyond import SEARCHES
from benchmarks.cases import CASES, Size, case, fast_step, forward_flops, mixed_weights, plain_net, plain_step
from benchmarks.measure import Seconds, in_turn, matrix_peak, peak_memory
from benchmarks.report import Report
from benchmarks.roofline import LAYERS, Pass, count
from small import TRAIN, small
from zarts.config import retrain_settings, search_settings
from zarts.limits import count_macs
from zarts.methods import AXES, METHODS

pytestmark = pytest.mark.usefixtures("unchecked")

TINY = Size("s2", channels=2, cells=3, batch=4, side=8)
DARTS = Size("darts", channels=4, cells=3, batch=4, side=8)
NB201 = Size("nasbench201", channels=4, cells=1, batch=4, side=8)


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """The options of a script for a tiny case, and the file that it shall write."""
    monkeypatch.setitem(CASES, "tiny", case(TINY))
    file = tmp_path / "new" / "tiny.json"
    return ["tiny", "--threads", "1", "--json", str(file)], file


def test_the_harness_on_a_tiny_case(tiny, capsys, monkeypatch):
    """Its memory and the peak of the machine have tests of their own: here the steps are only sent away."""
    monkeypatch.setattr(supernet, "peak_memory", lambda build, threads: len(pickle.dumps(build)))
    monkeypatch.setattr(supernet, "matrix_peak", partial(matrix_peak, size=64))
    options, file = tiny
    supernet.main(["--quick", "--only", *options])
    report = Report.load(file)
    assert capsys.readouterr().out == report.markdown() + "\n"
    assert "QUICK, not to be published. Median of 2 pairs" in report.note
    numbers = report.raw["cases"]["tiny"]
    assert numbers["flops"]["plain"] == numbers["flops"]["fast"] == 3 * forward_flops(TINY)[0]
    assert set(numbers["memory"]) == {"plain", "fast"}
    ratio = statistics.median(plain[0] / fast[0] for plain, fast in numbers["seconds"])
    assert report.rows[0][supernet.COLUMNS.index("plain / fast")].startswith(f"{ratio:.2f} (")


def test_what_has_grown():
    """One file that stays open in every round is found; memory that goes up and down is not."""
    rounds = [{"memory": 100 + i % 3, "handles": 9, "processes": 0, "threads": 1, "temporary": 0} for i in range(9)]
    assert soak.grown(rounds) == []
    assert soak.grown([{**one, "handles": 9 + i} for i, one in enumerate(rounds)]) == ["handles: 10 to 16"]
    assert [text[:6] for text in soak.grown([{**one, "memory": 100 + i} for i, one in enumerate(rounds)])] == ["memory"]


def test_a_row_says_medians_of_pairs_and_shares_of_the_peak():
    seconds = [(Seconds(4.0, 4.0), Seconds(2.0, 1.0)), (Seconds(6.0, 6.0), Seconds(2.0, 2.0))]
    seconds.append((Seconds(5.0, 9.0), Seconds(1.0, 1.0)))
    numbers = {"what": "it", "seconds": seconds, "flops": {"plain": 10e9, "fast": 10e9}}
    numbers["memory"] = {"plain": 3 * 2**20, "fast": 2**20}
    assert supernet.row(numbers, peak=20e9) == [
        "it",
        "5",
        "2",
        "3.00 (2.00–5.00)",
        "4.00 (3.00–9.00)",
        "2.0 (10%)",
        "5.0 (25%)",
        "3 MiB → 1 MiB",
    ]


def test_plain_and_fast_are_called_in_turn():
    calls = []
    in_turn(lambda: calls.append("plain"), lambda: calls.append("fast"), 2)
    assert calls == ["plain", "fast"] * 3  # the first of each does not count


def build_allocation(megabytes):
    return lambda: torch.ones(megabytes, 2**18).sum()


def test_peak_memory_is_what_a_step_allocates():
    assert 60 <= peak_memory(partial(build_allocation, 64), threads=1) / 2**20 < 80


@pytest.mark.parametrize("size", [TINY, DARTS, NB201])
def test_flops_are_those_of_the_other_counter(size):
    net = plain_net(size)
    net.forward = partial(
        net.forward, weights={k: w.to("meta").requires_grad_() for k, w in mixed_weights(size.space).items()}
    )
    expected = 2 * size.batch * count_macs(net, (3, size.side, size.side))
    assert forward_flops(size) == (expected, expected)


def test_a_single_path_runs_a_part_of_all_operations():
    mixed, path = forward_flops(DARTS, one_path=True)
    assert mixed / 7 < path < mixed / 2  # a seventh of the operations, and all that is not on edges


def test_the_textbook_runs_a_single_path_too(monkeypatch):
    moved = []
    monkeypatch.setattr(torch.optim.SGD, "step", lambda self: moved.extend(self.param_groups[0]["params"]))
    plain_step(NB201, one_path=True)()
    # in three cells a 3×3 convolution runs, and a 1×1 convolution whose node nobody reads, out of two on six edges
    assert sum(p.grad is not None and p.dim() == 4 for p in moved) == 3 + 1 + 2 * 3  # and stem and residual blocks


@pytest.mark.parametrize("size", [TINY, NB201])
@pytest.mark.parametrize("build", [plain_step, fast_step])
def test_the_steps_of_both_sides_move_the_weights(build, size, monkeypatch):
    moved = []
    monkeypatch.setattr(torch.optim.SGD, "step", lambda self: moved.extend(self.param_groups[0]["params"]))
    build(size)()
    assert all(parameter.grad.norm() > 0 for parameter in moved)
    assert torch.stack([parameter.grad.norm() for parameter in moved]).norm() <= 5.0001  # clipped
    assert sum(parameter.numel() for parameter in moved) == sum(p.numel() for p in plain_net(size).parameters())


@pytest.mark.long
def test_time_by_kind_of_operation(tiny):
    options, file = tiny
    breakdown.main(["--case", *options])
    plain, _fast = Report.load(file).raw
    for kind in ("convolution, depthwise 3×3", "convolution, 1×1", "batch norm", "ReLU"):
        assert plain[f"{kind} forward"] > 0
        assert plain[f"{kind} backward"] > 0
    assert plain["optimizer forward"] > 0


@pytest.mark.long
def test_time_by_kind_of_module():
    modules = breakdown.spent(plain_step(DARTS), "module")
    for kind in ("Conv2d depthwise 5×5 dilated", "Conv2d 1×1", "BatchNorm2d", "ReLU", "MaxPool2d", "MixedEdge"):
        assert modules[kind, False] > 0
        assert modules[kind, True] > 0


def test_the_roofline_counts_the_same_arithmetic_as_the_benchmark():
    work = count(DARTS, {nn.Conv2d: LAYERS[nn.Conv2d], nn.Linear: Pass(0, 1)})
    convolutions = sum(w.flops for name, w in work.items() if "convolution" in name)
    classifier = 2 * DARTS.batch * plain_net(DARTS).classifier.weight.numel()
    assert convolutions == 3 * (forward_flops(DARTS)[0] - classifier)
    assert work["Linear"].bytes == DARTS.batch * 10 * 4


def test_an_alpha_step_beside_its_weight_steps(monkeypatch):
    monkeypatch.setattr(scaling, "BASE", TINY)
    report = scaling.table({"M": (3,), "batch": (2,)}, repeats=1)
    assert [(line[0], line[-1]) for line in report.rows] == [("M = 3", "7.7"), ("batch = 2", "5.7")]
    assert all(alpha.wall > weight.wall for pairs in report.raw.values() for weight, alpha in pairs)


@pytest.mark.long
def test_what_is_neither_pass_nor_optimizer():
    steps = {"weight steps": (0, 3), "alpha steps": (1, 2)}
    report = overhead.table({**small("zarts-mgs", samples=2, inner_steps=3), "batch_size": 8}, steps)
    counts = [count for count, _, _ in report.raw.values()]
    assert counts == [3, 2 * (1 + 2 * 3)]
    assert all(0 < rest < whole for _, whole, rest in report.raw.values())


def test_forms_of_a_step_beside_the_step_as_it_is():
    report = passes.table(TINY, {"float32": {}}, pairs=2)
    assert len(report.raw["float32"]["pairs"]) == 2
    ratio = statistics.median(other.cpu / base.cpu for base, other in report.raw["float32"]["pairs"])
    assert [(row[0], row[-1]) for row in report.rows] == [("float32", f"{ratio:.2f}")]


def test_the_share_of_making_a_batch():
    report = batches.table([(4, 8, 3)], pairs=3, width=0.25)
    (pairs,) = report.raw.values()
    share = statistics.median(one.cpu / (one.cpu + other.cpu) for one, other in pairs)
    assert [row[0::4] for row in report.rows] == [["8×8×3", f"{100 * share:.1f} %"]]


def test_the_cost_of_a_whole_search_in_weight_steps():
    search = SEARCHES["CIFAR-10, ZARTS"]
    assert (search.weight_steps, search.alpha_steps) == (19_550, 1_600)
    assert search.steps() == pytest.approx(19_550 + 1_600 * (4 * 10 + 4 / 3 + 1))
    assert search.steps(ranks=8) == pytest.approx(19_550 / 8 + 1_600 * (10 + 1 / 3 + 1 / 8))


def test_tables_go_into_the_page(tmp_path):
    report = Report(["a"], [["1"]], "Note.", dict.fromkeys(("command", "date", "commit", "processor"), "x"), {})
    report.environment |= {"cores": 2, "threads": 1, "torch": "2", "system": "s"}
    report.publish(tmp_path / "one.json")
    page = "Before.\n<!-- table: one -->\nold\n<!-- end -->\nBetween.\n<!-- table: two -->\n<!-- end -->\n"
    new = tables.filled(page, tmp_path)
    assert report.markdown() in new
    assert "old" not in new
    assert "Between." in new
    assert "**Not measured yet**: `benchmarks/results/two.json`" in new
    assert tables.filled(new, tmp_path) == new


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda page: page.name)
def test_the_pages_show_the_measured_tables(page):
    assert tables.filled(page.read_text(), tables.ROOT / "benchmarks" / "results") == page.read_text()


def test_the_page_of_methods_has_them_all():
    """With their axes as they are now."""
    report = Report.load(tables.ROOT / "benchmarks" / "results" / "methods.json")
    shown = [row[: 2 + len(AXES)] for row in report.rows]
    assert shown == [[f"`{m.name}`", m.paper, *(str(getattr(m, axis)) for axis in AXES)] for m in METHODS.values()]


@pytest.mark.long
def test_the_cost_of_an_epoch_beside_darts():
    tiny = {"data": "digits", "subset": 64, "space": "s2", "channels": 2, "cells": 3, "batch_size": 16}
    report = methods.table({**tiny, "epochs": 2, "warmup_epochs": 0, "threads": 1}, 2, ["random", "darts", "rsps"])
    random, darts, rsps = (row[-2] for row in report.rows)
    assert (random, darts) == ("–", "1.00 (1.00–1.00)")
    ratios = sorted(one["rsps"] / one["darts"] for one in report.raw)
    assert rsps == f"{sum(ratios) / 2:.2f} ({ratios[0]:.2f}–{ratios[1]:.2f})"
    assert [row[0] for row in report.rows] == ["`random`", "`darts`", "`rsps`"]


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--threads", "0"], "'0'"), (["--only", "papre"], "'papre'")],
)
def test_wrong_options(words, message, capsys):
    with pytest.raises(SystemExit):
        supernet.main(words)
    assert message in capsys.readouterr().err


def test_forecast_memory_beside_used_memory(monkeypatch, tmp_path):
    seen = {"said": [110e6, 60e6], "used": [100_000_000, 50_000_000], "seconds": [(1.0, 1.2), (2.0, 3.0), (1.0, 1.3)]}
    asked = []
    monkeypatch.setattr(memory, "measured", lambda *given: asked.append(given) or seen)
    memory.main(["--threads", "1", "--only", "small", "--json", str(tmp_path / "memory.json")])
    row = ["110", "100", "1.10", "60", "50", "1.20", "0.50", "1.30 (1.20–1.50)"]
    assert Report.load(tmp_path / "memory.json").rows == [[memory.CASES["small"][0], *row]]
    assert asked == [(memory.CASES["small"][1], 1, 3)]


@pytest.mark.parametrize("name", memory.CASES)
def test_the_cases_of_memory_are_settings(name):
    settings = memory.CASES[name][1]
    (search_settings if "method" in settings else retrain_settings)(settings)


@pytest.mark.long
def test_what_steps_use_is_seen_in_a_job():
    pairs = memory._with_job(
        {**small("darts", channels=4), "memory_limit": "none"}, lambda job: memory._timed(job, 2), 1
    )
    assert all(plain > 0 and other > 0 for plain, other in pairs)
    assert len(pairs) == 2
    large = {**TRAIN, "channels": 8, "batch_size": 256, "subset": 512, "memory_limit": "none"}
    assert memory._apart(large, memory._used, 1) > 10e6


@pytest.mark.long
def test_a_forecast_beside_the_search_itself():
    """Two ranks: the first one's time, the memory of both."""
    tiny = {"data": "digits", "space": "s2", "channels": 4, "cells": 3, "subset": 64, "batch-size": 16, "image-size": 8}
    two_epochs = {"method": "zarts-mgs", "epochs": 2, "warmup-epochs": 1, "samples": 2, "inner-steps": 1, "devices": 2}
    seen = forecast.compare(tiny | two_epochs)
    assert seen["ranks"] == 2
    assert 1 / 3 < seen["predicted_seconds"] / seen["seconds"] < 3
    assert 2 / 3 < seen["predicted_megabytes"] / seen["megabytes"] < 3 / 2
