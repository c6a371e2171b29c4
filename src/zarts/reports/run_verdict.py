"""What a search or a training has come to: the headline of its page, the sentence below it, and what to do next."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from zarts.reports.collapse import COLLAPSE, Sign
from zarts.reports.error_section import Tested, read_tested
from zarts.reports.series import by_epoch
from zarts.reports.summary import Fact, RunFiles, duration, show
from zarts.runtime.io import read_mapping

__all__ = ["Next", "RunVerdict", "guesses", "limit_facts", "network_title", "unbroken", "verdict_of"]

_WORDS = {"max_params": ("parameters", "parameters"), "max_macs": ("MACs an image", "macs")}
"""Limits of a search: their names, and where the result has what the network needs."""

_TITLES = {"vgg": "VGG", "ds_cnn": "DS-CNN", "mobilenet_v2": "MobileNetV2"}


class Next(NamedTuple):
    """A thing to do, and its command."""

    words: str
    command: str


class RunVerdict(NamedTuple):
    """The top of a page."""

    headline: str
    sentences: list[str]
    warnings: list[Sign]
    then: list[Next]


def verdict_of(run: RunFiles, tested: Tested | None) -> RunVerdict:
    """The top of the page of a search or of a training.

    Args:
        run: its files.
        tested: the errors of its network, if it was tested.
    """
    if run.command == "search":
        return _search(run)
    if run.command == "retrain":
        return _training(run, tested)
    return RunVerdict(f"{run.command.capitalize()} of a derived network", [], [], [])


def _search(run: RunFiles) -> RunVerdict:
    if not run.result:
        return RunVerdict(f"Search not finished{_epochs(run, 'genotype')}", [], [], [])
    folder, method, truth = shlex.quote(str(run.folder)), _of(run, "method"), _truth(run)
    took = f" in {unbroken(duration(run.result['seconds']))}" if "seconds" in run.result else ""
    said, then = [], list[Next]()
    if truth is not None:
        headline = f"The cell that was found reaches {truth:.2f} % on CIFAR-10"
        said.append("Its accuracy is known from NAS-Bench-201; the search never saw it.")
        then.append(Next("Look it up in the table", f"zarts lookup {folder}"))
    else:
        headline = f"A network was found{took}"
        said.append(
            "How accurate it is, only its training tells; whether the search was worth it, only a comparison with "
            "networks drawn at random."
        )
        then.append(Next("Train the network", f"zarts retrain {folder}"))
    if method != "random" and method and (shared := _shared(run)):
        rows = shlex.quote(f"{method},random")
        then.append(Next("Compare with random cells", f"zarts compare --methods {rows} --seeds 5 {shared}"))
    counts = run.result.get("parameterless")
    count = counts.get("normal") if isinstance(counts, Mapping) else None
    if isinstance(count, int) and count > COLLAPSE:
        headline += ", but its cells look collapsed"
    return RunVerdict(headline, said, [], then)


def _training(run: RunFiles, tested: Tested | None) -> RunVerdict:
    accuracy = run.result.get("test_accuracy")
    if not run.result:
        tests = [event["test_accuracy"] for event in by_epoch(run.events, "train_epoch") if "test_accuracy" in event]
        so_far = [f"{tests[-1]:.2f} % of the test images are right so far."] if tests else []
        return RunVerdict(f"Training not finished{_epochs(run, 'train_epoch')}", so_far, [], [])
    name = "A network of cells" if run.chain is None else network_title(run.chain.name) or "A chain of layers"
    costs = [f"{show(run.result[key])} {word}" for word, key in _WORDS.values() if isinstance(run.result.get(key), int)]
    took = f"; trained for {duration(run.result['seconds'])}" if "seconds" in run.result else ""
    said = f"{name}{': ' if costs else ''}{', '.join(costs)}{took}."
    then = []
    if (run.folder / "model.safetensors").exists():
        folder = shlex.quote(str(run.folder))
        then = [
            Next("Try it on an image", f"zarts predict {folder} photo.jpg"),
            Next("Take it to other tools", f"zarts export {folder} --format onnx"),
        ]
    if not isinstance(accuracy, int | float):
        return RunVerdict("A network was trained", [said], [], then)
    images = f"{tested.images:,} ".replace(",", "\u202f") if tested is not None else "the "
    warnings = [] if tested is None else _guesses(accuracy, tested)
    return RunVerdict(f"{accuracy:.2f} % of {images}test images are right", [said], warnings, then)


def guesses(folder: Path) -> list[str]:
    """The same warning for the folder of a training, as a line; empty where it is shown to be better, or not tested."""
    tested, accuracy = read_tested(folder), read_mapping(folder / "result.json").get("test_accuracy")
    if tested is None or not isinstance(accuracy, int | float):
        return []
    return [f"{sign.name[0].lower()}{sign.name[1:]}: {sign.text}" for sign in _guesses(accuracy, tested)]


def _guesses(accuracy: float, tested: Tested) -> list[Sign]:
    """A warning, if the network is not surely better than the answer that is right most often, always given."""
    most = max((images for _, images, _ in tested.classes), default=0) / max(1, tested.images)
    reach = 1.96 * math.sqrt(most * (1 - most) / max(1, tested.images))
    if accuracy / 100 > most + reach:
        return []
    text = (
        f"always answering the most frequent class would be right for {100 * most:.1f} % of the test images. More "
        "epochs or another learning rate may help; if not, look whether images and classes belong together."
    )
    return [Sign("Not shown to be better than a guess", text, warning=True)]


def unbroken(text: str) -> str:
    """A short text for a headline, without places where a line may break."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def network_title(name: str) -> str:
    """A hand-made network as people write it: `resnet8` is ResNet-8; another name as it is."""
    depth = re.fullmatch(r"resnet(\d+)", name)
    return f"ResNet-{depth[1]}" if depth else _TITLES.get(name, name)


def limit_facts(run: RunFiles) -> list[Fact]:
    """How much of each limit of a search its network uses."""
    found = []
    for limit, (words, key) in _WORDS.items():
        most, value = run.settings.get(limit), run.result.get(key)
        if isinstance(most, int) and most > 0 and isinstance(value, int):
            over = value > most
            note = f"at most {show(most)}" + (": exceeded" if over else "")
            found.append(Fact(f"of the limit on {words}", f"{100 * value / most:.0f} %", note, over))
    return found


def _epochs(run: RunFiles, name: str) -> str:
    """`: 12 of 50 epochs are done`; empty without an event."""
    events, epochs = by_epoch(run.events, name), run.settings.get("epochs")
    if not events:
        return ""
    of = f" of {epochs}" if isinstance(epochs, int) and run.settings.get("time") is None else ""
    return f": {show(events[-1]['epoch'])}{of} epochs are done"


def _of(run: RunFiles, name: str) -> Any:
    return run.result.get(name, run.settings.get(name))


def _truth(run: RunFiles) -> float | None:
    truth = run.result.get("truth")
    entry = truth.get("cifar10_test_200") if isinstance(truth, Mapping) else None
    accuracy = entry.get("accuracy") if isinstance(entry, Mapping) else None
    return float(accuracy) if isinstance(accuracy, int | float) else None


def _shared(run: RunFiles) -> str:
    """Images and space as options; empty where no command can name them."""
    data, space = _of(run, "data"), _of(run, "space")
    if not isinstance(data, str) or data == "python" or not isinstance(space, str):
        return ""
    return f"--data {shlex.quote(data)} --space {shlex.quote(space)}"
