"""`plan.yaml`: what a fit goes on from, and what another fit repeats."""

import json

import pytest
import yaml

from zarts.errors import RunError
from zarts.planner.records import Plan, Schedule, Score

SCORE = Score(3, "T/9", 1, Schedule(20, 200, 60, {60: 210, 90: 200}), 41.5, 88.25, 0.1175, 0.2)


def never():
    pytest.fail("was decided already")


def test_decisions_and_scores_are_read_back(tmp_path):
    plan = Plan(tmp_path / "plan.yaml")
    assert plan.decide("time", lambda: {"final": 100.0}) == {"final": 100.0}
    assert plan.decide("image size", lambda: None) is None  # of the named data sets
    plan.keep(SCORE)
    again = Plan(tmp_path / "plan.yaml")
    assert again.decide("time", never) == {"final": 100.0}
    assert again.decide("image size", never) is None
    assert again.score(SCORE.key) == SCORE
    assert again.score("3 T/9 0") is None
    entries = yaml.safe_load((tmp_path / "plan.yaml").read_text())  # a list that any reader of YAML understands
    assert [list(entry) for entry in entries] == [["decided"], ["decided"], ["score"]]


def test_an_entry_that_was_cut_off_is_decided_anew(tmp_path):
    file = tmp_path / "plan.yaml"
    plan = Plan(file)
    plan.decide("first", lambda: 1)
    whole = file.read_bytes()
    plan.decide("é", lambda: 2)
    file.write_bytes(file.read_bytes()[:-4])
    again = Plan(file)
    assert file.read_bytes() == whole
    assert again.decide("é", lambda: 3) == 3
    assert Plan(file).decide("é", never) == 3


def test_a_repeated_fit_takes_decisions_and_steps_but_trains_itself(tmp_path):
    first = Plan(tmp_path / "first.yaml")
    first.decide("round 1", lambda: 4)
    first.keep(SCORE)
    with pytest.raises(RunError, match="not finished"):
        Plan(tmp_path / "second.yaml", tmp_path / "first.yaml")
    first.decide("time", dict)
    with pytest.raises(RunError, match="not finished"):
        Plan(tmp_path / "second.yaml", tmp_path / "first.yaml")
    first.decide("final seconds", lambda: 9.0)
    before = (tmp_path / "first.yaml").read_bytes()
    second = Plan(tmp_path / "second.yaml", tmp_path / "first.yaml")
    assert second.decide("round 1", never) == 4
    assert second.score(SCORE.key) is None
    assert second.repeated(SCORE.key) == SCORE
    assert Plan(tmp_path / "second.yaml").decide("round 1", never) == 4  # its own file is complete
    assert (tmp_path / "first.yaml").read_bytes() == before


@pytest.mark.parametrize("text", ["- {\n", "- []\n", "- {}\n", '- {"score": {"candidate": 1}}\n', "\xff\n"])
def test_damage_is_said_with_the_file(tmp_path, text):
    (tmp_path / "plan.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=r"plan\.yaml"):
        Plan(tmp_path / "plan.yaml")


def test_numbers_survive_as_they_are(tmp_path):
    value = 0.1 + 0.2
    Plan(tmp_path / "plan.yaml").decide("final seconds", lambda: value)
    assert Plan(tmp_path / "plan.yaml").decide("final seconds", never) == value
    assert json.loads((tmp_path / "plan.yaml").read_text()[2:])["decided"]["final seconds"] == value
