"""The search loop: every space and method runs, is reproducible, and keeps its hands off what is not its own."""

import json

import numpy as np
import pytest
import torch
import yaml

import zarts
from small import SMALL, leftovers, often, small
from zarts.data import DataSet
from zarts.errors import DataError, DivergedError, SettingsError
from zarts.methods import EVALUATING, METHODS, ZERO_ORDER
from zarts.spaces import PARAMETERLESS, SPACES, Genotype, get_space

pytestmark = pytest.mark.usefixtures("no_pictures")


def alpha_steps(result):
    return [e for e in result.history if e["event"] == "alpha_step"]


def check_files(result, settings):
    """The run folder has all that design section 7 promises, and it agrees with the result."""
    run = result.run
    space = get_space(settings["space"])
    space.check(result.genotype)
    assert Genotype.load(run / "genotype.json") == result.genotype
    stored = json.loads((run / "result.json").read_text())
    assert stored["method"] == settings["method"]
    assert Genotype.from_dict(stored["genotype"]) == result.genotype
    normal = [op for node in result.genotype.cells["normal"] for op, _ in node]
    assert stored["parameterless"]["normal"] == sum(op in PARAMETERLESS for op in normal)
    assert stored["skip"]["normal"] == normal.count("skip_connect")
    assert yaml.safe_load((run / "config.yaml").read_text())["search"]["method"] == settings["method"]
    assert json.loads((run / "env.json").read_text())["device"] == "cpu"
    assert leftovers(run) == []


def test_pictures_and_report(searched):
    for name in ("report.html", "cells/normal.svg", "cells/normal.png", "cells/reduce.svg", "cells/reduce.png"):
        assert (searched.run / name).stat().st_size > 500


@pytest.mark.parametrize("space", SPACES)
def test_every_space(tmp_path, space):
    settings = small("zarts-mgs", space=space)
    result = zarts.search(out=tmp_path / "run", **settings)
    check_files(result, settings)
    assert {kind: tuple(a.shape) for kind, a in result.alphas.items()} == get_space(space).shapes


@pytest.mark.parametrize(
    "method",  # others are searched and resumed in test_searcher_resume.py
    often(
        METHODS,
        *("zarts-mgs", "darts-2nd", "amended-darts", "r-darts", "sdarts-rs", "mergenas", "merge-zarts", "p-zarts"),
        *("gzas", "proxyless", "fbnet", "rsps", "setn", "random"),
    ),
)
def test_every_method(tmp_path, method):
    settings = small(method)
    result = zarts.search(out=tmp_path / "run", **settings)
    check_files(result, {"space": "s2", **settings})
    if method == "random":
        assert (result.alphas, result.history) == ({}, [])
        return
    row = METHODS[method]
    updates = ["alpha_step", "alpha_step"] if row.arch_optimizer != "none" else []
    selection = ["selection"] if row.select in EVALUATING else []
    kinds = [e["event"] for e in result.history]
    epoch = ["weight_epoch", "genotype", *(["cost"] if row.defaults.get("cost_weight") else [])]
    watched = ["eigenvalue"] if row.defaults.get("eigenvalue_every") == 2 else []
    later = {
        "restart": ["phase", *epoch, *updates, *epoch] * 2,
        "prune": ["phase", *updates, *epoch] * 2 + ["phase", *epoch],
    }
    assert kinds == [*epoch, *updates, *epoch, *watched, *selection, *later.get(row.phases, [])]
    for step in alpha_steps(result):
        assert step["seconds"] > 0
        assert step["move_norm"] > 0
        assert all(np.isfinite(step["losses"]))
        if row.arch_optimizer in ZERO_ORDER:
            assert 0 < step["esr"] <= 1
            assert step["esr"] == pytest.approx(step["ess"] / len(step["weights"]))
    files = sorted((result.run / "genotypes").iterdir())
    assert [file.name for file in files] == [f"epoch_{1 + i:03d}.json" for i in range(settings["epochs"])]
    assert selection or Genotype.load(files[-1]) == result.genotype


def test_one_candidate(tmp_path):
    settings = {**small("zarts-mgs"), "samples": 1, "antithetic": False}
    result = zarts.search(out=tmp_path / "run", **settings)
    assert [step["weights"] for step in alpha_steps(result)] == [[1.0], [1.0]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "zarts-rs", "directions": "ball"}, "directions .*ball"),
        ({"space": "s9"}, "'s4'"),
        ({"data": "digit"}, "'digits'"),
        ({"device": "toaster"}, "device="),
        ({"image_size": 10}, "image_size = 10"),
        ({"cutout": 100}, "cutout is 100"),
    ],
)
def test_what_cannot_be_searched_leaves_no_folder(tmp_path, options, message):
    with pytest.raises(SettingsError, match=message):
        zarts.search(out=tmp_path / "run", **{**small(options.get("method", "zarts-mgs")), **options})
    assert not (tmp_path / "run").exists()


def test_fewer_images_than_a_batch(tmp_path):
    with pytest.raises(DataError, match="33"):
        zarts.search(out=tmp_path / "run", **{**SMALL, "batch_size": 33})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.txt", "", "no search of zarts"),
        ("config.yaml", "search: {}", "resume it"),
        ("config.yaml", "fit: {}", "no search of zarts"),
    ],
)
def test_what_exists_is_left_alone_and_only_a_search_can_be_resumed(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    before = list(tmp_path.iterdir())
    with pytest.raises(SettingsError, match=message) as caught:
        zarts.search(out=tmp_path, **SMALL)
    assert ("resume" in str(caught.value)) == (message == "resume it")
    assert list(tmp_path.iterdir()) == before


@pytest.mark.parametrize("inner_steps", [0])
def test_inner_steps_are_taken(tmp_path, searched, inner_steps):
    """The same candidates after another M have other losses: the released code's are the same."""
    other = zarts.search(out=tmp_path / "run", **{**SMALL, "inner_steps": inner_steps})
    ours, theirs = alpha_steps(searched)[0], alpha_steps(other)[0]
    assert np.mean(ours["losses"]) != np.mean(theirs["losses"])


@pytest.mark.slow
def test_ten_inner_steps_move_the_mean_loss(tmp_path):
    settings = {**SMALL, "epochs": 1, "warmup_epochs": 0, "arch_update_interval": 5}
    means = [
        np.mean(alpha_steps(zarts.search(out=tmp_path / str(m), **{**settings, "inner_steps": m}))[0]["losses"])
        for m in (0, 10)
    ]
    assert abs(means[0] - means[1]) > 1e-3


def test_same_seed_same_bits_other_seed_others(tmp_path, searched):
    again = zarts.search(out=tmp_path / "again", **SMALL)
    other = zarts.search(out=tmp_path / "other", **SMALL, seed=1)
    for kind, alpha in searched.alphas.items():
        assert torch.equal(alpha, again.alphas[kind])
        assert not torch.equal(alpha, other.alphas[kind])
    assert again.genotype == searched.genotype


def test_global_random_state_is_untouched(tmp_path):
    """Python's own generator is left out: `tempfile` and others draw file names from it."""

    def state():
        return torch.get_rng_state().tolist(), str(np.random.get_state())  # noqa: NPY002

    before = state()
    zarts.search(out=tmp_path / "run", **SMALL)
    assert state() == before


def test_global_random_state_has_no_effect(tmp_path, searched):
    torch.manual_seed(12345)
    again = zarts.search(out=tmp_path / "run", **{**SMALL})
    assert torch.equal(again.alphas["normal"], searched.alphas["normal"])


def test_the_test_images_are_never_decoded(tmp_path, monkeypatch, photos):
    def refuse(self):
        raise AssertionError("a search has opened the test images")

    monkeypatch.setattr(DataSet, "test", refuse)
    zarts.search(out=tmp_path / "run", **SMALL)
    folder = small("darts", data=str(photos), subset=38, image_size=8, epochs=1, warmup_epochs=0)
    result = zarts.search(out=tmp_path / "photos-run", **folder)
    split = json.loads((result.run / "split.json").read_text())
    for name in split["test"]:
        (photos / name).write_bytes((photos / name).read_bytes()[:60])  # the header, by which it is known as an image
    again = zarts.search(out=tmp_path / "again", **folder)
    assert torch.equal(again.alphas["normal"], result.alphas["normal"])


def test_a_candidate_without_a_finite_loss_gets_no_weight(tmp_path, monkeypatch):
    from zarts.arch_optim import zero_order

    evaluate = zero_order.Evaluator.evaluate

    def broken(*args):
        found = evaluate(*args)
        found.values[0] = found.images[0] = float("nan")
        return found

    monkeypatch.setattr(zero_order.Evaluator, "evaluate", broken)
    heard = []
    result = zarts.search(out=tmp_path / "run", callbacks=[heard.append], **{**SMALL, "samples": 4})
    for step in alpha_steps(result):
        assert step["losses"][0] is None
        assert step["weights"][0] == 0
        assert sum(step["weights"]) == pytest.approx(1)
    text = (tmp_path / "run/metrics.jsonl").read_text()
    assert "NaN" not in text, "NaN is no JSON"
    assert [e["event"] for e in heard if e["event"] not in ("step", "epoch", "doing")] == [
        e["event"] for e in result.history
    ]


def test_no_finite_candidate_stops_with_the_checkpoint_intact(tmp_path, monkeypatch):
    from zarts.arch_optim import zero_order

    evaluate = zero_order.Evaluator.evaluate

    def broken(*args):
        found = evaluate(*args)
        found.values[:] = float("inf")
        return found

    monkeypatch.setattr(zero_order.Evaluator, "evaluate", broken)
    with pytest.raises(DivergedError, match="2 losses"):
        zarts.search(out=tmp_path / "run", **SMALL)
    state = torch.load(tmp_path / "run/checkpoint.pt", weights_only=True)
    assert (state["epoch"], state["step"], state["job"]["updates"]) == (1, 0, 0)


def test_diverging_weights_stop_with_the_checkpoint_intact(tmp_path):
    with pytest.raises(DivergedError, match="learning_rate"):
        zarts.search(out=tmp_path / "run", **{**SMALL, "batch_size": 4}, learning_rate=1e6, weight_decay=100)
    assert torch.load(tmp_path / "run/checkpoint.pt", weights_only=True)["epoch"] == 0


@pytest.mark.usefixtures("unchecked")
def test_the_number_of_threads_is_put_back(tmp_path):
    seen = []
    few = {**SMALL, "subset": 32, "epochs": 1, "warmup_epochs": 0, "threads": 2}
    zarts.search(out=tmp_path / "run", callbacks=[lambda e: seen.append((e["event"], torch.get_num_threads()))], **few)
    assert {threads for event, threads in seen if event != "doing"} == {2}
    assert torch.get_num_threads() == 1


def test_two_runs_do_not_share_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = small("random", space="s2", data="digits")
    runs = [zarts.search(**settings).run for _ in range(2)]
    assert [str(run) for run in runs] == [
        "runs/search/digits-s2-random-seed0",
        "runs/search/digits-s2-random-seed0-2",
    ]


def test_a_search_of_more_than_a_day_says_so_before_its_first_step_and_stays_the_same(tmp_path, monkeypatch):
    settings = small("zarts-mgs")
    before, events = zarts.search(out=tmp_path / "before", **settings), []
    monkeypatch.setattr("zarts.searcher.prepare._MANY", 0)
    monkeypatch.setattr("zarts.searcher.prepare._DAY", 0.0)
    after = zarts.search(out=tmp_path / "after", callbacks=[events.append], **settings)
    kinds = [event["event"] for event in events]
    (note,) = [n for n, event in enumerate(events) if event["event"] == "note" and "zarts fit digits" in event["text"]]
    assert "this search takes about 0 days here" in events[note]["text"]
    assert note < kinds.index("step")
    assert after.genotype == before.genotype
    assert all(torch.equal(after.alphas[kind], before.alphas[kind]) for kind in before.alphas)
