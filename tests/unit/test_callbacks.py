"""Callbacks: what they hear, that they can end a run early, and the progress that a call from Python shows."""

import sys
import threading
from types import SimpleNamespace

import pytest

import zarts
from small import SMALL, TRAIN, outcome, small, stop_at
from zarts.callbacks import Callback, StopEarly, progress
from zarts.errors import Interrupted, SettingsError
from zarts.runs import Run

pytestmark = pytest.mark.usefixtures("no_pictures", "unchecked")

LONGER = {**SMALL, "epochs": 4}


class Recorder(Callback):
    def __init__(self):
        self.heard, self.epochs, self.results = [], [], []

    def on_step(self, event):
        self.heard.append((event["epoch"], event["step"]))

    def on_epoch(self, event):
        self.heard.append(event["epoch"])
        self.epochs.append(event)

    def on_end(self, result):
        self.results.append(result)


class StopAt(Callback):
    """Ends a run in the given epoch, from the given method."""

    def __init__(self, epoch, where="on_epoch"):
        self.epoch = epoch
        setattr(self, where, self._stop)

    def _stop(self, event):
        if event["epoch"] == self.epoch:
            self.stop("enough")


def test_steps_epochs_and_the_end(tmp_path):
    recorder, functions = Recorder(), []
    result = zarts.search(**SMALL, out=tmp_path / "run", callbacks=[recorder, functions.append], quiet=True)
    steps = max(step for _, step in (place for place in recorder.heard if isinstance(place, tuple)))
    expected = [place for epoch in (1, 2) for place in [*((epoch, step + 1) for step in range(steps)), epoch]]
    assert recorder.heard == expected
    assert recorder.results == [result]
    logged = {event["event"]: event for event in result.history}
    last = recorder.epochs[-1]
    assert last["train_loss"] == logged["weight_epoch"]["train_loss"]
    assert last["parameterless"] == logged["genotype"]["parameterless"]
    assert [e for e in functions if e["event"] not in ("step", "epoch", "note", "doing")] == result.history


@pytest.mark.parametrize("where", ["on_step", "on_epoch", "on_event"])
def test_a_search_that_ends_early_has_the_cell_of_that_epoch(tmp_path, where):
    if where == "on_event":

        def stop(event):
            if event.get("epoch") == 2:
                raise StopEarly("enough")

        follower = stop
    else:
        follower = StopAt(2, where)
    recorder = Recorder()
    result = zarts.search(**LONGER, out=tmp_path / "run", callbacks=[follower, recorder], quiet=True)
    run = Run(result.run)
    assert result.history[-1] == {"event": "stopped", "epoch": 2, "text": "enough"}
    assert result.genotype.to_json() == (run.path / "genotypes/epoch_002.json").read_text()
    assert not (run.path / "genotypes/epoch_003.json").exists()
    assert run.finished
    assert [event["epoch"] for event in recorder.epochs] == [1, 2], "those after it hear the epoch, too"
    again = zarts.search(resume=result.run, quiet=True)
    assert again.genotype == result.genotype
    assert again.history == result.history


def test_the_epochs_before_an_early_end_are_those_of_a_whole_search(tmp_path):
    whole = zarts.search(**LONGER, out=tmp_path / "whole", quiet=True)
    ended = zarts.search(**LONGER, out=tmp_path / "ended", callbacks=[StopAt(2)], quiet=True)
    epochs = [outcome(result.run)["metrics"] for result in (whole, ended)]
    assert epochs[1][:-1] == [event for event in epochs[0] if event["epoch"] <= 2]


def test_an_early_end_is_not_forgotten_by_an_interruption_in_the_selection(tmp_path, monkeypatch):
    """The selection evaluates candidates after the last epoch, and is stopped in it."""
    settings = small("darts-pt", space="s4", epochs=3)
    request = stop_at(0)
    monkeypatch.setattr(sys.modules["zarts.training.trainer"], "stop_request", request)
    straight = zarts.search(**settings, out=tmp_path / "straight", callbacks=[StopAt(1)], quiet=True)
    monkeypatch.setattr(sys.modules["zarts.training.trainer"], "stop_request", stop_at(request.stop.calls))
    with pytest.raises(Interrupted):
        zarts.search(**settings, out=tmp_path / "run", callbacks=[StopAt(1)], quiet=True)
    monkeypatch.setattr(sys.modules["zarts.training.trainer"], "stop_request", stop_at(0))
    zarts.search(resume=tmp_path / "run", quiet=True)
    assert outcome(tmp_path / "run") == outcome(straight.run)


def test_a_retraining_that_ends_early_is_tested(tmp_path, searched):
    settings = {**TRAIN, "epochs": 4, "test_every": 4}
    result = zarts.retrain(searched, **settings, out=tmp_path / "run", callbacks=[StopAt(2)], quiet=True)
    assert [event["event"] for event in result.history] == ["train_epoch", "train_epoch", "stopped", "test"]
    assert result.test_accuracy == result.history[-1]["test_accuracy"]
    assert result.test_accuracy == pytest.approx(zarts.evaluate(result.run))
    assert (result.run / "test.json").exists()
    assert zarts.retrain(resume=result.run, quiet=True) == result


def test_to_stop_in_the_last_epoch_is_to_end(tmp_path, searched):
    result = zarts.search(**SMALL, out=tmp_path / "run", callbacks=[StopAt(2)], quiet=True)
    assert outcome(result.run) == outcome(searched.run)


@pytest.mark.parametrize("wrong", [Recorder, 3, "name"])
def test_what_is_no_callback(tmp_path, wrong):
    with pytest.raises(SettingsError, match="callbacks"):
        zarts.search(**SMALL, out=tmp_path / "run", callbacks=[wrong])
    assert not (tmp_path / "run").exists()


def test_one_line_an_epoch_unless_quiet(tmp_path, capsys):
    zarts.search(**SMALL, out=tmp_path / "a", callbacks=[Recorder()])
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if line.startswith("epoch")]
    assert [line.split()[1] for line in lines] == ["1/2", "2/2"]
    assert "loss" in lines[0]
    zarts.search(**SMALL, out=tmp_path / "b", quiet=True)
    assert capsys.readouterr() == ("", "")


def test_a_bar_in_a_notebook(monkeypatch, capsys):
    shown = []
    handle = SimpleNamespace(update=lambda data, raw: shown.append(data["text/plain"]))
    python = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=True))
    display = SimpleNamespace(display=lambda data, raw, display_id: handle)
    monkeypatch.setitem(sys.modules, "IPython", python)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    hear = progress(quiet=False)
    step = {"event": "step", "epoch": 1, "epochs": 2, "steps": 2, "train_loss": 1.5, "train_accuracy": 40.0}
    for number in (1, 2):
        hear({**step, "epoch": 2, "step": number})
    hear({"event": "epoch", "epoch": 2, "epochs": 2})
    hear({"event": "note", "text": "take --epochs 3"})
    assert shown[-1] == "epoch 2/2  loss 1.500  acc 40.0 % (100 %)"
    assert capsys.readouterr().err == "take epochs=3\n"
    monkeypatch.setattr(python, "get_ipython", lambda: None)
    assert type(progress(quiet=False)) is not type(hear), "IPython in a terminal is no notebook"


def test_a_search_in_a_thread(tmp_path, searched):
    """Signals arrive in the main thread only; the search does without them."""
    found = []

    def work():
        found.append(zarts.search(**SMALL, out=tmp_path / "run", quiet=True))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert outcome(found[0].run) == outcome(searched.run)
