"""Comparisons: trials, scores, tests and files; the searches run one after the other in this process."""

import csv
import fcntl
import json
import math
import os
import re
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import yaml

import zarts
from small import in_this_process, options, trials_in
from tables import CONV, TEST, cell, write_csv
from zarts.bench import SELECT, Column, MeanStd, Table, look_up, read_table
from zarts.comparison import Summary, TrialResult
from zarts.comparison.baselines import affordable, baselines, cost_note
from zarts.comparison.export_tables import to_csv, to_latex, to_markdown
from zarts.comparison.grid import Group, parse_row, rows_of
from zarts.comparison.results import signed_rank, summarise
from zarts.comparison.tables import Section
from zarts.comparison.trials import parse_seeds, plan
from zarts.errors import DataError, DivergedError, RunError, SettingsError
from zarts.runtime.io import read_mapping
from zarts.spaces import Genotype
from zarts.spaces.nasbench201 import to_string

pytestmark = pytest.mark.usefixtures("unchecked")

SEARCH = {"space": "nasbench201", "subset": 64, "channels": 2, "cells": 1, "batch_size": 16, "epochs": 2}
ROWS = "darts arch_learning_rate=1.0,random"
BASELINES = ["random cell", "random cell of convolutions", "all 3×3, the most parameters", "optimum"]
FILES = ("table.md", "table.csv", "table.tex", "table.json")


@cache
def _read(path):
    return read_table(path)


def read(path, *, trust=False):
    """A table, read once: it is checked line by line, which the checks of types make slow."""
    return _read(path)


def _stub_forward(monkeypatch):
    in_this_process(monkeypatch)
    for module in ("zarts.comparison.run_comparison", "zarts.api._new_search"):
        monkeypatch.setattr(f"{module}.read_table", read)


@pytest.fixture(autouse=True)
def _here(monkeypatch):
    _stub_forward(monkeypatch)


@pytest.fixture(scope="module")
def compared(every, tmp_path_factory):
    """A comparison, for tests that only read it."""
    with pytest.MonkeyPatch.context() as patch:
        _stub_forward(patch)
        out = tmp_path_factory.mktemp("compared") / "out"
        return zarts.compare(ROWS, 3, benchmark_table=every, out=out, against="random", **SEARCH)


class TestPlan:
    @pytest.mark.parametrize(
        ("text", "seeds"), [("3", [0, 1, 2]), (1, [0]), ("5-7", [5, 6, 7]), ("9-9", [9]), (" 0-1 ", [0, 1])]
    )
    def test_seeds(self, text, seeds):
        assert list(parse_seeds(text)) == seeds

    @pytest.mark.parametrize("text", ["0", 0, "7-5", "a", "-3", "", "1,2", "3.5"])
    def test_seeds_that_cannot_be(self, text):
        with pytest.raises(SettingsError, match=f"seeds = {text}"):
            parse_seeds(text)

    def test_rows(self):
        assert parse_row("darts") == {"method": "darts"}
        row = parse_row(" zarts-mgs  inner-steps=0 tau=auto antithetic=false ")
        assert row == {"method": "zarts-mgs", "inner_steps": 0, "tau": "auto", "antithetic": False}

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("dart", "'darts'"),
            ("", "unknown method ''"),
            ("darts arch_learning_rate", "arch_learning_rate"),
            ("darts arch_learning_rate=[", "YAML"),
            ("darts seed=3", "seeds"),
            ("darts benchmark_table=x", "benchmark_table"),
        ],
    )
    def test_rows_that_cannot_be(self, text, message):
        with pytest.raises(SettingsError, match=message):
            parse_row(text)

    def trials(self, methods, seeds=1, preset=None, config=None, out=Path("out"), **shared):
        return plan(rows_of(methods, shared, preset=preset, config=config), seeds, table=Path("/t.csv"), out=out)

    def test_rows_times_seeds(self):
        trials = self.trials("darts arch_learning_rate=0.1,random", "4-5", **SEARCH)
        assert [(t.row, t.seed) for t in trials] == list(product(("darts arch_learning_rate=0.1", "random"), (4, 5)))
        assert [str(t.folder) for t in trials[1:3]] == ["out/darts,arch_learning_rate=0.1/seed5", "out/random/seed4"]
        assert [t.settings.seed for t in trials] == [4, 5, 4, 5]
        assert trials[0].settings.arch_learning_rate == 0.1
        assert {t.settings.benchmark_table for t in trials} == {Path("/t.csv")}
        assert [t.settings.threads for t in trials[::2]] == [1, None], "one thread a search, where it has use for any"

    def test_whose_word_counts(self, tmp_path):
        """Preset < file < the method's defaults < shared options < the row's own."""
        config = tmp_path / "c.yaml"
        config.write_text(yaml.safe_dump({"batch_size": 32, "channels": 6, "val_batches": 3}))
        more = {"preset": "nb201-small", "config": config, "epochs": 5, "threads": 2, "channels": 4}
        mgs, darts, wide = self.trials("zarts-mgs,darts,darts channels=10", data="digits", **more)
        assert (mgs.settings.cells, mgs.settings.batch_size, mgs.settings.epochs) == (1, 32, 5)
        assert (mgs.settings.val_batches, darts.settings.val_batches) == (3, 1)
        assert (darts.settings.arch_update_interval, darts.settings.warmup_epochs) == (1, 0)
        assert (darts.settings.channels, wide.settings.channels) == (4, 10)
        assert mgs.settings.threads == 2

    def test_shared_settings_go_to_the_rows_that_use_them(self):
        mgs, darts = self.trials("zarts-mgs,darts", space="nasbench201", samples=6, warmup_epochs=1)
        assert mgs.settings.samples == 6
        assert (mgs.settings.warmup_epochs, darts.settings.warmup_epochs) == (1, 1)

    @pytest.mark.parametrize(
        ("methods", "more", "message"),
        [
            ("darts,random", {"samples": 3}, "samples"),
            ("darts samples=3", {}, "samples"),
            ("darts", {"epoch": 3}, "'epochs'"),
            ("darts", {"epochs": 0}, "epochs = 0"),
            ("darts epochs=x", {}, "epochs = 'x'"),
            ("darts", {"seed": 3}, "seeds"),
            ("darts", {"method": "random"}, "methods"),
            ("darts,random,darts", {}, "twice"),
            (["darts  arch_learning_rate=1", "darts arch_learning_rate=1"], {}, "twice"),
        ],
    )
    def test_comparisons_that_cannot_be(self, methods, more, message):
        more = {"space": "nasbench201", **more}
        with pytest.raises(SettingsError, match=message):
            self.trials(methods, **more)


class TestComparison:
    def test_every_search_is_a_run_of_its_own(self, compared):
        for number, row in product(range(3), ("darts,arch_learning_rate=1.0", "random")):
            run = compared.out / row / f"seed{number}"
            settings = read_mapping(run / "config.yaml")["search"]
            assert (settings["seed"], settings["space"]) == (number, "nasbench201")
            assert (run / "result.json").exists()
        assert (
            '"event": "truth"'
            in (compared.out / "darts,arch_learning_rate=1.0" / "seed0" / "metrics.jsonl").read_text()
        )

    def test_rows_are_means_over_seeds_of_what_the_table_says(self, compared, every):
        table = read(every)
        assert [row.name for row in compared.rows] == [*ROWS.split(","), *BASELINES]
        for row in compared.rows[:2]:
            folders = [one.folder for one in compared.found if one.row == row.name]
            strings = [to_string(Genotype.load(folder / "genotype.json")) for folder in folders]
            values = [look_up(table, string).entries[TEST].accuracy for string in strings]
            seconds = [read_mapping(folder / "result.json")["seconds"] for folder in folders]
            assert row.n == len(values) == 3
            assert row.mean_stds[TEST] == pytest.approx((np.mean(values), np.std(values, ddof=1)))
            assert row.worst == min(values)
            assert row.seconds == pytest.approx(np.mean(seconds))
            counts = [string.count("skip_connect") + string.count("avg_pool") for string in strings]
            assert row.parameterless == pytest.approx(np.mean(counts))
        assert compared.failed == {}

    def test_the_history_is_what_was_derived_at_each_epoch(self, compared, every):
        table = read(every)
        for one, found in compared.found.items():
            files = sorted(one.folder.glob("genotypes/*"))
            assert len(files) == (2 if one.row != "random" else 0)
            strings = [to_string(Genotype.load(file)) for file in files]
            assert found.history == [look_up(table, string).entries[TEST].accuracy for string in strings]

    def test_baselines(self, compared, every):
        values = read(every).accuracies[TEST]
        rows = {row.name: row for row in compared.rows}
        assert rows["random cell"].mean_stds[TEST] == pytest.approx((values.mean(), values.std()))
        assert rows["optimum"].mean_stds[TEST] == (90, 0)
        assert (
            rows["all 3×3, the most parameters"].mean_stds[TEST].mean
            == look_up(read(every), CONV).entries[TEST].accuracy
        )
        assert all(rows[name].n is None for name in BASELINES)

    def test_p_is_paired_over_seeds(self, compared):
        accuracies = {
            name: [f.accuracies[TEST] for t, f in compared.found.items() if t.row == name] for name in ROWS.split(",")
        }
        ours, theirs = accuracies.values()
        rows = {row.name: row for row in compared.rows}
        assert rows["random"].p is None
        assert rows["darts arch_learning_rate=1.0"].p == signed_rank(ours, theirs)
        assert rows["optimum"].p == signed_rank([90.0] * 3, theirs)
        assert rows["random cell"].p is None, "no seeds to pair"

    def test_files(self, compared):
        assert (compared.out / "table.md").read_text() == compared.markdown
        data = json.loads((compared.out / "table.json").read_text())
        row = data["rows"][0]
        assert row["settings"]["arch_learning_rate"] == 1.0
        assert "seed" not in row["settings"]
        assert list(row["seeds"]) == ["0", "1", "2"]
        one = row["seeds"]["1"]
        assert one["run"] == "darts,arch_learning_rate=1.0/seed1"
        assert one["accuracies"]["cifar10_test_200"] == one["history"][-1]
        assert data["environment"]["torch"]
        assert data["table"]["cells"] == 5**6
        lines = list(csv.DictReader((compared.out / "table.csv").read_text().splitlines()))
        assert [line["row"] for line in lines] == [row.name for row in compared.rows]
        assert float(lines[0]["cifar10_test_200_mean"]) == compared.rows[0].mean_stds[TEST].mean
        assert lines[0]["p"] == str(compared.rows[0].p)
        assert lines[-1]["n"] == lines[-1]["seconds"] == ""
        for name in ("curves.svg", "curves.png"):
            assert (compared.out / name).stat().st_size > 1000

    def test_a_search_is_repeated_by_its_command(self, compared, command, tmp_path):
        one = json.loads((compared.out / "table.json").read_text())["rows"][0]["seeds"]["2"]
        assert command(*one["command"].split()[1:], "--out", tmp_path / "again")[0] == 0
        again = to_string(Genotype.load(tmp_path / "again" / "genotype.json"))
        assert again == one["architecture"]

    def test_nothing_is_searched_twice_and_a_comparison_can_grow(self, compared, every, tmp_path):
        before = {file: file.stat().st_mtime_ns for file in compared.out.glob("*/*/*")}
        heard = []
        grown = zarts.compare(
            f"{ROWS},darts",
            "2-3",
            benchmark_table=every,
            out=compared.out,
            callbacks=[heard.append],
            best_of=4,
            draws=50,
            **SEARCH,
        )
        assert {file: file.stat().st_mtime_ns for file in before} == before
        heard = trials_in(heard)
        assert [(event["row"], event["seed"]) for event in heard] == [
            ("darts", 2), ("darts arch_learning_rate=1.0", 3), ("random", 3), ("darts", 3),
        ]  # fmt: skip
        assert [(event["over"], event["trials"]) for event in heard] == [(3, 6), (4, 6), (5, 6), (6, 6)]
        assert [row.n for row in grown.rows[:3]] == [2, 2, 2]
        assert grown.rows[4].name == "best of 4 random cells"
        assert "random cells: 50 draws, the best of several is chosen by cifar10_valid_12" in grown.markdown
        zarts.compare(ROWS, 3, benchmark_table=every, out=compared.out, against="random", **SEARCH)

    def test_other_settings_need_another_folder(self, compared, every):
        settings = {**SEARCH, "epochs": 3}
        with pytest.raises(SettingsError, match="epochs = 2"):
            zarts.compare(ROWS, 1, benchmark_table=every, out=compared.out, **settings)

    def test_refused_before_anything_is_searched(self, every, tmp_path, monkeypatch):
        monkeypatch.delenv("ZARTS_DATA", raising=False)
        one = write_csv(tmp_path / "one.csv", {"architecture": [CONV], "cifar10_valid_12": [80]})
        for more, kind, message in (
            (
                {"against": "dart"},
                SettingsError,
                "'dart'",
            ),
            ({"jobs": 0}, SettingsError, "jobs = 0"),
            ({"best_of": 1}, SettingsError, "best_of = 1"),
            (
                {"methods": "darts,random space=s2"},
                SettingsError,
                "'random'",
            ),
            ({"retrain": {"epochs": 3}}, SettingsError, "'nasbench201'"),
            ({"retrain": None}, SettingsError, "leave retrain out"),
            ({"draws": 1}, SettingsError, "draws = 1"),
            ({"benchmark_table": tmp_path / "absent"}, DataError, "benchmark_table"),
            ({"benchmark_table": "auto"}, DataError, "NAS-Bench-201"),
            (
                {"benchmark_table": one},
                DataError,
                "cifar10_test_200",
            ),
            ({"data": "none/such"}, DataError, "none/such: not found"),
            ({"out": one}, RunError, "one.csv"),
        ):
            with pytest.raises(kind, match=message):
                zarts.compare(
                    **{"methods": ROWS, "seeds": 1, "benchmark_table": every, "out": tmp_path / "out", **SEARCH, **more}
                )
        assert sorted(path.name for path in tmp_path.iterdir()) == ["one.csv"]

    def test_a_table_that_lacks_a_cell(self, tmp_path):
        names = [cell(number) for number in range(5**6)]
        one = write_csv(tmp_path / "one.csv", {"architecture": names[:1], TEST.name: [50]})
        found = zarts.compare("random", 2, benchmark_table=one, out=tmp_path / "out", space="nasbench201")
        assert [row.name for row in found.rows] == ["random cell", "optimum"]
        assert len(found.failed) == 2
        assert all("one.csv: has no architecture |" in line for line in found.failed.values())
        assert "2 of 2 searches failed and are not in the table." in found.markdown
        assert not (tmp_path / "out" / "curves.svg").exists(), "a random cell has no epochs"

    def test_what_fails_is_shown_and_tried_again(self, every, tmp_path, monkeypatch):
        import zarts.comparison.runner as searching

        def fail(settings, *words, **more):
            if settings.seed == 1:
                raise (DivergedError("no finite loss is left") if settings.method == "darts" else ValueError("a bug"))
            return start(settings, *words, **more)

        start = searching.start_search
        monkeypatch.setattr(searching, "start_search", fail)
        found = zarts.compare("darts,random", 2, benchmark_table=every, out=tmp_path / "out", **SEARCH)
        lines = {(one.row, one.seed): line for one, line in found.failed.items()}
        assert lines == {("darts", 1): "no finite loss is left", ("random", 1): "ValueError: a bug"}
        assert [row.n for row in found.rows[:2]] == [1, 1]
        assert math.isnan(found.rows[0].mean_stds[TEST].std)
        assert json.loads((tmp_path / "out" / "table.json").read_text())["failed"][0] == {
            "row": "darts", "group": "", "seed": 1, "error": "no finite loss is left",
        }  # fmt: skip
        monkeypatch.setattr(searching, "start_search", start)
        again = zarts.compare("darts,random", 2, benchmark_table=every, out=tmp_path / "out", **SEARCH)
        assert again.failed == {}
        assert [row.n for row in again.rows[:2]] == [2, 2]

    def test_two_at_a_time(self, compared, every, monkeypatch):

        monkeypatch.setattr("zarts.runtime.processes.PATIENCE_SECONDS", 0.0)
        lock = os.open(compared.out, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="another comparison"):
            zarts.compare(ROWS, 3, benchmark_table=every, out=compared.out, **SEARCH)
        os.close(lock)

    def test_a_folder_that_was_killed_before_anything_was_in_it(self, every, tmp_path):
        run = tmp_path / "out" / "random" / "seed0"
        run.mkdir(parents=True)
        (run / ".config.yaml.abc.part").touch()
        assert zarts.compare("random", 1, benchmark_table=every, out=tmp_path / "out", space="nasbench201").failed == {}


class TestEqualCost:
    """As many random cells as the longest search pays for."""

    def table(self, seconds):
        accuracies = {TEST: [10.0, 20.0, 30.0, 40.0], SELECT: [3.0, 1.0, 2.0, 4.0]}
        return Table.build("t.csv", range(4), [cell(number) for number in range(4)], accuracies, seconds)

    @pytest.mark.parametrize(("longest", "number"), [(0.0, None), (5.9, None), (6.0, 2), (100.0, 33)])
    def test_number(self, longest, number):
        assert affordable(self.table([2.0, 4.0, 3.0, math.nan]), longest) == number
        assert affordable(self.table(None), longest) is None

    def test_row(self):
        best = baselines(self.table([2.0, 4.0, 3.0, math.nan]), best_of=2, draws=None)[1]
        assert (best.name, best.seconds) == ("best of 2 random cells", 6.0)
        assert best.mean_stds[TEST].mean == pytest.approx((1 * 20 + 3 * 30 + 5 * 10 + 7 * 40) / 16)
        assert baselines(self.table(None), best_of=2, draws=None)[1].seconds is None

    def test_it_is_said_why_there_is_no_row(self):
        assert "the table has no cifar10_seconds_12; --best-of K adds one" in cost_note(self.table(None), 9.0)
        assert "pays for less than two trainings of 3 s" in cost_note(self.table([3.0] * 4), 5.0)
        assert "of as many as can be trained, 3 s each" in cost_note(self.table([3.0] * 4), 6.0)


class TestStatistics:
    def test_signed_rank_by_hand(self):
        """All of n differences of one sign, without ties: p = 2 / 2^n."""
        ours = [90.0 + i for i in range(8)]
        assert signed_rank(ours, [89.0 - i for i in range(8)]) == pytest.approx(2 / 2**8)
        assert signed_rank(ours, ours) is None
        assert signed_rank([], []) is None

    def test_one_search_has_no_spread(self):
        row = summarise("a", [TrialResult("|", {TEST: 50.0}, [], 2, 1.5)])
        assert (row.n, row.worst, row.seconds, row.parameterless, row.mean_stds[TEST].mean) == (1, 50, 1.5, 2, 50)
        assert math.isnan(row.mean_stds[TEST].std)


class TestFormats:
    columns = (TEST, Column("imagenet16-120", "test", 200))

    def section(self, rows):
        return [Section(Group("nasbench201", "digits"), list(self.columns), rows, 10)]

    @pytest.fixture
    def summaries(self):
        def mean_stds(mean, std):
            return dict.fromkeys(self.columns, MeanStd(mean, std))

        return [
            Summary("a arch_learning_rate=1", mean_stds(93.456, 0.5), 10, 92.1, 130.0, 1.25, 0.0123),
            Summary("b", mean_stds(54.3, 0.0), 3, 54.3, 2.0, 6.0),
            Summary("c", mean_stds(50.0, math.nan), 1, 50.0, 2.0, 6.0),
            Summary("all 3×3", mean_stds(93.76, 0.0)),
        ]

    def test_markdown(self, summaries):
        assert to_markdown(self.section(summaries), ["note"]).splitlines() == [
            "|  | n | CIFAR-10 | ImageNet16-120 | worst | time | parameterless | p |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
            "| a arch_learning_rate=1 | 10 | 93.46 ± 0.50 | 93.46 ± 0.50 | 92.10 | 2 min | 1.2 | 0.012 |",
            "| b | 3 | 54.30 ± 0.00 | 54.30 ± 0.00 | 54.30 | 2.0 s | 6.0 | – |",
            "| c | 1 | 50.00 | 50.00 | 50.00 | 2.0 s | 6.0 | – |",
            "| all 3×3 | – | 93.76 | 93.76 | – | – | – | – |",
            "",
            "note",
        ]

    def test_without_a_test_there_is_no_column_for_it(self, summaries):
        head = to_markdown(self.section(summaries[1:]), []).splitlines()[0]
        assert head.endswith("| parameterless |")

    def test_latex(self, summaries):
        text = to_latex(self.section(summaries), ["note"])
        assert text.startswith("% note\n\\begin{tabular}{lrrrrrrr}\n")
        assert r"a arch\_learning\_rate=1 & 10 & 93.46 $\pm$ 0.50" in text
        assert r"all 3$\times$3 & -- &" in text

    def test_csv_has_numbers_in_full_and_gaps(self, summaries):
        first, *_, last = csv.DictReader(to_csv(self.section(summaries)).splitlines())
        assert list(first)[-7:] == [
            "worst", "best", "parameters", "seconds", "retrain_seconds", "parameterless", "p",
        ]  # fmt: skip
        assert (first["cifar10_test_200_mean"], first["p"]) == ("93.456", "0.0123")
        assert (last["n"], last["worst"], last["cifar10_test_200_std"]) == ("", "", "0.0")


class TestCommand:
    """What is said, and the exit codes."""

    def words(self, every, out):
        settings = options({k: v for k, v in SEARCH.items() if k != "space"})
        return ["compare", "--benchmark-table", every, "--out", out, "--space", "nasbench201", *settings]

    def test_the_table_is_printed(self, command, compared, every):
        words = self.words(every, compared.out)
        code, out, err = command(*words, "--methods", ROWS, "--seeds", 3, "--against", "random", "--jobs", 1)
        assert code == 0
        assert re.fullmatch(rf"compared in \d.*; report: {compared.out}/report.html\n", err)
        assert out == (compared.out / "table.md").read_text()

    def test_the_report_is_written_and_can_be_again(self, command, compared):
        page = compared.out / "report.html"
        assert "<h1>3 seeds cannot tell random and darts arch_learning_rate=1.0 apart</h1>" in page.read_text()
        page.unlink()
        assert command("report", compared.out) == (0, f"{page}\n", "")
        assert page.exists()

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            (("--methods", "dart", "--seeds", 1), "'darts'"),
            (
                ("--methods", "darts", "--seeds", 0),
                "seeds = 0",
            ),
            (("--methods", "darts", "--seeds", 1, "--set", "jobs=2"), "'jobs'"),
            (
                ("--methods", "darts", "--seeds", 1, "--set", "seed=2"),
                "--seeds",
            ),
            (("--methods", "darts"), "--seeds"),
            (("--methods", "darts", "--seeds", 1, "--seed", 2), "--seed"),
        ],
    )
    def test_one_line_that_says_what_is_wrong(self, command, every, tmp_path, more, message):
        code, out, err = command(*self.words(every, tmp_path / "out"), *more)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith("zarts: ")
        assert message in err
        assert not (tmp_path / "out").exists()

    def test_failed_searches(self, command, every, tmp_path, monkeypatch):
        def fail(settings, *words, **more):
            raise DivergedError("no finite loss is left")

        monkeypatch.setattr("zarts.comparison.runner.start_search", fail)
        code, out, err = command(*self.words(every, tmp_path / "out"), "--methods", "darts", "--seeds", "4-5")
        assert code == 1
        took, *failed = err.splitlines()
        assert re.fullmatch(rf"compared in \d.*; report: {tmp_path}/out/report.html", took)
        assert failed == [
            "zarts: darts, seed 4: no finite loss is left",
            "zarts: darts, seed 5: no finite loss is left",
            f"zarts: 2 of 2 searches failed: the same command tries them again ({tmp_path}/out)",
        ]
        assert "2 of 2 searches failed and are not in the table." in out
