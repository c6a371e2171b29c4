"""The picture of true accuracies against epochs."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from zarts.reports.epoch_charts import Panel, draw_epochs

LINES = {"a": [[50.0, 60.0, 70.0], [60.0, 60.0, 72.0]], "b x=1": [[40.0, 41.0]], "c": [[55.0], [56.0]]}
LEVELS = {"random cell": 45.0, "optimum": 71.5}


def heights(svg, gid):
    """Heights on the page of the points of a line or a band; the lowest place on it has the largest."""
    group = next(g for g in ElementTree.fromstring(svg).iter() if g.get("id") == gid)
    path = " ".join(part.get("d", "") for part in group.iter())
    shift = sum(float(part.get("y", 0)) for part in group.iter() if part.tag.endswith("use"))  # bands are shifted
    return [float(y) + shift for _, y in re.findall(r"[ML] ([\d.-]+) ([\d.-]+)", path)]


@pytest.fixture(scope="module")
def svg(tmp_path_factory):
    folder = tmp_path_factory.mktemp("picture")
    draw_epochs([Panel("title", LINES, LEVELS)], folder)
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    return (folder / "curves.svg").read_text()


def test_means_over_seeds(svg):
    first, second, third = heights(svg, "line-a")
    assert first - second == pytest.approx((second - third) * 5 / 11, rel=1e-3), "means of 55, 60 and 71"
    assert len(heights(svg, "line-b x=1")) == 2


def test_no_band_above_the_best_there_is_nor_of_one_seed(svg):
    assert min(heights(svg, "band-a")) == pytest.approx(heights(svg, "level-optimum")[0], abs=0.01)
    assert "band-b" not in svg


def test_names_stand_in_the_order_of_the_ends_and_apart(svg):
    texts = re.findall(r'<text[^>]* y="([\d.]+)"[^>]*>([^<]+ \d+\.\d\d)</text>', svg)
    places = {text: float(y) for y, text in texts}
    names = sorted(places, key=places.get)
    assert names == ["optimum 71.50", "a 71.00", "c 55.50", "random cell 45.00", "b x=1 41.00"]
    assert places["a 71.00"] - places["optimum 71.50"] > 8


def test_the_same_bytes_again(svg, tmp_path):
    draw_epochs([Panel("title", LINES, LEVELS)], tmp_path)
    assert (tmp_path / "curves.svg").read_text() == svg


def test_panels_side_by_side_in_the_same_colours(tmp_path):
    nan = float("nan")
    second = {"b x=1": [[nan, nan, 3.0, 5.0]], "a": [[nan, 2.0, 2.0, 2.0], [nan, 4.0, 4.0, 4.0]]}
    draw_epochs([Panel("first", LINES, LEVELS), Panel("second", second)], tmp_path, "both")
    svg = (tmp_path / "both.svg").read_text()
    assert svg.index(">first<") < svg.index(">second<")
    for row in ("a", "b x=1"):
        colours = [
            re.search(rf'id="{mark}".*?stroke: (#\w+)', svg, re.S)[1] for mark in (f"line-{row}", f"line-1-{row}")
        ]
        assert colours[0] == colours[1]
    assert len(heights(svg, "line-1-b x=1")) == 2, "nothing where there is no number"
    assert len(set(heights(svg, "line-1-a"))) == 1, "the mean of 2 and 4 all along"
    assert "band-1-a" in svg


def test_an_axis_from_zero_has_room_for_the_highest(tmp_path):
    draw_epochs([Panel("rate", {"a": [[0.5, 0.5 + 1e-9]]}, {"all": 1.0}, from_zero=True)], tmp_path)
    svg = (tmp_path / "curves.svg").read_text()
    assert ">0.0<" in svg
    assert heights(svg, "line-a")[0] == pytest.approx(heights(svg, "line-a")[1], abs=0.01)
    assert heights(svg, "level-all")[0] < heights(svg, "line-a")[0]
