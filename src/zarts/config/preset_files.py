"""Presets and configuration files, as layers of settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

from zarts.errors import SettingsError, did_you_mean
from zarts.readers import parse_yaml, read_yaml

__all__ = ["Layer", "config_layer", "is_transfer", "preset_layers", "preset_names", "preset_summary"]


@dataclass(frozen=True)
class Layer:
    """Some settings, and where they come from.

    Args:
        where: the origin for messages: `preset 'quick'`, `options`.
        values: the settings.
        kind: `options`: given one by one, so each must have an effect; `file` or `preset`: what has none is a note;
            `shared`: by the rows of a comparison, which leave out what has none; `method`: its defaults.
    """

    where: str
    values: Mapping[str, Any]
    kind: Literal["options", "file", "preset", "shared", "method"] = "options"


def preset_names() -> list[str]:
    """All presets that come with the package, those of sub-folders as `digits/gdas`."""
    return sorted(_files(resources.files("zarts.config") / "presets"))


def _files(folder: Traversable, before: str = "") -> Iterator[str]:
    for file in folder.iterdir():
        if file.is_dir():
            yield from _files(file, f"{before}{file.name}/")
        elif file.name.endswith(".yaml"):
            yield before + file.name.removesuffix(".yaml")


def _text(name: str) -> str:
    return (resources.files("zarts.config") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")


def preset_summary(name: str) -> str:
    """The first line of a preset's file: a comment that describes the preset."""
    return _text(name).splitlines()[0].lstrip("# ")


def preset_layers(name: str, command: str) -> list[Layer]:
    """The settings of preset `name` for `command` (`search` or `retrain`), above those of its `base` if it has one.

    Raises:
        SettingsError: there is no such preset, or neither it nor its bases have settings for the command.
    """
    parts = _with_bases(name)
    commands = dict.fromkeys(key for content in parts.values() for key in content)
    if command not in commands:
        raise SettingsError(
            f"preset {name!r} has no settings for `zarts {command}`: it is for `zarts {next(iter(commands))}`"
        )
    where = {part: f"preset {part!r}" for part in parts}
    return [Layer(where[part], _section(content, command, where[part]), "preset") for part, content in parts.items()]


def is_transfer(name: str) -> bool:
    """Whether a preset is for retraining alone and names images: it transfers a cell to those.

    Raises:
        SettingsError: there is no such preset.
    """
    parts = _with_bases(name).values()
    return all(set(part) == {"retrain"} for part in parts) and any("data" in part["retrain"] for part in parts)


def _with_bases(name: str) -> dict[str, dict[str, Any]]:
    """The contents of a preset's file and, before it, of its bases."""
    if name not in preset_names():
        raise SettingsError(did_you_mean("preset", name, preset_names(), "zarts list presets"))
    content = parse_yaml(_text(name), f"preset {name!r}")
    base = content.pop("base", None)
    return {**(_with_bases(base) if base else {}), name: content}


def config_layer(path: Path, command: str) -> Layer:
    """Settings of a YAML file: a mapping, or one with the sections `search`, `retrain` and `fit`.

    Raises:
        SettingsError: the file cannot be read or is not such a mapping.
    """
    return Layer(str(path), _section(read_yaml(path, SettingsError), command, str(path)), "file")


def _section(data: Any, command: str, where: str) -> Mapping[str, Any]:
    if isinstance(data, dict) and data and set(data) <= {"fit", "search", "retrain"}:
        data = data.get(command)
    if data is None:
        return {}
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise SettingsError(f"{where}: expected lines `setting: value`, got {type(data).__name__}")
    return data
