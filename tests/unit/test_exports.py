"""Networks that leave: each format gives the logits of the network itself, and says what is needed to use it."""

import ast
import json
import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import zarts
from pictures import P3, matrix_profile, png
from small import TRAIN, built_with_statistics
from zarts.data import preprocess
from zarts.errors import DataError, RunError, SettingsError
from zarts.exports import FORMATS, OpenedModel, Served, model_in, open_model, write_model
from zarts.exports.codegen import python_file
from zarts.exports.model_card import _inert
from zarts.networks import OPERATIONS
from zarts.spaces import Genotype
from zarts.spaces.nasbench201 import from_string
from zarts.training import ModelCard, save_model

pytestmark = pytest.mark.usefixtures("unchecked")

BENCHMARK = from_string("|nor_conv_1x1~0|+|none~0|skip_connect~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|")
EVERY = Genotype.from_dict(
    {
        "format": 1,
        "space": "darts-zero",
        "cells": {
            "normal": [
                [["sep_conv_3x3", 0], ["skip_connect", 1]],
                [["max_pool_3x3", 0], ["dil_conv_5x5", 2]],
                [["avg_pool_3x3", 1], ["sep_conv_5x5", 3]],
                [["dil_conv_3x3", 2], ["none", 0]],
            ],
            "reduce": [
                [["sep_conv_5x5", 0], ["skip_connect", 1]],
                [["max_pool_3x3", 0], ["dil_conv_3x3", 2]],
                [["avg_pool_3x3", 1], ["none", 1]],
                [["dil_conv_5x5", 0], ["sep_conv_3x3", 4]],
            ],
        },
    }
)


def made(genotype=EVERY, stem="cifar", size=10, channels=3, classes=("ant", 'the "bee"', "cat's")):
    """A network with statistics that are not the initial ones, and its card; an odd size in its middle."""
    card = ModelCard(
        genotype, 4, 1 if genotype is BENCHMARK else 3, stem, classes, size, (0.4,) * channels, (0.3,) * channels
    )
    return built_with_statistics(card), card


def logits(network, card, images):
    with torch.no_grad():
        return Served(network, card).eval()(images)


def random_images(card, count):
    generator = torch.Generator().manual_seed(count)
    return torch.rand(count, len(card.mean), card.image_size, card.image_size, generator=generator)


@pytest.fixture(scope="module")
def as_onnx(tmp_path_factory):
    """A folder with a network as ONNX; torch takes seconds for it."""
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("onnx")
    write_model(*made(classes=("ant", "bee", "cat"), size=20), "onnx", folder)
    return folder


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_gives_the_logits_of_the_network_for_any_batch(tmp_path, form, request):
    if form == "tflite":
        pytest.importorskip("litert_torch")
    network, card = made(classes=("ant", "bee", "cat"), size=20 if form == "onnx" else 10)
    folder = request.getfixturevalue("as_onnx") if form == "onnx" else tmp_path
    if form != "onnx":
        write_model(network, card, form, folder)
    suffixes = {"onnx": "onnx", "torchscript": "pt", "safetensors": "safetensors", "tflite": "tflite"}
    opened = open_model(folder / f"model.{suffixes[form]}" if form in suffixes else folder, trust=True)
    assert opened.card == card
    assert (folder / "preprocess.py").read_bytes() == Path(preprocess.__file__).read_bytes()
    for count in (1, 2, 7):
        images = random_images(card, count)
        with torch.no_grad():
            difference = (opened.module(images) - logits(network, card, images)).abs().max()
        assert difference <= 1e-5


def test_the_python_file_needs_torch_alone(tmp_path):
    """One process for both networks."""
    expected = {}
    for name, form in (("darts", (EVERY, "imagenet", 33, 3)), ("nasbench201", (BENCHMARK, "cifar", 9, 1))):
        network, card = made(*form)
        write_model(network, card, "python", tmp_path / name)
        images = random_images(card, 3)
        torch.save(images, tmp_path / name / "images.pt")
        expected[name] = logits(network, card, images)
    code = """
import os, sys
sys.modules["zarts"] = sys.modules["safetensors"] = None  # importing them fails
import torch
start = os.getcwd()
for name in ("darts", "nasbench201"):
    os.chdir(os.path.join(start, name))
    sys.path.insert(0, os.getcwd())
    sys.modules.pop("model", None)
    import model
    assert os.path.dirname(model.__file__) == sys.path.pop(0)
    with torch.no_grad():
        torch.save(model.load()(torch.load("images.pt")), "logits.pt")
    assert model.CLASSES == ["ant", 'the "bee"', "cat's"]
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    for name, theirs in expected.items():
        torch.testing.assert_close(torch.load(tmp_path / name / "logits.pt"), theirs, atol=1e-6, rtol=1e-6)


def test_the_python_file_reads_as_if_written_by_hand(tmp_path):
    """A formatter leaves it alone, a linter has nothing to say, and what is not used is not there."""
    one = Genotype.from_dict(
        {
            "format": 1,
            "space": "s2",
            "cells": dict.fromkeys(("normal", "reduce"), [[["skip_connect", 0], ["skip_connect", 1]]] * 4),
        }
    )
    many = tuple(f"class number {i}" for i in range(40))
    for number, (genotype, classes) in enumerate([(EVERY, many), (one, ("a", "b")), (BENCHMARK, many)]):
        text = python_file(made(genotype, classes=classes)[1])
        file = tmp_path / f"m{number}.py"
        file.write_text(text)
        ruff = [str(Path(sys.executable).with_name("ruff")), "--isolated"]
        for words in (["format", "--check"], ["check", "--select", "E,F,W,I,B,UP,SIM"]):
            done = subprocess.run(
                [*ruff[:1], words[0], *ruff[1:], *words[1:], "--line-length", "120", str(file)], capture_output=True
            )
            assert done.returncode == 0, done.stdout.decode()
    assert "Depthwise" not in python_file(made(one)[1])


CODE = '"""; raise SystemExit("run"); """'


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("image_size", f"8{CODE}", "image_size is '8"),
        ("channels", "4", "channels is '4'"),
        ("mean", [CODE] * 3, "std has '"),
        ("std", [True] * 3, "std has True"),
        ("std", [float("nan")] * 3, "std has nan"),
        ("classes", [3], "class is 3"),
        ("crop", None, "crop is None"),
        ("bits", {"I;16": "12"}, "bits is "),
        ("bits", {CODE: 12}, "bits is "),
        ("bits", [12], "bits is "),
    ],
)
def test_a_description_is_no_code(key, value, message):
    """What a file of somebody else's says of itself would stand in the exported Python file."""
    data = json.loads(made()[1].to_json())
    with pytest.raises(RunError, match=rf"here: .*{message}"):
        ModelCard.from_json(json.dumps({**data, key: value}), "here")


def test_names_are_no_code():
    """Of classes and of a space of one's own: the Python file has them as text, or leaves out what is none."""
    _, card = made(Genotype(f"mine{CODE}", EVERY.cells), classes=(CODE, "a\\", "b\n'\""))
    text = python_file(card)
    found = {}
    tree = ast.parse(text)
    for node in tree.body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "CLASSES":
            found["classes"] = ast.literal_eval(node.value)
    assert found["classes"] == list(card.classes)
    assert ast.get_docstring(tree).splitlines()[0].endswith("cells of space mineraiseSystemExitrun.")
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Raise)]


def test_onnx_says_how_it_is_used(as_onnx):
    import onnx

    _, card = made(classes=("ant", "bee", "cat"), size=20)
    model = onnx.load(as_onnx / "model.onnx")
    properties = {p.key: p.value for p in model.metadata_props}
    assert ModelCard.from_json(properties["zarts"], "onnx") == card
    (images,), (outputs,) = model.graph.input, model.graph.output
    assert (images.name, outputs.name) == ("images", "logits")
    sides = images.type.tensor_type.shape.dim
    assert sides[0].dim_param
    assert [side.dim_value for side in sides[1:]] == [3, 20, 20]


@pytest.mark.parametrize("form", ["onnx", "torchscript", "python"])
def test_noise_does_not_leave(tmp_path, form):
    genotype = Genotype.from_dict(
        {
            "format": 1,
            "space": "s4",
            "cells": dict.fromkeys(("normal", "reduce"), [[["noise", 0], ["sep_conv_3x3", 1]]] * 4),
        }
    )
    with pytest.raises(SettingsError, match=f"form=.{form}.: .*noise"):
        write_model(*made(genotype), form, tmp_path)
    assert write_model(*made(genotype), "safetensors", tmp_path)


def test_operations_of_ones_own_do_not_leave_as_python(tmp_path, monkeypatch):
    monkeypatch.setitem(OPERATIONS, "mine", OPERATIONS["skip_connect"])
    genotype = Genotype.from_dict(json.loads(EVERY.to_json().replace("max_pool_3x3", "mine")))
    with pytest.raises(SettingsError, match="form="):
        write_model(*made(genotype), "python", tmp_path)


def test_an_export_has_a_card_that_says_what_is_known(tmp_path, searched, retrained):
    files = zarts.export(retrained.run, "safetensors", out=tmp_path / "out")
    assert sorted(p.name for p in files) == ["README.md", "config.json", "model.safetensors", "preprocess.py"]
    text = (tmp_path / "out" / "README.md").read_text()
    assert f"{retrained.test_accuracy:.2f} %, of the last epoch, on the test images of `digits`" in text
    assert f"| parameters | {retrained.parameters:,} |" in text
    assert f"| MACs an image | {retrained.macs:,}" in text
    assert "By `zarts-mgs` in space `s2`, seed 0, 2 epochs with a network of 3 cells and 2 channels." in text
    assert re.search(r"\d+\.\d\d ms for 1 image, the median of 20 passes in torch, 1 thread, ", text)
    assert str(retrained.run) not in text
    with pytest.raises(SettingsError, match="another out"):
        zarts.export(retrained.run, "python", out=tmp_path / "out")
    zarts.export(retrained.run / "model.safetensors", "python", out=tmp_path / "alone")
    alone = (tmp_path / "alone" / "README.md").read_text()
    assert "test accuracy |" not in alone
    assert "its test accuracy is not known here" in alone
    assert "Trained" not in alone


def test_the_card_has_the_commands_and_no_folders_of_the_machine(tmp_path, searched, retrained):
    run = shutil.copytree(retrained.run, tmp_path / "run")
    told = yaml.safe_load((run / "searched.yaml").read_text())
    assert told["search"]["method"] == "zarts-mgs"
    given = "zarts search --data='/home/me/my pets' --out ~/runs/found"
    (run / "searched.yaml").write_text(yaml.safe_dump({**told, "command": given}))
    environment = json.loads((run / "env.json").read_text())
    environment["command"] = "zarts retrain /home/me/runs/found --from a/b.safetensors --epochs 3"
    (run / "env.json").write_text(json.dumps(environment))
    zarts.export(run, "torchscript", out=tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    assert (
        "```\nzarts search '--data=my pets' --out found\nzarts retrain found --from a/b.safetensors --epochs 3\n```"
        in text
    )
    assert "/home" not in text
    assert "the median of 20 passes in TorchScript, 1 thread" in text
    assert re.search(r"largest difference \d\.\de-\d\d, four random images", text)
    zarts.export(retrained.run, "python", out=tmp_path / "python")
    assert "from Python" not in (tmp_path / "python" / "README.md").read_text()
    assert sorted(p.name for p in (tmp_path / "python").iterdir()) == [
        *("README.md", "config.json", "model.py", "preprocess.py", "weights.pt")
    ]


def test_a_file_that_is_not_the_network_is_not_left_behind(tmp_path, retrained, monkeypatch):
    """Should an exporter of torch go wrong: here it has exported another network."""
    monkeypatch.setattr("zarts.api._export.write_model", lambda network, *rest: write_model(other, *rest))
    other = retrained.load()
    with torch.no_grad():
        other.classifier.bias += 0.01
    with pytest.raises(RunError, match=r"0\.01"):
        zarts.export(retrained.run, "torchscript", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_is_tested_on_the_images_of_its_run(tmp_path, photos, searched, no_pictures):
    """Of a folder without train/ and test/: another draw of the two would test on what it was trained on.

    The images have 16 bits, of which 12 are used; whoever reads one of them shows the network the same pixels.
    """
    from PIL import Image

    for file in photos.glob("*/*.png"):
        levels = np.asarray(Image.open(file).convert("L"), np.uint16)
        Image.fromarray(levels * 16).save(file)
    settings = {**TRAIN, "data": str(photos), "image_size": 8, "subset": 32, "epochs": 1, "split_seed": 3}
    run = zarts.retrain(Genotype.load(searched.run / "genotype.json"), out=tmp_path / "run", **settings).run
    (model, *_) = zarts.export(run, "torchscript", out=tmp_path / "out")
    tested = json.loads((run / "test.json").read_text())
    found = zarts.api.examine(model, run=run, trust=True)
    assert {row["image"] for row in found["worst"]} == {row["image"] for row in tested["worst"]}
    assert found["accuracy"] == tested["accuracy"]
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["bits"] == {"I;16": 12}
    assert "16 bits use 12 bits" in (tmp_path / "out" / "README.md").read_text()
    shown = preprocess.prepare([file], config) * 255
    assert np.array_equal(np.rint(shown), np.full((1, 1, 8, 8), round(int(levels[0, 0]) * 16 * 255 / 4095)))
    for network in (tmp_path / "out", run):
        (one,) = zarts.predict(network, file, top=3, trust=True)
        (same,) = zarts.predict(network, np.rint(shown[0]).astype(np.uint8), top=3, trust=True)
        assert one.classes == same.classes
    assert set(json.loads((run / "split.json").read_text())["test"]) >= {row["image"] for row in found["worst"]}
    with pytest.raises(SettingsError, match="run"):
        zarts.evaluate(run, run=run)
    with pytest.raises(SettingsError, match="data"):
        zarts.evaluate(model, run=run, data="digits")


def test_what_cannot_be_exported(tmp_path, searched, retrained):
    with pytest.raises(SettingsError, match="'onnx'"):
        zarts.export(retrained.run, "onx")
    with pytest.raises(RunError, match="retrain run"):
        zarts.export(searched.run, "python")
    with pytest.raises(RunError, match=r"none\.safetensors"):
        zarts.export(tmp_path / "none.safetensors", "python")
    with pytest.raises(SettingsError, match="operations"):
        zarts.export(retrained.run / "model.safetensors", "python", operations="ops.py")


@pytest.mark.parametrize("form", ["torchscript", "python", "safetensors"])
def test_every_file_has_the_accuracy_of_the_run(tmp_path, retrained, form):
    files = zarts.export(retrained.run, form, out=tmp_path / "out")
    assert zarts.evaluate(tmp_path / "out", data="digits", trust=True) == retrained.test_accuracy
    assert model_in(tmp_path / "out") == (tmp_path / "out" if form == "python" else files[0])
    assert model_in(retrained.run) is None
    with pytest.raises(SettingsError, match="data"):
        zarts.evaluate(tmp_path / "out")


def test_code_is_not_run_unasked(tmp_path, retrained):
    zarts.export(retrained.run, "python", out=tmp_path / "out")
    with pytest.raises(SettingsError, match=r"model\.py"):
        zarts.evaluate(tmp_path / "out", data="digits")
    (tmp_path / "out" / "model.py").write_text("def load():\n    return 1 / 0\n")
    with pytest.raises(RunError, match="ZeroDivisionError"):
        open_model(tmp_path / "out", trust=True)
    zarts.export(retrained.run, "torchscript", out=tmp_path / "script")
    with pytest.raises(SettingsError, match=r"model\.pt.*trust"):
        zarts.evaluate(tmp_path / "script", data="digits")


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("m.pt", b"no", RunError, "TorchScript"),
        ("m.onnx", b"no", RunError, "ONNX"),
        ("m.safetensors", b"no", RunError, "model file"),
        ("m.h5", b"no", SettingsError, "safetensors"),
        (None, None, RunError, "no such file"),
    ],
)
def test_files_that_are_no_models(tmp_path, name, content, error, message):
    path = tmp_path / (name or "none.pt")
    if name == "m.onnx":
        pytest.importorskip("onnxruntime")
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=message):
        open_model(path, trust=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=r"model\.py"):
        open_model(tmp_path / "empty")


def test_predictions(tmp_path, photos, command):
    """Classes and probabilities as by hand; an image that cannot be read costs one line, and the exit code."""
    network, card = made(channels=3)
    save_model(tmp_path / "model.safetensors", network, card)
    bad = photos / "ant" / "16.png"
    bad.write_bytes(b"no image")
    found = list(zarts.predict(tmp_path / "model.safetensors", [photos / "ant", photos / "bee" / "03.png"], top=2))
    assert [p.image.name for p in found] == [*(f"{i:02}.png" for i in range(17)), "03.png"]
    assert [p.image for p in found if p.error] == [bad]
    from PIL import Image

    pixels = np.asarray(Image.open(photos / "bee" / "03.png"), np.float32).transpose(2, 0, 1) / 255
    chances = logits(network, card, torch.from_numpy(pixels)[None]).softmax(1)[0]
    assert found[-1].classes == [
        (card.classes[i], pytest.approx(chances[i].item())) for i in chances.argsort(descending=True)[:2].tolist()
    ]
    code, out, err = command("predict", tmp_path / "model.safetensors", photos / "ant", "--json")
    assert code == 3
    assert err.count("\n") == 1
    assert str(bad) in err
    lines = [json.loads(line) for line in out.splitlines()]
    assert len(lines) == 17
    assert set(lines[0]["classes"]) <= set(card.classes)
    code, out, _ = command("predict", tmp_path / "model.safetensors", photos / "bee" / "03.png")
    assert (code, out.count("%")) == (0, 1)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="has no images"):
        list(zarts.predict(tmp_path / "model.safetensors", [tmp_path / "none"]))


class Recorder(torch.nn.Module):
    """A network that keeps the images that it is given."""

    def __init__(self, network):
        super().__init__()
        self.network, self.seen = network, []

    def forward(self, images):
        self.seen.append(images)
        return self.network(images)


@pytest.fixture
def odd(tmp_path):
    """A folder whose test images have alpha, 16 bits, a camera's turn, a palette, inks, many pixels and a profile."""
    from PIL import Image

    colours = np.random.default_rng(0).integers(0, 256, (12, 9, 4), dtype=np.uint8)
    large = Image.fromarray(colours[..., :3]).resize((450, 600), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    palette = Image.fromarray(colours[..., :3]).quantize(16)
    for part in ("train", "test"):
        for kind in ("ant", "bee", "cat"):
            (tmp_path / part / kind).mkdir(parents=True)
            Image.fromarray(colours[..., :3]).save(tmp_path / part / kind / "plain.png")
    test = tmp_path / "test"
    Image.fromarray(colours).save(test / "ant" / "alpha.png")
    Image.fromarray(colours[..., 0].astype(np.uint16) * 200).save(test / "ant" / "deep.png")
    large.save(test / "bee" / "large.jpg", quality=90)
    large.resize((90, 60)).save(test / "bee" / "turned.jpg", exif=exif)
    palette.save(test / "cat" / "palette.png", transparency=3)
    large.convert("CMYK").save(test / "cat" / "inks.jpg")
    wide = (b"iCCP", b"x\0\0" + zlib.compress(matrix_profile(P3, 2.2)))
    (test / "cat" / "wide.png").write_bytes(png(colours[..., :3], 8, 2, [wide]))
    return tmp_path


def test_every_way_to_a_network_shows_it_the_same_pixels(as_onnx, odd, monkeypatch):
    """To the bit: predict, evaluate, and a process without zarts and torch, whose chances are those of predict."""
    recorders = []

    def opened(path, **options):
        model = open_model(path, **options)
        recorders.append(Recorder(model.module))
        return OpenedModel(recorders[-1], model.card, movable=False)

    monkeypatch.setattr("zarts.api._predict.open_model", opened)
    monkeypatch.setattr("zarts.api._evaluate.open_model", opened)
    files = [path for kind in ("ant", "bee", "cat") for path in sorted((odd / "test" / kind).iterdir())]
    found = zarts.predict(as_onnx, files, top=3)
    zarts.evaluate(as_onnx, data=str(odd))
    code = """
import sys
sys.modules["zarts"] = sys.modules["torch"] = sys.modules["torchvision"] = None  # importing them fails
import json, pathlib, numpy, onnxruntime, preprocess
config = json.loads(pathlib.Path("config.json").read_text("utf-8"))
images = preprocess.prepare(sys.argv[2:], config)
(logits,) = onnxruntime.InferenceSession("model.onnx").run(None, {"images": images})
numpy.savez(sys.argv[1], images=images, logits=logits)
"""
    there = [sys.executable, "-W", "error", "-c", code, str(odd / "there.npz"), *map(str, files)]
    subprocess.run(there, cwd=as_onnx, check=True)
    served = np.load(odd / "there.npz")
    predicted, evaluated = (torch.cat(recorder.seen).numpy() for recorder in recorders)
    assert np.array_equal(predicted, served["images"])
    assert np.array_equal(np.rint(evaluated * 255), np.rint(predicted * 255))
    np.testing.assert_allclose(evaluated, predicted, atol=1e-7)  # it multiplies by 1 / 255, in one step with the mean
    chances = torch.from_numpy(served["logits"]).softmax(1).tolist()
    for one, row in zip(found, chances, strict=True):
        assert dict(one.classes) == pytest.approx(dict(zip(("ant", "bee", "cat"), row, strict=True)), abs=1e-6)


def test_the_example_that_serves_counts_the_same_images(as_onnx, photos):
    from PIL import Image

    script = Path(__file__).parents[2] / "examples" / "serve_onnx.py"
    done = subprocess.run([sys.executable, script, as_onnx, photos], capture_output=True, text=True, check=True)
    images = [path for name in ("ant", "bee", "cat") for path in sorted((photos / name).iterdir())]
    found = zarts.predict(as_onnx / "model.onnx", images)
    arrays = zarts.predict(as_onnx / "model.onnx", np.stack([np.asarray(Image.open(path)) for path in images]))
    assert [p.classes for p in arrays] == [p.classes for p in found]
    right = sum(p.classes[0][0] == p.image.parent.name for p in found)
    assert done.stdout == f"{right} of 48 images: {100 * right / 48:.2f} %\n"


def test_names_in_a_card_are_no_tags():
    assert _inert("<script>a & b</script>\n") == "&lt;script&gt;a &amp; b&lt;/script&gt;\\n"
