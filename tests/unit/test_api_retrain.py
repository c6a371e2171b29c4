"""Retraining and testing: from each kind of source, from the files alone, and with damaged files."""

import json
import shutil

import pytest
import safetensors.torch
import torch
from PIL import Image

import zarts
from small import TRAIN, small
from zarts import training
from zarts.api import genotype_of
from zarts.api._architecture import inherited
from zarts.data import load_data
from zarts.errors import DataError, DivergedError, RunError, SettingsError
from zarts.limits import count_parameters
from zarts.networks import seeded
from zarts.spaces import Genotype, genotype_string, get_space, published
from zarts.training import ModelCard, accuracy, load_model, save_model

pytestmark = pytest.mark.usefixtures("no_pictures", "unchecked")
ONE = {**TRAIN, "epochs": 1}


def epochs(result):
    return [e for e in result.history if e["event"] == "train_epoch"]


def test_result(searched, retrained):
    assert retrained.genotype == searched.genotype
    stored = json.loads((retrained.run / "result.json").read_text())
    assert stored["test_accuracy"] == retrained.test_accuracy == epochs(retrained)[-1]["test_accuracy"]
    accuracies = [e["test_accuracy"] for e in epochs(retrained)]
    assert len(accuracies) == TRAIN["epochs"]
    assert stored["best_test_accuracy_selected_on_test"] == max(accuracies)
    assert stored["best_epoch"] == accuracies.index(max(accuracies)) + 1
    network = retrained.load()
    assert not network.training
    assert stored["parameters"] == retrained.parameters == count_parameters(network)
    assert retrained.macs > 0
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_evaluate_from_the_files_alone(tmp_path, retrained):
    assert zarts.evaluate(retrained.run) == retrained.test_accuracy
    copy = shutil.copytree(retrained.run, tmp_path / "elsewhere")
    (copy / "checkpoint.pt").unlink()
    assert zarts.evaluate(copy) == retrained.test_accuracy


def test_the_model_file_needs_no_run(tmp_path, searched, retrained):
    model = shutil.copy(retrained.run / "model.safetensors", tmp_path / "alone.safetensors")
    network, card = load_model(model)
    assert card.genotype == searched.genotype
    assert (card.classes, card.image_size) == (tuple("0123456789"), 8)
    images = load_data("digits").test()
    mean, std = (torch.tensor(v)[:, None, None] for v in (card.mean, card.std))
    with torch.no_grad():
        right = (network((images.images / 255 - mean) / std).argmax(1) == images.labels).sum().item()
    assert 100 * right / len(images) == retrained.test_accuracy


def test_sources_are_equal(tmp_path, searched, retrained):
    """The folder, the result, the file, and the genotype in memory make the same network."""
    for number, source in enumerate((searched, str(searched.run / "genotype.json"), searched.genotype)):
        result = zarts.retrain(source, out=tmp_path / str(number), **ONE)
        assert result.genotype == searched.genotype
        assert epochs(result)[0]["train_loss"] == epochs(retrained)[0]["train_loss"]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("sdarts/c10_s4_pcdarts", "sdarts-c10_s4_pcdarts"),
        (genotype_string(published("sdarts/c10_s4_pcdarts")), "s4"),
    ],
)
def test_where_names_and_genotypes_written_out_go(tmp_path, monkeypatch, source, name):
    monkeypatch.chdir(tmp_path)
    result = zarts.retrain(source, **ONE)
    assert result.genotype == published("sdarts/c10_s4_pcdarts")
    assert [path.name for path in (tmp_path / "runs/retrain").iterdir()] == [f"{name}-retrained-seed0"]


def test_a_folder_with_a_bracket_in_its_name(tmp_path, searched):
    run = shutil.copytree(searched.run, tmp_path / "run (1)", ignore=shutil.ignore_patterns("*.pt"))
    assert genotype_of(str(run)) == (searched.genotype, "run (1)")
    assert inherited(str(run))["data"] == "digits"


def test_what_a_search_hands_down(tmp_path, photos):
    """Data, image size, and which images are for the test; evaluate takes what predict takes."""
    search = small("darts", data=str(photos), image_size=8, subset=None, epochs=1, warmup_epochs=0)
    found = zarts.search(out=tmp_path / "search", **search)
    options = {k: v for k, v in ONE.items() if k not in ("data", "subset")}
    first = json.loads((found.run / "split.json").read_text())
    (photos / "ant/copy.png").write_bytes((photos / first["train"][0]).read_bytes())
    result = zarts.retrain(found.run, out=tmp_path / "retrain", **options)
    second = json.loads((result.run / "split.json").read_text())
    assert second["test"] == first["test"]
    assert second["train"] == [*first["train"], "ant/copy.png"]
    assert load_model(result.run / "model.safetensors")[1].image_size == 8
    assert zarts.evaluate(result.run) == result.test_accuracy
    with pytest.raises(SettingsError, match="'ant'"):
        zarts.evaluate(result.run, data="digits")
    other = shutil.copytree(photos, tmp_path / "grey")
    for path in other.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    details = zarts.api.examine(result.run, data=str(other))
    assert (details["images"], details["trained_on"]) == (49, 0)
    assert "none of its images are those of the run" in details["notes"][0]
    predicted = zarts.predict(result.run, other)
    assert details["accuracy"] == 100 * sum(one.label == one.image.parent.name for one in predicted) / 49


def test_the_same_images_elsewhere_keep_their_parts(tmp_path, photos, monkeypatch):
    """By another name of the folder, in a copy that has grown (case 21), and in a test folder."""
    monkeypatch.chdir(photos.parent)
    search = small("darts", data="photos", image_size=8, subset=None, epochs=1, warmup_epochs=0)
    found = zarts.search(out=tmp_path / "search", **search)
    grown = shutil.copytree(photos, tmp_path / "grown")
    with pytest.raises(SettingsError, match="split_seed = 5"):  # which would draw other test images
        zarts.retrain(found, out=tmp_path / "run", **{**ONE, "data": str(photos), "subset": None}, split_seed=5)
    assert not (tmp_path / "run").exists()
    for i in range(8):
        Image.new("RGB", (12, 10), (i, 7, 9)).save(grown / f"ant/0{i}-late.png")
    result = zarts.retrain(found.run, out=tmp_path / "retrain", **{**ONE, "subset": None, "data": "./photos/"})
    first, second = (json.loads((run / "split.json").read_text()) for run in (found.run, result.run))
    assert second == first
    assert zarts.evaluate(result.run, data="../" + str(photos.relative_to(photos.parents[1]))) == result.test_accuracy
    late = zarts.retrain(found.run, out=tmp_path / "late", **{**ONE, "subset": None, "data": str(grown)})
    third = json.loads((late.run / "split.json").read_text())
    new = {name for part in ("train", "test") for name in third[part] if "late" in name}
    assert len(new) == 8
    assert {*third["train"]} - new == {*first["train"]}
    assert {*third["test"]} - new == {*first["test"]}
    details = zarts.api.examine(result.run, data=str(grown))
    assert (details["images"], details["trained_on"]) == (len(third["test"]), 0)
    shutil.copytree(grown, tmp_path / "apart/test")  # alone, and with images that the network was trained on
    details = zarts.api.examine(result.run, data=tmp_path / "apart")
    assert (details["images"], details["trained_on"]) == (56, len(first["train"]))
    right = sum(
        one.label == one.image.parent.name
        for one in zarts.predict(result.run, [grown / n for n in [*first["test"], *new]])
    )
    assert details["accuracy_of_new"] == 100 * right / (56 - len(first["train"]))


def test_noise_is_the_same_in_every_test(tmp_path, searched):
    """Of the network from training, with its own generator, and of the one from the file, which has none."""
    cells = searched.genotype.cells.items()
    noisy = Genotype("s4", {k: tuple(tuple(c._replace(op="noise") for c in n) for n in nodes) for k, nodes in cells})
    card = ModelCard(noisy, 4, 3, "cifar", tuple("0123456789"), 8, (0.3,), (0.4,))
    generator = torch.Generator().manual_seed(7)
    with seeded(0):
        trained = card.build(generator=generator)
    images = load_data("digits", subset=400).train
    state, everywhere = generator.get_state(), torch.get_rng_state()
    batches = training.test_batches(images, card, torch.device("cpu"))
    values = [accuracy(trained.train(), batches) for _ in range(3)]
    assert trained.training
    assert torch.equal(generator.get_state(), state), "testing leaves the noise of training alone"
    save_model(tmp_path / "model.safetensors", trained, card)
    loaded = load_model(tmp_path / "model.safetensors")[0]
    values += [accuracy(loaded, batches) for _ in range(3)]
    assert len(set(values)) == 1
    assert torch.equal(torch.get_rng_state(), everywhere)
    some = torch.zeros(4, 1, 8, 8)
    assert not torch.equal(trained.eval()(some), trained(some)), "outside, it draws anew"


def test_other_data_than_the_searchs_get_their_own_split(tmp_path, searched, photos):
    options = {**ONE, "data": str(photos), "subset": None, "image_size": 8, "batch_size": 8}
    result = zarts.retrain(searched.run, out=tmp_path / "run", **options)
    assert json.loads((result.run / "split.json").read_text())["source"] == str(photos)


def test_auxiliary_head_and_drop_path(tmp_path, searched, retrained):
    """`retrained` has neither. The global random state is left alone, also by what is dropped."""
    before = torch.get_rng_state()
    head, drop = (
        zarts.retrain(searched.genotype, out=tmp_path / str(number), **{**TRAIN, **options})
        for number, options in enumerate(({"auxiliary_weight": 0.4, "epochs": 1}, {"drop_path": 0.5}))
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert head.parameters == retrained.parameters, "the head is for training only"
    weights = safetensors.torch.load_file(head.run / "model.safetensors")
    assert not [name for name in weights if "auxiliary" in name]
    assert zarts.evaluate(head.run) == head.test_accuracy
    first, last = ([e["train_loss"] for e in epochs(r)] for r in (retrained, drop))
    assert first[0] == last[0], "drop-path grows from 0"
    assert first[1] != last[1]


def test_tests_of_some_epochs_only(tmp_path, searched, retrained):
    """The last one is always tested, and the training is the same."""
    result = zarts.retrain(searched, out=tmp_path / "run", **{**TRAIN, "test_every": 5})
    tests = {e["epoch"]: e.get("test_accuracy") for e in result.history if e["event"] == "train_epoch"}
    assert tests == {1: None, 2: retrained.test_accuracy}
    assert result.test_accuracy == retrained.test_accuracy
    data = json.loads((result.run / "result.json").read_text())
    assert (data["best_epoch"], data["best_test_accuracy_selected_on_test"]) == (2, result.test_accuracy)


def test_label_smoothing_changes_the_loss(tmp_path, searched, retrained):
    smooth = zarts.retrain(searched.genotype, out=tmp_path / "run", **ONE, label_smoothing=0.3)
    assert epochs(smooth)[0]["train_loss"] != epochs(retrained)[0]["train_loss"]


def test_diverged(tmp_path, searched):
    with pytest.raises(DivergedError, match="learning_rate"):
        zarts.retrain(searched.genotype, out=tmp_path / "run", **TRAIN, learning_rate=1e6)
    assert torch.load(tmp_path / "run/checkpoint.pt", weights_only=True)["epoch"] <= 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("DARTS_V3", "'DARTS_V3'"),
        ("no/such.json", r"such\.json"),
    ],
)
def test_no_such_source(tmp_path, source, message):
    with pytest.raises(RunError, match=message):
        zarts.retrain(source, out=tmp_path / "run", **ONE)
    assert not (tmp_path / "run").exists()


CONVOLUTIONS = get_space("s2").derive({kind: torch.tensor([[0.1, 0.9]] * 14) for kind in ("normal", "reduce")})


def damaged(genotype, change):
    data = genotype.to_dict()
    change(data)
    return json.dumps(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(space="s3x"), "'s3'"),
        (lambda d: d.update(space="s1"), "sep_conv_3x3"),
        (lambda d: d["cells"].pop("reduce"), r"has cells \['normal'\]"),
        (lambda d: d["cells"]["normal"].pop(), "3 nodes"),
        (lambda d: d["cells"]["normal"][0].pop(), r"inputs \[\d\]"),
        (lambda d: d["cells"]["normal"][0].__setitem__(0, ["conv_9x9", 0]), "conv_9x9"),
        (lambda d: d["cells"]["normal"][0].__setitem__(0, ["skip_connect"]), "not a genotype"),
        (lambda d: d.pop("cells"), "keys"),
        (lambda d: d.update(format=9), "format 9"),
    ],
)
def test_a_damaged_genotype_file(tmp_path, change, message):
    path = tmp_path / "g.json"
    path.write_text(damaged(CONVOLUTIONS, change))
    with pytest.raises(RunError, match=rf"g\.json: .*{message}"):
        zarts.retrain(path, out=tmp_path / "run", **ONE)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", ["", "{", "\xff", "[1]", "3"])
def test_a_file_that_is_no_genotype(tmp_path, content):
    path = tmp_path / "g.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(RunError, match=r"g\.json"):
        zarts.retrain(path, out=tmp_path / "run", **ONE)


def test_a_search_that_has_not_finished(tmp_path, searched):
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(searched.run / "config.yaml", run)
    with pytest.raises(RunError, match=f"search.resume=.{run}"):
        zarts.retrain(run, **ONE)


def test_evaluate_a_retraining_that_has_not_finished(tmp_path, retrained):
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(retrained.run / "config.yaml", run)
    with pytest.raises(RunError, match=f"retrain.resume=.{run}"):
        zarts.evaluate(run)


def rewritten(path, **metadata):
    """The weights of a model file with another description, or without some of the weights."""
    with safetensors.safe_open(path, framework="pt") as file:
        before = file.metadata()
    weights = safetensors.torch.load_file(path)
    if metadata.pop("cut", False):
        weights.pop(sorted(weights)[0])
    safetensors.torch.save_file(weights, path, {**before, "zarts": "1", **metadata})  # without a checksum


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: p.unlink(), "no such file"),
        (lambda p: p.write_bytes(p.read_bytes()[:-50]), "model file"),
        (lambda p: p.write_bytes(b""), "model file"),
        (lambda p: p.write_bytes(b"\xff" * 200), "model file"),
        (lambda p: rewritten(p, zarts="9"), "model file"),
        (lambda p: rewritten(p, model="{"), "description"),
        (lambda p: rewritten(p, model="[]"), "description"),
        (lambda p: rewritten(p, cut=True), "weights"),
        (lambda p: safetensors.torch.save_file({"a": torch.zeros(1)}, p, {"zarts": "1"}), "zarts"),
        (lambda p: safetensors.torch.save_file({"a": torch.zeros(1)}, p), "model file"),
    ],
)
def test_a_damaged_model_file(tmp_path, retrained, damage, message):
    run = shutil.copytree(retrained.run, tmp_path / "run", ignore=shutil.ignore_patterns("*.pt", "cells"))
    damage(run / "model.safetensors")
    with pytest.raises(RunError, match=rf"model\.safetensors: .*{message}"):
        zarts.evaluate(run)


def test_fewer_images_than_a_batch(tmp_path, searched):
    with pytest.raises(DataError, match="65"):
        zarts.retrain(searched.genotype, out=tmp_path / "run", **{**ONE, "batch_size": 65})
    assert not (tmp_path / "run").exists()


def test_a_damaged_result(tmp_path, retrained):
    run = shutil.copytree(retrained.run, tmp_path / "run", ignore=shutil.ignore_patterns("cells"))
    for content in ("{}", "[]"):
        (run / "result.json").write_text(content)
        with pytest.raises(RunError, match=r"result\.json"):
            zarts.api.resume_retrain(run)
    (run / "split.json").write_text("[]")
    with pytest.raises(RunError, match=r"split\.json"):
        zarts.evaluate(run)


def test_genotypes_in_memory_are_checked_by_the_network(tmp_path):
    with pytest.raises(RunError, match="has cells"):
        zarts.retrain(Genotype("s2", {"normal": ()}), out=tmp_path / "run", **ONE)
    assert not (tmp_path / "run").exists()


def test_images_of_another_object_that_a_run_was_trained_on_are_not_tested(tmp_path):
    """Arrays that have grown, and come in another order: old images are known by their contents."""
    pixels = torch.randint(0, 256, (80, 8, 8, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(3)).numpy()
    labels = torch.arange(80).remainder(2).numpy()
    settings = small("darts", data=(pixels[:40], labels[:40]), subset=None, epochs=1, warmup_epochs=0)
    found = zarts.search(out=tmp_path / "search", **settings)
    later = {**ONE, "data": (pixels[::-1], labels[::-1]), "subset": None}
    more = zarts.retrain(found.run, out=tmp_path / "more", **later)
    first, second = (json.loads((run / "split.json").read_text())["files"] for run in (found.run, more.run))
    assert not {*first["train"]} & {*second["test"]}
    assert {*first["test"]} <= {*second["test"]}
    assert len(second["test"]) > len(first["test"])
