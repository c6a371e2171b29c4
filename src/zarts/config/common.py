"""The settings that searching and retraining share, and which of any run's settings it may be resumed with."""

from __future__ import annotations

from typing import Any

from zarts.config.data import DataSettings
from zarts.config.network import NetworkSettings, WeightSettings
from zarts.config.run import RunSettings

__all__ = ["CommonSettings", "resumable", "resumable_values"]


class CommonSettings(RunSettings, NetworkSettings, WeightSettings, DataSettings):
    """Settings that searching and retraining share; `used_by` concerns searching only.

    Fields are listed from the last base to the first.
    """


def resumable(kind: type[CommonSettings]) -> list[str]:
    """Settings that no result depends on: a run may be resumed with other values of them."""
    extras = {key: field.json_schema_extra for key, field in kind.model_fields.items()}
    return [key for key, extra in extras.items() if isinstance(extra, dict) and extra["resumable"]]


def resumable_values(settings: CommonSettings) -> dict[str, Any]:
    """The settings that no result depends on, with their values."""
    return settings.model_dump(include=set(resumable(type(settings))))
