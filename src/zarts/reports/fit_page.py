"""The page of a fit: the verdict, all networks by accuracy and cost, how the time was used, and what one takes home."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple
from urllib.parse import quote

from markupsafe import Markup

from zarts.reports.error_section import read_tested
from zarts.reports.fit_figures import NARROW, WIDE, draw_networks, networks_figure
from zarts.reports.fit_picture import COSTS, ORIGINS, Picture, Size, amount, picture_of
from zarts.reports.fit_result import FINAL, Difference, FitResult, Network, Trust, length_words, read_fit
from zarts.reports.plotly_charts import Figure
from zarts.reports.render import Still, render
from zarts.reports.summary import Fact, duration, environment_texts, read_run, show
from zarts.reports.svg import inline

__all__ = ["fit_page"]

_TIMES = ("dil", "sep", "pool", "skip", "other")
_LIMITS = {
    "max_params": "parameters",
    "max_macs": "MACs an image",
    "max_latency": "latency",
    "max_ram": "RAM",
    "max_flash": "flash",
    "max_file": "file size",
}
_USES = {
    "model.safetensors": 'network, card = zarts.load_model("model.safetensors")',
    "model.py": "from model import load; logits = load()(images)",
}
_SNIPPET = """\
import json, onnxruntime, preprocess
config = json.load(open("config.json", encoding="utf-8"))
session = onnxruntime.InferenceSession("model.onnx")
(scores,) = session.run(None, {session.get_inputs()[0].name: preprocess.prepare(["photo.jpg"], config)})
print(config["classes"][scores[0].argmax()])"""
_BARE_SNIPPET = """\
import numpy, onnxruntime
session = onnxruntime.InferenceSession("model.onnx")
taken = session.get_inputs()[0]
images = numpy.zeros([1, *taken.shape[1:]], "uint8" if "uint8" in taken.type else "float32")  # yours go here
print(session.run(None, {taken.name: images})[0].argmax())"""


class Bar(NamedTuple):
    """An interval on a scale, in percent of its width: its left end, its width, its middle, and where 0 is."""

    left: float
    width: float
    middle: float
    zero: float


class Pane(NamedTuple):
    """The picture for one cost, for a wide page and for a phone."""

    words: str
    wide: Still
    narrow: Still


class Part(NamedTuple):
    """A part of the time: its share of the bar in percent and its colour."""

    name: str
    time: str
    share: float
    role: str


class Value(NamedTuple):
    """An entry of the table of networks, and the key by which it is sorted."""

    text: str
    key: str


def fit_page(folder: Path) -> str:
    """The page of a fit; one that has no result yet says so.

    Args:
        folder: the run folder of the fit.

    Raises:
        RunError: the folder has none of the files of a run, or a damaged one.
    """
    run, fit = read_run(folder), read_fit(folder)
    pictures = [] if fit is None else [picture for cost in COSTS if (picture := picture_of(fit, cost))]
    chain = None if fit is None or fit.delivered is None else fit.delivered.chain
    return render(
        "fit.html.j2",
        [],
        _figures(pictures),
        {},
        title="Fit" if fit is None else fit.verdict,
        name=folder.resolve().name,
        kind="fit",
        fit=fit,
        facts=[] if fit is None else _facts(fit),
        difference=None if fit is None or fit.difference is None else _difference(fit, fit.difference),
        panes=[] if fit is None else [_pane(fit, picture) for picture in pictures],
        origins=[] if fit is None else _origins(fit),
        head=[] if fit is None else _head(fit),
        rows=[] if fit is None else _rows(fit),
        trust=[] if fit is None else [(_trust_title(one), _trust_words(one), _bar(one, 1.0), one) for one in fit.trust],
        lengths=[] if fit is None else _lengths(fit),
        time=None if fit is None else _time(fit.time),
        limits=[] if fit is None else [(_LIMITS.get(one.name, one.name), one) for one in fit.limits],
        tested=read_tested(folder) if fit is not None else None,
        layers=[] if chain is None else [line.split(": ", 1) for line in chain.describe()],
        files=[] if fit is None else _files(folder, fit.files),
        snippet=_snippet(fit),
        repeat=fit.repeat if fit is not None else "",
        settings=[(key, show(value)) for key, value in run.settings.items()],
        **environment_texts(run.environment),
    )


def _facts(fit: FitResult) -> list[Fact]:
    facts, taken = [], fit.delivered
    if taken is not None and taken.test:
        facts.append(Fact("test accuracy of the network to take", _mean(taken.test), f"{taken.number} · {taken.name}"))
    for other in fit.finalists:
        if other is not taken and other.test:
            words = ORIGINS.get(other.origin, ("", other.origin))[1]
            facts.append(Fact(f"test accuracy of the best {words}", _mean(other.test), f"{other.number} · {other.name}"))
    if fit.int8.get("accuracy") is not None:
        whole = fit.int8.get("fp32")
        facts.append(
            Fact(
                "test accuracy with 8 bits",
                f"{fit.int8['accuracy']:.2f} %",
                f"{show(fit.int8.get('file', ''))}; {whole:.2f} % with 32 bits" if whole is not None else "",
            )
        )
    if taken is not None:
        costs = [cost for cost in ("parameters", "macs", "latency_ms") if cost in taken.costs]
        note = ", ".join(f"{amount(cost, taken.costs[cost])} {_small(cost)}" for cost in costs[1:])
        if costs:
            facts.append(Fact(_small(costs[0]), amount(costs[0], taken.costs[costs[0]]), note))
    if fit.time.get("taken") is not None:
        asked = fit.time.get("asked")
        facts.append(Fact("time taken", duration(fit.time["taken"]), "" if asked is None else f"of {duration(asked)}"))
    if fit.networks:
        facts.append(Fact("networks tried", str(sum(bool(one.longest) for one in fit.networks)), _images(fit.data)))
    return facts


def _small(cost: str) -> str:
    words = COSTS[cost].words
    return words if words.startswith("MACs") else words.lower()


def _images(data: Mapping[str, Any]) -> str:
    parts = [(data.get(key), words) for key, words in (("train", "train"), ("val", "validate"), ("test", "test"))]
    return "images: " + ", ".join(f"{show(n)} to {words}" for n, words in parts if n is not None) if any(
        n is not None for n, _ in parts
    ) else ""


def _mean(values: Any) -> str:
    return f"{fmean(values):.2f} %"


def _difference(fit: FitResult, difference: Difference) -> tuple[Bar, str, str, str]:
    """The bar around 0, what it is in words, and what its two sides are."""
    found = next((one for one in fit.finalists if one.origin in ("found", "random")), None)
    other = next((one for one in fit.finalists if one is not found), None)
    more = [
        f"{difference.seeds} training{'s' if difference.seeds > 1 else ''} of each" if difference.seeds else "",
        f"{show(difference.images)} test images" if difference.images else "",
    ]
    words = (
        f"{difference.mean:+.2f} points; 95 % interval {difference.low:+.2f} to {difference.high:+.2f}"
        f"{' (' + ', '.join(filter(None, more)) + ')' if any(more) else ''}"
    ).replace("-", "\N{MINUS SIGN}")
    names = ("best found by hand" if other is None else other.name, "found by the search" if found is None else found.name)
    names = ("the best made by hand" if other is None else other.name, names[1])
    bar = _bar(difference, 1.25 * max(abs(difference.low), abs(difference.high), abs(difference.mean), 0.1))
    return bar, words, names[0], names[1]


def _bar(interval: Difference | Trust, most: float) -> Bar:
    """An interval on a scale from `-most` to `most`."""
    middle = interval.mean if isinstance(interval, Difference) else interval.value
    low, high, at = (50 + 50 * max(-1.0, min(1.0, value / most)) for value in (interval.low, interval.high, middle))
    return Bar(low, high - low, at, 50.0)


def _figures(pictures: list[Picture]) -> dict[str, Figure]:
    return {
        _figure_name(picture, size): networks_figure(picture, size) for picture in pictures for size in (WIDE, NARROW)
    }


def _figure_name(picture: Picture, size: Size) -> str:
    return f"networks-{picture.cost.replace('_', '-')}{'' if size is WIDE else '-narrow'}"


def _pane(fit: FitResult, picture: Picture) -> Pane:
    cost = COSTS[picture.cost].words
    title = f"Validation accuracy, %, against {_small(picture.cost)}"
    missing = sum(bool(one.longest) for one in fit.networks) - len(fit.known(picture.cost))
    notes = [
        f"{missing} networks are not here: they have no such figure." if missing > 1 else "",
        "One network is not here: it has no such figure." if missing == 1 else "",
        f"▼ at the foot: {picture.below} below the picture." if picture.below else "",
    ]
    stills = []
    for size in (WIDE, NARROW):
        name = _figure_name(picture, size)
        svg = Markup(inline(draw_networks(picture, size), name, title))  # made by us
        stills.append(Still(name, title, " ".join(filter(None, notes)), svg))
    return Pane(cost, *stills)


def _origins(fit: FitResult) -> list[tuple[str, str]]:
    """Roles and words of the origins that there are."""
    used = {network.origin for network in fit.networks}
    return [colour for origin, colour in ORIGINS.items() if origin in used]


def _columns(fit: FitResult) -> list[str]:
    return [cost for cost in COSTS if any(cost in network.costs for network in fit.networks)]


def _head(fit: FitResult) -> list[str]:
    lengths = [f"after {length}, %" for length in reversed(fit.lengths)]
    return ["network", *lengths, *(COSTS[cost].words.lower() for cost in _columns(fit)), "image size", "from"]


def _rows(fit: FitResult) -> list[tuple[Network, bool, list[Value]]]:
    """The networks with their entries: those that trained longest first, then by accuracy; whether it is delivered."""
    order = {length: index for index, length in enumerate(fit.lengths)}

    def rank(network: Network) -> tuple[int, float]:
        return -order.get(network.longest, -1), -(network.accuracy(network.longest) or 0.0)

    return [(network, network is fit.delivered, _entries(fit, network)) for network in sorted(fit.networks, key=rank)]


def _entries(fit: FitResult, network: Network) -> list[Value]:
    entries = []
    for length in reversed(fit.lengths):
        mean = network.accuracy(length)
        of = f" ({len(network.validation[length])})" if mean is not None and len(network.validation[length]) > 1 else ""
        entries.append(Value("–", "") if mean is None else Value(f"{mean:.2f}{of}", repr(mean)))
    for cost in _columns(fit):
        value = network.costs.get(cost)
        entries.append(Value("–", "") if value is None else Value(amount(cost, value), repr(value)))
    size = network.image_size
    entries.append(Value("–", "") if size is None else Value(f"{size}×{size}", str(size)))
    origin = ORIGINS.get(network.origin, ("", network.origin))[1]
    return [*entries, Value(origin if network.parent is None else f"{origin}, from {network.parent}", origin)]


def _lengths(fit: FitResult) -> str:
    """What `T/3` means, in one sentence."""
    final = fit.time.get("final")
    long = f"{FINAL} is the length of the final training" + (f", {duration(final)} of computing" if final else "")
    short = [f"{length} is {length_words(length)}" for length in reversed(fit.lengths) if length != FINAL]
    return "; ".join([long, *short]) + "."


def _trust_title(trust: Trust) -> str:
    n = f", {trust.n} networks" if trust.n else ""
    return f"{trust.short} against {trust.long}: {trust.value:.2f} ({trust.low:.2f} to {trust.high:.2f}{n})".replace(
        "-", "\N{MINUS SIGN}"
    )


def _trust_words(trust: Trust) -> str:
    if trust.low > 0.5:
        words = f"the order after {length_words(trust.short)} was much like the order after {length_words(trust.long)}"
    elif trust.high < 0.5:
        words = f"the order after {length_words(trust.short)} says little of the order after {length_words(trust.long)}"
    elif trust.low > 0:
        words = f"the order after {length_words(trust.short)} says something, not all, of the order after {length_words(trust.long)}"
    else:
        words = f"too few networks to tell whether {length_words(trust.short)} says anything of {length_words(trust.long)}"
    used = "used" if trust.used else "not used"
    return f"{words[0].upper()}{words[1:]}. It was {used} to choose which networks train on."


def _time(time: Mapping[str, Any]) -> tuple[list[Part], str, str] | None:
    """The parts of the bar, how long it took, and why it ended early."""
    parts = {str(name): float(seconds) for name, seconds in (time.get("parts") or {}).items() if seconds}
    if not parts:
        return None
    taken, asked = time.get("taken") or sum(parts.values()), time.get("asked") or 0.0
    whole = max(taken, asked, sum(parts.values()))
    shown = [
        Part(name, duration(seconds), 100 * seconds / whole, _TIMES[index % len(_TIMES)])
        for index, (name, seconds) in enumerate(parts.items())
    ]
    rest = whole - sum(parts.values())
    if rest > 0.005 * whole:
        shown.append(Part("other work" if whole == taken else "not used", duration(rest), 100 * rest / whole, "rule"))
    words = f"{duration(taken)}" + (f" of the {duration(asked)} asked for" if asked else "")
    processes = time.get("processes") or 1
    words += f", with {processes} trainings side by side" if processes > 1 else ""
    return shown, words, str(time.get("ended") or "")


def _files(folder: Path, files: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    """Name, link (empty where the file is not there), what it is, and how it is used."""
    return [
        (name, quote(f"./{name}") if (folder / name).exists() else "", what, _USES.get(name, ""))
        for name, what in files.items()
    ]


def _snippet(fit: FitResult | None) -> str:
    if fit is None or "model.onnx" not in fit.files:
        return ""
    return _SNIPPET if {"preprocess.py", "config.json"} <= set(fit.files) else _BARE_SNIPPET
