"""What reads each kind of file: name to the file as it should be, and a function that zarts reads it by."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.faults.seeds import DARTS_STRING, NASBENCH_STRING, small_files

__all__ = ["Target", "of_files", "of_runs", "of_texts"]

_SEARCH_FILES = ("config.yaml", "env.json", "result.json", "metrics.jsonl", "genotype.json", "split.json")
_RETRAIN_FILES = (*_SEARCH_FILES, "searched.yaml", "test.json", "model.safetensors")


class Target(NamedTuple):
    """A kind of input.

    Args:
        content: as it should be.
        use: reads it, given an empty folder and the content.
    """

    content: bytes
    use: Callable[[Path, bytes], object]


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def of_texts() -> dict[str, Target]:
    """Options and arguments."""
    from zarts.api._architecture import architecture_of
    from zarts.cli.options import parse_counts, parse_grid, parse_set
    from zarts.comparison.grid import parse_row
    from zarts.config import retrain_settings, search_settings
    from zarts.config.fit import fit_settings
    from zarts.runtime.paths import path_of

    def option(kind: Callable[[dict[str, Any]], object], key: str) -> Callable[[Path, bytes], object]:
        return lambda folder, content: kind({key: _text(content)})

    settings = {
        "channels": "16",
        "learning-rate": "0.025",
        "color-jitter": "0.4,0.4,0.4,0.2",
        "memory-limit": "8GB",
        "max-params": "1.5M",
        "skip-dropout": "0.1",
        "space": "darts",
        "method": "zarts-mgs",
        "device": "cpu",
        "objective": "loss",
        "subset": "0.25",
    }
    fits = {"time": "1h30m", "max-latency": "2ms", "max-ram": "64KiB", "processes": "auto"}
    targets = {
        **{
            f"--{key}": Target(value.encode(), option(search_settings, key.replace("-", "_")))
            for key, value in settings.items()
        },
        **{
            f"fit --{key}": Target(value.encode(), option(fit_settings, key.replace("-", "_")))
            for key, value in fits.items()
        },
        "retrain --time": Target(b"10m", option(retrain_settings, "time")),
        "--set": Target(b"channels=16", lambda folder, content: search_settings(parse_set([_text(content)]))),
        "--grid": Target(b"samples=2,4,[8]", lambda folder, content: parse_grid([_text(content)])),
        "--methods": Target(b"darts arch_learning_rate=0.01", lambda folder, content: parse_row(_text(content))),
        "--every": Target(b"0,1,10", lambda folder, content: parse_counts(_text(content), "--every")),
        "a path": Target(b"~/runs/q", lambda folder, content: path_of(_text(content))),
    }
    for name, text in (
        ("DARTS", DARTS_STRING),
        ("NAS-Bench-201", NASBENCH_STRING),
        ("chain", _text(small_files()["chain.json"])),
    ):
        targets[f"text of {name}"] = Target(text.encode(), lambda folder, content: architecture_of(_text(content)))
    return targets


def of_files() -> dict[str, Target]:
    """Files that users give."""
    from PIL import Image

    from zarts.api._architecture import architecture_of
    from zarts.bench import read_table
    from zarts.config import retrain_settings, search_settings
    from zarts.config.fit import fit_settings
    from zarts.data import load_data
    from zarts.data.groups import groups_of
    from zarts.data.image_io import FileSource, levels_of, prepared, read_image
    from zarts.data.known_split import KnownSplit, contents_of
    from zarts.data.safe_pickle import read_pickled
    from zarts.limits.latency_table import LatencyTable
    from zarts.planner.records import Plan
    from zarts.runs import Run
    from zarts.spaces.custom import read_space
    from zarts.training import path_choice

    files = small_files()
    card = {"mean": [0.5] * 3, "std": [0.2] * 3, "image_size": 8, "classes": ["a", "b"], "crop": "pad"}

    def pictures(folder: Path, content: bytes) -> object:
        for i in range(4):
            Image.new("RGB", (12, 12), (60 * i, 9, 9)).save(folder / f"{i}.png")
        return load_data(folder / "list.csv", image_size=8)

    def idx(folder: Path, content: bytes) -> object:
        for name in (
            "train-images-idx3-ubyte",
            "train-labels-idx1-ubyte",
            "t10k-images-idx3-ubyte.gz",
            "t10k-labels-idx1-ubyte.gz",
        ):
            if not (folder / name).exists():
                (folder / name).write_bytes(files[name])
        return load_data(folder)

    def split(folder: Path, content: bytes) -> object:
        manifest = Run(folder).split() or {}
        return KnownSplit.read(manifest, "images", strict=True).recognise(["a/0.png"], contents_of(manifest), "images")

    def image(folder: Path, content: bytes) -> object:
        (file,) = folder.iterdir()
        levels_of(FileSource(folder), [file.name])
        return read_image(file, 8), prepared(file, card)

    def plan(folder: Path, content: bytes) -> object:
        return Plan(folder / "again.yaml", folder / "plan.yaml"), Plan(folder / "plan.yaml")

    def at(use: Callable[[Path], object], name: str) -> Callable[[Path, bytes], object]:
        return lambda folder, content: use(folder / name)

    uses: dict[str, Callable[[Path, bytes], object]] = {
        "search.yaml": at(lambda path: search_settings({}, config=path), "search.yaml"),
        "retrain.yaml": at(lambda path: retrain_settings({}, config=path), "retrain.yaml"),
        "fit.yaml": at(lambda path: fit_settings({}, config=path), "fit.yaml"),
        "space.yaml": at(read_space, "space.yaml"),
        "darts.txt": at(architecture_of, "darts.txt"),
        "nasbench.txt": at(architecture_of, "nasbench.txt"),
        "chain.json": at(architecture_of, "chain.json"),
        "list.csv": pictures,
        "groups.csv": at(lambda path: groups_of(str(path), ["0.png", "1.png"], "images"), "groups.csv"),
        "table.csv": at(read_table, "table.csv"),
        "table.csv.gz": at(read_table, "table.csv.gz"),
        **{name: idx for name in files if "ubyte" in name},
        "arrays.npz": at(load_data, "arrays.npz"),
        "batch.pickle": at(read_pickled, "batch.pickle"),
        "latency.json": at(LatencyTable.read, "latency.json"),
        "split.json": split,
        "path.json": at(path_choice._read, "path.json"),
        "plan.yaml": plan,
        **{name: image for name in files if name.startswith(("image.", "grey."))},
    }
    return {name: Target(files[name], _written(name, use)) for name, use in uses.items()}


def _written(name: str, use: Callable[[Path, bytes], object]) -> Callable[[Path, bytes], object]:
    def run(folder: Path, content: bytes) -> object:
        (folder / name).write_bytes(content)
        return use(folder, content)

    return run


def of_runs(runs: Path) -> dict[str, Target]:
    """Files of run folders, models and exported files, of those that `write_runs` wrote."""
    import zarts
    from zarts.api._new_search import searched_settings
    from zarts.api._retrain import retrained_settings
    from zarts.exports.inference import open_model
    from zarts.limits.onnx_graph import read_graph
    from zarts.runs.checkpoint import load_checkpoint
    from zarts.training import load_model

    def search(folder: Path) -> object:
        _read_pages(folder)
        result = zarts.load_result(folder)
        return str(result), repr(result), searched_settings(folder)

    def retrain(folder: Path) -> object:
        _read_pages(folder)
        result = zarts.load_result(folder)
        return str(result), repr(result), retrained_settings(folder), load_model(folder / "model.safetensors")

    def model(folder: Path) -> object:
        (file,) = (file for file in folder.iterdir() if file.name.startswith("model."))
        if file.suffix == ".onnx":
            read_graph(file)
        return open_model(file, trust=True)

    def copied(source: str, name: str, use: Callable[[Path], object]) -> Target:
        def run(folder: Path, content: bytes) -> object:
            shutil.copytree(runs / source, folder / "run")
            (folder / "run" / name).write_bytes(content)
            return use(folder / "run")

        there = runs / source / name
        return Target(there.read_bytes() if there.exists() else small_files()[name], run)

    targets = {f"search/{name}": copied("search", name, search) for name in _SEARCH_FILES}
    targets |= {
        f"retrain/{name}": copied("retrain", name, retrain)
        for name in _RETRAIN_FILES
        if (runs / "retrain" / name).exists()
    }
    for page in ("diagnosis.json", "landscape.json"):
        targets[f"search/{page}"] = copied("search", page, _read_pages)
    files = small_files()
    targets["comparison/table.json"] = Target(files["comparison.json"], _page("table.json"))
    targets["fit/result.json"] = Target(files["fit.json"], _page("result.json"))
    targets["checkpoint.pt"] = Target(
        (runs / "search" / "checkpoint.pt").read_bytes(),
        lambda folder, content: load_checkpoint(_file(folder, content)),
    )
    targets |= {
        f"{kind}/{name}": Target(
            (runs / kind / name).read_bytes(), _written(name, lambda folder, content: model(folder))
        )
        for kind, name in (("onnx", "model.onnx"), ("torchscript", "model.pt"))
    }
    old = Path(__file__).parents[2] / "tests" / "runs_of_0_1_0" / "retrain" / "model.safetensors"
    if old.exists():  # without a checksum, so that damage reaches what is behind it
        name = "model.safetensors"
        read = _written(name, lambda folder, content: load_model(folder / name))
        targets["0.1.0/model.safetensors"] = Target(old.read_bytes(), read)
    return targets


def _read_pages(folder: Path) -> None:
    """Read what a report shows; the page itself, which takes seconds, for one in eight."""
    import zarts
    from zarts.reports.diagnosis import read_diagnosis
    from zarts.reports.error_section import read_tested
    from zarts.reports.landscape_data import read_landscape
    from zarts.reports.summary import facts, read_run

    facts(read_run(folder))
    read_tested(folder), read_diagnosis(folder), read_landscape(folder)
    if sum(map(len, map(Path.read_bytes, filter(Path.is_file, folder.iterdir())))) % 8 == 0:
        zarts.report(folder)


def _file(folder: Path, content: bytes) -> Path:
    (folder / "checkpoint.pt").write_bytes(content)
    return folder / "checkpoint.pt"


def _page(name: str) -> Callable[[Path, bytes], object]:
    def run(folder: Path, content: bytes) -> object:
        import zarts

        (folder / name).write_bytes(content)
        if name == "result.json":
            (folder / "config.yaml").write_text("fit: {data: digits}\n")
            str(zarts.load_result(folder))
        return zarts.report(folder)

    return run
