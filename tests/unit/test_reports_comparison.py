"""The page of a comparison, from its table and the folders of its runs."""

import json

import pytest

from reports import COLUMN, EVIL, Checker, data_of, table
from zarts.errors import RunError
from zarts.reports import write_report
from zarts.reports.epoch_charts import mean_band
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
