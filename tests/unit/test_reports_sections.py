"""Diagnoses and landscapes in the report, and charts as plotly takes them."""

import json
import math
from xml.etree import ElementTree

import pytest

from reports import DIAGNOSIS, LANDSCAPE, estimate
from zarts.errors import RunError
from zarts.reports.charts import Chart, Line, charts_of
from zarts.reports.diagnosis import read_diagnosis
from zarts.reports.landscape_data import read_landscape
from zarts.reports.landscape_figures import draw_surface, flat_figure, solid_figure, surface_note
from zarts.reports.plotly_charts import figure_of
from zarts.reports.series import Series
from zarts.reports.static_charts import draw_chart


def write(folder, name, data):
    (folder / name).write_text(json.dumps(data))
    return folder


def test_shares_of_the_variance(tmp_path):
    found = read_diagnosis(write(tmp_path, "diagnosis.json", DIAGNOSIS))
    assert found.of == "after epoch 7, 16 perturbations, 8 draws of mini-batches"
    (row,) = found.rows
    assert [share.percent for share in row.shares] == pytest.approx([10.0, 60.0, 30.0])
    assert row.shares[0].variance == "0.1 (0.05 to 0.2)"
    assert (row.snr, row.correlation) == ("0.5 (0.25 to 1)", "0.25 (0.12 to 0.5)")
    assert (row.sigma, row.inner_steps, row.silent) == ("0.025", "2", True)
    assert row.needed == "N = 40 or validation batches = 9 or sigma = 0.2"
    assert found.facts == [("condition number in alpha", "123")]
    assert found.advice == ["raise <val_batches>"]


@pytest.mark.parametrize(
    ("entry", "shares"),
    [
        ({"move": estimate(-0.1), "batches": estimate(0.5)}, [0.0, 100.0]),
        ({"move": 0.0, "batches": 0.0}, []),
        ({"move": {"value": math.nan}, "batches": 1.0}, [100.0]),
        ({}, []),
        ({"sigma": None, "snr": "x", "needed": 3}, []),
    ],
)
def test_what_a_diagnosis_lacks_is_left_out(tmp_path, entry, shares):
    found = read_diagnosis(write(tmp_path, "diagnosis.json", {"sigmas": [entry]}))
    assert [share.percent for share in found.rows[0].shares] == pytest.approx(shares)
    assert found.rows[0].snr == "–"
    assert (found.of, found.facts, found.advice) == ("", [], [])


def test_runs_without_them(tmp_path):
    assert read_diagnosis(tmp_path) is None
    assert read_landscape(tmp_path) is None
    assert read_landscape(write(tmp_path, "landscape.json", {"surfaces": []})) is None


@pytest.mark.parametrize("data", [{"sigmas": 3}, {"sigmas": [3]}, {"advice": "x"}])
def test_damaged_diagnoses_are_named(tmp_path, data):
    with pytest.raises(RunError, match=r"diagnosis\.json"):
        read_diagnosis(write(tmp_path, "diagnosis.json", data))
    (tmp_path / "diagnosis.json").write_text("[")
    with pytest.raises(RunError, match=r"diagnosis\.json: not JSON"):
        read_diagnosis(tmp_path)


def test_all_surfaces_have_one_scale(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    found = read_landscape(write(run, "landscape.json", LANDSCAPE))
    assert found.range == (0.5, 9.0)
    assert "another run" not in found.of
    assert surface_note(found.surfaces[0]).startswith("Minimum 1 at (0, 0). Sharpness")
    assert surface_note(found.surfaces[1]) == ""
    for surface in found.surfaces:
        ElementTree.fromstring(draw_surface(found, surface))
        contour = flat_figure(found, surface)["data"][0]
        assert (contour["zmin"], contour["zmax"]) == (0.5, 9.0)
    first, second = (flat_figure(found, surface)["data"] for surface in found.surfaces)
    assert first[0]["z"] == LANDSCAPE["surfaces"][0]["losses"]
    assert second[0]["z"][1][1] is None
    assert [len(first), len(second)] == [3, 2], "alpha, and the minimum where it is known"
    solid = solid_figure(found)
    assert [trace["visible"] for trace in solid["data"]] == [True, False]
    buttons = solid["layout"]["updatemenus"][0]["buttons"]
    assert [button["label"] for button in buttons] == ["first order", "M = 10 &lt;b&gt;"]
    assert buttons[1]["args"] == [{"visible": [False, True]}]
    json.dumps([first, second, solid], allow_nan=False)


def test_a_landscape_of_another_run_says_so(tmp_path):
    found = read_landscape(write(tmp_path, "landscape.json", LANDSCAPE))
    assert "another run, run:" in found.of


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"x": [0.0]}, r"\(2, 3\)"),
        ({"y": None}, "TypeError"),
        ({"x": ["a", 1, 2]}, "could not convert"),
        ({"y": [0.0, math.inf]}, "finite"),
        ({"surfaces": [{}]}, "KeyError: 'losses'"),
        ({"surfaces": [{"losses": [[1.0, 2.0, 3.0], [1.0]]}]}, "inhomogeneous"),
        ({"surfaces": 3}, "not iterable"),
    ],
)
def test_damaged_landscapes_are_named(tmp_path, change, detail):
    with pytest.raises(RunError, match=rf"landscape\.json: .*{detail}"):
        read_landscape(write(tmp_path, "landscape.json", {**LANDSCAPE, **change}))


def chart_of(*lines, **more):
    return Chart("name", "title", "note", "epoch", lines, **more)


LINE = Line("a", "sep", Series([1.0, 2.0], [0.1, 1 / 3]))


def test_a_line_is_the_same_in_both_drawings():
    figure = figure_of(chart_of(LINE._replace(steps=True), levels={"limit": 0.5}))
    (trace,) = figure["data"]
    assert (trace["x"], trace["y"]) == ([1, 2], [0.1, 0.333333])
    assert trace["line"]["shape"] == "hvh"
    assert trace["line"]["color"] == "var(--sep)"
    assert figure["layout"]["shapes"][0]["y0"] == 0.5
    assert figure["layout"]["annotations"][0]["text"] == "limit"
    svg = draw_chart(chart_of(LINE._replace(steps=True), levels={"limit": 0.5}))
    assert 'id="mark"' in svg
    assert 'id="line-a"' in svg


def test_a_band_is_told_with_its_line_and_hidden_with_it():
    figure = figure_of(chart_of(LINE._replace(span=([0.0, 0.2], [0.3, 0.4])), span_words="from"))
    low, high, line = figure["data"]
    assert (low["y"], high["y"], high["fill"]) == ([0.0, 0.2], [0.3, 0.4], "tonexty")
    assert line["customdata"] == [[0.0, 0.3], [0.2, 0.4]]
    assert line["hovertemplate"] == "%{y:.5~g} (from %{customdata[0]:.4~g} to %{customdata[1]:.4~g})"
    assert {trace["legendgroup"] for trace in figure["data"]} == {"a"}


@pytest.mark.parametrize(("count", "mode"), [(1, "x unified"), (8, "x unified"), (9, "closest")])
def test_values_of_many_lines_are_shown_one_at_a_time(count, mode):
    layout = figure_of(chart_of(*[LINE] * count))["layout"]
    assert layout["hovermode"] == mode
    assert layout["showlegend"] == (count > 1)


def test_names_are_text():
    trace = figure_of(chart_of(LINE._replace(label='<a href="x">')))["data"][0]
    assert trace["name"] == '&lt;a href="x"&gt;'


def test_a_long_run_has_fewer_points_than_steps():
    events = [
        {"event": "alpha_step", "epoch": 1, "step": step, "update": 1, "losses": [1.0 + step, 2.0 + step]}
        for step in range(5000)
    ]
    (chart,) = charts_of(events)
    assert len(json.dumps(figure_of(chart))) < 20_000
