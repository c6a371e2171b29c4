"""Scripts that call zarts: Ctrl-C, SIGTERM, and several ranks, without `if __name__ == "__main__":`."""

import signal
import subprocess
import sys

import pytest

import zarts
from forked import Forked
from small import LONG, SMALL, TRAIN, finish, outcome, wait_for_lines
from zarts.callbacks import Callback
from zarts.errors import DataError, SettingsError

pytestmark = pytest.mark.usefixtures("no_pictures", "unchecked")

LOOP = """
import sys, zarts
try:
    for seed in range(3):
        try:
            zarts.search(**{settings}, seed=seed, out=f"{out}/{{seed}}")
        except Exception as error:
            print("swallowed", type(error))
            continue
except KeyboardInterrupt as error:
    print(type(error).__name__, error)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "more"),
    [(signal.SIGINT, {}), pytest.param(signal.SIGTERM, {"devices": 2}, marks=pytest.mark.long)],
)
def test_a_loop_ends_by_ctrl_c_after_saving(tmp_path, number, more):
    settings = {**LONG, "epochs": 30, **more}
    file = tmp_path / "script.py"
    file.write_text(LOOP.format(settings=settings, out=tmp_path))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, file], **pipes) if more else Forked(script=file)
    wait_for_lines(process, tmp_path / "0" / "metrics.jsonl", 3)
    process.send_signal(number)
    code, out, err = finish(process)
    assert (code, "swallowed" in out) == (0, False), err
    assert out.startswith("Interrupted ")
    assert f'zarts.search(resume="{tmp_path}/0")' in out
    assert (tmp_path / "0" / "checkpoint.pt").exists()
    assert not (tmp_path / "1").exists()
    lines = [line for line in err.splitlines() if line.startswith("epoch ")]
    assert lines == sorted(set(lines), key=lines.index)


@pytest.mark.long
def test_two_ranks_from_python_end_with_the_bits_of_one(tmp_path, searched, capsys):
    class Epochs(Callback):
        heard, results = [], []

        def on_event(self, event):
            self.heard.append(event)

        def on_end(self, result):
            self.results.append(result)

    epochs = Epochs()
    result = zarts.search(**SMALL, devices=2, out=tmp_path / "run", callbacks=[epochs])
    assert result.genotype == searched.genotype
    assert outcome(result.run)["metrics"] == outcome(searched.run)["metrics"]
    assert [event for event in epochs.heard if event["event"] != "epoch"] == result.history
    assert epochs.results == [result]
    assert sum(line.startswith("epoch ") for line in capsys.readouterr().err.splitlines()) == 2
    trained = zarts.retrain(result.genotype, **TRAIN, devices=2, out=tmp_path / "trained", quiet=True)
    assert trained.parameters > 0
    assert zarts.retrain(resume=trained.run, devices=2, quiet=True) == trained


def test_what_several_ranks_cannot_do(tmp_path):
    class Steps(Callback):
        def on_step(self, event):
            pass

    with pytest.raises(SettingsError, match="on_step"):
        zarts.search(**SMALL, devices=2, out=tmp_path / "run", callbacks=[Steps()])
    with pytest.raises(SettingsError, match="3 ranks are too many"):
        zarts.search(**{**SMALL, "samples": 2}, devices=3, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_an_error_of_the_ranks_has_its_class(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty"):
        zarts.search(tmp_path / "empty", method="zarts-mgs", devices=2, out=tmp_path / "run", quiet=True)


def test_a_resumed_run_takes_its_own_settings(searched):
    for other in ({"data": "digits"}, {"out": "x"}, {"epochs": 9}):
        with pytest.raises(SettingsError, match=f"leave {next(iter(other))} out"):
            zarts.search(resume=searched.run, **other)
    with pytest.raises(SettingsError, match="leave source out"):
        zarts.retrain("DARTS_V2", resume=searched.run)
    assert zarts.search(resume=searched.run, quiet=True).genotype == searched.genotype
