"""The contents of a run folder, and its key numbers in the words and units of the report."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from zarts.errors import RunError
from zarts.reports.collapse import COLLAPSE
from zarts.reports.series import alpha_steps, by_epoch
from zarts.runtime.io import epoch_files, read_events, read_mapping
from zarts.runtime.paths import existing
from zarts.spaces import Chain, Genotype

__all__ = [
    "Fact",
    "Kept",
    "RunFiles",
    "duration",
    "environment_texts",
    "facts",
    "kept",
    "last_change",
    "read_run",
    "show",
]


_FILES = ("config.yaml", "env.json", "metrics.jsonl", "result.json", "genotype.json", "chain.json")
_SHOWN_ELSEWHERE = {
    "command",
    "genotype",
    "chain",
    "parameterless",
    "test_accuracy",
    "best_epoch",
    "best_test_accuracy_selected_on_test",
}
_SHOWN_ELSEWHERE |= {"method", "space"}  # in the title
_WORDS = {"macs": "MACs", "seconds": "time of all steps"}


class Fact(NamedTuple):
    """A key number with its name, perhaps a note, and whether the note is a warning."""

    name: str
    value: str
    note: str = ""
    warning: bool = False


@dataclass(frozen=True)
class RunFiles:
    """The contents of a run folder; missing files give empty fields.

    `section` is the command in `config.yaml`; `history` has the genotype of each epoch.
    """

    folder: Path
    section: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    genotype: Genotype | None = None
    chain: Chain | None = None
    history: dict[int, Genotype] = field(default_factory=dict)

    @property
    def command(self) -> str:
        """`search`, `retrain`, …: from the result; for an unfinished run from its settings or events."""
        if "command" in self.result or self.section:
            return str(self.result.get("command", self.section))
        return "retrain" if by_epoch(self.events, "train_epoch") else "search"


def read_run(folder: Path) -> RunFiles:
    """Read the files of a run folder.

    Raises:
        RunError: the folder has none of the files of a run, or one is damaged.
    """
    existing(folder, "folder")
    if not any((folder / name).exists() for name in _FILES):
        raise RunError(f"{folder}: not a run folder; expected at least one of {', '.join(_FILES)}")
    result = read_mapping(folder / "result.json")
    metrics = folder / "metrics.jsonl"
    genotype, chain = None, None
    if (folder / "chain.json").exists():
        chain = Chain.load(folder / "chain.json")
    elif (folder / "genotype.json").exists():
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
        chain=chain,
        genotype=genotype or (history[max(history)] if history else None),
        history=history,
    )


def _history(folder: Path) -> dict[int, Genotype]:
    """The genotypes of the epochs, in ascending order."""
    return {epoch: Genotype.load(file) for epoch, file in epoch_files(folder).items()}


def _settings(path: Path) -> tuple[str, dict[str, Any]]:
    """The command of the settings, and the settings; the command is empty for a file without sections."""
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
    accuracies = []
    if "test_accuracy" in run.result:
        note = "after the last epoch: the result" if run.command == "retrain" else ""
        accuracies.append(Fact("test accuracy", _percent(run.result["test_accuracy"]), note))
    else:
        epochs = [event for event in by_epoch(run.events, "train_epoch") if "test_accuracy" in event]
        if epochs:
            note = f"after epoch {epochs[-1]['epoch']} of a run that has not finished"
            accuracies.append(Fact("test accuracy", _percent(epochs[-1]["test_accuracy"]), note))
    if "best_test_accuracy_selected_on_test" in run.result:
        epoch = f"epoch {show(run.result['best_epoch'])}; " if "best_epoch" in run.result else ""
        best = _percent(run.result["best_test_accuracy_selected_on_test"])
        accuracies.append(
            Fact("best epoch, chosen on the test images: not a result", best, f"{epoch}for comparison only")
        )
    return accuracies


def _ended(run: RunFiles) -> list[Fact]:
    """The epoch of early stopping, if the search has ended so."""
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
    """The true accuracy from the benchmark table, in NAS-Bench-201; the search has not seen it."""
    truth = run.result.get("truth")
    entry = truth.get("cifar10_test_200") if isinstance(truth, Mapping) else None
    if not isinstance(entry, Mapping):
        return []
    note = f"rank {show(entry.get('rank'))}, {_percent(entry.get('regret'))} below the best; the search never saw it"
    return [Fact("true accuracy, CIFAR-10", _percent(entry.get("accuracy")), note)]


def _parameterless(run: RunFiles) -> list[Fact]:
    """The counts of the result; for an unfinished search those of its last epoch."""
    if run.command != "search":
        return []
    epochs = by_epoch(run.events, "genotype")
    counts = run.result.get("parameterless") or (epochs[-1].get("parameterless") if epochs else None)
    if not isinstance(counts, Mapping):
        return []
    facts_of_cells = []
    for kind, count in counts.items():
        collapsed = kind == "normal" and isinstance(count, int) and count > COLLAPSE
        note = f"more than {COLLAPSE}: a sign of collapse" if collapsed else "pools and skips"
        facts_of_cells.append(Fact(f"parameterless operations, {kind} cell", show(count), note, collapsed))
    return facts_of_cells


def _settled(run: RunFiles) -> list[Fact]:
    """The number of last epochs whose derived cells are all the same."""
    if len(run.history) < 2:
        return []
    cells = list(run.history.values())
    changes = sum(a != b for a, b in pairwise(cells))
    same = next((i for i, genotype in enumerate(reversed(cells)) if genotype != cells[-1]), len(cells))
    return [Fact("architecture unchanged for", f"{same} of {len(cells)} epochs", f"{changes} changes before")]


def _share(run: RunFiles) -> list[Fact]:
    values = [e["esr"] for e in alpha_steps(run.events) if isinstance(e.get("esr"), int | float)]
    values = [value for value in values if math.isfinite(value)]
    return (
        [Fact("Nₑ/N, mean over all updates", f"{fmean(values):.2f}", "effective share of candidates")] if values else []
    )


def environment_texts(environment: Mapping[str, Any]) -> dict[str, Any]:
    """An environment as texts: `reproduce`, the command, and `environment`, pairs of name and value of the rest."""
    command = environment.get("command")
    rest = [(key, show(value)) for key, value in environment.items() if key != "command"]
    return {
        "reproduce": " ".join(map(str, command)) if isinstance(command, list) else command,
        "environment": rest,
    }


def _plain(key: str, value: Any) -> bool:
    """Whether a value of the result is shown as it is: it is not shown elsewhere, and no list or mapping."""
    return key not in _SHOWN_ELSEWHERE and isinstance(value, str | int | float)


def _in_unit(key: str, value: Any) -> str:
    if key == "seconds" or key.endswith("_seconds"):
        return duration(value)
    return _percent(value) if key.endswith("accuracy") else show(value)


def _percent(value: Any) -> str:
    return f"{value:.2f} %" if isinstance(value, int | float) else show(value)


def duration(seconds: Any) -> str:
    """Seconds in suitable units: `1 h 12 min`."""
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
    """Any plain value as text: large integers with thin spaces, lists and mappings as JSON."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f") if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def last_change(files: Iterable[Path]) -> str:
    """When the newest of some files, as far as they exist, was written: `2026-11-29 22:31:05`, local time."""
    times = [file.stat().st_mtime for file in files if file.exists()]
    return datetime.fromtimestamp(max(times)).astimezone().strftime("%Y-%m-%d %H:%M:%S") if times else "never"


class Kept(NamedTuple):
    """The epoch whose cells a search has kept, and why; None where they are those of no epoch."""

    epoch: int | None
    why: str


def kept(run: RunFiles) -> Kept | None:
    """The kept cells of a search; None where it has no cells of epochs."""
    if not run.history:
        return None
    last = max(run.history)
    if not run.result:
        return Kept(last, f"of epoch {last}, the last one so far: the search has not finished")
    stops = [event for event in by_epoch(run.events, "eigenvalue") if event.get("stopped")]
    epoch = stops[-1].get("genotype_of_epoch") if stops else None
    if isinstance(epoch, int) and run.history.get(epoch) == run.genotype:
        after = show(stops[-1]["epoch"])
        why = f"of epoch {epoch}: the dominant eigenvalue had grown when the search ended after epoch {after}"
        return Kept(epoch, why)
    selections = [event for event in run.events if event.get("event") == "selection"]
    if selections:
        name = show(selections[-1].get("select"))
        why = f"selected after epoch {last} by {name}; the epochs show cells that were derived without this selection"
        return Kept(None, why)
    if run.history[last] == run.genotype:
        return Kept(last, f"of epoch {last}, the last one")
    return Kept(None, "those of the result; they differ from the last epoch, and the events do not say why")
