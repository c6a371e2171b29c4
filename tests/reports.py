"""Run folders and comparisons that reports are written of, and what is read out of a page."""

import base64
import gzip
import json
import re
from html.parser import HTMLParser

import yaml

EVIL = "<script>alert(1)</script>"
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Checker(HTMLParser):
    """Collects what a browser would see, and checks that every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in {"style", "script"}:
            self.words.append(data.strip())


def unpacked(text, name):
    """What a page has for its scripts."""
    packed = re.search(rf'<script type="text/plain" id="{name}">([A-Za-z0-9+/=]*)</script>', text)[1]
    return gzip.decompress(base64.b64decode(packed)).decode()


def data_of(text):
    return json.loads(unpacked(text, "data"))


SETTINGS = {"method": "zarts-mgs", "space": "darts", "note": EVIL, "N": 10}


def write_run(folder, result=None, events=(), genotype=None, history=(), command="search"):
    (folder / "genotypes").mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump({command: SETTINGS}))
    (folder / "env.json").write_text(json.dumps({"command": f"zarts search --name '{EVIL}'", "torch": "2.9.1"}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events) + '{"event": "cu')
    if result:
        (folder / "result.json").write_text(json.dumps(result))
    if genotype:
        (folder / "genotype.json").write_text(genotype.to_json())
    for epoch, kept in enumerate(history, start=1):
        (folder / "genotypes" / f"epoch_{epoch:03d}.json").write_text(kept.to_json())
    return folder


def search_events(epochs=3):
    return [
        event
        for epoch in range(1, epochs + 1)
        for event in (
            {"event": "weight_epoch", "epoch": epoch, "train_loss": 1.25 / epoch, "train_accuracy": 50.0 + epoch},
            {"event": "alpha_step", "epoch": epoch, "step": 1, "update": 1, "losses": [0.5 / epoch, 0.75],
             "esr": 0.62 + 0.01 * (epoch - (epochs + 1) / 2) / epochs},
            {"event": "genotype", "epoch": epoch, "parameterless": {"normal": 6, "reduce": 1 + epoch % 2}},
        )
    ]  # fmt: skip


def estimate(value):
    return {"value": value, "low": value / 2, "high": 2 * value}


DIAGNOSIS = {
    "command": "diagnose", "run": "run", "epoch": 7, "candidates": 16, "draws": 8,
    "sigmas": [{
        "sigma": 0.025, "inner_steps": 2, "move": estimate(0.1), "batches": estimate(0.6), "interaction": estimate(0.3),
        "snr": estimate(0.5), "correlation": estimate(0.25),
        "needed": {"samples": 40, "inner_steps": None, "val_batches": 9, "sigma": 0.2},
    }],
    "condition_number": 123.4, "eigenvalue": None, "advice": ["raise <val_batches>"],
}  # fmt: skip

X, Y = [-1.0, 0.0, 1.0], [0.0, 0.5]
LANDSCAPE = {
    "command": "landscape", "run": "elsewhere/run", "epoch": 7, "x": X, "y": Y,
    "surfaces": [
        {"name": "first order", "losses": [[3.0, 1.0, 2.0], [4.0, 2.0, 9.0]], "sharpness": 0.25,
         "minimum": {"x": 0.0, "y": 0.0, "loss": 1.0}},
        {"name": "M = 10 <b>", "losses": [[3.0, 0.5, 2.0], [4.0, None, 3.0]]},
    ],
}  # fmt: skip

COLUMN = "digits_test_3"


def search(run, accuracy, history):
    return {
        "architecture": f"Genotype {run}", "accuracies": {COLUMN: accuracy}, "history": history,
        "parameterless": 2, "seconds": 4.0, "run": run, "command": "zarts search",
    }  # fmt: skip


def row(name, mean, seeds=None, **more):
    return {"name": name, "spreads": {COLUMN: {"mean": mean, "std": 0.5}}, "n": None, **more, "seeds": seeds or {}}


def table():
    return {
        "columns": [COLUMN],
        "rows": [
            row("darts", 91.0, {str(k): search(f"darts/seed{k}", 90.5 + k, [1.0 + k, 5.0]) for k in (0, 1)}, n=2,
                seconds=4.0, p=0.03125),
            row(EVIL, 90.0, {"0": search("evil/seed0", 90.0, [2.0, 3.0])}, n=1, seconds=8000.0, p=None),
            row("random", 80.0, {"0": search("random/seed0", 80.0, [])}, n=1, settings={"method": "random"}),
        ],
        "failed": [{"row": "darts", "seed": 2, "error": f"zarts: loss is nan {EVIL}"}],
        "notes": ["Test accuracy in %", "1 of 5 searches failed and are not in the table.", "- darts, seed 2: nan"],
        "retraining": {"epochs": 3},
        "curves": [
            {"key": "history", "title": "Parameterless operations", "from_zero": False,
             "levels": {"more: a collapse": 4.0, "all operations": 8.0}},
            {"key": "esr", "title": "R_e", "from_zero": True},
        ],
        "environment": {"command": ["zarts", "compare"], "torch": "2.9.1"},
    }  # fmt: skip


def plan(*rows, trained=True):
    """The trials of a comparison that has not finished: of each row two seeds."""
    trials = [
        {"group": "", "row": row, "seed": seed, "run": f"{place}/seed{seed}", "handmade": place.startswith("handmade")}
        for place, row in rows
        for seed in (0, 1)
    ]
    return {"trained": trained, "trials": trials}
