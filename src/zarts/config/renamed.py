"""Names of 0.1.0 and their present ones, for settings and for the contents of run folders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from zarts.errors import did_you_mean

__all__ = ["RENAMED", "renamed_event", "renamed_mapping", "renamed_settings", "unknown_setting"]

RENAMED = {
    "alpha_beta1": "arch_beta1",
    "alpha_beta2": "arch_beta2",
    "alpha_every": "arch_update_interval",
    "alpha_lr": "arch_learning_rate",
    "alpha_weight_decay": "arch_weight_decay",
    "amending": "amend_strength",
    "control": "ablation",
    "edges": "edge_normalization",
    "images": "image_cache",
    "select_judge": "select_metric",
    "stage_cells": "phase_cells",
    "stage_operations": "phase_operations",
    "stage_starts": "phase_starts",
    "stage_warmup": "phase_warmup",
    "stages": "phases",
    "table": "benchmark_table",
    "update": "arch_optimizer",
    "weights": "importance_weights",
}
"""Settings of 0.1.0 to their present names."""

_VALUES: dict[tuple[str, Any], Any] = {
    ("cost", "mult_adds"): "macs",
    ("edges", "normalized"): True,
    ("edges", "plain"): False,
    ("stages", "renew"): "restart",
}
_COUNTS = {"judged": "evaluated", "mult_adds": "macs"}
"""Keys in results, events and tables."""
_PHASE = {"stage": "phase", "stages": "phases"}


def unknown_setting(name: str, known: Iterable[str], command: str = "search") -> str:
    """The message for an unknown setting of a command: the present name of one of 0.1.0, or the nearest known one."""
    if name in RENAMED:
        return f"setting {name!r} of zarts 0.1.0 is called {RENAMED[name]!r} now"
    return did_you_mean("setting", name, known, f"zarts {command} --help-all")


def renamed_settings(section: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run folder under their present names."""
    return {RENAMED.get(key, key): _value(key, value) for key, value in section.items()}


def renamed_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """A logged event under the present names."""
    is_phase = event.get("event") == "stage"
    names = {**_COUNTS, **_PHASE} if is_phase else _COUNTS
    renamed = {names.get(key, key): value for key, value in event.items()}
    if is_phase:
        renamed["event"] = "phase"
    return renamed


def renamed_mapping(data: Mapping[str, Any]) -> dict[str, Any]:
    """The contents of a YAML or JSON file of a run, a result or sections of settings, under the present names."""
    renamed = {_COUNTS.get(key, key): value for key, value in data.items()}
    for section in ("search", "retrain"):
        if isinstance(renamed.get(section), dict):
            renamed[section] = renamed_settings(renamed[section])
    return renamed


def _value(key: str, value: Any) -> Any:
    return _VALUES.get((key, value), value) if isinstance(value, str) else value
