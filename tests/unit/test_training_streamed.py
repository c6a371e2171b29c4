"""Searches and retrainings on images that are streamed; direct search on a small folder like ImageNet's."""

import json
import time

import numpy as np
import pytest
import torch
from PIL import Image

import zarts
from small import TRAIN, often, outcome, small
from zarts import api
from zarts.config import retrain_settings, search_settings
from zarts.data import Batches, load_data
from zarts.data import config as request_module
from zarts.runs import Run
from zarts.spaces import published
from zarts.training import dry_run
from zarts.training.metrics import Meter, WaitNote
from zarts.training.setup import augmentation, load_images

pytestmark = pytest.mark.usefixtures("no_pictures", "unchecked")


def test_a_streamed_search_and_its_retraining_end_with_the_bits_of_those_in_memory(tmp_path, photos):
    settings = small("zarts-mgs", data=str(photos), subset=0.75, image_size=8, epochs=2, batch_size=7)
    train = {**TRAIN, "data": str(photos), "subset": None, "epochs": 1, "color_jitter": (0.2, 0.2, 0.2, 0.1)}
    found = {}
    for images in ("memory", "streamed"):
        search = zarts.search(out=tmp_path / images, image_cache=images, workers=2, **settings)
        trained = zarts.retrain(search, out=tmp_path / f"{images}-trained", image_cache=images, **train)
        found[images] = outcome(search.run), outcome(trained.run)
        assert json.loads((trained.run / "split.json").read_text())["images"] == images
        assert zarts.evaluate(trained.run) == trained.test_accuracy
    assert found["memory"] == found["streamed"]


def test_the_wait_for_batches_is_in_the_log_and_said_once_and_not_by_a_dry_run(tmp_path, monkeypatch):
    def slow(batches, index):
        time.sleep(0.05)
        return quick(batches, index)

    quick = Batches.__getitem__
    monkeypatch.setattr(Batches, "__getitem__", slow)
    monkeypatch.setattr("zarts.training.metrics._SECONDS", 0.0)
    heard, settings = [], {"data": "digits", "width": 0.25, "subset": 64, "batch_size": 16, "epochs": 2, "cutout": 0}
    found = zarts.retrain("resnet8", out=tmp_path / "run", quiet=True, callbacks=[heard.append], **settings)
    epochs = [event for event in found.history if event["event"] == "train_epoch"]
    assert all(4 * 0.05 / event["seconds"] <= event["data_wait"] < 1 for event in epochs)
    (text,) = [event["text"] for event in heard if event["event"] == "note" and "wait for images" in event["text"]]
    assert text.startswith(f"{epochs[0]['data_wait']:.0%} of the steps' time")
    heard.clear()
    api.dry_run_retrain("resnet8", retrain_settings(settings, handmade=True), heard.append)
    assert not [event for event in heard if "wait for images" in event.get("text", "")]


def test_a_wait_is_said_when_it_costs_a_twentieth_of_an_epoch_and_a_second():
    def metered(waited, seconds=10.0):
        meter = Meter(torch.device("cpu"))
        meter.add(torch.zeros(()), torch.zeros((), dtype=torch.long), 1, seconds)
        meter.waited = waited
        meter.seconds += 90.0  # a test
        again = Meter(torch.device("cpu"))
        again.load_state_dict(meter.state_dict())
        assert again.data_wait == pytest.approx(waited / seconds)
        return again

    note = WaitNote()
    assert [note.text(metered(waited), prefetched=True) for waited in (0.45, 0.5)] == [None, None]
    assert "6% of the steps' time" in (text := note.text(metered(0.6), prefetched=True))
    assert "--workers" in text
    assert note.text(metered(5.0), prefetched=True) is None, "once a run"
    short, memory = WaitNote(), metered(0.6, 1.0)
    assert short.text(memory, prefetched=False) is None, "less than a second"
    assert "in memory" in short.text(memory, prefetched=False)
    assert Meter(torch.device("cpu")).data_wait == 0


def load(run, **settings):
    return load_images(search_settings(settings), run, torch.device("cpu"), lambda event: None)


def test_a_run_goes_on_as_it_began_whatever_memory_is_free_then(tmp_path, photos, monkeypatch):
    settings = {"data": str(photos), "image_size": 8}
    run = Run.create(tmp_path / "run", settings, "search")
    monkeypatch.setattr(request_module, "free_memory", lambda: 1000)
    assert load(run, **settings).kept == "streamed"
    monkeypatch.setattr(request_module, "free_memory", lambda: 10**9)
    assert load(run, **settings).kept == "streamed"
    assert load(Run.create(tmp_path / "other", settings, "search"), **settings).kept == "memory"
    (run.path / "env.json").unlink()  # a split that was handed down says nothing of this run
    assert load(run, **settings).kept == "memory"


def test_augmentation_of_the_settings(photos):
    data = load_data(photos, image_size=8)
    resized = augmentation(search_settings({"crop": "resized", "color_jitter": "0.4,0.4,0.4,0.2"}), data, 0)
    assert (resized.resized, resized.crop_padding, tuple(resized.jitter)) == (True, 0, (0.4, 0.4, 0.4, 0.2))
    padded = augmentation(search_settings({"crop_padding": 3}), data, 0)
    assert (padded.resized, padded.crop_padding, tuple(padded.jitter)) == (False, 3, ())


@pytest.fixture
def like_imagenet(tmp_path):
    random = np.random.default_rng(0)
    for part, count in (("train", 24), ("val", 2)):
        for name in ("n01", "n02"):
            (tmp_path / "imagenet" / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = random.integers(0, 256, (40, 50, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "imagenet" / part / name / f"{i}.JPEG")
    return tmp_path


@pytest.mark.parametrize("preset", often(["imagenet/zarts-mgs", "imagenet/merge-zarts"], "imagenet/merge-zarts"))
def test_direct_search_on_a_folder_like_imagenets(like_imagenet, monkeypatch, preset):
    monkeypatch.setattr(dry_run, "_SECONDS", 0.0)
    smaller = {"image_size": 32, "channels": 2, "cells": 3, "batch_size": 4, "inner_steps": 1, "samples": 2}
    streamed = {"data_dir": like_imagenet, "image_cache": "streamed", "kernels": "torch"}
    epochs = {"epochs": 21, "warmup_epochs": 20}
    cost = api.dry_run_search(search_settings({**smaller, **streamed, **epochs}, preset=preset))
    counts = {part.name: part.count for part in cost.parts}
    assert counts["weight step"] + counts["alpha update and weight step"] == 21 * 2  # a quarter of 48, halved, in fours
    assert counts["alpha update and weight step"] == 1


def test_the_transfer_recipe_on_a_folder_like_imagenets(like_imagenet, monkeypatch):
    monkeypatch.setattr(dry_run, "_SECONDS", 0.0)
    smaller = {"image_size": 32, "channels": 4, "cells": 3, "batch_size": 8, "epochs": 6, "auxiliary_weight": 0.0}
    settings = retrain_settings({**smaller, "data_dir": like_imagenet}, preset="imagenet/transfer")
    cost = api.dry_run_retrain(published("DARTS_V2"), settings)
    assert {part.name: part.count for part in cost.parts}["weight step"] == 36
