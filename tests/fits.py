"""Results of fits that are made up, and the run folders that they lie in."""

import json
import random

import yaml

from reports import EVIL
from zarts.spaces import handmade

HANDMADE = ("resnet8", "resnet14", "vgg", "ds_cnn", "mobilenet_v2", "resnet20")


def made_up(count=30, lengths=("T/9", "T/3", "T"), by_hand=6, seed=0):
    """The result of a fit that tried `count` networks; on each length but the first, a third of those before."""
    rng = random.Random(seed)
    candidates = []
    for number in range(1, count + 1):
        own = number <= by_hand
        name = HANDMADE[(number - 1) % len(HANDMADE)]
        width, stride = round(rng.uniform(0.6, 1.4), 2), 1 + number % 2
        parameters = rng.randint(90_000, 99_900) if own or rng.random() < 0.6 else rng.randint(20_000, 95_000)
        macs = round(10 ** rng.uniform(6.0, 7.4))
        full = (f"{name} width {width}" + (", stem stride 2" if stride == 2 else "")) if own else f"found {number}"
        candidates.append({
            "number": number, "name": full, "origin": "hand-made" if own else rng.choice(["found"] * 3 + ["random"]),
            "image_size": rng.choice([28, 28, 20]), "parent": None if own else rng.randint(1, number - 1),
            "change": "" if own else rng.choice(["stage 2: 3 -> 2 layers", "stem stride 1 -> 2", "stage 3: conv -> "
                                                 "inverted bottleneck 3×3, expansion 3, squeeze-and-excitation"]),
            "parameters": parameters, "macs": macs, "chain": handmade(name, width, stride).to_dict(),
            "costs": {"parameters": parameters, "macs": macs, "latency_ms": None, "latency_error": None, "ram": None,
                      "flash": None, "file": 4 * parameters + 9000},
            "scores": [],
            "quality": rng.gauss(0, 0.9) + 0.35 * (macs > 3e6) + 3 * (number == 1),
        })  # fmt: skip
    still = list(candidates)
    for rank, length in enumerate(lengths):
        if rank:
            still = sorted(still, key=lambda one: -one["scores"][-1]["accuracy"])[: max(3, len(still) // 3)]
        if length == "T" and rank:
            still = [next((one for one in still if one["origin"] == "found"), still[0]), candidates[0]]
        base, noise = {"T/9": (87.9, 1.2), "T/3": (91.3, 0.4), "T": (92.8, 0.2)}[length]
        for one in still:
            if rank:
                one["costs"] |= {
                    "latency_ms": one["macs"] / 4e6 + 0.2,
                    "latency_error": 0.01,
                    "ram": 40_000 + one["macs"] / 99,
                }
            for run in range(1 + (length == "T/3" and one["number"] % 3 == 0)):
                one["scores"].append({
                    "length": length, "seed": run, "seconds": 44.1, "steps": 320, "falls_at": 96, "value": 9.9,
                    "accuracy": round(base + one["quality"] * 0.6 + rng.gauss(0, noise), 2),
                    "step_seconds": one["macs"] / 4e7 + 0.02,
                })  # fmt: skip
    candidates[count // 2]["scores"][0]["accuracy"] = 10.0 if count > 8 else 84.0
    if len(lengths) == 1:
        still = sorted(still, key=lambda one: -one["scores"][-1]["accuracy"])[:2]
    for one in candidates:
        del one["quality"]
    searched = any(one["origin"] == "found" for one in candidates)
    finals = [
        {"candidate": one["number"], "seed": 1000, "val_accuracy": 93.1 - place / 3, "test_accuracy": 93.0 - place / 4}
        for place, one in enumerate(still)
    ]
    return {
        "command": "fit",
        "verdict": "Take the network that was found: 93.00 % on 10,000 test images; no difference to the best made by "
        "hand, resnet8 (92.75 %), could be shown, and it is smaller.",
        "details": ["With one training each, this speaks of these two files, not of the designs.",
                    "A pretrained network was not compared: no weights are on this machine."],
        "better": None, "delivered": still[0]["number"],
        "data": {"name": "fashion-mnist", "classes": ["a", "b"], "train": 54_000, "val": 6000, "test": 10_000},
        "time": {"asked": 2400.0, "taken": 2310.0, "final": 412.0, "processes": 1,
                 "ended": "three rounds brought nothing",
                 "parts": {"hand-made": 430.0, "search": 350.0, "comparison": 686.0, "finals": 824.0, "files": 20.0}},
        "candidates": candidates,
        "finals": finals,
        "difference": {"mean": 0.25, "low": -0.11, "high": 0.62, "seeds": 1, "images": 10_000} if searched else None,
        "lengths": [
            {"short": "T/9", "long": "T/3", "value": 0.71, "low": 0.2, "high": 0.92, "n": 9,
             "text": "a third of them drawn from those that did not go on"},
            {"short": "T/27", "long": "T/9", "value": -0.1, "low": -0.4, "high": 0.35, "n": 12},
        ] if searched else [],
        "limits": [
            {"name": "max_file", "text": "file of 0.38 MB of at most 1 MB", "value": 380_000, "limit": 1_000_000,
             "share": 0.38},
            {"name": "max_params", "text": "99,123 parameters of at most 100,000", "value": 99_123, "limit": 100_000},
        ],
        "int8": {"accuracy": 92.91, "fp32": 93.0, "method": "minmax", "file": "model.int8.onnx"},
        "temperature": 1.3,
        "files": {"model.onnx": "the network, for onnxruntime", "model.int8.onnx": "the same with 8 bits",
                  "model.safetensors": "weights, for zarts", "model.py": "the network in plain torch",
                  "config.json": "names of the classes, sizes", "preprocess.py": "makes pixels as in training"},
        "repeat": "zarts fit fashion-mnist --time 40m --plan runs/fit/x/plan.yaml",
    }  # fmt: skip


def write_fit(folder, result=None):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({"fit": {"data": "fashion-mnist", "time": "40m", "note": EVIL}}))
    (folder / "env.json").write_text(json.dumps({"command": "zarts fit fashion-mnist --time 40m", "torch": "2.9.1"}))
    if result is not None:
        (folder / "result.json").write_text(json.dumps(result))
        (folder / "model.onnx").write_bytes(b"")
    return folder
