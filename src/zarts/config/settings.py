"""The settings of a search: one name and one meaning on the command line, in YAML and in Python."""

from __future__ import annotations

from zarts.config.candidates import CandidateSettings
from zarts.config.common import CommonSettings
from zarts.config.cost import CostSettings
from zarts.config.data import SearchDataSettings
from zarts.config.gradient import AmendedSettings, ReinforceSettings, UnrolledSettings
from zarts.config.method import MethodSettings
from zarts.config.network import SearchWeightSettings, SupernetSettings
from zarts.config.relaxation import RelaxationSettings
from zarts.config.run import SearchRunSettings
from zarts.config.schedule import EarlyStoppingSettings, PhaseSettings, ScheduleSettings
from zarts.config.selection import SelectionSettings
from zarts.config.zero_order import GLDSettings, MGSSettings, RSSettings

__all__ = ["SearchSettings"]


class SearchSettings(
    SelectionSettings,
    EarlyStoppingSettings,
    RelaxationSettings,
    ReinforceSettings,
    UnrolledSettings,
    AmendedSettings,
    GLDSettings,
    RSSettings,
    MGSSettings,
    CandidateSettings,
    CostSettings,
    SearchRunSettings,
    SupernetSettings,
    SearchWeightSettings,
    SearchDataSettings,
    ScheduleSettings,
    PhaseSettings,
    MethodSettings,
    CommonSettings,
):
    """Settings of `zarts search`: those of its components, each in its own file of `zarts.config`.

    Letters are the paper's; a default that is not the paper's says why. Fields are listed from the last base to the
    first, on the help page too.
    """
