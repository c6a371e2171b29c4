"""The rows of a comparison: methods times a grid, their names, groups and folders."""

import re
from pathlib import Path

import pytest

from zarts.cli.options import parse_grid
from zarts.comparison.grid import rows_of
from zarts.comparison.trials import plan
from zarts.errors import SettingsError

OPTIONS = {"data": "digits", "space": "s2"}


def rows(methods, grid, **shared):
    return rows_of(methods, {key: value for key, value in {**OPTIONS, **shared}.items() if key not in grid}, grid=grid)


@pytest.fixture
def images(tmp_path, monkeypatch):
    """Three folders of images, two of one name; and the one above is where we are."""
    for name in ("a/small", "b/small", "wide"):
        for word in ("x", "y"):
            (tmp_path / "data" / name / word).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "data")
    return tmp_path / "data"


class TestNames:
    def test_table_one(self):
        """N times M; what draws at random has neither, and is one row."""
        found = rows("zarts-mgs,random", {"samples": [2, 4, 8], "inner_steps": [2, 10]})
        assert [row.name for row in found] == [
            *(f"zarts-mgs samples={n} inner_steps={m}" for n in (2, 4, 8) for m in (2, 10)),
            "random",
        ]
        assert [(row.settings.samples, row.settings.inner_steps) for row in found[2:4]] == [(4, 2), (4, 10)]
        assert {row.group for row in found} == {("s2", "digits", "")}
        assert found[1].folder == "zarts-mgs,samples=2,inner_steps=10"

    def test_table_two(self, images):
        grid = {"space": ["s1", "s2", "s3", "s4"], "data": ["digits", "a/small", "b/small"]}
        found = rows("random,darts arch_learning_rate=0.01", grid)
        assert len(found) == len({row.folder for row in found}) == 24
        assert [row.name for row in found] == ["random"] * 12 + ["darts arch_learning_rate=0.01"] * 12
        titles = [f"{space}, {data}" for space in grid["space"] for data in grid["data"]]
        assert [row.group.title for row in found] == titles * 2
        assert (found[1].settings.space, found[1].settings.data) == ("s1", "a/small")
        assert found[0].folder == "random,space=s1,data=digits"
        assert re.fullmatch(r"random,space=s1,data=small~[0-9a-f]{6}", found[1].folder)

    def test_without_a_grid_names_and_folders_are_those_of_before(self, images):
        found = rows("darts arch_learning_rate=0.1,random", {}, data="a/small")
        assert [(row.name, row.folder) for row in found] == [
            ("darts arch_learning_rate=0.1", "darts,arch_learning_rate=0.1"), ("random", "random"),
        ]  # fmt: skip
        assert found[0].group == ("s2", "small", "")

    def test_spaces_of_rows_make_groups_as_those_of_the_grid(self):
        by_hand, by_grid = rows("darts space=s1,darts space=s3", {}), rows("darts", {"space": ["s1", "s3"]})
        assert [(row.name, row.group, row.folder) for row in by_hand] == [
            (row.name, row.group, row.folder) for row in by_grid
        ]
        assert [(row.name, row.group.title, row.folder) for row in by_grid] == [
            ("darts", "s1", "darts,space=s1"), ("darts", "s3", "darts,space=s3"),
        ]  # fmt: skip

    def test_a_single_value_is_in_the_name_so_that_the_grid_can_grow(self):
        one, two = rows("darts", {"space": ["s1"]}), rows("darts", {"space": ["s1", "s2"]})
        assert (one[0].name, one[0].group.title) == ("darts space=s1", "")
        assert one[0].folder == two[0].folder

    def test_what_a_row_has_of_its_own_is_not_multiplied(self):
        found = rows("zarts-mgs,zarts-mgs samples=16", {"samples": [2, 4]})
        assert [row.name.split()[1] for row in found] == ["samples=2", "samples=4", "samples=16"]

    def test_what_another_setting_switches_off_multiplies_nothing(self):
        found = rows("zarts-mgs,zarts-mgs tau=0.01", {"esr_target": [0.3, 0.5]})
        assert [row.name for row in found] == [
            "zarts-mgs esr_target=0.3", "zarts-mgs esr_target=0.5", "zarts-mgs tau=0.01",
        ]  # fmt: skip
        with pytest.raises(SettingsError, match="esr_target"):
            rows("zarts-mgs tau=0.01", {"esr_target": [0.3, 0.5]})

    def test_an_axis_as_a_grid_goes_with_what_its_members_use(self):
        found = rows("zarts-mgs", {"arch_optimizer": ["mgs", "gradient"], "samples": [2, 4]})
        assert [row.name for row in found] == [
            "zarts-mgs arch_optimizer=mgs samples=2", "zarts-mgs arch_optimizer=mgs samples=4",
            "zarts-mgs arch_optimizer=gradient",
        ]  # fmt: skip

    def test_values_that_are_no_single_words(self):
        found = rows("p-zarts", {"phase_operations": [[2, 1, 1], [1, 1, 1]], "antithetic": [True, False]})
        assert found[1].name == "p-zarts phase_operations=[2,1,1] antithetic=false"
        assert found[1].settings.phase_operations == (2, 1, 1)
        assert len({row.folder for row in found}) == 4


class TestFolders:
    def test_the_same_images_have_the_same_folder_however_they_are_spelled(self, images):
        spelled = ["a/small", "./a/small/", str(images / "a" / "small"), "b/../a/small"]
        assert len({rows("random", {"data": [text, "digits"]})[0].folder for text in spelled}) == 1

    def test_paths_of_one_end_have_folders_and_names_of_their_own(self, images):
        found = rows("random", {"data": ["a/small", "b/small", "wide"]})
        assert [row.group.data for row in found] == ["a/small", "b/small", "wide"]
        assert len({row.folder for row in found}) == 3
        assert rows("random", {"data": ["b/small", "wide"]})[0].folder == found[1].folder

    def test_a_folder_that_is_called_as_a_data_set(self, images):
        (images / "digits" / "x").mkdir(parents=True)
        found = rows("random", {"data": ["./digits", "digits"]})
        assert [row.group.data for row in found] == ["data/digits", "digits"]

    def test_rows_that_would_share_a_folder(self, images):
        for name in ("a", "a_x"):
            (images / f"{name}.yaml").write_text("")
        with pytest.raises(SettingsError, match="a_small"):
            rows("random data=a/small,random data=a_small", {})

    def test_trials(self, images):
        trials = plan(rows("random", {"space": ["s1", "s2"]}), 2, out=Path("out"))
        assert [(trial.title, str(trial.folder)) for trial in trials] == [
            ("s1: random, seed 0", "out/random,space=s1/seed0"), ("s1: random, seed 1", "out/random,space=s1/seed1"),
            ("s2: random, seed 0", "out/random,space=s2/seed0"), ("s2: random, seed 1", "out/random,space=s2/seed1"),
        ]  # fmt: skip
        assert plan(rows("random", {}), 1, out=Path("out"))[0].title == "random, seed 0"

    def test_a_space_of_ones_own_is_named_by_its_file(self, tmp_path):
        """Another process has to read it."""
        file = tmp_path / "mine.yaml"
        file.write_text("name: mine\nnormal: [skip_connect, sep_conv_3x3]\nreduce: [max_pool_3x3, skip_connect]\n")
        trials = plan(rows("random", {"space": [str(file), "s1"]}), 1, out=tmp_path / "out")
        assert trials[0].settings.space == str(file)
        assert trials[0].group == ("mine", "digits", "mine")
        assert re.fullmatch(r"random,space=mine\.yaml~[0-9a-f]{6}", trials[0].folder.parent.name)


@pytest.mark.parametrize(
    ("methods", "grid", "shared", "message"),
    [
        (
            "random",
            {"samples": [2]},
            {},
            "samples",
        ),
        (
            "darts arch_learning_rate=1",
            {"arch_learning_rate": [2]},
            {},
            "arch_learning_rate",
        ),
        ("darts", {"epoch": [2]}, {}, "'epochs'"),
        ("darts", {"seed": [2]}, {}, "seeds"),
        ("darts", {"method": ["random"]}, {}, "methods"),
        ("darts", {"epochs": []}, {}, r"epochs = \[\]"),
        ("darts", {"epochs": "23"}, {}, "epochs = '23'"),
        ("darts", {"epochs": [2, 3, 2]}, {}, "twice"),
        ("darts", {"data": ["x", "./x"]}, {}, "twice"),
        ("darts", {"epochs": [0]}, {}, "epochs = 0"),
        ("darts,darts space=s1", {"space": ["s1", "s2"]}, {}, "twice"),
    ],
)
def test_grids_that_cannot_be(methods, grid, shared, message):
    with pytest.raises(SettingsError, match=message):
        rows(methods, grid, **shared)


def test_a_setting_of_the_grid_is_no_option():
    with pytest.raises(SettingsError, match="epochs"):
        rows_of("darts", {"epochs": 3}, grid={"epochs": [2, 3]})


class TestCommandLine:
    def test_values(self):
        words = ["samples=2,4", "inner-steps=1", "data=./a, ../b c", "phase_operations=[4,2,1],[2,1,1]", "tau=auto,0.1"]
        assert parse_grid(words) == {
            "samples": [2, 4], "inner_steps": [1], "data": ["./a", "../b c"],
            "phase_operations": [[4, 2, 1], [2, 1, 1]], "tau": ["auto", 0.1],
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["samples"], "grid"),
            (["a=1", "a=2"], "twice"),
            (["a=["], "YAML"),
        ],
    )
    def test_what_cannot_be_read(self, words, message):
        with pytest.raises(SettingsError, match=message):
            parse_grid(words)
