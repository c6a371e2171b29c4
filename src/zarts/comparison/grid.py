"""The rows of a comparison: methods with settings of their own, times a grid of any settings; and their groups."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import yaml

from zarts.config import SearchSettings, row_settings, takes_part, unknown_setting
from zarts.data import DATA_SETS
from zarts.errors import SettingsError
from zarts.methods import get_method
from zarts.spaces import get_space, is_file

__all__ = ["Group", "Row", "parse_row", "rows_of", "slug"]

_ELSEWHERE = {"method": "--methods", "seed": "--seeds", "benchmark_table": "--table"}
"""What is not a setting of a row or of all rows, and what says it."""

_LONGEST = 40
"""Letters of a value in the name of a folder."""


class Group(NamedTuple):
    """What accuracies can be compared within: one space, and one data set.

    Args:
        space: its name.
        data: the data set; of a folder as much of its path as tells it from those of the other groups.
        title: what of the two varies between the groups; empty where there is a single one.
    """

    space: str
    data: str
    title: str = ""


@dataclass(frozen=True)
class Row:
    """A method with settings, in one group.

    Args:
        name: what it is called there: `darts arch_learning_rate=0.01`.
        group: where it is compared.
        settings: its settings, resolved, without a seed.
        folder: the name of its folder, which no other row has.
    """

    name: str
    group: Group
    settings: SearchSettings
    folder: str


@dataclass(frozen=True)
class _Point:
    """A row before it is known what makes groups.

    Args:
        words: of its name.
        keys: the settings that it has from the grid.
        settings: all its settings.
        folder: see `Row`.
    """

    words: tuple[str, ...]
    keys: tuple[str, ...]
    settings: SearchSettings
    folder: str

    @property
    def name(self) -> str:
        return " ".join(self.words)

    @property
    def space(self) -> str:
        return get_space(self.settings.space).name

    @property
    def data(self) -> str:
        return _resolved(self.settings.data)


def parse_row(text: str) -> dict[str, Any]:
    """`darts arch_learning_rate=0.01` as settings: a method, and what the row has of its own; values are read as YAML.

    Raises:
        SettingsError: there is no such method, a word has no equals sign, or a setting is not a row's.
    """
    method, *words = text.split() or [""]
    values: dict[str, Any] = {"method": get_method(method).name}
    for word in words:
        key, sign, value = word.partition("=")
        key = key.replace("-", "_")
        if not sign:
            raise SettingsError(f"row {text!r}: {word!r} has not the form key=value; rows are divided by commas")
        if key in _ELSEWHERE:
            raise SettingsError(f"row {text!r}: {key} is no setting of a row: it is said by {_ELSEWHERE[key]}")
        try:
            values[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise SettingsError(f"row {text!r}: {word!r} cannot be read as YAML ({error})") from error
    return values


def rows_of(
    methods: str | Sequence[str],
    shared: Mapping[str, Any],
    *,
    grid: Mapping[str, Sequence[Any]] = MappingProxyType({}),
    preset: str | None = None,
    config: Path | None = None,
) -> list[Row]:
    """The rows, method by method, each at every point of the grid.

    A row that does not use a setting of the grid, or has it of its own, is not multiplied by it.

    Args:
        methods: the rows, `darts,darts arch_learning_rate=0.01`, or a list of them.
        shared: settings of all rows; a row that does not use one goes without it.
        grid: for each of these settings the values that it has in turn.
        preset: name of a preset.
        config: a YAML file with settings.

    Raises:
        SettingsError: rows or settings that cannot be.
    """
    texts = [" ".join(text.split()) for text in (methods.split(",") if isinstance(methods, str) else methods)]
    if len(set(texts)) < len(texts):
        raise SettingsError(f"methods = {', '.join(texts)}: a row is there twice")
    for key in ("method", "seed"):
        if key in shared:
            raise SettingsError(f"{key} is no setting of a comparison: take {_ELSEWHERE[key]}")
    _check_grid(grid, shared)
    points = [
        point for text in texts for point in _points(text, shared, grid, preset=preset, config=config)
    ]  # fmt: skip
    for key in shared:
        if not any(takes_part(key, point.settings) for point in points):
            raise SettingsError(f"{key} is used by none of {', '.join(texts)}: leave it out")
    for key in grid:
        if not any(key in point.keys for point in points):
            raise SettingsError(
                f"grid: {key} changes none of {', '.join(texts)}, which do not use it or have it of their own: "
                "leave it out"
            )
    return _grouped(points)


def _check_grid(grid: Mapping[str, Sequence[Any]], shared: Mapping[str, Any]) -> None:
    for key, values in grid.items():
        if key in _ELSEWHERE:
            raise SettingsError(f"grid: {key} is no setting of a row: it is said by {_ELSEWHERE[key]}")
        if key not in SearchSettings.model_fields:
            raise SettingsError(f"grid: {unknown_setting(key, SearchSettings.model_fields)}")
        if key in shared:
            raise SettingsError(f"grid: {key} is also an option, {key} = {shared[key]}: leave one of them out")
        texts = [_resolved(text) if key == "data" else text for text in map(_text, values)]
        if not texts or isinstance(values, str):
            raise SettingsError(f"grid: {key} = {values!r}; expected one or more values")
        if len(set(texts)) < len(texts):
            raise SettingsError(f"grid: {key} = {', '.join(map(_text, values))}: a value is there twice")


def _points(
    text: str,
    shared: Mapping[str, Any],
    grid: Mapping[str, Sequence[Any]],
    *,
    preset: str | None,
    config: Path | None,
) -> Iterable[_Point]:
    """A row of `methods` at every point of the grid that differs for it."""
    own, points = parse_row(text), {}
    for values in product(*grid.values()):
        point = dict(zip(grid, values, strict=True))
        settings = row_settings(text, own, {**shared, **point}, preset=preset, config=config)
        point = {key: value for key, value in point.items() if key not in own and takes_part(key, settings)}
        words = (*text.split(), *(f"{key}={_text(value)}" for key, value in point.items()))
        folder = [slug(text), *(f"{key}={_short(key, _text(value))}" for key, value in point.items())]
        points[words] = _Point(words, tuple(point), settings, ",".join(folder))
    return points.values()


def _grouped(points: Sequence[_Point]) -> list[Row]:
    """The rows with their groups; what makes the groups is not in the names."""
    groups = {(point.space, point.data): Group("", "") for point in points}
    varies = {"space": len({space for space, _ in groups}) > 1, "data": len({data for _, data in groups}) > 1}
    shown = _told_apart({data for _, data in groups})
    for space, data in groups:
        title = [space] * varies["space"] + [shown[data]] * varies["data"]
        groups[space, data] = Group(space, shown[data], ", ".join(title))
    rows: dict[tuple[Group, str], Row] = {}
    folders: dict[str, str] = {}
    for point in points:
        group = groups[point.space, point.data]
        name = " ".join(word for word in point.words if not varies.get(word.partition("=")[0], False))
        if (group, name) in rows:
            where = f" in {group.title}" if group.title else ""
            raise SettingsError(f"methods: a row is there twice{where}, {name!r}: leave one of them out")
        other = folders.setdefault(point.folder, point.name)
        if other != point.name:
            raise SettingsError(
                f"rows {other!r} and {point.name!r} would have one folder, {point.folder}: spell a value otherwise"
            )
        rows[group, name] = Row(name, group, point.settings, point.folder)
    return list(rows.values())


def _told_apart(datas: Iterable[str]) -> dict[str, str]:
    """A name for each data set: of a folder the last part of its path, or as many as tell it from all others."""
    parts = {data: (data,) if data in DATA_SETS else Path(data).parts for data in datas}
    names = {}
    for data, path in parts.items():
        others = [other for name, other in parts.items() if name != data]
        long = (k for k in range(1, len(path)) if all(other[-k:] != path[-k:] for other in others))
        names[data] = str(Path(*path[-next(long, len(path)) :]))
    return names


def _resolved(data: str) -> str:
    return data if data in DATA_SETS else str(Path(data).expanduser().resolve())


def _text(value: Any) -> str:
    """A value as it is given on the command line."""
    return str(value).lower() if isinstance(value, bool) else str(value).replace(", ", ",")


def slug(name: str) -> str:
    """A name as one of a file: with commas for spaces, and nothing that a file system does not like."""
    return re.sub(r"[^\w.,=+-]", "_", name.replace(" ", ","))


def _short(key: str, value: str) -> str:
    """A value in the name of a folder: what is a path, or long, by its end and a mark of the whole."""
    whole = value
    if (key == "data" and value not in DATA_SETS) or (key == "space" and is_file(value)):
        whole = str(Path(value).expanduser().resolve())
    elif slug(value) == value and len(value) <= _LONGEST:
        return value
    mark = hashlib.sha256(whole.encode()).hexdigest()[:6]
    return f"{slug(Path(whole).name)[-_LONGEST:]}~{mark}"
