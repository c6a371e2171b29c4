"""Paths that no system takes, `~` in every path, and names that a console or a page cannot show as they are."""

import io
import os
import sys

import pytest

from zarts.callbacks import progress
from zarts.comparison.grid import rows_of
from zarts.config import search_settings
from zarts.data import check_data, load_data
from zarts.errors import SettingsError
from zarts.runs.new_run import anchored, same_images
from zarts.runtime.io import read_mapping, write_atomically
from zarts.runtime.paths import encodable, path_of, printable
from zarts.spaces import get_space

pytestmark = pytest.mark.usefixtures("unchecked")

NAME = "caf\udce9"
BAD = {"nul": "a\0b/c", "long": "x" * 300, "user": "~nobody_there/x"}
COMMANDS = {
    "search": (
        *("--out BAD", "--resume BAD", "--data ./BAD", "--data BAD", "--data cifar10 --data-dir BAD", "--config BAD"),
        *("--operations BAD", "--space BAD.yaml", "--criterion BAD.py:f --devices 1", "--dry-run --data ./BAD"),
        "--space nasbench201 --benchmark-table BAD --devices 1",
    ),
    "retrain": (
        "BAD",
        "DARTS_V2 --out BAD",
        "--from BAD",
        "--resume BAD",
        "DARTS_V2 --config BAD",
        "DARTS_V2 --data BAD",
    ),
    "evaluate": ("BAD", "BAD --data BAD", "BAD --run BAD"),
    "predict": ("BAD BAD",),
    "export": ("BAD --format onnx", "BAD --format onnx --out BAD"),
    "draw": ("BAD", "DARTS_V2 --out BAD"),
    "genotype": ("BAD",),
    "lookup": ("BAD --benchmark-table BAD", "0 --benchmark-table BAD"),
    "diagnose": ("BAD", "BAD --operations BAD"),
    "landscape": ("BAD",),
    "report": ("BAD",),
    "compare": tuple(
        f"--methods darts --seeds 1 {words}"
        for words in ("--out BAD", "--data BAD", "--config BAD", "--grid data=digits,./BAD", "--grid space=s1,BAD.yaml")
    ),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_path_that_no_system_takes_is_one_line(command, tmp_path, monkeypatch, name, bad):
    monkeypatch.chdir(tmp_path)
    for words in COMMANDS[name]:
        code, out, err = command(name, *words.replace("BAD", BAD[bad]).split(" "))
        last = err.splitlines()[-1]
        assert code in (2, 3), (words, err)
        assert last.startswith("zarts: "), err
        assert "Traceback" not in err
        assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_what_path_of_refuses(tmp_path):
    for bad in [*BAD.values(), "/y" * 3000]:
        with pytest.raises(SettingsError) as error:
            path_of(bad)
        assert str(error.value).isprintable()
        assert len(str(error.value)) < 200
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(SettingsError, match="loop"):
        path_of(tmp_path / "loop")
    assert path_of(tmp_path / "not there" / NAME) == tmp_path / "not there" / NAME


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_folder_without_permission(command, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    for path in (closed, closed / "in"):
        with pytest.raises(SettingsError, match="ermission"):
            path_of(path)
        assert command("draw", path)[0] == 2


def test_a_folder_that_the_system_does_not_open(command, tmp_path, monkeypatch):
    """As above, for root: whatever the system refuses is one line."""

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("zarts.api._draw.genotype_of", refuse)
    assert command("draw", tmp_path) == (1, "", f"zarts: {tmp_path}: Permission denied\n")


class TestHome:
    @pytest.fixture(autouse=True)
    def home(self, tmp_path, monkeypatch, photos):
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        monkeypatch.setenv("HOME", str(tmp_path))
        yield
        assert list((tmp_path / "elsewhere").iterdir()) == []  # no folder called ~

    def test_of_settings(self, tmp_path, photos):
        (tmp_path / "space.yaml").write_text("name: mine\nnormal: [skip_connect]\nreduce: [skip_connect]\n")
        settings = search_settings({"data": "~/photos", "space": "~/space.yaml", "data_dir": "~/x/../sets"})
        assert check_data("~/photos") is None
        assert get_space("~/space.yaml").name == "mine"
        found = anchored(settings)
        assert (found.data, found.space) == (str(photos), "mine")
        assert same_images("~/photos", str(photos))
        assert load_data("~/photos", image_size=8).classes == ("ant", "bee", "cat")

    def test_of_a_grid(self, photos):
        rows = rows_of("darts", {}, grid={"data": ["~/photos", "digits"]})
        assert {row.group.data for row in rows} == {"photos", "digits"}
        with pytest.raises(SettingsError, match="twice"):
            rows_of("darts", {}, grid={"data": ["~/photos", str(photos)]})

    def test_of_commands(self, command, tmp_path, retrained, searched):
        (tmp_path / "run").symlink_to(retrained.run)
        (tmp_path / "searched").symlink_to(searched.run)
        (tmp_path / "c.yaml").write_text("search:\n  data: ~/photos\n  epochs: 20\n")
        code, out, _ = command("search", "--config", "~/c.yaml", "--print-config")
        assert (code, "epochs: 20" in out) == (0, True)
        assert command("retrain", "~/searched", "--config", "~/c.yaml", "--print-config")[0] == 0
        assert command("draw", "~/searched", "--out", "~/cells")[0] == 0
        assert (tmp_path / "cells/normal.svg").exists()
        assert command("genotype", "~/run/genotype.json")[0] == 0
        assert command("evaluate", "~/run/model.safetensors", "--run", "~/run")[0] == 0
        code, out, err = command("predict", "~/run", "~/photos/ant/00.png", "~/photos/bee")
        assert (code, out.count("\n"), err) == (0, 17, "")
        assert command("export", "~/run", "--format", "safetensors", "--out", "~/exported")[0] == 0
        assert (tmp_path / "exported/model.safetensors").exists()


class TestText:
    @pytest.mark.parametrize("suffix", ["json", "yaml", "md"])
    def test_what_is_written_is_utf8(self, tmp_path, suffix):
        path = tmp_path / f"file.{suffix}"
        write_atomically(path, f'{{"Äpfel 猫": "{NAME}"}}\n')
        assert path.read_bytes() == f'{{"Äpfel 猫": "{NAME[:-1]}\\udce9"}}\n'.encode()
        if suffix != "md":
            assert read_mapping(path) == {"Äpfel 猫": NAME}

    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("Äpfel école 猫 می‌خواهم", "Äpfel école 猫 می‌خواهم"),
            ("1\u202f000\xa0€\u3000", "1\u202f000\xa0€\u3000"),
            (NAME, r"caf\udce9"),
            ("a\nb\tc", r"a\nb\tc"),
            ("\x1b[31mred", r"\x1b[31mred"),
            ("gpj.\u202exe", r"gpj.\u202exe"),
            ("\u2028", r"\u2028"),
        ],
    )
    def test_printable(self, name, shown):
        assert printable(name) == shown
        shown.encode()

    @pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
    def test_progress_in_a_script(self, monkeypatch, encoding):
        """Standard error may be any stream there, which knows no replacement."""
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
        monkeypatch.setattr(sys, "stderr", stream)
        progress(quiet=False)({"event": "note", "text": f"Äpfel, 猫, {NAME}, \x1b[0m"})
        shown = {"ascii": r"\xc4pfel, \u732b", "utf-8": "Äpfel, 猫"}.get(encoding, r"Äpfel, \u732b")
        assert stream.buffer.getvalue().decode(encoding) == f"{shown}, caf\\udce9, \\x1b[0m\n"

    def test_of_a_stream_without_encoding(self):
        assert encodable("猫", None) == encodable("猫", io.StringIO()) == "猫"
