"""Settings of searches and retrainings: defaults, presets, configuration files, options, and their validation.

Outside, use the names below. Nothing here imports torch.
"""

from __future__ import annotations

from zarts.config.candidates import CandidateSettings
from zarts.config.common import CommonSettings, resumable, resumable_values
from zarts.config.components import members, used
from zarts.config.cost import CostSettings
from zarts.config.functions import FUNCTIONS, UserFunction
from zarts.config.gradient import AdamSettings
from zarts.config.limits import LimitSettings, conflicts_of_limits
from zarts.config.phases import Phase, plan_phases
from zarts.config.preset_files import Layer, preset_layers, preset_names, preset_summary
from zarts.config.relaxation import RelaxationSettings
from zarts.config.renamed import renamed_event, renamed_mapping, renamed_settings, unknown_setting
from zarts.config.resolve import dump, resolve_search, retrain_settings, row_settings, search_settings
from zarts.config.retrain import OF_CELLS, OF_CHAINS, RetrainSettings
from zarts.config.selection import ArgmaxSettings, DrawSettings, EvolutionSettings, PerturbationSettings
from zarts.config.settings import SearchSettings
from zarts.config.unused import says_what_happens
from zarts.config.validate import takes_part
from zarts.config.zero_order import GLDSettings, MGSSettings, RSSettings, ThirdPartySettings

__all__ = [
    "FUNCTIONS",
    "OF_CELLS",
    "OF_CHAINS",
    "AdamSettings",
    "ArgmaxSettings",
    "CandidateSettings",
    "CommonSettings",
    "CostSettings",
    "DrawSettings",
    "EvolutionSettings",
    "GLDSettings",
    "Layer",
    "LimitSettings",
    "MGSSettings",
    "PerturbationSettings",
    "Phase",
    "RSSettings",
    "RelaxationSettings",
    "RetrainSettings",
    "SearchSettings",
    "ThirdPartySettings",
    "UserFunction",
    "conflicts_of_limits",
    "dump",
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
    "resumable_values",
    "retrain_settings",
    "row_settings",
    "says_what_happens",
    "search_settings",
    "takes_part",
    "unknown_setting",
    "used",
]
