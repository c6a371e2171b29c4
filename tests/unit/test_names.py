"""Names that are not UTF-8, that a console cannot print, that do not print at all: kept in files, escaped in pages."""

import io
import json
import os
import subprocess
import sys

import pytest
import yaml
from PIL import Image

import zarts
import zarts.cli
from small import SMALL, TRAIN, options

pytestmark = pytest.mark.usefixtures("unchecked")

CLASSES = ("h\udce9t", "new\nline\x1b[31m", "Äpfel\u202e", "猫")
SHOWN = (r"h\udce9t", r"new\nline\x1b[31m", r"Äpfel\u202e", "猫")
IMAGE = "caf\udce9.png"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A retraining in a folder, on images in a folder, in classes and files with such names."""
    root = tmp_path_factory.mktemp("names")
    for tint, name in enumerate(CLASSES):
        (root / "do\udcf6s" / name).mkdir(parents=True)
        for i in range(6):
            file = root / "do\udcf6s" / name / (IMAGE if i == 0 else f"{i}.png")
            Image.new("RGB", (8, 8), (60 * tint, 10 * i, 50)).save(file, format="PNG")
    settings = {**TRAIN, "data": str(root / "do\udcf6s"), "image_size": 8, "subset": None, "epochs": 1}
    return zarts.retrain("DARTS_V2", out=root / "r\udcfcn", quiet=True, **settings)


def test_files_keep_them_in_utf8(run):
    texts = {}
    for file in run.run.rglob("*"):
        if file.suffix in (".json", ".jsonl", ".yaml", ".html", ".svg"):
            texts[file.name] = file.read_bytes().decode("utf-8")
    assert {"config.yaml", "split.json", "test.json", "metrics.jsonl", "report.html", "normal.svg"} <= set(texts)
    assert [row["class"] for row in json.loads(texts["test.json"])["per_class"]] == list(CLASSES)
    split = json.loads(texts["split.json"])
    assert {f"{name}/{IMAGE}" for name in CLASSES} <= {*split["train"], *split["test"]}
    assert yaml.safe_load(texts["config.yaml"])["retrain"]["data"] == f"{run.run.parent}/do\udcf6s"
    assert all(name in texts["report.html"] for name in SHOWN)
    assert "\x1b" not in texts["report.html"]
    assert "\u202e" not in texts["report.html"]
    assert "\\udcfcn" in str(run)


def test_the_trained_network_knows_them(run):
    data = run.run.parent / "do\udcf6s"
    assert zarts.evaluate(run) == run.test_accuracy
    (found,) = zarts.predict(run, data / CLASSES[0] / IMAGE, top=4)
    assert (sorted(name for name, _ in found.classes), found.error) == (sorted(CLASSES), None)


@pytest.mark.parametrize("form", ["python", "torchscript", pytest.param("onnx", marks=pytest.mark.long)])
def test_exports_know_them(run, form):
    if form == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    (file, *_) = zarts.export(run, form)
    (found,) = zarts.predict(file.parent, run.run.parent / "do\udcf6s" / CLASSES[3] / IMAGE, top=4, trust=True)
    assert {name for name, _ in found.classes} == set(CLASSES)
    for text in file.parent.glob("*.[jmp][sdy]*"):
        text.read_bytes().decode("utf-8")
    assert f"4 classes: {', '.join(SHOWN)}." in (file.parent / "README.md").read_text(encoding="utf-8")


def test_a_search_goes_through(command, run, tmp_path):
    """Its split, its log, its name and its lines."""
    settings = {**SMALL, "data": run.run.parent / "do\udcf6s", "subset": 12, "epochs": 1, "image_size": 8}
    settings |= {"warmup_epochs": 0, "batch_size": 4}
    code, out, err = command("search", *options(settings), "--out", tmp_path / "r\udcfcn")
    assert (code, "r\\udcfcn" in out) == (0, True)
    assert err.endswith(
        "do\\udcf6s: 4 classes, 19 training (12 of them used), 5 test images (drawn by split_seed = 0)\n"
    )


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_console_shows_what_it_can(run, command, monkeypatch, encoding):
    """In this process, with standard output of that encoding, which knows no replacement before `main` begins."""
    with monkeypatch.context() as patch:
        streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict") for _ in range(2)]
        patch.setattr(sys, "argv", ["zarts", "evaluate", str(run.run), "--details"])
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        with pytest.raises(SystemExit) as end:
            zarts.cli.main()
        streams[0].flush()
    shown = streams[0].buffer.getvalue().decode(encoding)
    assert end.value.code == 0
    assert all(name in shown for name in (r"h\udce9t: ", r"new\nline\x1b[31m: ", r"\u732b: "))
    assert ("Äpfel" in shown) == (encoding != "ascii")


def test_a_process_in_the_locale_c(run):
    """The whole command, as case 3 ran it."""
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "OMP_NUM_THREADS": "1"}
    words = ["predict", "--quiet", os.fspath(run), str(run.run.parent / "do\udcf6s" / "猫")]
    done = subprocess.run([sys.executable, "-m", "zarts", *words], capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout.decode("ascii").splitlines()) == 6
