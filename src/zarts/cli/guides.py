"""What the short help page of each command shows: examples, and the options that people use.

An option that is not named here is on the page of `--help-all` alone; so is a new setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["GUIDES", "Guide"]


@dataclass(frozen=True)
class Guide:
    """The short help page of a command.

    Args:
        examples: commands as one types them.
        usual: options by their parameter's name, with a short text; empty: the option's own. Without any, the page
            shows all options.
    """

    examples: tuple[str, ...]
    usual: Mapping[str, str] = field(default_factory=dict)


_SEED = "all random draws depend on it"
_DRY = "measure a few steps, say how long it would take, and stop"
_DEVICE = "auto, cpu, cuda, cuda:1 or mps"
_MAX = "at most so many weights: 100k, 1.5M"

GUIDES: Mapping[str, Guide] = {
    "fit": Guide(
        (
            "zarts fit path/to/images",
            "zarts fit path/to/images --time 2h --max-params 100k",
            "zarts fit path/to/images --max-latency 2ms --max-ram 64KB --int8",
            "zarts fit path/to/images --baselines mine.onnx",
            "zarts fit --resume runs/fit/images-seed0",
            "zarts fit runs/fit/images-seed0 --pick 12",
        ),
        {
            "time": "all that it may take: 90s, 30m, 2h, 1d",
            "max_params": _MAX,
            "max_file": "size of model.onnx: 200KB",
            "max_latency": "time of one image on this machine: 2ms",
            "max_ram": "memory of activations: 64KB",
            "max_flash": "memory of weights: 200KB",
            "int8": "also write and test an 8-bit file",
            "tflite": "also write files for phones and microcontrollers",
            "baselines": "compare yours too: mine.onnx, mine.py:make, timm:resnet18",
            "processes": "networks trained at a time",
            "out": "",
            "resume": "go on with this interrupted fit",
        },
    ),
    "search": Guide(
        (
            "zarts search --preset quick",
            "zarts search --data path/to/images --max-params 3M",
            "zarts search --preset cifar10 --dry-run",
        ),
        {
            "data": "a folder of images with a sub-folder for each class, a .csv or .npz, or a data set's name",
            "preset": "a published setting: see `zarts list presets`",
            "method": "how to search: see `zarts list methods`",
            "space": "what to search: see `zarts list spaces`",
            "epochs": "passes over the images",
            "max_params": _MAX,
            "image_size": "pixels a side that images are resized to",
            "seed": _SEED,
            "out": "",
            "resume": "go on with this interrupted search",
            "dry_run": _DRY,
        },
    ),
    "retrain": Guide(
        (
            "zarts retrain runs/search/digits-darts-zarts-seed0",
            "zarts retrain resnet8 --data path/to/images --time 30m",
            "zarts retrain --from runs/retrain/RUN --data path/to/more",
        ),
        {
            "data": "other images than the search's",
            "time": "train as long as fits into it: 90s, 30m, 2h",
            "epochs": "passes over the images",
            "recipe": "paper, or fast: good after few epochs",
            "preset": "a published setting: see `zarts list presets`",
            "from_": "fine-tune this trained network",
            "device": _DEVICE,
            "seed": _SEED,
            "out": "",
            "resume": "go on with this interrupted training",
            "dry_run": _DRY,
        },
    ),
    "compare": Guide(
        (
            "zarts compare --preset quick --methods zarts,darts,random --seeds 3",
            "zarts compare --preset quick --methods zarts,random --seeds 2 --grid space=s1,s2",
        ),
        {
            "methods": "a row each, with settings of its own: 'zarts,darts epochs=9'",
            "seeds": "how many seeds a row, or which: 100-119",
            "baselines": "hand-made networks as further rows: resnet8,vgg",
            "grid": "multiply the rows by values of a setting",
            "data": "images, as for `zarts search`",
            "preset": "a published setting: see `zarts list presets`",
            "against": "test the other rows against this one",
            "no_retrain": "search only, which is faster; no accuracies",
            "jobs": "searches at a time",
            "out": "the folder; goes on with what is in it",
        },
    ),
    "evaluate": Guide(
        ("zarts evaluate runs/fit/images-seed0", "zarts evaluate model.onnx --data path/to/images --details")
    ),
    "export": Guide(("zarts export runs/fit/images-seed0 --format onnx",)),
    "predict": Guide(("zarts predict runs/fit/images-seed0 photo.jpg", "zarts predict model.onnx photos/ --top 3")),
    "draw": Guide(("zarts draw DARTS_V2 --out cells", "zarts draw runs/search/RUN --every 5")),
    "genotype": Guide(("zarts genotype DARTS_V2", "zarts genotype runs/search/RUN --json")),
    "lookup": Guide(("zarts lookup runs/search/RUN", "zarts lookup 6111 --data-set cifar10")),
    "diagnose": Guide(("zarts diagnose runs/search/RUN",)),
    "landscape": Guide(
        ("zarts landscape runs/search/RUN --grid 21",),
        {
            "inner_steps": "M of each surface: 0 first order, 1 second order",
            "grid": "points a side, an odd number",
            "radius": "how far the plane goes from alpha, each way",
            "scale": "what a radius of 1 is",
            "seed": "draws the two directions",
            "again": "replace an existing landscape",
            "devices": "processes that share the points",
        },
    ),
    "report": Guide(("zarts report runs/fit/images-seed0",)),
    "latency-table": Guide(
        ("zarts latency-table phone.json --latency-command ./time_on_phone.sh", "zarts latency-table this-machine.json")
    ),
    "list": Guide(("zarts list methods", "zarts list spaces -v", "zarts list presets --json")),
}
"""Each command with its guide."""
