"""Sources of an architecture: a search, a genotype or chain, its file or text, or the name of a known one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zarts.errors import FileError, NotFoundError, RunError, SettingsError, did_you_mean, nearest
from zarts.runs import Run, is_fit, trained_in
from zarts.runs.user_files import use_space
from zarts.runtime.paths import PathLike, path_of
from zarts.searcher import SearchRecord
from zarts.spaces import (
    HANDMADE,
    SPACES,
    Architecture,
    Chain,
    Genotype,
    get_space,
    handmade,
    load_architecture,
    nasbench201,
    parse_architecture,
    published,
    published_sources,
)
from zarts.training import load_model

__all__ = [
    "HANDED_DOWN",
    "Source",
    "architecture_of",
    "folder_of",
    "genotype_of",
    "inherited",
    "model_file",
    "run_of",
    "settings_of",
    "string_of",
]

Source = SearchRecord | Genotype | Chain | PathLike
"""A search, retraining or fit (its result or its folder), a genotype or a chain, its file, a genotype's text in a
notation of `zarts.spaces.parse_genotype`, or the name of a hand-made network or of a published genotype."""

HANDED_DOWN = ("data", "data_dir", "image_size", "split_seed", "flip", "stem", "allow_left_out", "group_by")
"""Settings that a search, or a fit, hands down to the retraining of its network."""


def genotype_of(source: Source) -> tuple[Genotype, str]:
    """The genotype of a source, and a name for it.

    Raises:
        RunError, SettingsError: see `architecture_of`; or the source is a chain, which has no cells.
    """
    found, name = architecture_of(source)
    if isinstance(found, Chain):
        raise SettingsError(
            f"{name}: is a network without cells: name a search, or a genotype of `zarts list genotypes`"
        )
    return found, name


def architecture_of(source: Source) -> tuple[Architecture, str]:
    """The architecture of a source, and a name for it; a hand-made network as published.

    Raises:
        RunError: the source cannot be read, or nothing has that name.
        SettingsError: a string `|op~0|+...` that names no architecture.
    """
    if isinstance(source, SearchRecord):
        return source.genotype, source.run.name
    if isinstance(source, Genotype):
        return _checked(source, "genotype"), source.space
    if isinstance(source, Chain):
        return source, source.name or "chain"
    if _is_text(source):
        found = parse_architecture(str(source))
        return (
            (found, found.name or "chain") if isinstance(found, Chain) else (_checked(found, "genotype"), found.space)
        )
    path = path_of(source)
    if path.is_dir():
        return _of_folder(path), path.resolve().name
    if path.exists():
        found = load_architecture(path)
        return found if isinstance(found, Chain) else _checked(found, str(path)), path.stem
    name = os.fspath(source)
    if name in HANDMADE:
        return handmade(name), name
    if name in published_sources():
        return published(name), name.replace("/", "-")
    known = (*HANDMADE, *published_sources())
    is_path = len(path.parts) > 1 and not any(one.startswith(f"{path.parts[0]}/") for one in known)
    near = None if path.suffix or is_path else nearest(name, known)
    if near is None:
        raise NotFoundError(
            f"{name}: no such run folder or genotype file, and no name of `zarts list genotypes` or of `zarts list "
            "networks`"
        )
    lists = "networks" if near in HANDMADE else "genotypes"
    raise NotFoundError(did_you_mean("published genotype or hand-made network", name, known, f"zarts list {lists}"))


def _of_folder(path: Path) -> Architecture:
    path = trained_in(path)
    use_space(Run(path))
    if (path / "chain.json").exists():
        return Chain.load(path / "chain.json")
    if not (path / "genotype.json").exists():
        Run.open(path, "search")
        raise RunError(f"{path}: the search has not finished: go on with `zarts search --resume {path}`")
    return _checked(Genotype.load(path / "genotype.json"), str(path / "genotype.json"))


def string_of(source: Source) -> str:
    """The NAS-Bench-201 string of a source, in canonical order.

    Raises:
        RunError: see `genotype_of`.
        SettingsError: see `genotype_of`; or the architecture is of another space.
    """
    genotype, name = genotype_of(source)
    if genotype.space != nasbench201.NASBENCH201.name:
        raise SettingsError(
            f"{name} is of space {genotype.space!r}: only architectures of space 'nasbench201' can be looked up"
        )
    return nasbench201.to_string(genotype)


def run_of(source: Source) -> Run | None:
    """The run of the search or fit that the source is; None for another source.

    Raises:
        RunError: the source is a folder, but of neither.
    """
    folder = folder_of(source)
    return None if folder is None else Run.open(folder, "fit" if is_fit(folder) else "search")


def settings_of(run: Run) -> dict[str, Any]:
    """The settings of a search or a fit, see `run_of`."""
    return run.settings("fit" if is_fit(run.path) else "search")


def folder_of(source: Source) -> Path | None:
    """The run folder that the source is; None for another source."""
    if isinstance(source, SearchRecord):
        return source.run
    if isinstance(source, str | os.PathLike) and not _is_text(source) and path_of(source).is_dir():
        return path_of(source)
    return None


def inherited(source: Source) -> Mapping[str, Any]:
    """The settings that a search, or a fit, hands down to the retraining of its network; empty for another source.

    Raises:
        RunError: the source is a folder, but of neither.
    """
    run = run_of(source)
    if run is None:
        return {}
    handed = {key: value for key, value in settings_of(run).items() if key in HANDED_DOWN}
    return handed | ({"image_size": load_model(model_file(run.path))[1].image_size} if is_fit(run.path) else {})


def model_file(path: PathLike) -> Path:
    """The model file that `path` is, or that is in the run folder `path`.

    Raises:
        RunError: the folder is not that of a finished retraining or fit.
    """
    path = trained_in(path_of(path))
    if not path.is_dir():
        return path
    if not Run.open(path, "retrain").finished:
        raise RunError(f"{path}: the retraining has not finished: go on with `zarts retrain --resume {path}`")
    return path / "model.safetensors"


def _is_text(source: Source) -> bool:
    """Whether the source is the text of an architecture: it has a bracket or bar, and no file has that name."""
    if not isinstance(source, str) or os.path.lexists(source):
        return False
    return bool({"(", "|"} & set(source)) or source.lstrip().startswith("{")


def _checked(genotype: Genotype, where: str) -> Genotype:
    """The genotype, checked against the space that it names."""
    if genotype.space not in SPACES:
        raise FileError(f"{where}: {did_you_mean('space', str(genotype.space), SPACES)}")
    get_space(genotype.space).check(genotype, where)
    return genotype
