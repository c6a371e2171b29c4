"""`zarts diagnose` on the command line: what it prints, what it leaves in the run, and what it refuses."""

import json

import pytest

from small import SMALL, TRAIN, small
from zarts.api import retrain, search

pytestmark = pytest.mark.usefixtures("no_pictures", "unchecked")
FEW = ("--candidates", "3", "--draws", "2", "--directions", "2")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return search(**SMALL, out=tmp_path_factory.mktemp("diagnose") / "run").run


def test_a_table_and_advice_and_a_file_in_the_run(command, run):
    events = (run / "metrics.jsonl").read_bytes()
    code, out, err = command("diagnose", run, *FEW)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert "(3 candidates, each on 2 draws" in lines[0]
    assert " ".join(lines[1].split()) == "sigma M candidate batches both candidate / both with g u"
    assert [line.split()[1] for line in lines[2:5]] == ["1"] * 3
    assert lines[5].startswith("condition number ")
    assert lines[6].startswith(("Noise: ", "Mostly noise: ", "Signal: ", "Signal and noise "))
    kept = json.loads((run / "diagnosis.json").read_text())
    assert kept["run"] == "run"
    assert kept["advice"] == lines[6:]
    sigmas = [one["sigma"] for one in kept["sigmas"]]
    assert sigmas == pytest.approx([sigmas[0], 4 * sigmas[0], 16 * sigmas[0]])
    assert (run / "metrics.jsonl").read_bytes() == events
    assert "diagnosis" in (run / "report.html").read_text().lower()


def test_the_same_again_and_as_json(command, run):
    words = (
        "diagnose",
        run,
        *FEW,
        "--sigma",
        "0.5",
        "--inner-steps",
        "0",
        "--inner-steps",
        "2",
        "--directions",
        "0",
        "--json",
    )
    code, out, _ = command(*words)
    found = json.loads(out)
    assert code == 0
    assert found["condition_number"] is None
    assert [(one["sigma"], one["inner_steps"]) for one in found["sigmas"]] == [(0.5, 0), (0.5, 2)]
    again = json.loads(command(*words)[1])
    assert {**again, "seconds": 0} == {**found, "seconds": 0}


@pytest.mark.long  # above, DARTS' is
@pytest.mark.parametrize("method", ["gdas", "pc-darts", "p-zarts"])
def test_supernets_and_relaxations_of_every_kind(command, tmp_path, method):
    found = search(**small(method), out=tmp_path / "run").run
    code, out, err = command("diagnose", found, *FEW, "--sigma", "0.1")
    assert (code, err) == (0, "")
    assert ("dominant eigenvalue" in out) == (method != "gdas"), "a loss that is drawn has no Hessian"


def test_what_has_nothing_to_diagnose(command, run, tmp_path):
    trained = retrain(run, **{k: v for k, v in TRAIN.items() if k != "data"}, out=tmp_path / "trained").run
    code, _, err = command("diagnose", trained)
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith(f"zarts: {trained}")
    drawn = search(method="random", data="digits", out=tmp_path / "random").run
    code, _, err = command("diagnose", drawn)
    assert (code, err.count("\n")) == (1, 1)
    assert "'random'" in err
    code, _, err = command("diagnose", run, "--draws", "1")
    assert (code, err.count("\n")) == (2, 1)
    assert "draws = 1" in err
    paths = search(**small("spos"), out=tmp_path / "spos").run
    code, _, err = command("diagnose", paths)
    assert code == 2
    assert "'spos'" in err
