"""Searches in phases: what is dropped, what starts anew, and that a stopped one ends with the same bits."""

import math
import sys

import pytest
import torch

import zarts
from small import often, outcome, stop_at
from small import small as smallest
from zarts.api import resume_search
from zarts.config import plan_phases, search_settings
from zarts.errors import Interrupted, SettingsError
from zarts.limits import Constraints
from zarts.relax import softmax
from zarts.runs import Run
from zarts.searcher import measure_search
from zarts.searcher.phases import DROPPED, Phases
from zarts.spaces import get_space

pytestmark = pytest.mark.usefixtures("no_pictures", "unchecked")
METHODS = ("p-darts", "p-zarts")
PUBLISHED = ({"epochs": 75}, {})


def small(method, **other):
    """As ever, but with as many channels as the native kernels need, which take less time, and few images."""
    return smallest(method, **{"channels": 4, "subset": 32, **other})


def events(result, name):
    return [event for event in result.history if event["event"] == name]


def without(run, *names):
    """The outcome of a run without events of these names and without its method."""
    found = outcome(run)
    found["metrics"] = [event for event in found["metrics"] if event["event"] not in names]
    del found["result"]["method"]
    return found


def test_the_papers_phases():
    p_darts, p_zarts = (
        search_settings({"method": name, **more}) for name, more in zip(METHODS, PUBLISHED, strict=True)
    )
    assert [(s.first, s.epochs, s.warmup, s.operations, s.cells, s.skip_dropout) for s in plan_phases(p_darts)] == [
        (0, 25, 10, None, 5, 0.0),
        (25, 25, 10, 5, 11, 0.4),
        (50, 25, 10, 3, 17, 0.7),
    ]
    assert [(s.first, s.operations, s.cells) for s in plan_phases(p_zarts)] == [
        (0, None, 8),
        (20, 4, 8),
        (30, 2, 8),
        (40, 1, 8),
    ]
    assert [s.cells for s in plan_phases(search_settings({"method": "p-darts", "phase_cells": "3, 4,5"}))] == [3, 4, 5]
    assert [s.cells for s in plan_phases(search_settings({"method": "p-darts", "cells": 3}))] == [3, 4, 6]


def test_the_pace_of_p_darts():
    """Every phase has schedules of its own, and 10 epochs in which alpha rests."""
    phases = Phases(search_settings({"method": "p-darts", "epochs": 75}), get_space("darts-zero"))
    for first, start in ((0, 0.0), (25, 0.4), (50, 0.7)):
        pace = [phases.pace(first + epoch) for epoch in range(25)]
        assert [p.updates_alpha for p in pace] == [False] * 10 + [True] * 15
        assert pace[0].learning_rate == 0.025
        assert pace[24].learning_rate == pytest.approx(0.0125 * (1 + math.cos(math.pi * 24 / 25)))
        assert pace[0].skip_dropout == pytest.approx(start * 24 / 25)
        assert pace[9].skip_dropout == pytest.approx(start * 15 / 25)
        for epoch in (10, 11, 24):
            assert pace[epoch].skip_dropout == pytest.approx(start * math.exp(-0.2 * (epoch - 10)))
        assert (pace[0].progress, pace[24].progress, pace[10].annealed) == (0, 1, 0)
        assert (pace[0].elapsed, pace[10].elapsed, pace[24].elapsed) == (0, 10 / 25, 24 / 25)


def test_the_pace_of_p_zarts():
    """Schedules are of the whole search, and nothing is left to decide in the last phase."""
    plain = Phases(search_settings({"method": "zarts-mgs"}), get_space("darts"))
    phases = Phases(search_settings({"method": "p-zarts"}), get_space("darts"))
    for epoch in range(50):
        ours, theirs = phases.pace(epoch), plain.pace(epoch)
        assert ours == theirs._replace(updates_alpha=theirs.updates_alpha and epoch < 40)
        assert phases.number_of(epoch) == sum(epoch >= first for first in (20, 30, 40))


def test_what_is_dropped_and_how_edges_are_ranked_by_hand():
    space = get_space("darts")
    phases = Phases(search_settings({"method": "p-zarts"}), space)
    constraints = Constraints(space)
    alpha = {kind: torch.arange(7.0).repeat(14, 1) for kind in space.shapes}
    alpha["normal"][3] = torch.tensor([6.0, 0, 5, 1, 4, 2, 3])
    first = phases.advance(space.flatten(alpha), constraints.derive)
    assert phases.part.kept["normal"][:4].tolist() == [[3, 4, 5, 6]] * 3 + [[0, 2, 4, 6]]
    assert phases.part.space.split(first)["normal"][3].tolist() == [6, 5, 4, 3]
    assert [phases.due(epoch) for epoch in (29, 30)] == [False, True]
    moved = phases.part.space.split(first.clone())
    moved["normal"][3] = torch.tensor([0.0, 9, 8, 1])
    second = phases.advance(phases.part.space.flatten(moved), constraints.derive)
    assert phases.part.kept["normal"][3].tolist() == [2, 4]
    strengths = phases.strengths(second)["normal"][3]
    assert strengths[[2, 4]].tolist() == pytest.approx(torch.tensor([9.0, 8.0]).softmax(0).tolist())
    assert float(strengths[[0, 1, 3, 5, 6]].max()) < 1e-6
    halves = phases.part.space.split(torch.zeros(len(second)))
    for edge, gap in ((0, 1.0), (1, 3.0), (2, 2.0), (3, 4.0), (4, 0.5)):
        halves["normal"][edge, 1] = gap
    last = phases.advance(phases.part.space.flatten(halves), constraints.derive)
    assert {matrix.shape[1] for matrix in phases.part.kept.values()} == {1}
    genotype = constraints.derive(phases.strengths(last))
    assert [choice.source for choice in genotype.cells["normal"][0]] == [1, 0]
    assert [choice.source for choice in genotype.cells["normal"][1]] == [1, 0], "4 and 2 are above 0.5"
    assert genotype.cells["normal"][1][0].op == space.candidates["normal"][3][4]
    whole = phases.whole(last)
    assert torch.equal(softmax(whole)["normal"] == 1, phases.part.mask()["normal"])
    assert (whole["normal"][3] == DROPPED).sum() == 6


@pytest.mark.parametrize(
    ("name", "p_darts", "p_zarts"),
    [
        ("darts-zero", [8, 5, 3], [8, 4, 2, 1]),
        ("darts", [7, 5, 3], [7, 4, 2, 1]),
        ("nasbench201", [5, 5, 3], [5, 4, 2, 1]),
        ("s3", [3, 3, 3], [3, 3, 2, 1]),
        ("s1", [2, 2, 2], [2, 2, 2, 1]),
    ],
)
def test_operations_that_are_kept(generator, name, p_darts, p_zarts):
    """As many as there are, where there are not so many."""
    space = get_space(name)
    for method, expected in (("p-darts", p_darts), ("p-zarts", p_zarts)):
        phases, counts = Phases(search_settings({"method": method}), space), [space.shapes["normal"][1]]
        while phases.number + 1 < phases.count:
            phases.advance(torch.randn(phases.part.space.dimension, generator=generator), Constraints(space).derive)
            counts.append(phases.part.shapes["normal"][1])
        assert counts == expected


def test_none_is_never_the_only_one_that_is_left():
    space = get_space("s3")  # none, skip_connect, sep_conv_3x3
    phases = Phases(search_settings({"method": "p-zarts", "phase_operations": (1,), "phase_starts": (0.5,)}), space)
    alpha = {kind: torch.tensor([[9.0, 1, 2]]).repeat(14, 1) for kind in space.shapes}
    phases.advance(space.flatten(alpha), Constraints(space).derive)
    assert all((rows == 2).all() for rows in phases.part.kept.values())
    p_darts = Phases(search_settings({"method": "p-darts"}), space)
    for _ in range(2):
        p_darts.advance(torch.zeros(84), Constraints(space).derive)
        assert p_darts.part.shapes == space.shapes, "with three operations there is nothing to drop"


def test_p_darts_in_one_phase_without_dropout_is_darts(tmp_path):
    settings = small("darts")
    plain = zarts.search(out=tmp_path / "plain", **settings)
    settings |= {"method": "p-darts", "phases": "one", "skip_dropout": 0.0, "max_skips": 8}
    settings |= {"arch_learning_rate": 3e-4, "learning_rate_min": 0.001}
    assert without(zarts.search(out=tmp_path / "other", **settings).run) == without(plain.run)


def test_its_first_phase_is_a_search_of_its_own(tmp_path):
    plain = zarts.search(out=tmp_path / "plain", **small("darts"))
    settings = small(
        "p-darts", arch_learning_rate=3e-4, learning_rate_min=0.001, phase_operations=2, phase_cells=(3, 3)
    )
    settings |= {"epochs": 4, "skip_dropout": 0.0, "max_skips": 8}
    found = zarts.search(out=tmp_path / "other", **settings)
    ours, theirs = without(found.run), without(plain.run)
    count = len(theirs["metrics"])
    assert ours["metrics"][:count] == theirs["metrics"]
    assert found.history[count]["event"] == "phase"
    assert [event["learning_rate"] for event in events(found, "weight_epoch")[2:]] == [
        event["learning_rate"] for event in events(plain, "weight_epoch")
    ]
    first, second = (events(found, "weight_epoch")[i]["train_loss"] for i in (0, 2))
    assert first != second, "other initial weights"


@pytest.mark.parametrize("method", often(["zarts-rs", "darts"], "zarts-rs"))
def test_pruning_with_nothing_to_drop_changes_nothing(tmp_path, method):
    plain = zarts.search(out=tmp_path / "plain", **small(method, epochs=4))
    more = {"phases": "prune", "phase_operations": (2, 2), "phase_starts": (0.5, 0.75), "epochs": 4}
    pruned = zarts.search(out=tmp_path / "pruned", **small(method, **more))
    assert len(events(pruned, "phase")) == 2
    assert without(pruned.run, "phase") == without(plain.run)


@pytest.mark.parametrize("restarts", often([True, False], False))
def test_what_starts_anew(tmp_path, restarts):
    settings = search_settings(small("p-darts" if restarts else "p-zarts", space="darts", max_skips=8))
    seen = []

    def drive(job):
        for epoch, step in job.trainer.all_steps:
            before = (
                job.supernet,
                {k: v.clone() for k, v in job.supernet.state_dict().items()},
                job.arch_optimizer.alpha.clone(),
            )
            if step == 0:
                job.begin_epoch(epoch)
                if job.phases.number != len(seen):
                    seen.append((job.phases.number, before, job.phases.part))
                    momenta = [s["momentum_buffer"].abs().sum() for s in job.shared.optimizer.state.values()]
                    assert (job.supernet is before[0]) == (not restarts)
                    assert len(job.supernet.cells) == job.phases.present.cells
                    same = [
                        torch.equal(v, before[1][k]) for k, v in job.supernet.state_dict().items() if k in before[1]
                    ]
                    assert all(same) == (not restarts)
                    assert (sum(momenta) == 0) == restarts
                    assert len(job.arch_optimizer.alpha) == 28 * settings.phase_operations[job.phases.number - 1]
                    if restarts:
                        assert job.arch_optimizer.alpha.std() == pytest.approx(1e-3, rel=0.3)
                    else:
                        assert set(job.arch_optimizer.alpha.tolist()) <= set(before[2].tolist())
            job.trainer.move_to(epoch, step)
            job.trainer.count(*job.step(epoch, step))
        job.finish()

    measure_search(settings, Run.create(tmp_path / "run", {}, "search"), drive)
    assert [number for number, _, _ in seen] == list(range(1, len(seen) + 1))


@pytest.mark.long
def test_what_is_written_down_is_of_the_whole_space(tmp_path):
    for method in METHODS:
        result = zarts.search(out=tmp_path / method, **small(method, space="darts"))
        space = get_space("darts")
        space.check(result.genotype)
        assert {kind: tuple(alpha.shape) for kind, alpha in result.alphas.items()} == space.shapes
        phases = events(result, "phase")
        left = phases[-1]["operations"]
        for kind, rows in result.alphas.items():
            kept = [[op for op, a in zip(ops, row, strict=True) if a != DROPPED]
                    for ops, row in zip(space.candidates[kind], rows.tolist(), strict=True)]  # fmt: skip
            assert kept == left[kind]
        counts = [len(event["operations"]["normal"][0]) for event in phases]
        assert counts == ([5, 3] if method == "p-darts" else [4, 2, 1])
        for node, choices in enumerate(result.genotype.cells["normal"], start=2):
            for op, source in choices:
                assert op in phases[0]["operations"]["normal"][space.edges.index((node, source))]
        assert resume_search(result.run).genotype == result.genotype


MIXED = [
    pytest.param("p-zarts", {"arch_optimizer": "rs", "relaxation": "gumbel"}, marks=pytest.mark.long),
    ("p-zarts", {"arch_optimizer": "gld", "weight_relaxation": "noisy"}),
    ("p-zarts", {"arch_optimizer": "gradient", "relaxation": "path", "cost_weight": 0.1}),
    pytest.param("p-darts", {"arch_optimizer": "unrolled", "weight_relaxation": "perturbed"}, marks=pytest.mark.long),
    ("p-darts", {"arch_optimizer": "amended", "weight_relaxation": "adversarial"}),
    ("p-zarts", {"weight_relaxation": "uniform", "select": "best-of", "drop_path": 0.3}),
    pytest.param(
        "p-darts",
        {"arch_optimizer": "mgs", "relaxation": "gumbel-soft", "arch_learning_rate": 1.0},
        marks=pytest.mark.long,
    ),
]


@pytest.mark.parametrize(
    ("method", "axes"), MIXED, ids=lambda value: "-".join(map(str, getattr(value, "values", str)()))
)
def test_other_axes_and_what_is_dropped_never_runs(tmp_path, monkeypatch, method, axes):
    module, seen = sys.modules["zarts.searcher.supernet_loss"], []
    forward = module.SupernetLoss._loss

    def watched(self, weights, batch):
        if self.relaxation.phases.number:
            for kind, mask in self.relaxation.phases.part.mask().items():
                assert (weights[kind][~mask] == 0).all()
            seen.append((self.relaxation.phases.number, self.supernet._left))
        return forward(self, weights, batch)

    monkeypatch.setattr(module.SupernetLoss, "_loss", watched)
    more = {"phase_cells": (3, 3, 3)} if method == "p-darts" else {}
    result = zarts.search(out=tmp_path / "run", **small(method, space="s3", **axes, **more))
    get_space("s3").check(result.genotype)
    assert {number for number, _ in seen} == set(range(1, 1 + len(events(result, "phase"))))
    assert all(left for _, left in seen)


@pytest.mark.parametrize("method", often(METHODS, "p-darts"))
def test_resumed_in_every_phase(tmp_path, monkeypatch, method):
    trainer = sys.modules["zarts.training.trainer"]
    settings = small(method, space="s3", **({"phase_cells": (3, 3, 3)} if method == "p-darts" else {}))
    settings |= {"phase_operations": (2, 1)} if method == "p-darts" else {}
    counting = stop_at(0)
    monkeypatch.setattr(trainer, "stop_request", counting)
    straight = zarts.search(out=tmp_path / "straight", **settings)
    total = counting.stop.calls
    phases = set()
    for number in sorted({*range(2, total, max(1, total // 4)), total}):
        run = tmp_path / f"{number}"
        monkeypatch.setattr(trainer, "stop_request", stop_at(number))
        with pytest.raises(Interrupted):
            zarts.search(out=run, **settings)
        phases.add(torch.load(run / "checkpoint.pt", weights_only=True)["job"]["phases"]["number"])
        monkeypatch.setattr(trainer, "stop_request", stop_at(0))
        resumed = resume_search(run)
        assert outcome(run) == outcome(straight.run)
        assert all(torch.equal(straight.alphas[kind], resumed.alphas[kind]) for kind in straight.alphas)
    assert len(phases) == len(events(straight, "phase")) + 1


@pytest.mark.parametrize("method", often(METHODS, "p-zarts"))
def test_killed_between_two_phases(tmp_path, monkeypatch, method):
    """The last checkpoint is of before operations were dropped."""
    settings = small(method, space="s3")
    straight = zarts.search(out=tmp_path / "straight", **settings)
    record = Phases.record
    with monkeypatch.context() as patch:
        patch.setattr(Phases, "record", lambda self: record(self) if self.number == 1 else 1 / 0)
        with pytest.raises(ZeroDivisionError):
            zarts.search(out=tmp_path / "run", **settings)
    assert torch.load(tmp_path / "run/checkpoint.pt", weights_only=True)["job"]["phases"]["number"] == 1
    resume_search(tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(straight.run)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"method": "p-darts", "phase_warmup": 0.98},
            "1 of 3",
        ),
        ({"method": "p-darts", "warmup_epochs": 2}, "warmup_epochs"),
        (
            {"method": "p-zarts", "warmup_epochs": 20},
            "1 of 4",
        ),
        (
            {"method": "p-zarts", "epochs": 3, "warmup_epochs": 0, "phase_starts": "0.4,0.6,0.8"},
            "2 of 4",
        ),
        ({"method": "p-darts", "phases": "one"}, "skip_dropout"),
        (
            {"method": "p-darts", "phase_operations": "3,5"},
            r"phase_operations = \[3, 5\]",
        ),
        (
            {"method": "p-darts", "phase_operations": "3,x"},
            "phase_operations = '3,x'",
        ),
        (
            {"method": "p-darts", "phase_operations": 0},
            "phase_operations = 0",
        ),
        (
            {"method": "p-darts", "phase_cells": 4},
            r"phase_cells = \[4\]",
        ),
        (
            {"method": "p-zarts", "phase_starts": "0.5,0.4,0.6"},
            r"phase_starts = \[0\.5, 0\.4, 0\.6\]",
        ),
        (
            {"method": "p-zarts", "phase_operations": 2},
            "phase_starts",
        ),
        ({"method": "p-zarts", "phase_cells": "3,4,5,6"}, "phase_cells"),
        (
            {"method": "darts", "phase_operations": 2},
            "phase_operations",
        ),
        (
            {"method": "darts-pt", "phases": "prune"},
            "select = perturbation",
        ),
        ({"method": "p-darts", "select": "evolution"}, "select = evolution"),
        (
            {"method": "rsps", "phases": "prune"},
            "phases = prune",
        ),
        ({"method": "enas", "phases": "prune"}, "phases = prune"),
        ({"method": "p-zarts", "compile": True}, "compile = True"),
        (
            {"method": "p-zarts", "eigenvalue_every": 2},
            "eigenvalue_every = 2",
        ),
        ({"method": "p-darts", "skip_dropout": "0,1,0"}, "skip_dropout = '0,1,0'"),
        ({"phases": "grow"}, "phases"),
    ],
)
def test_refused(options, message):
    with pytest.raises(SettingsError, match=message):
        search_settings(options)
