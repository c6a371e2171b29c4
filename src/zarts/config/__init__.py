"""Settings of searches and retrainings: defaults, presets, configuration files, options, and their validation.

Outside, use the names below. Nothing here imports torch.
"""

from __future__ import annotations

from zarts.config.base import CommonSettings, resumable
from zarts.config.components import members, used
from zarts.config.phases import Phase, plan_phases
from zarts.config.preset_files import Layer, preset_layers, preset_names, preset_summary
from zarts.config.renamed import renamed_event, renamed_mapping, renamed_settings, unknown_setting
from zarts.config.resolve import dump, keywords, resolve_search, retrain_settings, row_settings, search_settings
from zarts.config.retrain import RetrainSettings
from zarts.config.settings import SearchSettings
from zarts.config.validate import takes_part

__all__ = [
    "CommonSettings",
    "Layer",
    "Phase",
    "RetrainSettings",
    "SearchSettings",
    "dump",
    "keywords",
    "members",
    "plan_phases",
    "preset_layers",
    "preset_names",
    "preset_summary",
    "renamed_event",
    "renamed_mapping",
    "renamed_settings",
    "resolve_search",
    "resumable",
    "retrain_settings",
    "row_settings",
    "search_settings",
    "takes_part",
    "unknown_setting",
    "used",
]
