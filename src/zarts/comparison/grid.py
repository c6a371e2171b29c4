"""Rows of a comparison: methods with their settings, repeated over a grid of settings; and the groups of rows."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from zarts.config import SearchSettings, row_settings, says_what_happens, takes_part, unknown_setting
from zarts.data import DATA_SETS
from zarts.errors import SettingsError
from zarts.methods import get_method
from zarts.readers import parse_yaml
from zarts.runtime.paths import path_of
from zarts.spaces import get_space, is_file

__all__ = ["Group", "Row", "key_values", "parse_row", "rows_of", "short", "slug"]

_ELSEWHERE = {"method": "--methods", "seed": "--seeds", "benchmark_table": "--benchmark-table"}
"""Settings that neither a row nor the grid may set, and the option that sets each."""

_LONGEST = 40
"""The most characters of a value in the name of a folder."""


class Group(NamedTuple):
    """One space and one data set; accuracies are only compared within a group.

    Args:
        space: name of the space.
        data: the data set; of a folder as much of its path as tells it from the data sets of the other groups.
        title: the one of the two that varies between groups, or both; empty if there is a single group.
    """

    space: str
    data: str
    title: str = ""


@dataclass(frozen=True)
class Row:
    """A method with settings, in one group.

    Args:
        name: its name in the table: `darts arch_learning_rate=0.01`.
        group: the group in which it is compared.
        settings: its resolved settings, without a seed.
        folder: the name of its folder, unique among all rows.
    """

    name: str
    group: Group
    settings: SearchSettings
    folder: str


@dataclass(frozen=True)
class _Point:
    """A row before the groups are known.

    Args:
        words: words of its name.
        keys: names of the settings from the grid.
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
    """`darts arch_learning_rate=0.01` as settings: a method and the row's own settings; values are YAML.

    Raises:
        SettingsError: there is no such method, a word has no equals sign, or a setting is not a row's.
    """
    method, *words = text.split() or [""]
    return {"method": get_method(method).name, **key_values(text, words)}


def key_values(text: str, words: Iterable[str]) -> dict[str, Any]:
    """The words `key=value` of the row `text` as settings.

    Raises:
        SettingsError: a word has no equals sign, or a setting is not a row's.
    """
    values: dict[str, Any] = {}
    for word in words:
        key, sign, value = word.partition("=")
        key = key.replace("-", "_")
        if not sign:
            raise SettingsError(f"row {text!r}: {word!r} is not key=value; commas separate rows")
        if key in _ELSEWHERE:
            raise SettingsError(f"row {text!r}: {key} is no setting of a row: use {_ELSEWHERE[key]}")
        values[key] = parse_yaml(value, f"row {text!r}: {word!r}", SettingsError)
    return values


def rows_of(
    methods: str | Sequence[str],
    shared: Mapping[str, Any],
    *,
    grid: Mapping[str, Sequence[Any]] = MappingProxyType({}),
    preset: str | None = None,
    config: Path | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> list[Row]:
    """The rows, method by method, each at every point of the grid.

    A setting of the grid does not multiply a row that does not use it or sets it itself.

    Args:
        methods: the rows, `darts,darts arch_learning_rate=0.01`, or a list of them.
        shared: settings of all rows; a row ignores a setting that it does not use.
        grid: settings and the values of each.
        preset: name of a preset.
        config: a YAML file with settings.
        note: called with one line about settings of the preset, the file and the grid that rows do not use, and
            about those that scale with others.

    Raises:
        SettingsError: invalid rows or settings.
    """
    texts = [" ".join(text.split()) for text in (methods.split(",") if isinstance(methods, str) else methods)]
    if len(set(texts)) < len(texts):
        raise SettingsError(f"methods = {', '.join(texts)}: a row appears twice")
    for key in ("method", "seed"):
        if key in shared:
            raise SettingsError(f"{key} is no setting of a comparison: use {_ELSEWHERE[key]}")
    _check_grid(grid, shared)
    notes: list[str] = []
    points = [
        point
        for text in texts
        for point in _points(text, shared, grid, preset=preset, config=config, note=notes.append)
    ]
    problems = [
        f"{key} is used by none of {', '.join(texts)}: leave it out"
        for key, value in shared.items()
        if not any(takes_part(key, point.settings) for point in points) and not says_what_happens(key, value)
    ]
    problems += [
        f"grid: {key} changes none of {', '.join(texts)}, which do not use it or set it themselves: leave it out"
        for key in grid
        if not any(key in point.keys for point in points)
    ]
    if problems:
        raise SettingsError("; ".join(problems))
    if notes:
        note("; ".join(dict.fromkeys(notes)))
    return _grouped(points)


def _check_grid(grid: Mapping[str, Sequence[Any]], shared: Mapping[str, Any]) -> None:
    for key, values in grid.items():
        if key in _ELSEWHERE:
            raise SettingsError(f"grid: {key} is no setting of a row: use {_ELSEWHERE[key]}")
        if key not in SearchSettings.model_fields:
            raise SettingsError(f"grid: {unknown_setting(key, SearchSettings.model_fields)}")
        if key in shared:
            raise SettingsError(f"grid: {key} is also an option, {key} = {shared[key]}: leave one of them out")
        texts = [_resolved(text) if key == "data" else text for text in map(_text, values)]
        if not texts or isinstance(values, str):
            raise SettingsError(f"grid: {key} = {values!r}; expected one or more values")
        if len(set(texts)) < len(texts):
            raise SettingsError(f"grid: {key} = {', '.join(map(_text, values))}: a value appears twice")


def _points(
    text: str,
    shared: Mapping[str, Any],
    grid: Mapping[str, Sequence[Any]],
    *,
    preset: str | None,
    config: Path | None,
    note: Callable[[str], None],
) -> Iterable[_Point]:
    """A row of `methods` at every point of the grid that differs for it."""
    own, points = parse_row(text), {}

    def of_row(line: str) -> None:
        note(f"row {text!r}: {line}")

    for values in product(*grid.values()):
        point = dict(zip(grid, values, strict=True))
        settings = row_settings(text, own, {**shared, **point}, preset=preset, config=config, note=of_row)
        idle = [key for key in point if key not in own and not takes_part(key, settings)]
        if idle:
            of_row(f"ignored: {', '.join(idle)} (grid)")
        point = {key: value for key, value in point.items() if key not in own and takes_part(key, settings)}
        words = (*text.split(), *(f"{key}={_text(value)}" for key, value in point.items()))
        folder = [slug(text), *(f"{key}={short(key, _text(value))}" for key, value in point.items())]
        points[words] = _Point(words, tuple(point), settings, ",".join(folder))
    return points.values()


def _grouped(points: Sequence[_Point]) -> list[Row]:
    """The rows with their groups; the names leave out what the title of the group says."""
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
            raise SettingsError(f"methods: row {name!r} appears twice{where}: leave one of them out")
        other = folders.setdefault(point.folder, point.name)
        if other != point.name:
            raise SettingsError(
                f"rows {other!r} and {point.name!r} would share the folder {point.folder}: spell a value differently"
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
    return data if data in DATA_SETS else str(path_of(data).resolve())


def _text(value: Any) -> str:
    """A value as the command line spells it."""
    return str(value).lower() if isinstance(value, bool) else str(value).replace(", ", ",")


def slug(name: str) -> str:
    """A name for a file: commas for spaces, and only characters that file systems accept."""
    return re.sub(r"[^\w.,=+-]", "_", name.replace(" ", ","))


def short(key: str, value: str) -> str:
    """A value in the name of a folder; a path or a long value is cut to its end and a hash of the whole."""
    whole = value
    if (key == "data" and value not in DATA_SETS) or (key == "space" and is_file(value)):
        whole = str(path_of(value).resolve())
    elif slug(value) == value and len(value) <= _LONGEST:
        return value
    mark = hashlib.sha256(os.fsencode(whole)).hexdigest()[:6]
    return f"{slug(Path(whole).name)[-_LONGEST:]}~{mark}"
