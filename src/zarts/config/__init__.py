"""Settings, checked: typed records and the layers that they are put together from."""

from __future__ import annotations

from zarts.config.layers import (
    Layer,
    dump,
    preset_layer,
    preset_names,
    preset_summary,
    resolve_search,
    retrain_settings,
    row_settings,
    search_settings,
    uses,
)
from zarts.config.settings import UNTIED, CommonSettings, RetrainSettings, SearchSettings

__all__ = [
    "UNTIED",
    "CommonSettings",
    "Layer",
    "RetrainSettings",
    "SearchSettings",
    "dump",
    "preset_layer",
    "preset_names",
    "preset_summary",
    "resolve_search",
    "retrain_settings",
    "row_settings",
    "search_settings",
    "uses",
]
