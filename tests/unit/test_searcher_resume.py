"""An interrupted run that is resumed ends with the same bits as one that was not."""

import errno
import json
import os
import shutil
import sys

import pytest
import torch

import zarts
from small import SMALL, TRAIN, leftovers, often, outcome, small, stop_at
from zarts.api import resume_retrain, resume_search
from zarts.config import search_settings
from zarts.errors import DataError, Interrupted, RunError
from zarts.methods import EVALUATING, GRADIENT, METHODS
from zarts.runs import Run
from zarts.runs.checkpoint import load_checkpoint, save_checkpoint
from zarts.runs.new_run import anchored
from zarts.spaces import Genotype

pytestmark = pytest.mark.usefixtures("no_pictures", "unchecked")
TRAINED = [name for name, method in METHODS.items() if method.supernet != "none"]


def interrupt(monkeypatch, number):
    """Stop at the given check (0: never)."""
    request = stop_at(number)
    monkeypatch.setattr(sys.modules["zarts.training.trainer"], "stop_request", request)
    return request


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory):
    run = tmp_path_factory.mktemp("stopped") / "run"
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, 6)
        with pytest.raises(Interrupted):
            zarts.search(out=run, quiet=True, **SMALL)
    return run


@pytest.fixture
def stopped(stopped_once, tmp_path, monkeypatch):
    """A search that was stopped in its second epoch, with its checkpoint: a copy of the same one for each test."""
    interrupt(monkeypatch, 0)
    return shutil.copytree(stopped_once, tmp_path / "run")


def stopped_at_the_last_check(tmp_path, monkeypatch, settings):
    """A whole search, and the folder of the same one, stopped at the last check of all."""
    request = interrupt(monkeypatch, 0)
    straight = zarts.search(out=tmp_path / "straight", **settings)
    interrupt(monkeypatch, request.stop.calls)
    with pytest.raises(Interrupted):
        zarts.search(out=tmp_path / "run", **settings)
    return straight, tmp_path / "run"


ARCH_OPTIMIZERS = ["cmaes", "nevergrad:TwoPointsDE"]
OFTEN = ["zarts-rs", "zarts-gld", "amended-darts", "sdarts-adv", "gdas", "proxyless", "fbnet", "rsps", "enas"]
"""Members of the axes, but those that go on below and in tests of stages, early stops and combinations."""


@pytest.mark.parametrize(
    ("method", "axes"),
    [
        *((method, {}) for method in OFTEN),
        *(pytest.param(method, {}, marks=pytest.mark.long) for method in TRAINED if method not in OFTEN),
        *(("zarts-mgs", {"arch_optimizer": u, "samples": 4}) for u in ARCH_OPTIMIZERS),
    ],
)
def test_search(tmp_path, monkeypatch, method, axes):
    """Stopped before a step, then in the middle of what is left: for a zero-order method, of an alpha update."""
    settings = small(method, space="s4", **axes)
    straight = zarts.search(out=tmp_path / "straight", **settings)
    interrupt(monkeypatch, 2)
    run = tmp_path / "run"
    with pytest.raises(Interrupted, match=f"search.resume=.{run}"):
        zarts.search(out=run, **settings)
    interrupt(monkeypatch, 3 if METHODS[method].arch_optimizer in (*GRADIENT, "none") else 4)
    with pytest.raises(Interrupted):
        resume_search(run)
    interrupt(monkeypatch, 0)
    resumed = resume_search(run)
    assert outcome(run) == outcome(straight.run)
    assert all(torch.equal(straight.alphas[kind], resumed.alphas[kind]) for kind in straight.alphas)
    assert leftovers(run) == []


@pytest.mark.parametrize(
    "method", often([name for name in TRAINED if METHODS[name].select in EVALUATING], "rsps", "spos", "enas")
)
def test_within_the_selection(tmp_path, monkeypatch, method):
    """All weights are trained, and some cells or operations are evaluated."""
    settings = small(method, space="s4")
    straight, run = stopped_at_the_last_check(tmp_path, monkeypatch, settings)
    assert torch.load(run / "checkpoint.pt", weights_only=True)["epoch"] == settings["epochs"]
    interrupt(monkeypatch, 0)
    resume_search(run)
    assert outcome(run) == outcome(straight.run)


@pytest.mark.parametrize("method", [pytest.param("sdarts-adv", marks=pytest.mark.long), "zarts-rs"])
def test_at_the_last_moment(tmp_path, monkeypatch, method):
    """Nothing asks to stop where alpha has moved already and the weights have not."""
    straight, run = stopped_at_the_last_check(tmp_path, monkeypatch, small(method, space="s4"))
    interrupt(monkeypatch, 0)
    resume_search(run)
    assert outcome(run) == outcome(straight.run)


@pytest.mark.parametrize("number", [4, 8])
def test_within_an_alpha_update(tmp_path, monkeypatch, searched, number):
    interrupt(monkeypatch, number)
    with pytest.raises(Interrupted):
        zarts.search(out=tmp_path / "run", **SMALL)
    interrupt(monkeypatch, 0)
    resume_search(tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(searched.run)


def test_retrain_with_drop_path_and_auxiliary_head(tmp_path, monkeypatch, searched):
    settings = {**TRAIN, "drop_path": 0.5, "auxiliary_weight": 0.4, "epochs": 3, "cutout": 2}
    cells = searched.genotype.cells.items()
    noisy = Genotype("s4", {k: tuple(tuple(c._replace(op="noise") for c in n) for n in nodes) for k, nodes in cells})
    straight = zarts.retrain(noisy, out=tmp_path / "straight", **settings)
    interrupt(monkeypatch, 3)
    run = tmp_path / "run"
    with pytest.raises(Interrupted, match=f"retrain.resume=.{run}"):
        zarts.retrain(noisy, out=run, **settings)
    for number in (4, 2):
        interrupt(monkeypatch, number)
        with pytest.raises(Interrupted):
            resume_retrain(run)
    interrupt(monkeypatch, 0)
    resume_retrain(run)
    assert outcome(run) == outcome(straight.run)
    ours, theirs = (zarts.load_model(r / "model.safetensors")[0].state_dict() for r in (run, straight.run))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_events_after_the_checkpoint_are_forgotten_and_a_cut_line_is_mended(stopped, searched):
    """Killed while it wrote: whole events, and half a line, that no checkpoint knows of."""
    with (stopped / "metrics.jsonl").open("a") as file:
        file.write('{"event": "alpha_step", "epoch": 2}\n{"event": "weight_ep')
    for name in (".checkpoint.pt.x1y2z3.part", "genotypes/.epoch_001.json.x1y2z3.part"):
        (stopped / name).write_bytes(b"half a file")
    resume_search(stopped)
    assert outcome(stopped) == outcome(searched.run)
    assert leftovers(stopped) == []


def test_before_the_first_checkpoint_it_starts_from_the_beginning(tmp_path, searched):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_bytes((searched.run / "config.yaml").read_bytes())
    resume_search(run)
    assert outcome(run) == outcome(searched.run)


def test_a_finished_run_only_gives_its_result(searched, retrained):
    left = [one.run / folder / ".12.png.0badcafe.part" for one in (searched, retrained) for folder in ("", "cells")]
    for part in left:  # of a process that was killed while it drew
        part.touch()
    before = {p: p.stat().st_mtime_ns for p in searched.run.rglob("*") if p.suffix in (".pt", ".jsonl", ".json")}
    again = resume_search(searched.run)
    assert (again.genotype, again.seconds, again.history) == (searched.genotype, searched.seconds, searched.history)
    assert all(torch.equal(again.alphas[kind], searched.alphas[kind]) for kind in searched.alphas)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert resume_retrain(retrained.run) == retrained
    assert not any(part.exists() for part in left)


def test_a_command_goes_on_with_other_values_of_what_no_result_depends_on(
    tmp_path, monkeypatch, command, stopped, searched, retrained
):
    trained = tmp_path / "trained"
    interrupt(monkeypatch, 3)
    with pytest.raises(Interrupted):
        zarts.retrain(searched.run, out=trained, **TRAIN)
    interrupt(monkeypatch, 0)
    other = ("--workers", 1, "--memory-limit", "none", "--checkpoint-activations")
    for name, run, straight in (("search", stopped, searched.run), ("retrain", trained, retrained.run)):
        code, _, err = command(name, "--resume", run, "--batch-size", 8)
        assert code == 2
        assert "--resume" in err
        code, _, err = command(name, "--resume", run, *other)
        assert code == 0
        assert err == "" or (name == "retrain" and err.startswith("not shown to be better than a guess: "))
        assert outcome(run) == outcome(straight)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:1000]),
        lambda path: path.write_bytes(path.read_bytes()[:-10]),
        lambda path: torch.save({"format": os.system}, path),  # code
        lambda path: torch.save([1], path),
        lambda path: torch.save({"format": 1}, path),
        lambda path: torch.save({"format": 2, "settings": {}}, path),
    ],
)
def test_a_file_that_is_no_checkpoint_of_the_run(stopped, change):
    change(stopped / "checkpoint.pt")
    with pytest.raises(RunError, match=r"checkpoint\.pt"):
        Run(stopped).restore({"seed": 0}, torch.device("cpu"))


def test_a_checkpoint_that_is_gone(stopped):
    (stopped / "checkpoint.pt").unlink()
    with pytest.raises(RunError, match="another out"):
        resume_search(stopped)


def test_a_checkpoint_of_another_run(stopped, tmp_path, monkeypatch):
    interrupt(monkeypatch, 6)
    with pytest.raises(Interrupted):
        zarts.search(out=tmp_path / "other", **SMALL, seed=7)
    (stopped / "checkpoint.pt").write_bytes((tmp_path / "other/checkpoint.pt").read_bytes())
    with pytest.raises(RunError, match="seed = 7"):
        resume_search(stopped)


def test_a_checkpoint_of_another_genotype(tmp_path, monkeypatch, searched):
    interrupt(monkeypatch, 2)
    for name, source in (("one", "DARTS_V1"), ("two", "DARTS_V2")):
        with pytest.raises(Interrupted):
            zarts.retrain(source, out=tmp_path / name, **TRAIN)
    (tmp_path / "one/checkpoint.pt").write_bytes((tmp_path / "two/checkpoint.pt").read_bytes())
    with pytest.raises(RunError, match="genotype = "):
        resume_retrain(tmp_path / "one")


def test_lost_events(stopped):
    (stopped / "metrics.jsonl").write_text("")
    with pytest.raises(RunError, match="events"):
        resume_search(stopped)


def test_edited_settings(stopped):
    path = stopped / "config.yaml"
    path.write_text(path.read_text().replace("epochs: 2", "epochs: 3"))
    with pytest.raises(RunError, match="epochs = 2"):
        resume_search(stopped)


def test_images_that_came_since_are_left_out(tmp_path, monkeypatch, photos):
    """The split of a resumed search is the one that it began with."""
    settings = small("darts", data=str(photos), subset=None, image_size=8, epochs=1, warmup_epochs=0)
    straight = zarts.search(out=tmp_path / "straight", **settings)
    interrupt(monkeypatch, 2)
    with pytest.raises(Interrupted):
        zarts.search(out=tmp_path / "run", **settings)
    (photos / "ant/new.png").write_bytes((photos / "ant/00.png").read_bytes())
    interrupt(monkeypatch, 0)
    notes = []
    resume_search(tmp_path / "run", lambda e: notes.append(e["text"]) if e["event"] == "note" else None)
    assert outcome(tmp_path / "run")["metrics"] == outcome(straight.run)["metrics"]
    assert len(notes) == 2  # the first one counts the images
    assert "1 images were added after the split" in notes[1]
    split = json.loads((tmp_path / "run/split.json").read_text())
    (photos / split["train"][0]).unlink()
    (tmp_path / "run/result.json").unlink()
    with pytest.raises(DataError, match="earlier split"):
        resume_search(tmp_path / "run")


def test_folders_that_are_no_run(tmp_path, searched, retrained):
    with pytest.raises(RunError, match="none"):
        resume_search(tmp_path / "none")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(RunError, match=r"config\.yaml"):
        resume_search(tmp_path)
    with pytest.raises(RunError, match="retrain run"):
        resume_retrain(searched.run)
    with pytest.raises(RunError, match="search run"):
        Run.open(retrained.run, "search")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: "[]", r"result\.json"),
        (lambda r: "{", r"result\.json"),
        (lambda r: json.dumps({**r, "alphas": None}), r"result\.json"),
        (lambda r: json.dumps({k: v for k, v in r.items() if k != "seconds"}), "result"),
        (
            lambda r: json.dumps({**r, "genotype": {**r["genotype"], "space": "s1"}}),
            "'s1'",
        ),
        (lambda r: json.dumps({**r, "genotype": 3}), r"result\.json"),
    ],
)
def test_a_damaged_result(tmp_path, searched, change, message):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_bytes((searched.run / "config.yaml").read_bytes())
    (run / "result.json").write_text(change(json.loads((searched.run / "result.json").read_text())))
    with pytest.raises(RunError, match=message):
        resume_search(run)


def test_damaged_events(tmp_path):
    run = Run(tmp_path)
    assert run.events() == []
    (tmp_path / "metrics.jsonl").write_text('{"event": "x"}\n{"eve')
    assert run.events() == [{"event": "x"}], "cut short while it was written"
    (tmp_path / "metrics.jsonl").write_text('{"eve\n{"event": "x"}\n')
    with pytest.raises(RunError, match=r"metrics\.jsonl"):
        run.events()


def test_another_device_is_refused(stopped):
    path = stopped / "checkpoint.pt"
    save_checkpoint(path, {**load_checkpoint(path), "device": "cuda"})
    with pytest.raises(RunError, match="'cuda'"):
        resume_search(stopped)


def test_another_version_of_torch_is_noted(stopped):
    path = stopped / "env.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "torch": "1.0"}))
    heard = []
    resume_search(stopped, callback=heard.append)
    notes = [event["text"] for event in heard if event["event"] == "note"]
    assert notes == [f"torch is {torch.__version__}, was 1.0: the last bits may differ"]


def test_a_run_goes_on_from_another_directory(tmp_path, monkeypatch, photos):
    monkeypatch.chdir(photos.parent)
    interrupt(monkeypatch, 2)
    with pytest.raises(Interrupted):
        zarts.search(out=tmp_path / "run", **{**SMALL, "data": f"./{photos.name}", "image_size": 8, "subset": None})
    interrupt(monkeypatch, 0)
    monkeypatch.chdir(tmp_path)
    assert resume_search("run").genotype.space == SMALL["space"]


@pytest.mark.parametrize(("given", "written"), [("sets", "{here}/sets"), ("~/sets", "~/sets"), ("/sets", "/sets")])
def test_a_run_finds_named_data_from_another_directory(tmp_path, monkeypatch, given, written):
    monkeypatch.chdir(tmp_path)
    settings = anchored(search_settings({"data_dir": given}))
    assert str(settings.data_dir) == written.format(here=tmp_path.resolve())


@pytest.mark.parametrize("write", ["write", "write_json", "save"])
def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path, monkeypatch, write):
    run = Run(tmp_path)
    write_ = {
        "write": lambda: run.write("notes.txt", "some"),
        "write_json": lambda: run.write_json("notes.json", [1]),
        "save": lambda: run.save({"epoch": 1}, {}),
    }[write]
    write_()
    (file,) = tmp_path.iterdir()
    before = file.read_bytes()

    def fsync(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(RunError, match=file.name):
        write_()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


def test_two_processes_do_not_go_on_with_one_run(stopped, searched, monkeypatch):
    monkeypatch.setattr("zarts.runtime.processes.PATIENCE_SECONDS", 0.0)
    with (
        Run(stopped).lock(),
        pytest.raises(RunError, match="another process"),
    ):
        resume_search(stopped)
    resume_search(stopped)
    assert outcome(stopped) == outcome(searched.run)
