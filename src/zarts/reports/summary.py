"""What a run folder says, in the words and units of its report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from zarts.errors import RunError
from zarts.reports.collapse import COLLAPSE
from zarts.reports.series import alpha_steps, by_epoch
from zarts.runtime.io import epoch_files, read_events, read_mapping
from zarts.spaces import Genotype

__all__ = ["Fact", "Kept", "RunFiles", "duration", "facts", "kept", "read_run", "show", "told"]


_FILES = ("config.yaml", "env.json", "metrics.jsonl", "result.json", "genotype.json")
_TOLD = {"command", "genotype", "parameterless", "test_accuracy", "best_epoch", "best_test_accuracy_selected_on_test"}
_TOLD |= {"method", "space"}  # in the title
_WORDS = {"macs": "MACs", "seconds": "time"}


class Fact(NamedTuple):
    """A number with its name, a remark where it needs one, and whether that is a warning."""

    name: str
    value: str
    note: str = ""
    warning: bool = False


@dataclass(frozen=True)
class RunFiles:
    """The contents of a run folder; what is not there is empty.

    `section` names the command of `config.yaml`, `history` has the genotype of each epoch.
    """

    folder: Path
    section: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    genotype: Genotype | None = None
    history: dict[int, Genotype] = field(default_factory=dict)

    @property
    def command(self) -> str:
        """`search`, `retrain`, …: from the result, or of an unfinished run from its settings or its events."""
        if "command" in self.result or self.section:
            return str(self.result.get("command", self.section))
        return "retrain" if by_epoch(self.events, "train_epoch") else "search"


def read_run(folder: Path) -> RunFiles:
    """Read what there is of a run.

    Raises:
        RunError: none of the files of a run is there, or one is damaged.
    """
    if not any((folder / name).exists() for name in _FILES):
        raise RunError(f"{folder}: not a run folder; expected at least one of {', '.join(_FILES)}")
    result = read_mapping(folder / "result.json")
    metrics = folder / "metrics.jsonl"
    genotype = None
    if (folder / "genotype.json").exists():
        genotype = Genotype.load(folder / "genotype.json")
    elif "genotype" in result:
        genotype = Genotype.from_dict(result["genotype"], f"{folder / 'result.json'}: genotype")
    history = _history(folder / "genotypes")
    section, settings = _settings(folder / "config.yaml")
    return RunFiles(
        folder,
        section,
        settings=settings,
        environment=read_mapping(folder / "env.json"),
        result=result,
        events=read_events(metrics) if metrics.exists() else [],
        genotype=genotype or (history[max(history)] if history else None),
        history=history,
    )


def _history(folder: Path) -> dict[int, Genotype]:
    """The genotype of each epoch, in their order."""
    return {epoch: Genotype.load(file) for epoch, file in epoch_files(folder).items()}


def _settings(path: Path) -> tuple[str, dict[str, Any]]:
    """The command that the settings are of, and the settings; a file without sections has no command."""
    data = read_mapping(path)
    if len(data) == 1:
        ((section, inner),) = data.items()
        if isinstance(inner, dict):
            return section, inner
    return "", data


def facts(run: RunFiles) -> list[Fact]:
    """The key numbers, the most important one first."""
    rest = [Fact(_WORDS.get(k, k.replace("_", " ")), _in_unit(k, v)) for k, v in run.result.items() if _plain(k, v)]
    return [*_accuracy(run), *_truth(run), *_parameterless(run), *_ended(run), *_settled(run), *_share(run), *rest]


def _accuracy(run: RunFiles) -> list[Fact]:
    found = []
    if "test_accuracy" in run.result:
        note = "after the last epoch: the result" if run.command == "retrain" else ""
        found.append(Fact("test accuracy", _percent(run.result["test_accuracy"]), note))
    else:
        epochs = [event for event in by_epoch(run.events, "train_epoch") if "test_accuracy" in event]
        if epochs:
            note = f"after epoch {epochs[-1]['epoch']} of a run that has not finished"
            found.append(Fact("test accuracy", _percent(epochs[-1]["test_accuracy"]), note))
    if "best_test_accuracy_selected_on_test" in run.result:
        epoch = f"epoch {show(run.result['best_epoch'])}; " if "best_epoch" in run.result else ""
        best = _percent(run.result["best_test_accuracy_selected_on_test"])
        found.append(Fact("best epoch, chosen on the test images: not a result", best, f"{epoch}for comparison only"))
    return found


def _ended(run: RunFiles) -> list[Fact]:
    """Where a search has ended before its last epoch."""
    stops = [event for event in by_epoch(run.events, "eigenvalue") if event.get("stopped")]
    return [
        Fact(
            "ended early",
            f"after epoch {show(event['epoch'])}",
            f"with the cell of epoch {show(event['genotype_of_epoch'])}, before the dominant eigenvalue grew",
        )
        for event in stops[-1:]
        if "genotype_of_epoch" in event
    ]


def _truth(run: RunFiles) -> list[Fact]:
    """What the table of a search in NAS-Bench-201 says, which the search has not seen."""
    truth = run.result.get("truth")
    entry = truth.get("cifar10_test_200") if isinstance(truth, Mapping) else None
    if not isinstance(entry, Mapping):
        return []
    note = f"rank {show(entry.get('rank'))}, {_percent(entry.get('regret'))} below the best; the search never saw it"
    return [Fact("true accuracy, CIFAR-10", _percent(entry.get("accuracy")), note)]


def _parameterless(run: RunFiles) -> list[Fact]:
    """The counts of the result, or of an unfinished search those of its last epoch."""
    if run.command != "search":
        return []
    epochs = by_epoch(run.events, "genotype")
    counts = run.result.get("parameterless") or (epochs[-1].get("parameterless") if epochs else None)
    if not isinstance(counts, Mapping):
        return []
    found = []
    for kind, count in counts.items():
        collapsed = kind == "normal" and isinstance(count, int) and count > COLLAPSE
        note = f"more than {COLLAPSE}: the sign of a collapse" if collapsed else "pools and skips"
        found.append(Fact(f"without weights, {kind} cell", show(count), note, collapsed))
    return found


def _settled(run: RunFiles) -> list[Fact]:
    """Since when the architecture is the one that was found."""
    if len(run.history) < 2:
        return []
    cells = list(run.history.values())
    changes = sum(a != b for a, b in pairwise(cells))
    same = next((i for i, genotype in enumerate(reversed(cells)) if genotype != cells[-1]), len(cells))
    return [Fact("architecture unchanged for", f"{same} of {len(cells)} epochs", f"{changes} changes before")]


def _share(run: RunFiles) -> list[Fact]:
    values = [e["esr"] for e in alpha_steps(run.events) if isinstance(e.get("esr"), int | float)]
    values = [value for value in values if math.isfinite(value)]
    return [Fact("Nₑ/N, mean of all steps", f"{fmean(values):.2f}", "effective share of candidates")] if values else []


def told(environment: Mapping[str, Any]) -> dict[str, Any]:
    """An environment in words: `reproduce`, the command that was given, and `environment`, rows of the rest."""
    command = environment.get("command")
    rest = [(key, show(value)) for key, value in environment.items() if key != "command"]
    return {
        "reproduce": " ".join(map(str, command)) if isinstance(command, list) else command,
        "environment": rest,
    }


def _plain(key: str, value: Any) -> bool:
    """Whether a value of the result is shown as it is: told nowhere else, and no list or mapping."""
    return key not in _TOLD and isinstance(value, str | int | float)


def _in_unit(key: str, value: Any) -> str:
    if key == "seconds" or key.endswith("_seconds"):
        return duration(value)
    return _percent(value) if key.endswith("accuracy") else show(value)


def _percent(value: Any) -> str:
    return f"{value:.2f} %" if isinstance(value, int | float) else show(value)


def duration(seconds: Any) -> str:
    """Seconds as people say them: `1 h 12 min`."""
    if not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return show(seconds)
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def show(value: Any) -> str:
    """Any plain value as text: thousands apart, lists and mappings as JSON."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f") if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


class Kept(NamedTuple):
    """The epoch whose cells were kept, None where they are of no epoch, and why."""

    epoch: int | None
    why: str


def kept(run: RunFiles) -> Kept | None:
    """What the files of a search say of its cells; None where they have no epochs."""
    if not run.history:
        return None
    last = max(run.history)
    if not run.result:
        return Kept(last, f"of epoch {last}, the last one so far: the search has not finished")
    stops = [event for event in by_epoch(run.events, "eigenvalue") if event.get("stopped")]
    epoch = stops[-1].get("genotype_of_epoch") if stops else None
    if isinstance(epoch, int) and run.history.get(epoch) == run.genotype:
        after = show(stops[-1]["epoch"])
        why = f"of epoch {epoch}: the dominant eigenvalue had grown when the search was ended after epoch {after}"
        return Kept(epoch, why)
    chosen = [event for event in run.events if event.get("event") == "selection"]
    if chosen:
        name = show(chosen[-1].get("select"))
        why = f"chosen after epoch {last} by {name}, which judges; what epochs show is what was derived without it"
        return Kept(None, why)
    if run.history[last] == run.genotype:
        return Kept(last, f"of epoch {last}, the last one")
    return Kept(None, "those of the result; they are not the last epoch's, and the events do not say why")
