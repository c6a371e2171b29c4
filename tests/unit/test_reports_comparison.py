"""The page of a comparison, from its table and the folders of its runs."""

import json
import math
import re

import numpy as np
import pytest
import yaml
from scipy.stats import ttest_rel

from reports import COLUMN, EVIL, Checker, data_of, plan, table
from zarts.errors import RunError
from zarts.reports import write_report
from zarts.reports.charts import Chart, Line, telling
from zarts.reports.comparison_dots import dots_of
from zarts.reports.comparison_verdict import Entry, conclude, difference, gap_words
from zarts.reports.epoch_charts import mean_band
from zarts.reports.series import Series
from zarts.spaces import SPACES


@pytest.fixture
def folder(tmp_path, generator):
    for run in ("darts/seed0", "darts/seed1", "darts/seed0-retrained"):
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "report.html").write_text("")
        (tmp_path / run / "genotype.json").write_text(SPACES["s2"].random(generator).to_json())
    (tmp_path / "table.json").write_text(json.dumps(table()))
    return tmp_path


def test_page_of_a_comparison(folder):
    path = write_report(folder)
    assert path == folder / "report.html"
    text = path.read_text()
    page = Checker(text)
    assert EVIL not in text
    for word in ("91.00 ± 0.50", "4.0 s", "2 h 13 min", "0.031", "digits, %", EVIL, f"zarts: loss is nan {EVIL}"):
        assert word in page.words, word
    assert "zarts compare" in page.words
    assert "1 to 2 seeds cannot tell the 3 rows apart" in page.words
    assert (
        "Networks drawn at random (random): \N{MINUS SIGN}10.50 points. That they are worse may be chance."
        in page.words
    )
    assert text.index("Test accuracy on digits") < text.index("<table"), "the picture is above the table"
    titles = [value for name, value in page.attributes if name == "title"]
    assert titles == ["darts, seed 0: 90.50 %", "darts, seed 1: 91.50 %", f"{EVIL}, seed 0: 90.00 %",
                      "random, seed 0: 80.00 %"]  # fmt: skip
    assert "Test accuracy in %" in page.words
    assert not any("- darts, seed 2" in word for word in page.words), "it is in the list of those that failed"
    links = [value for name, value in page.attributes if name == "href" and value.startswith("./")]
    reports = ["./darts/seed0/report.html", "./darts/seed0-retrained/report.html", "./darts/seed1/report.html"]
    assert links == reports
    assert all((folder / link).is_file() for link in links)
    assert write_report(folder).read_text() == text


def test_lines_and_cells_of_a_comparison(folder):
    data = data_of(write_report(folder).read_text())
    low, high, line, other = data["figures"]["epochs-0-0"]["data"]
    assert (line["name"], line["y"]) == ("darts", [1.5, 5.0])
    assert (low["y"], high["y"]) == ([0.792893, 5.0], [2.20711, 5.0])
    assert other["name"] == EVIL.replace("<", "&lt;").replace(">", "&gt;")
    assert data["figures"]["epochs-0-0"]["layout"]["shapes"][0]["y0"] == 4.0
    assert len(data["cells"]["fragments"]) == 4


def test_rows_of_several_groups_have_a_table_each(folder):
    found = table()
    found["groups"] = [{"title": title, "columns": [COLUMN]} for title in ("s1", "s2")]
    found["rows"] = [{**one, "group": title} for one, title in zip(found["rows"], ("s1", "s2", "s2"), strict=True)]
    found["failed"][0]["group"] = "s1"
    (folder / "table.json").write_text(json.dumps(found))
    text = write_report(folder).read_text()
    page = Checker(text)
    assert page.tags.count("table") == 2 + 1 + 1
    assert [word for word in page.words if word.startswith(("darts reaches", "One seed", "1 seed"))] == [
        "darts reaches 91.00 %",
        f"1 seed cannot tell {EVIL} and random apart",
    ], "the page of several groups has a conclusion for each"
    assert set(data_of(text)["figures"]) == {"epochs-0-0", "epochs-1-0"}
    assert "s1 darts" in page.words


def test_other_numbers_of_an_epoch_have_charts_of_their_own(folder):
    found = table()
    found["rows"][0]["seeds"]["0"]["curves"] = {"esr": [None, 0.25, 0.5]}
    (folder / "table.json").write_text(json.dumps(found))
    figures = data_of(write_report(folder).read_text())["figures"]
    assert set(figures) == {"epochs-0-0", "epochs-0-1"}
    (line,) = figures["epochs-0-1"]["data"]
    assert (line["x"], line["y"]) == ([2.0, 3.0], [0.25, 0.5]), "nothing where there is no number"


def test_charts_that_say_nothing_of_their_own_are_left_out():
    def chart(name, *y, **more):
        line = Line("row", "sep", Series([1.0, 2.0, 3.0][: len(y)], list(y)))
        return Chart(name, "title", "note", "epoch", (line,), **more)

    ess, esr = chart("ess", 4.0, 5.0, 6.0), chart("esr", 0.4, 0.5, 0.6, levels={"all alike": 1.0})
    other = chart("other", 0.4, 0.5, 0.61)
    assert telling([ess, chart("flat", 2.0, 2.0, 2.0), chart("once", 2.0), other, esr]) == [esr, other], (
        "of two that are the same but for a factor the one with a level stays"
    )
    assert telling([chart("none", 0.0, 0.0), chart("falls", -1.0, 1.0, 0.0)]) == [chart("falls", -1.0, 1.0, 0.0)]


def test_more_cells_than_are_drawn(folder, monkeypatch):
    monkeypatch.setattr("zarts.reports.comparison._PICTURES", 1)
    text = write_report(folder).read_text()
    assert len(data_of(text)["cells"]["fragments"]) == 1
    assert "3 more are given as text." in text


def test_nothing_was_found(tmp_path):
    empty = {**table(), "rows": []}
    (tmp_path / "table.json").write_text(json.dumps(empty))
    page = Checker(write_report(tmp_path).read_text())
    assert "svg" not in page.tags
    assert f"zarts: loss is nan {EVIL}" in page.words


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"table\.json: not JSON"),
        ("{}", "'columns'"),
        ('{"columns": ["a"], "rows": [{"name": "x"}]}', "'spreads'"),
        ('{"columns": ["a"], "rows": 3}', "TypeError"),
    ],
)
def test_damaged_tables_are_named(tmp_path, text, message):
    (tmp_path / "table.json").write_text(text)
    with pytest.raises(RunError, match=message):
        write_report(tmp_path)


def test_spread_over_seeds():
    assert mean_band([[1.0, 2.0, 9.0], [3.0, 2.0]], None) == ([2.0, 2.0], [2 - 2**0.5, 2.0], [2 + 2**0.5, 2.0])
    assert mean_band([[1.0, 5.0], [3.0, 5.0]], 3.0)[2] == [3.0, 3.0]
    assert mean_band([[1.0]], None) == ([1.0], [1.0], [1.0])


def entry(name, *accuracies, kind="found", mean=None):
    seeds = {str(seed): accuracy for seed, accuracy in enumerate(accuracies)}
    return Entry(name, kind, seeds, sum(accuracies) / len(accuracies) if mean is None else mean)


A, B = entry("a", 93.0, 94.1, 92.8, 93.5), entry("b", 92.1, 93.4, 92.5, 92.2)


def test_the_interval_is_that_of_a_paired_t_test():
    found = difference(A, B, 0.95)
    oracle = ttest_rel(list(A.seeds.values()), list(B.seeds.values())).confidence_interval(0.95)
    assert found == (pytest.approx(0.8), pytest.approx(oracle.low), pytest.approx(oracle.high), 4)
    assert gap_words(found, 95.0) == "-0.80 points (95 % interval -1.46 to -0.14)".replace("-", "\N{MINUS SIGN}")
    assert difference(B, A, 0.95) == pytest.approx((-found.mean, -found.high, -found.low, 4))
    shared = difference(A, B._replace(seeds={"1": 93.4, "3": 92.2, "9": 0.0}), 0.95)
    assert (shared.mean, shared.low, shared.n) == (pytest.approx(1.0), -math.inf, 2), (
        "of two seeds there is no interval"
    )
    assert difference(A, B._replace(seeds={"9": 1.0}), 0.95) is None


NEXT = "a has the highest test accuracy, 93.35 % on average over 4 seeds; b is next: \N{MINUS SIGN}0.80 points"


@pytest.mark.parametrize(
    ("entries", "headline", "sentences"),
    [
        ([], "No accuracies to compare", []),
        ([entry("a", 90.0, 91.0)], "a reaches 90.50 %", ["It is the only row: its test accuracy is 90.50 %"]),
        ([B, A], "a is best", [f"{NEXT} (95 % interval \N{MINUS SIGN}1.46 to \N{MINUS SIGN}0.14)."]),
        ([A, entry("b", 92.0, 95.0, 92.9, 93.0)], "4 seeds cannot tell a and b apart", ["a has"]),
        ([A, entry("b", 90.0, 91.0)], "2 to 4 seeds cannot tell a and b apart", ["a has the highest"]),
        (
            [A, entry("b", 92.9, 94.2, 92.6, 93.6), entry("c", 80.0, 81.0, 79.9, 80.6), entry("d", 70, 71, 69, 70)],
            "a and b lead; 4 seeds cannot tell them apart",
            ["a has the highest"],
        ),
        ([A, entry("r", 92.9, 94.2, 92.7, 93.5, kind="random")], "4 seeds cannot tell a and r apart",
         ["a has", "r has networks drawn at random. That they are worse may be chance."]),
        ([A._replace(kind="random"), B], "a is best", ["a has", "It draws networks at random: no gain by a search"]),
        ([A._replace(kind="hand-made"), B], "a is best", ["a has", "It was made by hand"]),
        ([entry("top", kind="reference", mean=99.0), A,
          entry("best of 9 random", kind="random", mean=93.0)],
         "a reaches 93.35 %", ["It is the only row",
                               "Networks drawn at random (best of 9 random): \N{MINUS SIGN}0.35 points "
                               "(95 % interval \N{MINUS SIGN}1.27 to +0.57). That they are worse may be chance."]),
    ],
)  # fmt: skip
def test_a_conclusion_says_the_winner_and_how_sure(entries, headline, sentences):
    said = conclude(entries)
    assert said.headline == headline
    assert len(said.sentences) == len(sentences)
    for one, begin in zip(said.sentences, sentences, strict=True):
        assert one.startswith(begin)


@pytest.mark.usefixtures("unchecked")
def test_the_best_row_is_among_those_that_lead():
    """Of four rows as good as each other the first is left out in 2.5 % of 1,000 comparisons, or fewer."""
    rng, lost = np.random.default_rng(0), 0
    for values in rng.normal(90, 1, size=(1000, 4, 5)) + rng.normal(0, 1, size=(1000, 1, 5)):
        rows = [entry(str(number), *map(float, row)) for number, row in enumerate(values)]
        level = 1 - 0.05 / 3
        lost += any((difference(other, rows[0], level) or rows[0]).low > 0 for other in rows[1:])
    assert 0.01 < lost / 1000 < 0.025 + 2 * 0.005
    assert conclude(rows).level == pytest.approx(100 * level)


def test_a_dot_for_each_seed_and_a_bad_one_does_not_press_the_others():
    rows = [entry("a", 90.0, 91.0, 92.0, 92.0), entry("b", 91.0, 90.5, 91.5, 10.0),
            entry("known", kind="reference", mean=91.0)]  # fmt: skip
    found = dots_of(rows, conclude(rows))
    assert [row.name for row in found.rows] == ["a", "known", "b"], "by their means"
    a, known, b = found.rows
    assert found.below == 1
    assert [dot.below for dot in b.dots] == [False, False, False, True]
    assert (b.dots[3].left, b.middle) == (0.0, None)
    left, right = a.dots[0].left, a.dots[3].left
    assert 0 < left < known.middle < right < 100
    assert known.middle == pytest.approx((left + right) / 2), "91 is halfway from 90 to 92"
    assert (a.gap, known.gap) == ("", "-0.25 (-1.77 to +1.27)".replace("-", "\N{MINUS SIGN}"))
    assert (a.best, known.dots, [words for _, words in found.ticks][:2]) == (True, [], ["90", "90.5"])
    assert dots_of([], conclude([])) is None


def test_a_comparison_that_goes_on_has_the_states_of_its_trials(tmp_path):
    """Also beside the table of an earlier call; the page says so until `trials.json` is gone."""
    (tmp_path / "trials.json").write_text(json.dumps(plan(("a", EVIL), ("handmade,r8", "r8 (hand-made)"))))
    texts = {"a/seed0/config.yaml": yaml.safe_dump({"search": {"epochs": 9}}), "a/seed0/genotypes/epoch_004.json": "",
             "a/seed1/result.json": "{}", "a/seed1-retrained/config.yaml": yaml.safe_dump({"retrain": {"epochs": 7}}),
             "a/seed1-retrained/metrics.jsonl": '{"event": "train_epoch", "epoch": 2}\n{"event": "train_ep',
             "handmade,r8/seed0-retrained/result.json": '{"test_accuracy": 71.5}',
             "handmade,r8/seed0-retrained/report.html": ""}  # fmt: skip
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    text = write_report(tmp_path, 10).read_text()
    page = Checker(text)
    assert EVIL not in text
    assert "Comparison not finished: 1 of 4 trials have ended" in page.words
    states = [word for word in page.words if re.match("searches|trains|waits|ended", word)]
    assert states == ["searches: 4 of 9 epochs", "trains: 2 of 7 epochs", "waits", "ended: 71.50 %"]
    assert ("href", "./handmade%2Cr8/seed0-retrained/report.html") in page.attributes
    assert ("http-equiv", "refresh") in page.attributes
    assert ("http-equiv", "refresh") not in Checker(write_report(tmp_path).read_text()).attributes
    (tmp_path / "table.json").write_text(json.dumps(table()))
    words = Checker(write_report(tmp_path, 10).read_text()).words
    assert "1 to 2 seeds cannot tell the 3 rows apart" in words
    assert any(word.startswith("Comparison not finished") for word in words)
    (tmp_path / "trials.json").write_text('{"trials": [{}]}')
    with pytest.raises(RunError, match=r"trials\.json.*'trained'"):
        write_report(tmp_path)
