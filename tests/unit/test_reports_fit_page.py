"""The page of a fit: every fact, whatever names hold and whatever is missing."""

import json
import re

import pytest

from fits import made_up, write_fit
from reports import EVIL, Checker, data_of
from zarts.errors import RunError
from zarts.reports import write_report
from zarts.reports.fit_figures import NARROW, WIDE
from zarts.reports.fit_labels import Axis
from zarts.reports.fit_page import headline
from zarts.reports.fit_picture import amount, picture_of
from zarts.reports.fit_result import front, length_words, read_fit
from zarts.reports.fit_sections import table_rows
from zarts.reports.fit_still import linear_ticks, log_ticks


def page_of(folder, result):
    text = write_report(write_fit(folder, result)).read_text(encoding="utf-8")
    return text, Checker(text)


def test_the_page_has_every_fact(tmp_path):
    result = made_up()
    text, page = page_of(tmp_path, result)
    words = " ".join(filter(None, page.words))
    for fact in (
        result["verdict"], *result["details"], result["repeat"], "fashion-mnist",
        "54\u202f000 to train, 6000 to choose by (validation), 10\u202f000 to test",
        "93.00 %", "92.75 %", "92.91 %", "93.00 % with 32 bits", "38 min", "of 40 min; 30 networks tried",
        "+0.25 points; 95 % interval \u22120.11 to +0.62 (1 training of each, 10\u202f000 test images)",
        "no difference could be shown", "T/3 is a third of the final training; T/9 is a ninth of the final training.",
        "T/9 against T/3: 0.71 (0.20 to 0.92, 9 networks)", "says something, not all",
        "says little of the order", "It ended early: three rounds brought nothing",
        "hand-made 7 min", "files 20.0 s", "not used 2 min", "38 %", "99 %", "file of 0.38 MB of at most 1 MB",
        "onnxruntime.InferenceSession(\"model.onnx\")", "temperature 1.3", "minmax", "3×3 convolution",
    ):  # fmt: skip
        assert fact in words, fact
    for one in result["candidates"]:
        assert f"{one['number']} · {one['name']}" in page.words
    assert words.count("to take") >= 2
    assert not re.search(r"\b(alpha|supernet|genotype|cells?|rungs?)\b", words, re.I)
    assert ("href", "./model.onnx") in page.attributes
    assert not [
        value for name, value in page.attributes if name in ("src", "href") and not re.match(r"[#.]|data:", value)
    ]
    figures = data_of(text)["figures"]
    costs = ("parameters", "macs", "latency-ms", "ram", "step-seconds")
    assert set(figures) == {f"networks-{cost}{size}" for cost in costs for size in ("", "-narrow")}
    assert "19 networks are not here" in words, "latency was measured of eleven"
    before = (tmp_path / "report.html").read_bytes()
    assert write_report(tmp_path).read_bytes() == before


def test_the_table_begins_with_what_trained_longest(tmp_path):
    result = made_up()
    rows = [network.number for network, *_ in table_rows(read_fit(write_fit(tmp_path, result)))]
    assert sorted(rows) == [one["number"] for one in result["candidates"]]
    assert set(rows[:2]) == {one["candidate"] for one in result["finals"]}
    third = [n for n in rows[2:] if len({one["length"] for one in result["candidates"][n - 1]["scores"]}) == 2]
    assert third == rows[2 : 2 + len(third)]


def test_names_are_text(tmp_path):
    result = made_up(8)
    result["verdict"] = result["repeat"] = result["data"]["name"] = EVIL
    result["details"], result["files"] = [EVIL], {EVIL: EVIL, "model.onnx": EVIL}
    result["time"]["parts"], result["time"]["ended"] = {EVIL: 60.0}, EVIL
    result["limits"][0] |= {"name": EVIL, "text": EVIL}
    result["lengths"][0] |= {"text": EVIL, "short": EVIL}
    for one in result["candidates"]:
        one |= {"name": EVIL, "change": EVIL, "origin": EVIL if one["number"] == 5 else one["origin"]}
        one["scores"][0]["length"] = EVIL
    text, page = page_of(tmp_path, result)
    assert EVIL not in text
    assert page.words.count(EVIL) > 8
    assert EVIL not in json.dumps(data_of(text)), "plotly reads tags"


@pytest.mark.parametrize(
    "result",
    [
        {"verdict": "None fits."},
        dict.fromkeys(made_up(4)) | {"verdict": "None fits."},
        {**made_up(4, ("T",), 4), "int8": None, "temperature": None, "files": {"model.onnx": "the network"}},
        {"verdict": "One.", "delivered": 1, "candidates": [{"number": 1, "name": "mine", "scores": []}]},
    ],
    ids=["a verdict alone", "all parts are None", "hand-made networks alone", "one without scores"],
)  # fmt: skip
def test_parts_may_be_missing(tmp_path, result):
    _, page = page_of(tmp_path, result)
    words = " ".join(page.words)
    assert result["verdict"] in page.words
    assert "Which short trainings" not in words
    assert "points; 95 %" not in words
    assert ("All networks: accuracy" in words) == (len(result.get("candidates") or ()) > 1)
    assert ("taken.shape" in words) == bool(result.get("files"))


def test_a_fit_without_result_says_so(tmp_path):
    text, page = page_of(tmp_path, None)
    assert any("There is no verdict" in word for word in page.words)
    assert "Fit not finished" in page.words
    assert "zarts fit fashion-mnist --time 40m" in page.words
    assert data_of(text)["figures"] == {}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "No difference could be shown: take the network that was found"),
        ({"difference": {"mean": 0.8, "low": 0.2, "high": 1.4}}, "The network that was found is better, by 0.8 points"),
        ({"difference": {"mean": -0.8, "low": -1.4, "high": -0.2}, "delivered": 1},
         "ResNet-8, made by hand, is better, by 0.8 points"),
        ({"difference": None, "delivered": 1}, "Take ResNet-8: 92.8 % of the test images are right"),
        ({"delivered": 4, "candidates": [{"number": 4, "name": EVIL}], "difference": None}, f"Take {EVIL}"),
        ({"delivered": None}, made_up()["verdict"]),
    ],
)  # fmt: skip
def test_the_headline_is_short(tmp_path, change, words):
    fit = read_fit(write_fit(tmp_path, made_up() | change))
    assert headline(fit) == words


@pytest.mark.parametrize(
    "damage",
    [
        {"candidates": [{"name": "without a number"}]},
        {"candidates": [{"number": 1, "chain": {"format": 9}}]},
        {"difference": {"mean": 1}},
        {"limits": ["one"]},
    ],
)
def test_a_damaged_result_is_named(tmp_path, damage):
    with pytest.raises(RunError, match=r"result\.json"):
        page_of(tmp_path, {"verdict": "x", **damage})


def test_the_front_by_hand():
    """Of (cost, accuracy): 2 is beaten by 0 at the same cost, 3 by 1, and 5 is the same as 1; 4 costs most."""
    points = [(10.0, 80.0), (20.0, 90.0), (10.0, 79.0), (30.0, 85.0), (40.0, 90.5), (20.0, 90.0)]
    assert front(points) == [0, 1, 4]
    assert front([]) == []


def test_each_length_has_a_front_of_all_that_trained_so_long(tmp_path):
    """Also of those that trained on: after T/9 network 1 (90 at cost 10) beats 2 (89 at 20); after T/3 there is 1."""

    def network(number, cost, **accuracies):
        scores = [{"length": length.replace("_", "/"), "seed": 0, "accuracy": a} for length, a in accuracies.items()]
        return {"number": number, "name": f"n{number}", "origin": "found", "parameters": cost, "scores": scores}

    networks = [network(1, 10, T_3=92.0, T_9=90.0), network(2, 20, T_9=89.0), network(3, 30, T_9=91.0)]
    fit = read_fit(write_fit(tmp_path, {"verdict": "x", "candidates": networks}))
    assert fit.lengths == ["T/9", "T/3"]
    assert [one.longest for one in fit.networks] == ["T/3", "T/9", "T/9"]
    picture = picture_of(fit, "parameters")
    assert picture.fronts == {"T/9": [(10, 90.0), (30, 91.0)], "T/3": [(10, 92.0)]}
    assert picture.counts == {"T/9": 3, "T/3": 1}
    assert sorted((group.length, group.went_on, group.x) for group in picture.groups) == [
        ("T/3", False, [10]), ("T/9", False, [20, 30]), ("T/9", True, [10]),
    ]  # fmt: skip
    assert picture_of(fit, "macs") is None


def test_finals_and_seeds_are_means(tmp_path):
    result = {
        "verdict": "x", "delivered": 1,
        "candidates": [{"number": 1, "name": "a", "origin": "yours", "scores": [
            {"length": "T", "seed": 0, "accuracy": 90.0, "step_seconds": 0.1},
            {"length": "T", "seed": 1, "accuracy": 91.0, "step_seconds": 0.3},
        ]}],
        "finals": [{"candidate": 1, "seed": 1, "val_accuracy": 91.0, "test_accuracy": 89.0},
                   {"candidate": 1, "seed": 2, "val_accuracy": 95.0, "test_accuracy": 90.0}],
    }  # fmt: skip
    (network,) = read_fit(write_fit(tmp_path, result)).networks
    assert network.accuracy("T") == pytest.approx((90 + 91 + 95) / 3), "a training counts once"
    assert network.costs["step_seconds"] == pytest.approx(0.2)
    assert "89.50 %" in page_of(tmp_path, result)[1].words


def test_a_bad_network_does_not_press_the_others(tmp_path):
    fit = read_fit(write_fit(tmp_path, made_up()))
    picture = picture_of(fit, "parameters")
    assert picture.y.low > 80, "one has 10 %"
    assert picture.below == 1
    assert [group.y for group in picture.groups if group.below] == [[picture.y.low]]


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_no_two_names_touch(tmp_path, size):
    picture = picture_of(read_fit(write_fit(tmp_path, made_up(200, by_hand=12))), "macs")
    labels = picture.names(size)
    assert {"found 20", "resnet8"} & {label.text.split(" width")[0] for label in labels}
    assert len(labels) >= 4
    boxes = []
    for label in labels:
        x, y = picture.x.part(label.x) * size.width, picture.y.part(label.y) * size.height
        width, (across, up) = 6.3 * len(label.text), label.side
        boxes.append((x + 12.5 * across + width * (across - 1) / 2, y + 12.5 * up + 14 * (up - 1) / 2, width))
    for index, (left, bottom, width) in enumerate(boxes):
        assert left >= 0
        assert left + width <= size.width
        for other, below, wide in boxes[:index]:
            assert abs(bottom - below) >= 14 or left >= other + wide or other >= left + width


def test_numbers_of_the_axes():
    assert log_ticks(Axis(3.9, 5.1, log=True), 9) == [10_000, 20_000, 50_000, 100_000]
    assert log_ticks(Axis(0.0, 6.0, log=True), 4) == [1, 100, 10_000, 1_000_000]
    assert linear_ticks(Axis(84.9, 93.8), 6) == [86, 88, 90, 92]
    assert [amount("macs", 1_234_567.0), amount("ram", 380_000.0), amount("latency_ms", 1.904)] == [
        "1.23 M",
        "380 kB",
        "1.9 ms",
    ]
    assert [length_words("T"), length_words("T/9"), length_words("T/5"), length_words("odd")] == [
        "the final training", "a ninth of the final training", "1/5 of the final training", "odd",
    ]  # fmt: skip
