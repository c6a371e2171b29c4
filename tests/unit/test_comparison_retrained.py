"""Comparisons in spaces whose networks are trained: what is done, judged, written, refused."""

import csv
import json

import numpy as np
import pytest

import zarts
from small import TRAIN, in_this_process, options, small, stop_at
from zarts.bench import Column
from zarts.errors import DivergedError, SettingsError
from zarts.files import read_mapping
from zarts.spaces import PARAMETERLESS, Genotype, genotype_string

ROWS = "darts alpha_lr=1.0,random"
SEARCH = {key: value for key, value in small("darts").items() if key != "method"}
RETRAIN = {key: value for key, value in TRAIN.items() if key not in ("data", "subset")} | {"subset": 48}
TEST = Column("digits", "test", 2)


@pytest.fixture(autouse=True)
def _here(monkeypatch):
    in_this_process(monkeypatch)


def compare(out, methods=ROWS, seeds=2, **more):
    search = SEARCH if methods != "random" else {key: SEARCH[key] for key in ("data", "space")}
    return zarts.compare(methods, seeds, out=out, **{"retrain": RETRAIN, **search, **more})


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A comparison, for tests that only read it."""
    with pytest.MonkeyPatch.context() as patch:
        in_this_process(patch)
        return compare(tmp_path_factory.mktemp("compared") / "out", against="random")


def test_rows_are_means_over_seeds_of_the_retrained_networks(compared):
    assert [row.name for row in compared.rows] == ROWS.split(",")
    assert compared.columns == [TEST]
    for row in compared.rows:
        folders = [one.folder for one in compared.found if one.row == row.name]
        trained = [read_mapping(f.with_name(f"{f.name}-retrained") / "result.json") for f in folders]
        accuracies = [result["test_accuracy"] for result in trained]
        assert row.n == len(accuracies) == 2
        assert row.spreads[TEST] == pytest.approx((np.mean(accuracies), np.std(accuracies, ddof=1)))
        assert row.worst == min(accuracies)
        assert row.parameters == np.mean([result["parameters"] for result in trained])
        assert row.retrain_seconds == pytest.approx(np.mean([result["seconds"] for result in trained]))
        cells = [Genotype.load(folder / "genotype.json") for folder in folders]
        assert row.parameterless == np.mean([cell.count("normal", PARAMETERLESS) for cell in cells])
    assert compared.rows[1].p is None
    assert compared.failed == {}


def test_a_retraining_has_the_seed_and_the_images_of_its_search(compared):
    for cell in compared.found:
        run = cell.folder.with_name(f"{cell.folder.name}-retrained")
        settings = read_mapping(run / "config.yaml")["retrain"]
        assert (settings["seed"], settings["threads"], settings["data"]) == (cell.seed, 1, "digits")
        assert (run / "genotype.json").read_text() == (cell.folder / "genotype.json").read_text()


def test_the_history_counts_operations_without_parameters(compared):
    for cell, found in compared.found.items():
        files = sorted(cell.folder.glob("genotypes/*"))
        assert len(files) == (2 if cell.row != "random" else 0)
        assert found.history == [Genotype.load(file).count("normal", PARAMETERLESS) for file in files]


def test_files(compared, command, tmp_path):
    text = (compared.out / "table.md").read_text()
    assert text == compared.markdown
    head = "|  | n | digits | worst | best of 2 | parameters | time | retraining | parameter-free | p |"
    assert text.splitlines()[0] == head
    assert "trained for 2 epochs: mean ± standard deviation, n of seeds 0 to 1, each retrained with the seed of" in text
    assert "no random baseline" not in text
    data = json.loads((compared.out / "table.json").read_text())
    assert data["retraining"]["epochs"] == 2
    line = next(csv.DictReader((compared.out / "table.csv").read_text().splitlines()))
    assert float(line["digits_test_2_mean"]) == compared.rows[0].spreads[TEST].mean
    assert float(line["parameters"]) == compared.rows[0].parameters
    assert (compared.out / "curves.svg").stat().st_size > 1000
    one = data["rows"][0]["seeds"]["1"]
    for number, words in enumerate((one["command"], one["retraining"])):
        assert command(*words.split()[1:], "--out", tmp_path / str(number))[0] == 0
    assert genotype_string(Genotype.load(tmp_path / "0" / "genotype.json")) == one["architecture"]
    assert read_mapping(tmp_path / "1" / "result.json")["test_accuracy"] == one["accuracies"][TEST.name]


def test_nothing_is_done_twice_and_what_failed_is_tried_again(tmp_path, monkeypatch):
    import zarts.comparison.retrainings as retrainings

    def fail(source, settings, *words):
        if settings.seed == 1:
            raise DivergedError("no finite loss is left")
        return start(source, settings, *words)

    start = retrainings.start_retrain
    monkeypatch.setattr(retrainings, "start_retrain", fail)
    found = compare(tmp_path / "out", "random")
    assert {(one.row, one.seed): line for one, line in found.failed.items()} == {
        ("random", 1): "no finite loss is left"
    }
    assert found.rows[0].n == 1
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").glob("*/*/*")}
    monkeypatch.setattr(retrainings, "start_retrain", start)
    heard = []
    again = compare(tmp_path / "out", "random", listener=heard.append)
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert [(event["row"], event["seed"], event["over"]) for event in heard] == [("random", 1, 2)]
    assert (again.rows[0].n, again.failed) == (2, {})


def test_an_interrupted_retraining_goes_on(compared, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("zarts.engine.loop.stop_request", stop_at(3))
        stopped = compare(tmp_path / "out", "random", 1)
        assert ["seed0-retrained" in line for line in stopped.failed.values()] == [True]
    done = compare(tmp_path / "out", "random", 1)
    straight = next(one for cell, one in compared.found.items() if (cell.row, cell.seed) == ("random", 0))
    assert next(iter(done.found.values())).accuracies == straight.accuracies


def test_refused_before_anything_is_searched(compared, tmp_path):
    for more, message in (
        ({"table": "t.csv"}, "table: row 'darts alpha_lr=1.0' searches in space 's2', whose cells no table has: leave"),
        ({"best_of": 3}, "best_of: row 'darts alpha_lr=1.0' searches in space 's2'"),
        ({"retrain": {"epoch": 3}}, r"options: unknown setting 'epoch': did you mean 'epochs'\?"),
        ({"retrain": {"epochs": 0}}, "epochs = 0"),
        (
            {"out": compared.out, "retrain": {**RETRAIN, "epochs": 3}},
            r"seed0-retrained: was begun with epochs = 2, not 3: choose another --out",
        ),
    ):
        with pytest.raises(SettingsError, match=message):
            compare(**{"out": tmp_path / "out", **more})
    assert not (tmp_path / "out").exists()


def test_a_table_without_a_random_row_says_so(tmp_path, compared):
    alone = compare(compared.out, ROWS.split(",")[0], 1)
    assert "There is no random baseline among the rows: `--methods random,...` adds it." in alone.markdown
    compare(compared.out, against="random")


def test_on_the_command_line(command, compared):
    words = ["compare", "--methods", ROWS, "--seeds", 2, "--out", compared.out, "--against", "random"]
    settings = [word for key, value in RETRAIN.items() for word in ("--retrain", f"{key}={value}")]
    code, out, err = command(*words, *options(SEARCH), *settings)
    assert (code, err, out) == (0, "", compared.markdown)
    code, out, err = command(*words, *options(SEARCH), "--retrain", "epochs")
    assert (code, out) == (2, "")
    assert err == "zarts: --retrain epochs: expected key=value, for example --retrain epochs=20\n"
