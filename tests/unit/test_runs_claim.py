"""The folder of a run from its first millisecond on: never in a state that --out and --resume both refuse."""

import copy
import errno
import fcntl
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from zarts.comparison.runner import alone_in
from zarts.errors import Interrupted, RunError, SettingsError
from zarts.runs import Run
from zarts.runs.claim import UNSTARTED
from zarts.runs.new_run import new_run, resumed_run
from zarts.runtime.io import WriteError

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr("zarts.runtime.processes.PATIENCE_SECONDS", 0.0)


def folder(path, *names):
    path.mkdir()
    for name in names:
        (path / name).write_text("search: {}\n")
    return path


KILLED = [
    (),
    (UNSTARTED,),
    (".config.yaml.0badcafe-1-ab12_x.part",),  # of zarts 0.1.0
    (UNSTARTED, "space.yaml", "genotype.json", ".searched.yaml.abc.part"),
]


@pytest.mark.parametrize("names", KILLED)
def test_killed_before_its_start_is_whole(tmp_path, names):
    """The same command begins anew; resuming it says so."""
    run = folder(tmp_path / "x", *names)
    with pytest.raises(RunError, match="start it anew"):
        Run.open(run, "search")
    with Run.new(run, "search") as new:
        assert [file.name for file in run.iterdir()] == [UNSTARTED]
        new.begin({"seed": 1}, "search")
    assert Run.open(run, "search").settings("search") == {"seed": 1}


def test_killed_before_its_first_checkpoint(tmp_path):
    """Both go on: --resume with the settings that are there, --out with new ones; and no later than that."""
    Run.create(tmp_path / "x", {"seed": 1}, "search")
    assert Run.open(tmp_path / "x", "search").settings("search") == {"seed": 1}
    run = Run.create(tmp_path / "x", {"seed": 2}, "search")
    assert run.settings("search") == {"seed": 2}
    run.save({"epoch": 0}, {})
    assert sorted(file.name for file in run.path.iterdir()) == ["checkpoint.pt", "config.yaml"]
    with pytest.raises(SettingsError, match=r"resume"):
        Run.create(tmp_path / "x", {}, "search")


def test_killed_between_the_checkpoint_and_the_end_of_the_mark(tmp_path):
    run = Run(folder(tmp_path / "x", UNSTARTED, "config.yaml", "checkpoint.pt", ".x.0badcafe.part"))
    with pytest.raises(SettingsError, match=r"resume"):
        Run.create(run.path, {}, "search")
    with run.lock():
        assert sorted(file.name for file in run.path.iterdir()) == ["checkpoint.pt", "config.yaml"]


@pytest.mark.parametrize("names", [("notes.txt",), ("space.yaml",), (UNSTARTED, "notes.txt"), ("a.part",)])
def test_what_is_not_ours_stays(tmp_path, names):
    path = folder(tmp_path / "x", *names)
    with pytest.raises(SettingsError, match="no search of zarts") as caught:
        Run.create(path, {}, "search")
    assert "resume" not in str(caught.value)
    assert {file.name for file in path.iterdir()} == set(names)
    (path / "config.yaml").write_text("mine: 1\n")
    with pytest.raises(SettingsError, match="no search of zarts"):
        Run.create(path, {}, "search")


def test_runs_that_start_together_get_folders_of_their_own(tmp_path):
    def begin(number):
        run = stack.enter_context(Run.new(tmp_path / "a/x", "search", numbered=True))
        run.begin({"i": number}, "search")
        return run

    with ExitStack() as stack, ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(begin, range(8)))
        assert {run.path.name for run in runs} == {"x", *(f"x-{i}" for i in range(2, 9))}
        assert [run.settings("search") for run in runs] == [{"i": i} for i in range(8)]
        with pytest.raises(RunError, match="another process"):
            Run.create(tmp_path / "a/x", {}, "search")
    with Run.new(tmp_path / "a/x", "search", numbered=True) as again:
        assert again.path == tmp_path / "a/x"  # none of them has started, and all are gone


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for parent in ("file", "link"):
        with pytest.raises(RunError, match="File exists"), Run.new(tmp_path / parent / "x", "search", numbered=True):
            pass
    with pytest.raises(RunError, match="link"):
        Run.create(tmp_path / "link", {}, "search")


def full(descriptor):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_says_what_is_there(tmp_path, monkeypatch):
    """Before the first checkpoint nothing stays; afterwards all does. No message says what is not so."""
    path = tmp_path / "x"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with (
            pytest.raises(RunError, match="nothing was begun") as caught,
            new_run(path, "digits", "search", numbered=False) as run,
        ):
            run.begin({}, "search")
        assert "unchanged" not in str(caught.value)
        assert not path.exists()
    with new_run(path, "digits", "search", numbered=False) as run:
        run.begin({}, "search")
        run.save({"epoch": 0}, {})
    before = {file: file.read_bytes() for file in path.iterdir()}
    monkeypatch.setattr(os, "fsync", full)
    for block in (lambda run: run.save({"epoch": 1}, {}), lambda run: run.write("model.safetensors", b"1")):
        with pytest.raises(RunError, match=rf"resume=.{path}"), resumed_run(run, "search"):
            block(run)
    assert {file: file.read_bytes() for file in path.iterdir()} == before


def test_the_error_of_another_process_is_the_same():
    error = WriteError(Path("x"), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    again = copy.copy(error)
    assert (type(again), str(again), again.path, again.reason) == (WriteError, str(error), error.path, error.reason)


def test_a_folder_that_can_only_be_read(tmp_path, monkeypatch):
    run = Run.create(tmp_path / "x", {}, "search")
    run.save({"epoch": 0}, {})
    run.log({"event": "x"})

    def refuse(path, size):
        raise PermissionError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "touch", lambda path: refuse(path, 0))
        with pytest.raises(RunError, match=r"x: cannot be written .Read-only.*resume="):
            resumed_run(run, "search").__enter__()
    monkeypatch.setattr(os, "truncate", refuse)
    with pytest.raises(RunError, match=r"metrics\.jsonl: cannot be written .Read-only"):
        run.restore({}, CPU)


def test_a_file_system_without_locks_and_links(tmp_path, monkeypatch):
    """It is said, and works; folders that may be another process's are left alone."""

    def refuse(*arguments, **options):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    assert Run.create(tmp_path / "y", {}, "search").lock_note == ""
    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(os, "link", refuse)
    with new_run(tmp_path / "x", "digits", "search", numbered=True) as run:
        assert "has no locks" in run.lock_note
        with new_run(tmp_path / "x", "digits", "search", numbered=True) as other:
            assert other.path.name == "x-2"
        for epoch in range(3):
            run.save({"epoch": epoch}, {})
    assert run.saved({}, CPU)["epoch"] == 2
    (run.path / "checkpoint.before.pt").replace(run.path / "checkpoint.pt")
    assert run.saved({}, CPU)["epoch"] == 1


def work(run, first=0):
    """What a run of two epochs writes, from the given one on."""
    for epoch in range(first, 2):
        run.log({"event": "epoch", "epoch": epoch})
        run.save({"epoch": epoch + 1}, {})
    run.write_json("result.json", {})


def begin(path):
    with new_run(path, "digits", "search", numbered=False) as run:
        run.write("space.yaml", "x")
        run.begin({"seed": 1}, "search")
        run.write_split({"train": ["a"], "test": ["b"]})
        run.write_json("env.json", {})
        run.save({"epoch": 0}, {})
        work(run)


def killed_before(number, path):
    """Whether the process of a run was killed before so many changes of its folder: it makes no more."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    changes = iter(range(1, number))
    kinds = {"os.mkdir", "os.rename", "os.remove", "os.link", "os.truncate"}

    def hook(event, arguments):
        writes = event in kinds or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if writes and str(path) in str(arguments[0]) and next(changes, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    try:
        begin(path)
    finally:
        os._exit(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of Python 3.12, where torch has started threads
@pytest.mark.parametrize("name", ["baselines", "tensorboard"])
def test_a_folder_that_a_run_has_made_before_its_start_is_no_dead_end(tmp_path, name):
    run = Run.create(tmp_path / "x", {"seed": 1}, "search")
    (run.path / name).mkdir()
    (run.path / name / "events").touch()
    again = Run.create(run.path, {"seed": 2}, "search")  # it was killed
    assert not (run.path / name).exists()
    (run.path / name).mkdir()
    assert again.discard()
    assert not run.path.exists()


def stopped(path, *, started):
    with new_run(path, "digits", "search", numbered=False) as run:
        run.begin({}, "search")
        if started:
            run.save({"epoch": 0}, {})
        raise KeyboardInterrupt


def stopped_again(run):
    with resumed_run(run, "search"):
        raise KeyboardInterrupt


def test_ctrl_c_while_a_result_is_written_says_how_to_go_on(tmp_path):
    with pytest.raises(Interrupted, match="resume"):
        stopped(tmp_path / "x", started=True)
    with pytest.raises(Interrupted, match="resume"):
        stopped_again(Run(tmp_path / "x"))
    with pytest.raises(KeyboardInterrupt) as raised:
        stopped(tmp_path / "y", started=False)
    assert not isinstance(raised.value, Interrupted)
    assert not (tmp_path / "y").exists()


def test_a_run_without_checkpoints_has_no_mark_once_it_has_a_result(tmp_path):
    """A random search is killed right after its result, which no lock of a later process tidies."""
    run = Run.create(tmp_path / "x", {}, "search")
    assert (run.path / UNSTARTED).exists()
    run.write_json("result.json", {})
    assert not (run.path / UNSTARTED).exists()
    (run.path / UNSTARTED).touch()  # of a version that left it
    with resumed_run(run, "search"):
        assert not (run.path / UNSTARTED).exists()


def test_killed_before_each_of_its_writes(tmp_path):
    """Whatever is there, one command goes on, to the same files; and none of them is a temporary one."""
    begin(tmp_path / "whole")
    files = {file.name: file.read_bytes() for file in (tmp_path / "whole").iterdir()}
    number, started = 1, []
    while killed_before(number, path := tmp_path / str(number)):
        if (path / "config.yaml").exists():
            run = Run.open(path, "search")
            with resumed_run(run, "search"):
                started.append(run.started)
                if not run.finished:
                    work(run, run.restore({}, CPU)["epoch"] if run.started else 0)
        else:
            begin(path)
        found = {file.name: file.read_bytes() for file in path.iterdir()}
        assert found.keys() | {"split.json", "env.json"} == files.keys(), number
        assert all(found[name] == files[name] for name in ("config.yaml", "metrics.jsonl", "space.yaml")), number
        assert Run(path).saved({}, CPU)["epoch"] == 2, number
        number += 1
    assert number > 30
    assert {*started} == {True, False}


def test_a_comparison_deletes_the_marks_of_what_has_a_result(tmp_path):
    """A random search that was killed right after its result is not gone on with; one that has none begins anew."""
    for name in ("finished", "begun"):
        Run.create(tmp_path / name, {}, "search")
    (tmp_path / "finished" / "result.json").write_text("{}")  # killed here
    with alone_in(tmp_path):
        pass
    assert [path.parent.name for path in tmp_path.rglob(UNSTARTED)] == ["begun"]
