"""Temporary files of dead processes are deleted, and processes end with the one that started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zarts.api._ranks import _resume_hint
from zarts.runtime.leftovers import mark, remove_parts, temporary_folder

CHILD = "from zarts.runtime.processes import end_with_parent; end_with_parent(); print('here', flush=True); "
CHILD += "import time; time.sleep(60)"
PARENT = f"""
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], env={{**os.environ, "ZARTS_PARENT": str(os.getpid())}})
print(child.pid, flush=True)
child.wait()
"""


def dead():
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_unfinished_files_of_dead_processes(tmp_path):
    """Those of this process, and of other machines as long as they may be at work, stay."""
    machine = mark().partition("-")[0]
    stay = [f".a.{mark()}-x1_.part", ".a.00000000-1-x.part", f".a.{machine}-{os.getppid()}-x.part", "a.part", ".a"]
    go = [f".a.{machine}-{dead()}-x1_.part", ".a.abc.part", "sub/.b.abc.part", ".a.00000000-2-x.part"]
    (tmp_path / "sub").mkdir()
    for name in (*stay, *go):
        (tmp_path / name).touch()
    os.utime(tmp_path / go[-1], (0, 0))
    remove_parts(tmp_path)
    assert sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*")) == sorted([*stay, "sub"])


def test_temporary_folders_of_dead_processes(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    machine = mark().partition("-")[0]
    stay, gone = (tmp_path / name for name in ("zarts-mine", f"zarts-{machine}-{dead()}-ab_1"))
    for folder in (stay, gone):
        (folder / "sub").mkdir(parents=True)
    with temporary_folder() as first, temporary_folder() as second:
        assert {*tmp_path.iterdir()} == {stay, first, second}
    assert [*tmp_path.iterdir()] == [stay]


@pytest.mark.skipif(sys.platform != "linux", reason="the system does it on Linux alone")
def test_a_process_ends_with_its_parent():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    lines = sorted(parent.stdout.readline().strip() for _ in range(2))
    assert lines[1] == "here"
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 10
    while Path(f"/proc/{lines[0]}").exists() and "\nState:\tZ" not in Path(f"/proc/{lines[0]}/status").read_text():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_process_whose_parent_has_died_before_it_looks():
    environment = {**os.environ, "ZARTS_PARENT": str(dead())}
    child = subprocess.run([sys.executable, "-c", CHILD], env=environment, capture_output=True, timeout=30, check=False)
    assert (child.returncode, child.stdout) == (1, b"")


def test_the_way_out_when_a_rank_dies_names_its_folder(tmp_path):
    run, file = tmp_path / "a run", tmp_path / "folder"
    assert "same command" in _resume_hint(file, "search")
    file.write_text(str(run))
    run.mkdir()
    assert "same command" in _resume_hint(file, "search")
    (run / "checkpoint.pt").touch()
    assert f"'{run}'" in _resume_hint(file, "search")
