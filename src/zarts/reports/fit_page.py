"""The page of a fit: the verdict, all networks by accuracy and cost, how the time was used, and what one takes home."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple
from urllib.parse import quote

from markupsafe import Markup

from zarts.reports.error_section import read_tested
from zarts.reports.fit_figures import NARROW, WIDE, networks_figure
from zarts.reports.fit_labels import Size
from zarts.reports.fit_picture import COSTS, ORIGINS, Picture, amount, picture_of
from zarts.reports.fit_result import FitResult, read_fit
from zarts.reports.fit_sections import (
    bar_of,
    cost_words,
    difference_of,
    lengths_note,
    table_head,
    table_rows,
    time_of,
    trust_title,
    trust_words,
)
from zarts.reports.fit_still import draw_networks
from zarts.reports.plotly_charts import Figure
from zarts.reports.render import Still, render
from zarts.reports.run_verdict import network_title, unbroken
from zarts.reports.settings_section import shown_settings
from zarts.reports.summary import Fact, RunFiles, duration, environment_texts, last_change, read_run, show
from zarts.runs import MODEL

__all__ = ["fit_page", "headline"]

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
images = preprocess.prepare(["photo.jpg"], config)
(scores,) = session.run(None, {session.get_inputs()[0].name: images})
print(config["classes"][scores[0].argmax()])"""
_LEVELS = ('["photo.jpg"], config)', '["photo.jpg"], config)\nimages = (255 * images).round().astype("uint8")')
"""What changes in it for a file that takes levels."""
_BARE_SNIPPET = """\
import numpy, onnxruntime
session = onnxruntime.InferenceSession("model.onnx")
taken = session.get_inputs()[0]
images = numpy.zeros([1, *taken.shape[1:]], "uint8" if "uint8" in taken.type else "float32")  # yours go here
print(session.run(None, {taken.name: images})[0].argmax())"""


class Pane(NamedTuple):
    """The picture for one cost, for a wide page and for a phone."""

    words: str
    wide: Still
    narrow: Still


def fit_page(folder: Path, renews: int | None = None) -> str:
    """The page of a fit; one that has no result yet says what it has done so far.

    Args:
        folder: the run folder of the fit.
        renews: seconds after which a browser loads the page again, if the fit has not finished; None: never.

    Raises:
        RunError: the folder has none of the files of a run, or a damaged one.
    """
    run, fit = read_run(folder), read_fit(folder)
    pictures = [] if fit is None else _pictures(fit)
    return render(
        "fit.html.j2",
        [],
        _figures(pictures),
        {},
        title=_so_far(run) if fit is None else headline(fit),
        renews=renews if fit is None else None,
        name=folder.resolve().name,
        folder=shlex.quote(str(folder)),
        kind="fit",
        data_name=show((run.settings if fit is None else fit.data).get("name" if fit else "data") or ""),
        fit=fit,
        done=[] if fit is not None else _done(run),
        changed=last_change(folder / name for name in ("metrics.jsonl", "plan.yaml", "config.yaml")),
        facts=[] if fit is None else _facts(fit),
        settings=shown_settings("fit", run.settings),
        **environment_texts(run.environment),
        **({} if fit is None else _sections(folder, fit, pictures)),
    )


def _pictures(fit: FitResult) -> list[Picture]:
    """Pictures of all costs; first, that of the device's cost which all networks have and which differs most."""
    found = [picture for cost in COSTS if (picture := picture_of(fit, cost))]
    tried = sum(bool(one.longest) for one in fit.networks)

    def spread(picture: Picture) -> float:
        costs = [one.costs[picture.cost] for one in fit.known(picture.cost)]
        is_told = len(costs) == tried and min(costs) > 0 and picture.cost != "step_seconds"
        return max(costs) / min(costs) if is_told else 0.0

    first = max(found, key=spread, default=None)
    return sorted(found, key=lambda picture: picture is not first)


def _so_far(run: RunFiles) -> str:
    asked, elapsed = run.settings.get("time"), [event["elapsed"] for event in run.events if "elapsed" in event]
    if not elapsed:
        return "Fit not finished"
    of = f" of {unbroken(duration(asked))}" if isinstance(asked, int | float) else ""
    return f"Fit not finished: {unbroken(duration(max(elapsed)))}{of} are over"


def _done(run: RunFiles) -> list[tuple[str, str]]:
    """When something was done, and what, the last first."""
    notes = [event for event in run.events if event.get("event") == "note"]
    return [(duration(event.get("elapsed")), show(event.get("text"))) for event in reversed(notes)]


def headline(fit: FitResult) -> str:
    """The verdict in a few words; the verdict itself where it names no network."""
    taken, difference = fit.delivered, fit.difference
    if taken is None:
        return fit.verdict
    found = taken.origin in ("found", "random")
    name = network_title(taken.chain.name) if taken.chain is not None and taken.chain.name else taken.name
    if difference is None:
        return f"Take {name}: {fmean(taken.test):.1f} % of the test images are right" if taken.test else f"Take {name}"
    if difference.low > 0 or difference.high < 0:
        better = "The network that was found is better" if found else f"{name}, made by hand, is better"
        return f"{better}, by {abs(difference.mean):.1f} points"
    return f"No difference could be shown: take {'the network that was found' if found else name}"


def _sections(folder: Path, fit: FitResult, pictures: list[Picture]) -> dict[str, Any]:
    """The variables of the template for a fit that has finished."""
    chain = fit.delivered.chain if fit.delivered is not None else None
    return {
        "images": _images(fit.data),
        "difference": difference_of(fit),
        "panes": [_pane(fit, picture) for picture in pictures],
        "origins": _origins(fit),
        "lengths": lengths_note(fit),
        "head": table_head(fit),
        "rows": table_rows(fit),
        "trust": [(trust_title(one), trust_words(one), bar_of(one.value, one, 1.0), one) for one in fit.trust],
        "time": time_of(fit.time),
        "limits": [(_LIMITS.get(one.name, one.name), one) for one in fit.limits],
        "tested": read_tested(folder),
        "layers": [] if chain is None else [line.split(": ", 1) for line in chain.describe()],
        "files": _files(folder, fit.files),
        "snippet": _snippet(fit, levels=read_run(folder).settings.get("input") == "uint8"),
    }


def _facts(fit: FitResult) -> list[Fact]:
    """The key numbers: accuracies on test images first."""
    taken, named, facts = fit.delivered, set[str](), list[Fact]()
    for one in [*([] if taken is None else [taken]), *(other for other in fit.finalists if other is not taken)]:
        words = (
            "another finalist" if one.origin in named else f"the best {ORIGINS.get(one.origin, ('', one.origin))[1]}"
        )
        mean = f"; mean of {len(one.test)} trainings" if len(one.test) > 1 else ""
        if one.test:
            name = f"test accuracy of {'the network to take' if one is taken else words}"
            facts.append(Fact(name, f"{fmean(one.test):.2f} %", f"{one.number} · {one.name}{mean}"))
            named.add("" if one is taken else one.origin)
    if fit.int8["accuracy"] is not None:
        whole = "" if fit.int8["fp32"] is None else f"{fit.int8['fp32']:.2f} % with 32 bits"
        note = "; ".join(filter(None, (fit.int8["file"], whole)))
        facts.append(Fact("test accuracy with 8 bits", f"{fit.int8['accuracy']:.2f} %", note))
    if taken is not None:
        first, *rest = [cost for cost in ("parameters", "macs", "latency_ms") if cost in taken.costs] or [""]
        note = ", ".join(f"{amount(cost, taken.costs[cost])} {cost_words(cost)}" for cost in rest)
        facts += [Fact(cost_words(first), amount(first, taken.costs[first]), note)] if first else []
    shares = [one.share for one in fit.limits if one.share is not None]
    if shares:
        over = sum(share > 1 for share in shares)
        kept = "kept" if not over else f"{over} of {len(fit.limits)} exceeded"
        nearest = max(fit.limits, key=lambda one: one.share or 0.0)
        note = f"{100 * (nearest.share or 0.0):.0f} % of {_LIMITS.get(nearest.name, nearest.name)}"
        facts.append(Fact("limits", kept, note if over else f"at most {note}", warning=over > 0))
    if fit.time["taken"] is not None:
        tried = sum(bool(one.longest) for one in fit.networks)
        asked = "" if fit.time["asked"] is None else f"of {duration(fit.time['asked'])}; "
        facts.append(
            Fact("time taken", duration(fit.time["taken"]), f"{asked}{tried} network{'' if tried == 1 else 's'} tried")
        )
    return facts


def _images(data: Mapping[str, Any]) -> str:
    """How many images there were for what."""
    parts = (("train", "to train"), ("val", "to choose by (validation)"), ("test", "to test"))
    known = [f"{show(data[key])} {words}" for key, words in parts if data.get(key) is not None]
    return ", ".join(known)


def _figures(pictures: list[Picture]) -> dict[str, Figure]:
    return {
        _figure_name(picture, size): networks_figure(picture, size) for picture in pictures for size in (WIDE, NARROW)
    }


def _figure_name(picture: Picture, size: Size) -> str:
    return f"networks-{picture.cost.replace('_', '-')}{'' if size is WIDE else '-narrow'}"


def _pane(fit: FitResult, picture: Picture) -> Pane:
    cost = COSTS[picture.cost].words
    title = f"Validation accuracy, %, against {cost_words(picture.cost)}"
    missing = sum(bool(one.longest) for one in fit.networks) - len(fit.known(picture.cost))
    notes = [
        f"{missing} networks are not here: they have no such figure." if missing > 1 else "",
        "One network is not here: it has no such figure." if missing == 1 else "",
        f"▼ at the foot: {picture.below} below the picture." if picture.below else "",
    ]
    stills = []
    for size in (WIDE, NARROW):
        name = _figure_name(picture, size)
        svg = Markup(draw_networks(picture, size))  # made by us
        stills.append(Still(name, title, " ".join(filter(None, notes)), svg))
    return Pane(cost, *stills)


def _origins(fit: FitResult) -> list[tuple[str, str]]:
    """Roles and words of the origins that there are."""
    used = {network.origin for network in fit.networks}
    return [colour for origin, colour in ORIGINS.items() if origin in used]


def _files(folder: Path, files: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    """Name, link (empty where the file is not there), what it is, and how it is used."""
    found = []
    for name, what in files.items():
        place = next((place for place in (f"{MODEL}/{name}", name) if (folder / place).exists()), None)
        link = "" if place is None else quote(f"./{place}", errors="surrogateescape")
        found.append((name, link, what, _USES.get(Path(name).name, "")))
    return found


def _snippet(fit: FitResult, *, levels: bool) -> str:
    if "model.onnx" not in fit.files:
        return ""
    if not {"preprocess.py", "config.json"} <= set(fit.files):
        return _BARE_SNIPPET
    return _SNIPPET.replace(*_LEVELS) if levels else _SNIPPET
