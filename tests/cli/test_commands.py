"""The command line, in this process: what it prints, one line of error, exit codes."""

import errno
import json
import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from sklearn.datasets import load_digits

from small import SMALL, TRAIN, leftovers, options, outcome, small
from zarts.cli.dry_run import about
from zarts.config import retrain_settings, search_settings

pytestmark = pytest.mark.usefixtures("no_pictures", "unchecked")


def one_line(err):
    """The message, which is one line, after the one that counts the images of a folder."""
    *counts, line = err.splitlines()
    assert all(" classes, " in count for count in counts), err
    assert len(counts) <= 1
    assert line.startswith("zarts: ")
    return line.removeprefix("zarts: ")


def test_search_then_retrain_then_evaluate(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = command("search", *options(SMALL))
    assert (code, err) == (0, ""), "quiet when not a terminal"
    run = "runs/search/digits-s2-zarts-mgs-seed0"
    assert re.fullmatch(
        rf"normal: .*\nreduce: .*\nfound in \d+ s; report: {run}/report.html\ntrain it: zarts retrain {run}\n", out
    )
    code, out, err = command("retrain", run, *options({k: v for k, v in TRAIN.items() if k != "data"}))
    assert code == 0
    assert err.startswith("not shown to be better than a guess: "), "so few steps teach nothing"
    accuracy = re.search(r"test accuracy: (\d+\.\d\d) % \(last epoch\)\nparameters: [\d,]+   MACs: [\d,]+", out)[1]
    trained = "runs/retrain/digits-s2-zarts-mgs-seed0-retrained-seed0"
    assert f"model: {trained}/model.safetensors; report: {trained}/report.html\n" in out
    assert command("evaluate", trained) == (0, f"test accuracy: {accuracy} %\n", "")
    code, out, err = command("evaluate", run)
    assert code == 1
    assert one_line(err).startswith(f"{run}: ")
    code, out, err = command("search", "--resume", run)
    assert (code, err) == (0, "")
    code, out, err = command("search", *options(SMALL), "--out", run)
    assert code == 2
    assert f"zarts search --resume {run}" in one_line(err)


def test_a_search_of_nothing_named_says_what_it_does_and_how_long_it_takes(command, tmp_path, monkeypatch):
    """Before it does it; of a random draw there is no time to tell."""
    forecast = SimpleNamespace(seconds=754.0)
    monkeypatch.setattr("zarts.api.dry_run_search", lambda settings, callback, **_: forecast)
    unnamed = options({key: value for key, value in SMALL.items() if key != "data"})
    code, _, err = command("search", *unnamed, "--out", tmp_path / "run")
    assert code == 0
    what, time = err.splitlines()
    assert "the embedded digits (1,797 grey images of 8x8 pixels) by method zarts-mgs in space s2, 2 epochs" in what
    assert "--preset quick" in what
    assert "`zarts fit path/to/images`" in what
    assert time == "this takes about 13 minutes on this machine"
    assert load_digits().images.shape == (1797, 8, 8)
    assert command("search", "--method", "random", "--out", tmp_path / "drawn")[2].count("\n") == 1
    assert [about(seconds) for seconds in (0.2, 80, 5000, 90_000, 200_000)] == [
        "about a second", "about 80 seconds", "about 83 minutes", "about 25 hours", "about 2 days",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("search --method zarts-mgs --samples 0", 2, "samples = '0'"),
        ("search --method zarts-mgs --inner-steps -1", 2, "inner_steps = '-1'"),
        ("search --method zarts-mgs --tau 0", 2, "tau = '0'"),
        ("search --method zarts-mgs --sigma -1", 2, "sigma = '-1'"),
        ("search --preset quik", 2, "'quick'"),
        ("search --data digits --space s9 --out never", 2, "'s4'"),
        ("search --data digit --out never", 2, "'digits'"),
        ("search --data digits --subset 64 --out never", 3, "64"),
        ("search --set epochs", 2, "--set epochs"),
        ("search --set epochs=[", 2, "YAML"),
        ("search --set epochs=", 2, "epochs = None"),
        ("search --resume none --epochs 3", 2, "--resume"),
        ("search --resume none --print-config", 2, "--resume"),
        ("search --resume none --dry-run", 2, "--resume"),
        (
            "search --precision 16-mixed",
            2,
            "precision = '16-mixed'",
        ),
        ("retrain", 2, "genotypes"),
        ("retrain --resume none DARTS_V2", 2, "--resume"),
        ("retrain DARTS_V3", 3, "'DARTS_V3'"),
        ("retrain DARTS_V2 --drop-path 1", 2, "drop_path = '1'"),
        ("retrain .", 1, "run folder"),
        ("draw DARTS_V2 --out /dev/null/x", 1, "/dev/null/x"),
    ],
)
def test_one_line_that_says_what_is_wrong(command, tmp_path, monkeypatch, words, code, message):
    monkeypatch.chdir(tmp_path)
    got, out, err = command(*words.split())
    assert re.search(message, one_line(err))
    assert (got, out) == (code, "")
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_debug_adds_the_traceback(command):
    code, out, err = command("search", "--debug", "--preset", "quik")
    assert (code, out) == (2, "")
    assert err.startswith("Traceback (most recent call last):")
    assert err.splitlines()[-1].startswith("zarts: unknown preset 'quik'")


@pytest.mark.parametrize(
    ("method", "preset"),
    [(None, None), ("zarts-mgs", "cifar10"), ("p-darts", None), ("darts", "nb201"), ("random", "nb201")],
)
def test_printed_settings_read_back_the_same(command, tmp_path, method, preset):
    """Of each method by each preset the settings themselves are read back in test_config.py."""
    given = ({} if method == "random" else {"flip": False}) | {"seed": 3} | ({"method": method} if method else {})
    words = [*options(given), *(["--preset", preset] if preset else []), "--print-config"]
    code, out, _ = command("search", *words)
    assert code == 0
    path = tmp_path / "printed.yaml"
    path.write_text(out)
    assert search_settings({}, config=path) == search_settings(given, preset=preset)
    assert command("search", "--config", path, "--print-config")[1] == out


def test_printed_settings_of_a_retraining(command, tmp_path, searched):
    code, out, _ = command("retrain", searched.run, "--preset", "quick", "--subset", 64, "--print-config")
    assert code == 0
    path = tmp_path / "printed.yaml"
    path.write_text(out)
    assert retrain_settings({}, config=path) == retrain_settings({"subset": 64}, preset="quick")


def test_dry_runs(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = command("search", "--dry-run", *options({**SMALL, "channels": 4, "epochs": 100}))
    assert (code, err) == (0, "")
    assert re.search(r"^weight step +2 x +[\d.]+ s = +[\d,.]+ s$", out, re.MULTILINE), out
    assert re.search(r"^alpha update and weight step +198 x ", out, re.MULTILINE), out
    assert re.search(r"^time: \d+:\d\d:\d\d \([\d,]+ s\)   memory: [\d,]+ MB$", out, re.MULTILINE), out
    assert re.search(
        r"^steps need [\d.]+ MB   free: [\d.]+ GB   largest batch that fits: [\d,]+$", out, re.MULTILINE
    ), out
    assert re.search(r"^parameters: [\d,]+   MACs an image: [\d,]+$", out, re.MULTILINE), out
    code, out, err = command("retrain", "DARTS_V2", "--dry-run", *options(TRAIN), "--memory-limit", "50MB")
    assert (code, out) == (2, "")
    assert re.search(r"[\d.]+ MB .*memory_limit = 50000000", one_line(err))
    code, out, err = command("retrain", "DARTS_V2", "--dry-run", *options(TRAIN))
    assert (code, err) == (0, "")
    assert re.search(r"^weight step +8 x ", out, re.MULTILINE), out
    assert list(tmp_path.iterdir()) == []


def test_the_last_word(command, tmp_path):
    """Preset < file < options < --set."""
    path = tmp_path / "c.yaml"
    path.write_text("search: {batch_size: 11, epochs: 21, cells: 6}")
    words = ["--preset", "quick", "--config", path, "--epochs", 22, "--cells", 7, "--set", "cells=9", "--print-config"]
    printed = yaml.safe_load(command("search", *words)[1])["search"]
    assert (printed["batch_size"], printed["epochs"], printed["cells"], printed["channels"]) == (11, 22, 9, 4)
    printed = yaml.safe_load(command("search", "--set", "flip=null", "--flip", "--print-config")[1])["search"]
    assert printed["flip"] is None


class TestLookup:
    text = "|none~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|"

    @pytest.fixture
    def table(self, tmp_path):
        path = tmp_path / "table.csv"
        path.write_text(f"architecture,cifar10_valid_12,cifar100_test_200\n{self.text},60.5,40\n")
        return path

    def test_table(self, command, table):
        code, out, err = command("lookup", self.text, "--benchmark-table", table)
        assert (code, err) == (0, "")
        architecture, where, header, *rows = out.splitlines()
        assert architecture == self.text
        assert where == f"index 0 of 1 cells in {table}"
        assert header.split() == ["data", "set", "epochs", "split", "accuracy", "rank", "percentile", "regret"]
        assert [row.split() for row in rows] == [
            ["cifar10", "12", "valid", "60.50", "1", "100.0", "0.00"],
            ["cifar100", "200", "test", "40.00", "1", "100.0", "0.00"],
        ]

    def test_json_of_one_data_set_from_the_directory_of_the_environment(self, command, table, monkeypatch):
        table.rename(table.with_name("nasbench201.csv"))
        monkeypatch.setenv("ZARTS_DATA", str(table.parent))
        code, out, _ = command("lookup", 0, "--json", "--data-set", "cifar100")
        assert code == 0
        assert list(json.loads(out)["entries"]) == ["cifar100_test_200"]

    def test_failures_are_one_line(self, command, table):
        code, out, err = command("lookup", 0, "--benchmark-table", table.with_name("absent.csv"))
        assert (code, out, err.count("\n")) == (3, "", 1)
        assert "--benchmark-table" in err
        code, _, err = command("lookup", "|none~0|", "--benchmark-table", table)
        assert (code, err.count("\n")) == (2, 1)
        assert command("lookup", 0, "--benchmark-table", table, "--data-set", "mnist")[0] == 2

    def test_a_search_says_how_to_look_its_cell_up(self, command, tmp_path):
        run = tmp_path / "run"
        out = command("search", "--space", "nasbench201", "--method", "random", "--out", run)[1]
        assert f"look it up: zarts lookup {run}" in out
        assert f"train it: zarts retrain {run}" in out


def test_draw_and_report(command, tmp_path, retrained):
    code, out, _ = command("draw", "DARTS_V2", "--out", tmp_path / "cells")
    assert code == 0
    paths = out.split()
    assert len(paths) == 4
    assert all(Path(path).stat().st_size > 500 for path in paths)
    assert command("draw", retrained.run, "--out", tmp_path / "own")[0] == 0
    before = (retrained.run / "report.html").stat().st_mtime_ns
    code, out, _ = command("report", retrained.run, "--watch")  # of a finished run the page is written, and that is all
    assert (code, out.strip()) == (0, str(retrained.run / "report.html"))
    assert (retrained.run / "report.html").stat().st_mtime_ns > before


class TestGenotype:
    def test_as_the_papers_write_it_and_back(self, command, tmp_path):
        code, text, err = command("genotype", "sdarts/c10_s4_pcdarts")
        assert (code, err) == (0, "")
        assert text.startswith("Genotype(normal=[('sep_conv_3x3', 0), ")
        assert "('noise', 3)], normal_concat=range(2, 6), reduce=[" in text
        assert command("genotype", text) == (0, text, "")
        path = tmp_path / "cell.txt"
        path.write_text(text)
        assert command("genotype", path) == (0, text, "")

    def test_json_is_a_genotype_file(self, command, searched):
        code, out, _ = command("genotype", searched.run, "--json")
        assert (code, out) == (0, (searched.run / "genotype.json").read_text())

    def test_of_the_benchmark(self, command):
        assert command("genotype", TestLookup.text) == (0, f"{TestLookup.text}\n", "")

    @pytest.mark.parametrize(
        ("source", "code", "message"),
        [
            ("__import__('os').system('id')", 3, "genotype"),
            ("Genotype(normal=[])", 3, "normal_concat"),
            ("|none~0|", 2, "none~0"),
            ("sdarts/c10_s5_rs", 3, "zarts list genotypes"),
        ],
    )
    def test_one_line_for_what_is_none(self, command, source, code, message):
        got, out, err = command("genotype", source)
        assert (got, out) == (code, "")
        assert re.search(message, one_line(err))


def folder(photos, problem):
    if problem == "one class":
        for name in ("bee", "cat"):
            for path in (photos / name).iterdir():
                path.unlink()
            (photos / name).rmdir()
    elif problem == "empty class":
        for path in (photos / "bee").iterdir():
            path.unlink()
    elif problem == "broken":
        for path in (photos / "bee").iterdir():
            path.write_bytes(path.read_bytes()[:40])
    return photos


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        ("one class", "'ant'"),
        ("empty class", "'bee'"),
        ("broken", r"16 damaged header \(first: bee/00\.png\)"),
        ("few", "--batch-size"),
    ],
)
def test_bad_folders(command, tmp_path, photos, problem, message):
    settings = {**SMALL, "data": folder(photos, problem), "image_size": 8, "subset": 38, "batch_size": 20}
    del settings["subset"]
    code, out, err = command("search", *options(settings), "--out", tmp_path / "run")
    assert (code, out) == (3, "")
    assert re.search(message, one_line(err))
    assert not (tmp_path / "run").exists()


def test_a_run_folder_among_the_images(command, photos, monkeypatch):
    monkeypatch.chdir(photos)
    code, _, err = command("search", *options({**SMALL, "data": "."}))
    assert code == 2
    assert str(photos) in one_line(err)
    assert not (photos / "runs").exists()


@pytest.mark.parametrize("failing", [1, 3])
def test_a_full_disk(command, tmp_path, monkeypatch, failing, searched):
    """Files are flushed: config, env, split, checkpoint 0, genotype 1, checkpoint 1, ..."""
    run, real, calls = tmp_path / "run", os.fsync, []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) >= 3 + failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    code, out, err = command("search", *options(SMALL), "--out", run)
    assert (code, out) == (1, "")
    message = one_line(err)
    assert "No space left" in message
    assert "nothing was begun" in message if failing == 1 else f"zarts search --resume {run}" in message
    monkeypatch.setattr(os, "fsync", real)
    if failing == 1:
        assert not run.exists(), "nothing was computed"
        return
    assert leftovers(run) == []
    assert torch.load(run / "checkpoint.pt", weights_only=True)["epoch"] == 0
    assert command("search", "--resume", run)[0] == 0
    assert outcome(run) == outcome(searched.run)


def test_a_full_disk_for_the_events(command, tmp_path, monkeypatch):
    real = Path.open

    def open_(self, *words, **more):
        if self.name == "metrics.jsonl":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, *words, **more)

    monkeypatch.setattr(Path, "open", open_)
    code, _, err = command("search", *options(SMALL), "--out", tmp_path / "run")
    assert code == 1
    assert "metrics.jsonl" in one_line(err)


def test_a_diverged_search(command, tmp_path):
    """One line, and the checkpoint of the last epoch that was whole."""
    wild = {**SMALL, "learning_rate": 1e6, "weight_decay": 100}
    code, _, err = command("search", *options(wild), "--out", tmp_path / "run")
    assert code == 1
    assert "learning rate" in one_line(err).replace("-", " ")
    events = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    whole = sum(event["event"] == "weight_epoch" for event in events)
    assert torch.load(tmp_path / "run/checkpoint.pt", weights_only=True)["epoch"] == whole


def test_a_name_that_the_shell_would_split(command, tmp_path):
    run = tmp_path / "my run"
    code, out, _ = command("search", *options(small("random")), "--out", run)
    assert code == 0
    assert f"train it: zarts retrain '{run}'" in out
    assert json.loads((run / "result.json").read_text())["method"] == "random"


def test_one_candidate(command, tmp_path):
    for words in ([], ["--no-antithetic"]):
        out = tmp_path / f"run{len(words)}"
        assert command("search", *options({**SMALL, "samples": 1}), *words, "--out", out)[0] == 0
