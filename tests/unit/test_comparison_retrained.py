"""Comparisons in spaces whose networks are retrained: trials, scores, files, and what is refused."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

import zarts
from small import TRAIN, in_this_process, options, small, stop_at, trials_in
from zarts.bench import Column
from zarts.comparison.engines import ENGINES
from zarts.comparison.results import signed_rank
from zarts.errors import DivergedError, Interrupted, SettingsError
from zarts.networks import OPERATIONS
from zarts.reports.comparison_progress import read_progress
from zarts.runtime.io import read_events, read_mapping
from zarts.spaces import PARAMETERLESS, SPACES, Genotype, genotype_string

pytestmark = pytest.mark.usefixtures("unchecked")

ROWS = "darts arch_learning_rate=1.0,random"
SEARCH = {key: value for key, value in small("darts").items() if key != "method"}
RETRAIN = {key: value for key, value in TRAIN.items() if key not in ("data", "subset")} | {"subset": 48}
TEST = Column("digits", "test", 2)


@pytest.fixture(autouse=True)
def _here(monkeypatch):
    in_this_process(monkeypatch)


def compare(out, methods=ROWS, seeds=2, **more):
    search = SEARCH if methods != "random" else {key: SEARCH[key] for key in ("data", "space")}
    return zarts.compare(methods, seeds, out=out, **{"retrain": RETRAIN, **search, **more})


def head_of(best):
    return f"|  | n | digits | worst | best of {best} | parameters | time | retraining | parameterless | p |"


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
        assert row.mean_stds[TEST] == pytest.approx((np.mean(accuracies), np.std(accuracies, ddof=1)))
        assert row.worst == min(accuracies)
        assert row.parameters == np.mean([result["parameters"] for result in trained])
        assert row.retrain_seconds == pytest.approx(np.mean([result["seconds"] for result in trained]))
        cells = [Genotype.load(folder / "genotype.json") for folder in folders]
        assert row.parameterless == np.mean([cell.count("normal", PARAMETERLESS) for cell in cells])
    assert compared.rows[1].p is None
    assert compared.failed == {}


def test_a_retraining_has_the_seed_and_the_images_of_its_search(compared):
    for trial in compared.found:
        run = trial.folder.with_name(f"{trial.folder.name}-retrained")
        settings = read_mapping(run / "config.yaml")["retrain"]
        assert (settings["seed"], settings["threads"], settings["data"]) == (trial.seed, 1, "digits")
        assert (run / "genotype.json").read_text() == (trial.folder / "genotype.json").read_text()


def test_the_history_counts_operations_without_parameters(compared):
    for trial, found in compared.found.items():
        files = sorted(trial.folder.glob("genotypes/*"))
        assert len(files) == (2 if trial.row != "random" else 0)
        assert found.history == [Genotype.load(file).count("normal", PARAMETERLESS) for file in files]


def test_files(compared, command, tmp_path):
    text = (compared.out / "table.md").read_text()
    assert text == compared.markdown
    assert text.splitlines()[0] == head_of(2)
    assert "trained for 2 epochs: mean ± standard deviation, n of seeds 0 to 1, each retrained with the seed of" in text
    assert "no random baseline" not in text
    data = json.loads((compared.out / "table.json").read_text())
    assert data["retraining"]["epochs"] == 2
    line = next(csv.DictReader((compared.out / "table.csv").read_text().splitlines()))
    assert float(line["digits_test_2_mean"]) == compared.rows[0].mean_stds[TEST].mean
    assert float(line["parameters"]) == compared.rows[0].parameters
    assert (compared.out / "curves.svg").stat().st_size > 1000
    one = data["rows"][0]["seeds"]["1"]
    for number, words in enumerate((one["command"], one["retraining"])):
        assert command(*words.split()[1:], "--out", tmp_path / str(number))[0] == 0
    assert genotype_string(Genotype.load(tmp_path / "0" / "genotype.json")) == one["architecture"]
    assert read_mapping(tmp_path / "1" / "result.json")["test_accuracy"] == one["accuracies"][TEST.name]


def test_nothing_is_done_twice_and_what_failed_is_tried_again(tmp_path, monkeypatch):
    import zarts.comparison.retrained as retrainings

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
    again = compare(tmp_path / "out", "random", callbacks=[heard.append])
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert [(event["row"], event["seed"], event["over"]) for event in trials_in(heard)] == [("random", 1, 2)]
    assert (again.rows[0].n, again.failed) == (2, {})


def test_an_interrupted_retraining_goes_on(compared, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("zarts.training.trainer.stop_request", stop_at(3))
        with pytest.raises(Interrupted, match="0 of 1"):
            compare(tmp_path / "out", "random", 1)
    (trial,) = read_progress(tmp_path / "out").trials
    assert (trial.row, trial.seed, trial.ended, trial.state[:6]) == ("random", "0", False, "trains")
    done = compare(tmp_path / "out", "random", 1)
    assert read_progress(tmp_path / "out") is None, "the plan goes when the table comes"
    straight = next(one for trial, one in compared.found.items() if (trial.row, trial.seed) == ("random", 0))
    assert next(iter(done.found.values())).accuracies == straight.accuracies


def test_refused_before_anything_is_searched(compared, tmp_path):
    for more, message in (
        ({"benchmark_table": "t.csv"}, "benchmark_table"),
        ({"best_of": 3}, "best_of"),
        ({"retrain": {"epoch": 3}}, "'epochs'"),
        ({"retrain": {"epochs": 0}}, "epochs = 0"),
        (
            {"out": compared.out, "retrain": {**RETRAIN, "epochs": 3}},
            "epochs = 2",
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
    assert command(*words, *options(SEARCH), *settings, "--quiet") == (0, compared.markdown, "")
    code, out, err = command(*words, *options(SEARCH), "--retrain", "epochs")
    assert (code, out) == (2, "")
    assert err.startswith("zarts: --retrain epochs")
    assert err.count("\n") == 1


def compare_spaces(out, methods="random", seeds=3, **more):
    return zarts.compare(methods, seeds, data="digits", grid={"space": ["s1", "s3"]}, out=out, retrain=RETRAIN, **more)


@pytest.fixture(scope="module")
def grouped(tmp_path_factory):
    """A comparison in two spaces, for tests that only read it."""
    few = {key: value for key, value in SEARCH.items() if key not in ("data", "space")}
    with pytest.MonkeyPatch.context() as patch:
        in_this_process(patch)
        return compare_spaces(tmp_path_factory.mktemp("grouped") / "out", "darts,random", 2, against="random", **few)


class TestGroups:
    """What is compared is compared in one space, and one that fails takes nothing with it."""

    def test_rows_and_p_are_those_of_the_group(self, grouped):
        assert [section.group.title for section in grouped.sections] == ["s1", "s3"]
        for section in grouped.sections:
            values = {
                name: [one.accuracies[TEST] for trial, one in grouped.found.items()
                       if (trial.group, trial.row) == (section.group, name)]
                for name in ("darts", "random")
            }  # fmt: skip
            assert [row.name for row in section.rows] == list(values)
            assert [row.mean_stds[TEST].mean for row in section.rows] == [np.mean(row) for row in values.values()]
            assert [row.best for row in section.rows] == [max(row) for row in values.values()]
            assert [row.p for row in section.rows] == [signed_rank(*values.values()), None]

    def test_a_table_of_all_and_one_for_each(self, grouped):
        first, second, third, notes = re.split(r"\n\n(?:## s[13]\n\n)?", grouped.markdown)
        means = [[f"{row.mean_stds[TEST].mean:.2f}" for row in section.rows] for section in grouped.sections]
        head, _, *rows = first.splitlines()
        assert head == "|  | s1 | s3 |"
        for number, name in enumerate(("darts", "random")):
            assert re.fullmatch(rf"\| {name} \| {means[0][number]} ± \S+ \| {means[1][number]} ± \S+ \|", rows[number])
        for table, (mean, _) in zip((second, third), means, strict=True):
            assert table.splitlines()[0] == head_of(2)
            assert table.splitlines()[2].startswith(f"| darts | 2 | {mean} ± ")
        assert "Accuracies of different spaces or data sets are not compared: each has a table of its own." in notes
        assert "p: against random; Wilcoxon's" in notes
        assert "no random baseline" not in notes

    def test_other_files(self, grouped):
        lines = list(csv.DictReader((grouped.out / "table.csv").read_text().splitlines()))
        assert [(line["space"], line["data"], line["row"]) for line in lines] == [
            (space, "digits", row) for space in ("s1", "s3") for row in ("darts", "random")
        ]
        data = json.loads((grouped.out / "table.json").read_text())
        assert data["groups"][1] == {"space": "s3", "data": "digits", "title": "s3", "columns": [TEST.name]}
        assert [row["group"] for row in data["rows"]] == ["s1", "s1", "s3", "s3"]
        assert [row["settings"]["space"] for row in data["rows"]] == ["s1", "s1", "s3", "s3"]
        assert data["rows"][2]["seeds"]["1"]["run"] == "darts,space=s3/seed1"
        assert data["curves"][0]["title"].startswith("Parameterless operations")
        latex = (grouped.out / "table.tex").read_text()
        assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 3
        assert "% s3\n" in latex
        assert sorted(path.name for path in grouped.out.glob("curves*.svg")) == ["curves-s1.svg", "curves-s3.svg"]

    def test_a_comparison_of_one_space_grows(self, tmp_path):
        zarts.compare("random", 1, data="digits", grid={"space": ["s1"]}, out=tmp_path / "out", retrain=RETRAIN)
        heard = []
        compare_spaces(tmp_path / "out", seeds=1, callbacks=[heard.append])
        assert [(event["group"], event["row"]) for event in trials_in(heard)] == [("s3", "random")]

    def test_what_failed_is_shown_and_tried_again_and_the_rest_is_intact(self, tmp_path, monkeypatch):
        import zarts.comparison.retrained as retrainings
        import zarts.comparison.runner as searching

        def fail_search(settings, *words, **more):
            if (settings.space, settings.seed) == ("s3", 1):
                raise DivergedError("no finite loss\nis left")
            return search(settings, *words, **more)

        def fail_training(source, settings, *words):
            if "s1" in str(source) and settings.seed == 2:
                raise ValueError("a bug")
            return train(source, settings, *words)

        search, train = searching.start_search, retrainings.start_retrain
        monkeypatch.setattr(searching, "start_search", fail_search)
        monkeypatch.setattr(retrainings, "start_retrain", fail_training)
        found = compare_spaces(tmp_path / "out")
        assert [row.n for row in found.rows] == [2, 2]
        assert found.markdown.splitlines()[2].count(" (2) |") == 2
        assert found.markdown.splitlines()[-3:] == [
            "2 of 6 searches failed and are not in the table. The same command tries them again:",
            "- s3: random, seed 1: no finite loss is left",
            "- s1: random, seed 2: ValueError: a bug",
        ]
        assert json.loads((tmp_path / "out" / "table.json").read_text())["failed"][1] == {
            "row": "random", "group": "s1", "seed": 2, "error": "ValueError: a bug",
        }  # fmt: skip
        before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").glob("*/*/*")}
        assert sum(file.name == "result.json" for file in before) == 9, "five searches, four retrainings"
        monkeypatch.undo()
        in_this_process(monkeypatch)
        heard = []
        again = compare_spaces(tmp_path / "out", callbacks=[heard.append])
        assert {file: file.stat().st_mtime_ns for file in before} == before
        assert [(event["group"], event["seed"]) for event in trials_in(heard)] == [("s3", 1), ("s1", 2)]
        assert ([row.n for row in again.rows], again.failed) == ([3, 3], {})
        assert "failed" not in again.markdown
        assert "(2)" not in again.markdown.splitlines()[2]

    def test_a_group_of_which_nothing_was_found(self, tmp_path, monkeypatch):
        def fail(settings, *words, **more):
            if settings.space == "s3":
                raise DivergedError("no finite loss is left")
            return start(settings, *words, **more)

        import zarts.comparison.runner as searching

        start = searching.start_search
        monkeypatch.setattr(searching, "start_search", fail)
        found = compare_spaces(tmp_path / "out", seeds=1)
        assert found.markdown.splitlines()[2].endswith("| – |")
        assert [len(section.rows) for section in found.sections] == [1, 0]

    def test_groups_without_a_random_row_are_named(self, tmp_path):
        found = zarts.compare(
            "random space=s1,darts space=s3", 1, out=tmp_path / "out", retrain=RETRAIN,
            **{key: value for key, value in SEARCH.items() if key != "space"},
        )  # fmt: skip
        assert "There is no random baseline among the rows of s3: `--methods random,...` adds it." in found.markdown
        assert found.markdown.splitlines()[3].startswith("| darts | – | ")

    def test_data_sets(self, tmp_path, photos):
        """Each has a column of its own."""
        grid, few = {"data": ["digits", str(photos)]}, {**RETRAIN, "subset": 24}
        found = zarts.compare("random", 1, grid=grid, space="s1", out=tmp_path / "out", retrain=few)
        assert [section.group.title for section in found.sections] == ["digits", "photos"]
        assert [column.name for column in found.columns] == ["digits_test_2", "photos_test_2"]
        lines = list(csv.DictReader((tmp_path / "out" / "table.csv").read_text().splitlines()))
        assert [(line["digits_test_2_mean"] == "", line["photos_test_2_mean"] == "") for line in lines] == [
            (False, True), (True, False),
        ]  # fmt: skip


def test_networks_that_are_trained_on_other_images(tmp_path, photos):
    more = {"seeds": 1, "retrain": {**RETRAIN, "subset": 24, "data": str(photos)}}
    assert compare(tmp_path / "out", "random", **more).columns == [Column("photos", "test", 2)]


@pytest.fixture
def _forgetful(monkeypatch):
    """Each task finds neither spaces nor operations of one's own, as in a new process; afterwards they are gone."""
    work = ENGINES["processes"]

    def forget():
        SPACES.pop("gated", None)
        OPERATIONS.pop("gated_conv", None)

    def run_tasks(do, tasks, room, done):
        for task in tasks:
            forget()
            work(do, [task], room, done)

    monkeypatch.setitem(ENGINES, "processes", run_tasks)
    yield
    forget()


@pytest.mark.usefixtures("_forgetful")
def test_a_space_and_operations_of_ones_own(tmp_path, monkeypatch):
    own = Path(__file__).parents[2] / "examples" / "own_space"
    more = {"space": str(own / "space.yaml"), "operations": str(own / "operations.py")}
    with monkeypatch.context() as patch:
        patch.setattr("zarts.training.trainer.stop_request", stop_at(3))
        for row in ("darts", "random"):  # in its search, and in the retraining of what is drawn
            with pytest.raises(Interrupted):
                compare(tmp_path / row, row, 1, **more)
    for row in ("darts", "random"):
        assert compare(tmp_path / row, row, 1, **more).failed == {}


def test_searches_alone_are_counted_and_drawn_and_may_be_retrained_later(tmp_path):
    methods, weighed = "zarts-mgs,darts", {"inner_steps": 1, "samples": 2}
    found = compare(tmp_path / "out", methods, 1, retrain=None, **weighed)
    assert found.columns == []
    lines = found.markdown.splitlines()
    assert lines[0] == "|  | n | time | parameterless |"
    assert "Searches alone, n of seed 0: nothing was retrained" in found.markdown
    assert not list((tmp_path / "out").glob("*/*-retrained"))
    for one in found.found.values():
        cells = [Genotype.load(file) for file in sorted((tmp_path / "out").glob("darts/seed0/genotypes/*.json"))]
        assert one.accuracies == {}
        assert len(one.curves["identities"]) == len(cells)
    moved = next(one for trial, one in found.found.items() if trial.row.startswith("zarts-mgs"))
    steps = [e for e in read_events(tmp_path / "out/zarts-mgs/seed0/metrics.jsonl") if e["event"] == "alpha_step"]
    assert moved.curves["ess"][0] is None, "alpha does not move in the warm-up"
    assert moved.curves["ess"][1] == pytest.approx(np.mean([e["ess"] for e in steps if e["epoch"] == 2]))
    assert moved.curves["esr"][1] == pytest.approx(moved.curves["ess"][1] / 2)
    for name in ("curves", "sampling"):
        assert (tmp_path / "out" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert "zarts-mgs" in (tmp_path / "out/sampling.svg").read_text()
    assert 'id="line-darts"' not in (tmp_path / "out/sampling.svg").read_text()
    again = compare(tmp_path / "out", methods, 1, **weighed)
    assert again.columns == [TEST]
    assert [one.seconds for one in again.found.values()] == [one.seconds for one in found.found.values()]


def test_nothing_is_tested_where_nothing_is_retrained(tmp_path):
    with pytest.raises(SettingsError, match="against = random"):
        compare(tmp_path / "out", retrain=None, against="random")
