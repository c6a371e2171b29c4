"""Settings, checked: typed records and the layers that they are put together from."""

from __future__ import annotations

from zarts.config.axes import members, used
from zarts.config.common import CommonSettings, untied
from zarts.config.files import Layer, preset_layers, preset_names, preset_summary
from zarts.config.keywords import keywords
from zarts.config.layers import dump, resolve_search, retrain_settings, row_settings, search_settings
from zarts.config.refusals import takes_part
from zarts.config.retraining import RetrainSettings
from zarts.config.schedule import Stage, plan_stages
from zarts.config.settings import SearchSettings

__all__ = [
    "CommonSettings",
    "Layer",
    "RetrainSettings",
    "SearchSettings",
    "Stage",
    "dump",
    "keywords",
    "members",
    "plan_stages",
    "preset_layers",
    "preset_names",
    "preset_summary",
    "resolve_search",
    "retrain_settings",
    "row_settings",
    "search_settings",
    "takes_part",
    "untied",
    "used",
]
