"""The page of a run: whole, safe, self-contained, and content with what there is."""

import json
import re
import time
from itertools import pairwise
from pathlib import Path

import matplotlib
import pytest
import torch
import yaml

from reports import EVIL, SETTINGS, Checker, data_of, plan, search_events, table, unpacked, write_run
from zarts.config import dump, retrain_settings, search_settings
from zarts.config.fit import fit_settings
from zarts.errors import RunError
from zarts.reports import error_section, watch_report, write_report
from zarts.reports.run_verdict import guesses, limit_facts, verdict_of
from zarts.reports.settings_section import shown_settings
from zarts.reports.summary import RunFiles, duration, show
from zarts.spaces import SPACES


@pytest.fixture
def genotype(generator):
    return SPACES["darts"].random(generator)


def test_page_of_a_search(tmp_path, genotype, generator):
    result = {
        "command": "search", "method": "zarts-mgs", "space": "darts", "genotype": genotype.to_dict(),
        "parameterless": {"normal": 6, "reduce": 1}, "seconds": 4350.0, "remark": EVIL, "data": EVIL,
    }  # fmt: skip
    other = SPACES["darts"].random(generator)
    run = write_run(tmp_path, result, search_events(), genotype, [other, genotype, genotype])
    parameters, state = dict(matplotlib.rcParams), torch.get_rng_state()
    path = write_report(run)
    assert dict(matplotlib.rcParams) == parameters
    assert torch.equal(torch.get_rng_state(), state)
    assert path == tmp_path / "report.html"
    text = path.read_text(encoding="utf-8")
    page = Checker(text)
    for word in ("1 h 12 min", "6", "0.62", "2 of 3 epochs", "Search by zarts-mgs in space darts", "2.9.1", EVIL,
                 "A network was found in 1\N{NO-BREAK SPACE}h\N{NO-BREAK SPACE}12\N{NO-BREAK SPACE}min, "
                 "but its cells look collapsed", f"zarts retrain {tmp_path}"):  # fmt: skip
        assert word in page.words, word
    assert any(word.startswith("What to do: Train the network before you trust it") for word in page.words)
    assert "more than 4: a sign of collapse" in page.words
    assert f"zarts search --name '{EVIL}'" in page.words
    assert page.tags.count("svg") == 2 + 5
    assert EVIL not in text
    assert not list(tmp_path.glob(".*"))
    before = path.read_bytes()
    assert write_report(run).read_bytes() == before


@pytest.mark.parametrize("sections", [True, False], ids=["with a section", "without"])
def test_settings_are_a_table_and_name_the_search(tmp_path, sections):
    """Also of a run that has no result yet: one row a setting, method and space in the title."""
    run = write_run(tmp_path)
    if not sections:
        (run / "config.yaml").write_text(yaml.safe_dump(SETTINGS))
    words = [word for word in Checker(write_report(run).read_text(encoding="utf-8")).words if word]
    assert "Search by zarts-mgs in space darts" in words
    rows = list(pairwise(words))
    for key, value in SETTINGS.items():
        assert (key, str(value)) in rows
    assert "search" not in words, "the section is no setting"


def test_settings_of_a_retraining_without_events(tmp_path):
    words = Checker(write_report(write_run(tmp_path, command="retrain")).read_text(encoding="utf-8")).words
    assert "Retraining of a derived network" in words


def test_page_asks_no_network(tmp_path, genotype):
    text = write_report(write_run(tmp_path, None, search_events(), genotype)).read_text(encoding="utf-8")
    page = Checker(text)
    assert not {"img", "iframe", "object", "base"} & set(page.tags)
    for name, value in page.attributes:
        if name in {"src", "href", "xlink:href", "action", "data", "poster", "srcset"}:
            assert value == "data:," or value.startswith("#"), (name, value)
    assert not re.search(r"@import|url\((?!#)", text)
    assert set(re.findall(r"https?://[^\s\"']+", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    used = set(re.findall(r"var\(--([a-z-]+)\)", text))
    assert used - {"dot", "lines"} <= set(re.findall(r"--([a-z-]+): #", text)), "each colour variable is defined"


def test_page_of_a_retrain_gives_the_last_epoch_as_the_result(tmp_path, genotype):
    events = [{"event": "train_epoch", "epoch": e, "train_loss": 0.1, "test_accuracy": 97.0 + e / 10} for e in (1, 2)]
    (tmp_path / "model.safetensors").touch()
    result = {
        "command": "retrain", "test_accuracy": 97.2, "best_epoch": 1, "best_test_accuracy_selected_on_test": 97.61,
        "parameters": 3349342, "macs": 528123456, "seconds": 100000.0, "genotype": genotype.to_dict(),
    }  # fmt: skip
    page = Checker(write_report(write_run(tmp_path, result, events, command="retrain")).read_text(encoding="utf-8"))
    words = page.words
    assert words[words.index("test accuracy") + 1] == "97.20 %"
    assert words[words.index("test accuracy") + 2] == "after the last epoch: the result"
    assert words[words.index("best epoch, chosen on the test images: not a result") + 1] == "97.61 %"
    assert "3\u202f349\u202f342" in words
    assert "MACs" in words
    assert page.tags.count("svg") == 2 + 1, "the loss did not change"
    assert "97.20 % of the test images are right" in words
    assert f"zarts predict {tmp_path} photo.jpg" in words


def test_unfinished_retrain_says_so(tmp_path):
    events = [{"event": "train_epoch", "epoch": 1, "test_accuracy": 91.5}]
    words = Checker(
        write_report(write_run(tmp_path, None, events, command="retrain")).read_text(encoding="utf-8")
    ).words
    assert "after epoch 1 of a run that has not finished" in words
    assert "91.50 %" in words
    assert "Training not finished: 1 epochs are done" in words
    assert any(word.startswith("This run has not finished") for word in words)


@pytest.mark.parametrize("command", ["search", "fit", "compare"])
def test_a_watched_page_renews_itself_until_the_run_has_finished(tmp_path, monkeypatch, command):
    """The result comes while the watch sleeps for the second time; Ctrl-C ends it too, and the last page stays."""
    compares, run = command == "compare", tmp_path / "<evil name='&amp;'>"
    run.mkdir()
    if compares:
        (run / "trials.json").write_text(json.dumps(plan(("a", EVIL))))
    else:
        note = {"event": "note", "text": f"T/9: {EVIL}", "elapsed": 90.0}
        write_run(run, None, [note], command=command)
    slept, page = [], run / "report.html"

    def sleep(seconds):
        slept.append(seconds)
        text = page.read_text(encoding="utf-8")
        found = Checker(text)
        assert ("content", "3") in found.attributes
        assert EVIL not in text
        assert "<evil" not in text
        assert run.name in found.words
        if len(slept) == 2:
            result = {"command": "search"} if command == "search" else {"verdict": "x"}
            (run / ("table.json" if compares else "result.json")).write_text(
                json.dumps(table() if compares else result)
            )
            if compares:
                (run / "trials.json").unlink()
                raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    assert watch_report(run, 3) == page
    assert len(slept) == 2
    assert all(seconds >= 3 for seconds in slept)
    assert ("http-equiv", "refresh") not in Checker(page.read_text(encoding="utf-8")).attributes


def test_changed_settings_are_apart_from_defaults():
    """Of the method, and of the number of epochs, on which other defaults depend."""
    settings = dump(search_settings({"method": "zarts-mgs", "epochs": 3, "data": "digits", "tau": 0.5}))
    found = shown_settings("search", settings)
    assert {key for key, _ in found.changed} == {"data", "method", "space", "epochs", "seed", "tau"}
    assert ("tau", "0.5") in found.changed
    assert len(found.changed) + len(found.rest) == len(settings)
    assert "method" in dict(shown_settings("search", {"method": EVIL, "N": 1}).changed)
    trained = dump(retrain_settings({"recipe": "fast", "data": "digits", "cutout": 3}, handmade=None))
    assert dict(shown_settings("retrain", trained).changed)["cutout"] == "3"
    fitted = shown_settings("fit", dump(fit_settings({"data": "digits", "max_params": 4000})))
    assert {key for key, _ in fitted.changed} == {"data", "time", "seed", "max_params"}


def test_a_network_that_only_guesses_says_so():
    """Of 300 images in equal classes a guess is right for a third; 1.96 sqrt(2/9 / 300) more is 38.67 %."""
    tested = error_section.Tested(300, [("a", 100, 30.0), ("b", 100, 40.0), ("c", 100, 45.0)], [], [], [])
    for accuracy, warned in ((38.6, True), (38.7, False)):
        run = RunFiles(Path("run"), result={"command": "retrain", "test_accuracy": accuracy})
        said = verdict_of(run, tested)
        assert said.headline == f"{accuracy:.2f} % of 300 test images are right"
        assert [sign.name for sign in said.warnings] == ["Not shown to be better than a guess"] * warned


def test_a_network_that_only_guesses_is_told_in_a_line(tmp_path):
    classes = [{"class": name, "images": 100, "accuracy": 38.6} for name in "abc"]
    details = {"images": 300, "per_class": classes, "confused": [], "worst": []}
    assert guesses(tmp_path) == []
    (tmp_path / "test.json").write_text(json.dumps(details))
    for accuracy, lines in ((38.6, 1), (38.7, 0)):
        (tmp_path / "result.json").write_text(json.dumps({"test_accuracy": accuracy}))
        assert len(guesses(tmp_path)) == lines
    (tmp_path / "result.json").write_text(json.dumps({"test_accuracy": 10.0}))
    assert guesses(tmp_path)[0].startswith("not shown to be better than a guess: always answering the most frequent")


def test_how_much_of_a_limit_a_search_uses():
    run = RunFiles(Path("x"), "search", {"max_params": 4000, "max_macs": 99}, result={"parameters": 3300, "macs": 100})
    params, macs = limit_facts(run)
    assert (params.value, params.note, params.warning) == ("82 %", "at most 4000", False)
    assert (macs.value, macs.note, macs.warning) == ("101 %", "at most 99: exceeded", True)


@pytest.mark.parametrize("missing", ["config.yaml", "env.json", "metrics.jsonl", "result.json", "genotype.json"])
def test_what_is_missing_is_left_out(tmp_path, genotype, missing):
    run = write_run(tmp_path, {"command": "search"}, search_events(1), genotype)
    (run / missing).unlink()
    Checker(write_report(run).read_text(encoding="utf-8"))


def test_a_single_file_is_enough(tmp_path):
    (tmp_path / "config.yaml").write_text("")
    path = write_report(tmp_path)
    assert path.stat().st_size < 40_000, "a page without charts has no library"
    page = Checker(path.read_text(encoding="utf-8"))
    assert "svg" not in page.tags
    assert "Search" in page.words


def test_method_without_curves(tmp_path, genotype):
    result = {"command": "search", "method": "random", "genotype": genotype.to_dict(), "seconds": 0.5}
    page = Checker(write_report(write_run(tmp_path, result, [])).read_text(encoding="utf-8"))
    assert page.tags.count("svg") == 2
    assert "Curves" not in page.words
    assert "0.5 s" in page.words


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(RunError, match=r"config\.yaml"):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("result.json", "{", r"result\.json: not JSON"),
        ("config.yaml", "a: [", r"config\.yaml: not YAML"),
        ("config.yaml", "- a", r"config\.yaml"),
        ("genotype.json", "{}", r"genotype\.json"),
        ("result.json", '{"genotype": 3}', r"result\.json"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(RunError, match=message):
        write_report(tmp_path)


def test_values_are_shown_as_people_write_them():
    assert [duration(s) for s in (0.5, 59.96, 119.0, 3599.0, 4350.0, 400_000.0)] == [
        "0.5 s", "1 min", "2 min", "1 h 0 min", "1 h 12 min", "4 d 15 h",
    ]  # fmt: skip
    assert [show(v) for v in (None, True, 9999, 12345, 0.025, [1, "a"], "x")] == [
        "not set", "yes", "9999", "12\u202f345", "0.025", '[1, "a"]', "x",
    ]  # fmt: skip


def test_what_scripts_need_is_packed_and_finite(tmp_path, genotype):
    events = [*search_events(), {"event": "genotype", "epoch": 4, "parameterless": {"</script><b>": 3}}]
    events.append({"event": "weight_epoch", "epoch": 4, "train_loss": float("nan")})
    text = write_report(write_run(tmp_path, None, events, genotype)).read_text(encoding="utf-8")
    assert text.count("</script>") == 3
    data = data_of(text)
    names = [trace["name"] for trace in data["figures"]["parameterless"]["data"]]
    assert names == ["normal", "reduce", "&lt;/script&gt;&lt;b&gt;"]
    assert data["figures"]["supernet-loss"]["data"][0]["x"] == [1, 2, 3]
    assert "Plotly" in unpacked(text, "plotly")


def test_a_search_that_ended_early_says_so(tmp_path, genotype):
    events = [{"event": "eigenvalue", "epoch": epoch, "eigenvalue": 0.1} for epoch in (2, 4)]
    events.append({"event": "eigenvalue", "epoch": 26, "eigenvalue": 0.2, "stopped": True, "genotype_of_epoch": 14})
    write_run(tmp_path, genotype=genotype, events=events)
    words = " ".join(Checker(write_report(tmp_path).read_text()).words)
    assert "after epoch 26" in words
    assert "with the cell of epoch 14" in words
