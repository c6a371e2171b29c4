"""Results: the chain of methods, a path wherever one is asked for, and what is printed."""

import base64
import os
import re
import shutil
from xml.etree import ElementTree

import pytest
import torch

import zarts
from zarts.errors import RunError, SettingsError

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture
def results(searched, retrained, tmp_path):
    """Both results, in folders of their own."""
    copies = {name: shutil.copytree(one, tmp_path / name) for name, one in (("s", searched), ("r", retrained))}
    return zarts.load_result(copies["s"]), zarts.load_result(copies["r"])


def test_a_search_goes_on_to_a_tested_and_exported_network(retrained, results, photos):
    """`retrained` is `searched.retrain(...)`; every step has its result in the folder of its run."""
    _, trained = results
    assert isinstance(retrained, zarts.RetrainResult)
    assert trained.evaluate() == zarts.evaluate(trained.run) == retrained.test_accuracy
    assert trained.export("safetensors")[0] == trained.run / "export" / "safetensors" / "model.safetensors"
    assert trained.predict(photos / "ant" / "00.png")[0].label in "0123456789"
    network, card = zarts.load_model(trained)
    images = torch.zeros(2, 1, card.image_size, card.image_size)
    assert torch.equal(network(images), trained.load()(images))


@pytest.mark.parametrize("which", [0, 1], ids=["search", "retraining"])
def test_what_is_loaded_or_resumed_is_the_result(results, searched, retrained, which):
    result, was = results[which], (searched, retrained)[which]
    resumed = (zarts.search, zarts.retrain)[which](resume=result)
    for one in (result, resumed, zarts.load_result(result), zarts.load_result(os.fspath(result))):
        assert type(one) is (zarts.SearchResult, zarts.RetrainResult)[which]
        assert one.run == result.run
        assert (one.genotype, one.history, one.seconds) == (was.genotype, was.history, was.seconds)


@pytest.mark.parametrize("which", [0, 1], ids=["search", "retraining"])
def test_reports_and_pictures_are_made_again(results, which, tmp_path):
    result = results[which]
    shutil.rmtree(result.run / "cells")
    (result.run / "report.html").unlink()
    written = [zarts.report(result), *result.draw(), *zarts.draw(result, tmp_path / "pictures")]
    assert all(path.exists() for path in written)
    assert {path.parent for path in written} == {result.run, result.run / "cells", tmp_path / "pictures"}
    assert result.report() == result.run / "report.html"


def test_diagnosis_and_landscape_take_the_result(results, monkeypatch):
    """What they compute is tested elsewhere: here only which run they open."""

    def restore(settings, run, *rest):
        opened.append(run.path)
        raise RunError("far enough")

    opened = []
    monkeypatch.setattr("zarts.api._analyze.restore_search", restore)
    for call in (results[0].diagnose, results[0].landscape):
        with pytest.raises(RunError, match="far enough"):
            call()
    assert opened == [results[0].run] * 2
    with pytest.raises(SettingsError, match="nasbench201"):
        results[0].lookup()


def test_a_retraining_starts_from_the_weights_of_a_result(results, monkeypatch):
    monkeypatch.setattr("zarts.api._retrain.start_retrain", lambda source, settings, *rest, **how: settings)
    settings = zarts.retrain(weights_from=results[1], data="digits")
    assert settings.weights_from == str(results[1].run)
    assert settings.channels == 2


def test_a_home_directory_in_a_path(results, monkeypatch):
    monkeypatch.setenv("HOME", str(results[0].run.parent))
    assert zarts.load_result("~/s").run == results[0].run
    assert zarts.draw("~/s", "~/cells")[0].parent == results[0].run.parent / "cells"
    with pytest.raises(SettingsError, match="write the path out"):
        zarts.report("~nobody-of-that-name/run")


def test_results_print_in_three_lines(results):
    """0.1.0 printed 20 kB: all events."""
    found, trained = results
    what, where, figures = str(found).split("\n")
    assert all(word in what for word in ("search", "zarts-mgs", "s2", "digits", "seed 0"))
    assert where == str(found.run)
    counts = [found.genotype.count(kind, zarts.spaces.PARAMETERLESS) for kind in ("normal", "reduce")]
    assert [int(number) for number in re.findall(r"(\d+) parameterless", figures)] == counts
    what, where, figures = str(trained).split("\n")
    assert "s2" in what
    assert where == str(trained.run)
    assert f"{trained.test_accuracy:.2f} %" in figures
    assert f"{trained.parameters:,} parameters" in figures
    for result in results:
        assert str(result.run) in repr(result)
        assert len(repr(result)) < 100 + len(str(result.run))
        shutil.rmtree(result.run)
        assert len(str(result).split("\n")) == 3


def test_results_show_their_cells_in_a_notebook(results):
    for result in results:
        page = result._repr_html_()
        pictures = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
        assert len(pictures) == 2
        for kind, data in zip(("Normal cell", "Reduction cell"), pictures, strict=True):
            svg = base64.b64decode(data).decode()
            assert ElementTree.fromstring(svg).tag.endswith("svg")
            assert kind in svg
        assert [line in page for line in str(result).split("\n")] == [True] * 3


def test_a_result_that_is_not_there(results, tmp_path):
    found, trained = results
    (found.run / "result.json").unlink()
    with pytest.raises(RunError, match="resume"):
        zarts.load_result(found)
    with pytest.raises(RunError, match="no such run folder"):
        zarts.load_result(tmp_path / "none")
    (trained.run / "config.yaml").write_text("compare: {}\n")
    with pytest.raises(RunError, match="not the folder of"):
        zarts.load_result(trained)


@pytest.mark.parametrize(
    ("source", "options", "parameters"),
    [  # published: 3.3 million (DARTS, table 1), 4.7 million (table 3); NAS-Bench-201's own count of this cell
        ("DARTS_V2", {}, 3_349_342),
        ("DARTS_V2", {"stem": "imagenet", "num_classes": 1000}, 4_718_752),
        ("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|", {}, None),
    ],
)
def test_networks_by_name_have_their_published_size(source, options, parameters):
    network = zarts.create_model(source, **options)
    counted = sum(parameter.numel() for parameter in network.parameters())
    expected = parameters or sum(
        p.numel() for p in zarts.networks.create_nasbench201(zarts.api.genotype_of(source)[0]).parameters()
    )
    assert counted == expected


def test_networks_of_every_source(results, tmp_path):
    small = {"channels": 2, "cells": 3}
    for name in zarts.list_genotypes():
        assert zarts.create_model(name, num_classes=7, **small).classifier.out_features == 7
    found, trained = results
    file = tmp_path / "genotype.json"
    file.write_text(found.genotype.to_json())
    sources = (found.genotype, found, found.run, str(found.run), trained, file)
    names = [[name for name, _ in zarts.create_model(one, **small).named_parameters()] for one in sources]
    assert all(one == names[0] for one in names)


def test_networks_that_cannot_be_made(results):
    with pytest.raises(RunError, match="DARTS_V2"):
        zarts.create_model("DARTS_V3")
    with pytest.raises(SettingsError, match="drop_path"):
        zarts.create_model("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", drop_path=0.1)
    with pytest.raises(SettingsError, match="operations"):
        zarts.create_model("DARTS_V2", operations="operations.py")
    with pytest.raises(RunError, match="not the folder of a retrain run"):
        zarts.load_model(results[0])


@pytest.mark.parametrize("kind", ["methods", "spaces", "presets", "genotypes"])
def test_names_are_a_list_that_prints_as_the_command_does(kind, command):
    names = getattr(zarts, f"list_{kind}")()
    assert isinstance(names, list)
    assert {"methods": "zarts-mgs", "spaces": "s2", "presets": "quick", "genotypes": "DARTS_V2"}[kind] in names
    code, out, _ = command("list", kind)
    assert (code, out) == (0, str(names))


def test_pictures_of_epochs_need_a_search(results, tmp_path):
    assert any(path.suffix == ".gif" or "strip" in path.name for path in results[0].draw(tmp_path, every=1))
    with pytest.raises(SettingsError, match="every"):
        zarts.draw("DARTS_V2", tmp_path, every=1)
    with pytest.raises(SettingsError, match="1 or more"):
        results[0].draw(tmp_path, every=0)
    with pytest.raises(RunError, match="search"):
        results[1].draw(tmp_path, every=1)
