"""Files of every kind that zarts reads, as they should be: what the campaign of inputs damages."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

__all__ = ["CHAIN", "DARTS_STRING", "FILES", "NASBENCH_STRING", "small_files", "write_runs"]

EDGES = "[('sep_conv_3x3', 0), ('skip_connect', 1)" + ", ('max_pool_3x3', 0), ('dil_conv_3x3', 2)" * 3 + "]"
DARTS_STRING = f"Genotype(normal={EDGES}, normal_concat=range(2, 6), reduce={EDGES}, reduce_concat=range(2, 6))"
NASBENCH_STRING = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|skip_connect~2|"
CHAIN: dict[str, Any] = {
    "format": 1,
    "stem": {"width": 8, "stride": 1, "kernel": 3, "pool": False},
    "stages": [{"kind": "residual", "width": 8, "depth": 1}, {"kind": "inverted", "width": 12, "expansion": 3}],
    "head": None,
    "dropout": 0.1,
    "activation": "relu",
    "name": "mine",
}
SEARCH = {
    **{
        "method": "zarts-mgs",
        "data": "digits",
        "space": "s2",
        "subset": 64,
        "channels": 2,
        "cells": 3,
        "batch_size": 16,
        "epochs": 1,
    },
    **{"warmup_epochs": 0, "val_batches": 1, "inner_steps": 1, "samples": 2, "tau": "auto", "color_jitter": [0.4] * 4},
    **{"learning_rate": 0.025, "memory_limit": "2GB", "max_params": "1.5M", "seed": 3, "device": "cpu"},
}
RETRAIN = {"data": "digits", "subset": 64, "channels": 2, "cells": 3, "batch_size": 16, "epochs": 1, "seed": 3}
FIT = {"data": "digits", "time": "90s", "max_params": "100k", "max_latency": "2ms", "max_ram": "64KiB", "processes": 1}
SPACE = {
    "name": "mine",
    "nodes": 2,
    "keep": 2,
    "normal": ["skip_connect", "sep_conv_3x3"],
    "reduce": {"2<-0": ["max_pool_3x3", "skip_connect"], "others": ["skip_connect", "sep_conv_3x3"]},
}
ESTIMATE = {"value": 0.4, "low": 0.2, "high": 0.8}
DIAGNOSIS = {
    **{"command": "diagnose", "run": "run", "epoch": 7, "candidates": 16, "draws": 8},
    "sigmas": [
        {
            **{"sigma": 0.025, "inner_steps": 2, "move": ESTIMATE, "batches": ESTIMATE, "interaction": ESTIMATE},
            **{"snr": ESTIMATE, "correlation": ESTIMATE, "needed": {"samples": 40, "val_batches": 9}},
        }
    ],
    **{"condition_number": 123.4, "eigenvalue": None, "advice": ["raise val_batches"]},
}
LANDSCAPE = {
    **{"command": "landscape", "run": "run", "epoch": 7, "x": [-1.0, 0.0, 1.0], "y": [0.0, 0.5]},
    "surfaces": [
        {
            **{"name": "first order", "losses": [[3.0, 1.0, 2.0], [4.0, None, 9.0]], "sharpness": 0.25},
            "minimum": {"x": 0.0, "y": 0.0, "loss": 1.0},
        }
    ],
}
TABLE = {
    **{"command": "compare", "columns": ["digits_test_3"], "notes": ["a note"], "failed": [], "environment": {}},
    "rows": [
        {
            **{"name": "darts", "spreads": {"digits_test_3": {"mean": 90.0, "std": 0.5}}, "n": 1},
            "seeds": {"0": {"architecture": "A", "accuracies": {"digits_test_3": 90.0}, "history": [], "seconds": 4.0}},
        }
    ],
}
FIT_RESULT = {
    **{"command": "fit", "verdict": "The found network is better.", "details": ["One more line."], "delivered": 1},
    "candidates": [
        {
            **{"number": 1, "name": "resnet8", "origin": "hand-made", "image_size": 8, "parent": None, "change": ""},
            **{"parameters": 9000, "macs": 10**6, "chain": CHAIN, "costs": {"parameters": 9000, "file": 40000}},
            "scores": [{"length": "T", "seed": 0, "seconds": 44.1, "accuracy": 91.5, "step_seconds": 0.02}],
        }
    ],
    "finals": [{"candidate": 1, "seed": 0, "val_accuracy": 91.0, "test_accuracy": 90.0}],
    "difference": {"mean": 1.0, "low": -0.5, "high": 2.0, "seeds": 2, "images": 359},
    "lengths": [{"short": "T/9", "long": "T", "value": 0.8, "low": 0.6, "high": 0.9, "n": 9, "used": True}],
    "limits": [{"name": "max_params", "value": 9000, "limit": 100000, "share": 0.09, "text": "9k of 100k"}],
    **{"time": {"asked": 90, "taken": 80.0, "parts": {"search": 60.0}, "processes": 1}, "temperature": 1.2},
    **{"test_accuracy": 90.0, "data": {"name": "digits"}, "files": {"model.onnx": "a network"}, "repeat": "zarts fit"},
}
SCORE = {
    **{"candidate": 1, "length": "T", "seed": 0, "seconds": 44.1, "accuracy": 91.5, "value": 0.3, "step_seconds": 0.02},
    "schedule": {"warmup": 10, "steps": 100, "falls_at": 40, "corrections": {"20": 90}},
}
LATENCY = {
    **{"format": 1, "device": "board", "date": "2026-01-01", "threads": 1, "spread": 0.1, "measured": []},
    "kinds": {"conv": [0.1, 1e-9, 1e-9], "graph": [0.2, 0.0, 0.0], "linear": [0.1, 1e-9, 1e-9]},
}
SPLIT = {
    **{"source": "images", "classes": ["a", "b"], "train": ["a/0.png", "b/0.png"], "test": ["a/1.png", "b/1.png"]},
    **{"labels": {"train": [0, 1], "test": [0, 1]}, "train_images": 2, "left_out": ["x.png"]},
    "files": {"train": ["ab12 100 1700000000", "ab13 100 1700000000"], "test": ["ab14 9 1", "ab15 9 2"]},
}
PATH = {
    "path": {"precision": "32-true", "layout": "nchw", "kernels": "torch", "threads": 1},
    "measured": [{"precision": "32-true", "layout": "nchw", "kernels": "torch", "threads": 1, "seconds": 0.1}],
}
ROWS = f"0,{NASBENCH_STRING},90.5,80.25\n1,{NASBENCH_STRING.replace('none', 'nor_conv_1x1')},91.5,\n"


def _json(data: object) -> bytes:
    return json.dumps(data, indent=1).encode()


def _yaml(data: object) -> bytes:
    return yaml.safe_dump(data, sort_keys=False).encode()


def _idx(values: np.ndarray[Any, Any]) -> bytes:
    head = bytes((0, 0, 8, values.ndim)) + b"".join(struct.pack(">I", n) for n in values.shape)
    return head + values.astype(np.uint8).tobytes()


def _npz(**arrays: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _image(suffix: str, mode: str = "RGB") -> bytes:
    levels = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    image = Image.fromarray(levels).convert(mode)
    image.save(buffer, {"jpg": "JPEG", "tif": "TIFF", "ppm": "PPM"}.get(suffix, suffix.upper()))
    return buffer.getvalue()


def small_files() -> dict[str, bytes]:
    """Name to content of the small files; those of runs are in `write_runs`."""
    pixels = np.random.default_rng(1).integers(0, 256, (8, 8, 8), dtype=np.uint8)
    labels = np.arange(8, dtype=np.uint8) % 2
    images, others = (_idx(pixels), _idx(labels)), _idx(255 - pixels)
    return {
        "search.yaml": _yaml({"search": SEARCH, "retrain": RETRAIN}),
        "retrain.yaml": _yaml(RETRAIN),
        "fit.yaml": _yaml({"fit": FIT}),
        "space.yaml": _yaml(SPACE),
        "darts.txt": DARTS_STRING.encode(),
        "nasbench.txt": NASBENCH_STRING.encode(),
        "chain.json": _json(CHAIN),
        "list.csv": b"file,label,split\n" + b"".join(f"{i}.png,{'ab'[i % 2]},train\n".encode() for i in range(4)),
        "groups.csv": b"file,group\n0.png,x\n1.png,y\n2.png,x\n3.png,y\n",
        "table.csv": b"index,architecture,cifar10_valid_12,cifar10_test_200\n" + ROWS.encode(),
        "table.csv.gz": gzip.compress(b"index,architecture,cifar10_valid_12,cifar10_test_200\n" + ROWS.encode()),
        "train-images-idx3-ubyte": images[0],
        "train-labels-idx1-ubyte": images[1],
        "t10k-images-idx3-ubyte.gz": gzip.compress(others),
        "t10k-labels-idx1-ubyte.gz": gzip.compress(images[1]),
        "arrays.npz": _npz(x_train=pixels, y_train=labels, x_test=255 - pixels, y_test=labels),
        "batch.pickle": pickle.dumps({b"data": pixels.reshape(8, -1), b"labels": labels.tolist()}, protocol=2),
        "latency.json": _json(LATENCY),
        "split.json": _json(SPLIT),
        "path.json": _json(PATH),
        "diagnosis.json": _json(DIAGNOSIS),
        "landscape.json": _json(LANDSCAPE),
        "comparison.json": _json(TABLE),
        "fit.json": _json(FIT_RESULT),
        "plan.yaml": b"- "
        + json.dumps({"decided": {"time": {}, "to T/3": [1, 2], "final seconds": 9.5}}).encode()
        + b"\n- "
        + json.dumps({"score": SCORE}).encode()
        + b"\n",
        **{f"image.{suffix}": _image(suffix) for suffix in ("png", "jpg", "bmp", "tif", "webp", "ppm")},
        "grey.gif": _image("gif", "P"),
    }


FILES = tuple(small_files())


def write_runs(folder: Path) -> None:
    """A search, its retraining and its exported files: `search`, `retrain`, `onnx`, `torchscript`, `python`."""
    import zarts

    own = {
        key: SEARCH[key] for key in ("method", "data", "space", "subset", "channels", "cells", "batch_size", "epochs")
    }
    searched = zarts.search(out=folder / "search", quiet=True, devices=1, warmup_epochs=0, samples=2, **own)
    trained = searched.retrain(out=folder / "retrain", quiet=True, drop_path=0.0, auxiliary_weight=0.0, **RETRAIN)
    for form in ("onnx", "torchscript", "python"):
        zarts.export(trained, form, out=folder / form)
