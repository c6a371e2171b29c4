"""The public function `search`: arguments become settings, and the search runs here or in processes of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from typing_extensions import Unpack

from zarts.api._arguments import check_resumed, with_settings
from zarts.api._data import given_again, given_images
from zarts.api._launched import check_launchable, free_path, launch_new, launch_resumed
from zarts.api._new_search import note_writer, resume_search, run_path, searched_settings, start_search
from zarts.api._results import SearchResult
from zarts.callbacks import Callbacks, Follower, progress
from zarts.config import SearchSettings, search_settings
from zarts.config.options import SearchOptions
from zarts.data import PythonData
from zarts.runs import Run
from zarts.runs.new_run import anchored
from zarts.runtime.distributed import lead_here, started
from zarts.runtime.paths import PathLike, path_of
from zarts.searcher import read_result

__all__ = ["search"]


@with_settings(SearchSettings, SearchOptions)
def search(
    data: Any = None,
    *,
    resume: PathLike | None = None,
    out: PathLike | None = None,
    preset: str | None = None,
    config: PathLike | None = None,
    callbacks: Sequence[Follower] = (),
    quiet: bool = False,
    trust: bool = False,
    **options: Unpack[SearchOptions],
) -> SearchResult:
    """Search an architecture for images.

    It prints its phases and one line an epoch on standard error; in a notebook it shows a bar. Ctrl-C and SIGTERM raise
    `zarts.errors.Interrupted`, a `KeyboardInterrupt`, after saving. In a thread other than the main one signals do not
    arrive, and the search goes on.

    Args:
        data: a folder of images or a CSV file, the name of a data set, or Python objects: a torch Dataset, (images,
            labels), an ImageFolder, a Hugging Face data set, a mapping of `train`, `val` and `test` to such, or
            `zarts.ImageParts`. None: that of the preset or file, or `digits`. See "Your images" in docs/python.md.
        resume: the folder of an interrupted search, to go on with; a finished one only returns its result. Beside it,
            only `callbacks`, `quiet`, `trust` and settings that may change are allowed, and `data` if the search was
            given Python objects: the same ones.
        out: the run folder; None: a new one in `runs/search`.
        preset: name of a preset, for example `quick`.
        config: a YAML file with settings.
        callbacks: objects of `zarts.callbacks.Callback`, or functions that are called with every event.
        quiet: print nothing.
        trust: whether the file of the setting `benchmark_table` may be unpickled; see `lookup`.
        options: settings, listed below. `devices=2` starts two processes, which run `zarts search` with them.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
        ZartsError: see the subclasses in `zarts.errors`.
    """
    heard = Callbacks([progress(quiet=quiet), *callbacks])
    given: dict[str, Any] = dict(options)
    if resume is not None:
        check_resumed(path_of(resume), {"out": out, "preset": preset, "config": config}, given, SearchSettings)
        result = _resume_here_or_on_ranks(path_of(resume), data, heard, given, trust=trust)
    else:
        name, images = given_images(data)
        named = {} if name is None else {"data": name}
        config, note = None if config is None else path_of(config), note_writer(heard if lead_here() else None)
        settings = search_settings(given | named, preset=preset, config=config, note=note)
        result = _start_here_or_on_ranks(settings, images, out, heard, trust=trust)
    if lead_here():
        heard.end(result)
    return result


def _start_here_or_on_ranks(
    settings: SearchSettings, images: PythonData | None, out: PathLike | None, callbacks: Callbacks, *, trust: bool
) -> SearchResult:
    """Search in this process or, with `devices`, in processes of their own, unless torchrun has started those."""
    if settings.devices in ("auto", started()):
        return start_search(settings, out, callbacks, images=images, trust=trust)
    check_launchable(settings)
    settings = anchored(settings)
    path = free_path(run_path(settings)) if out is None else path_of(out)
    launch_new(settings, path, callbacks, ["--trust"] if trust else [])
    return SearchResult.of(read_result(settings, Run(path)))


def _resume_here_or_on_ranks(
    path: Path, data: Any, callbacks: Callbacks, resumable: Mapping[str, Any], *, trust: bool
) -> SearchResult:
    settings = searched_settings(path, **resumable)
    if settings.devices in ("auto", started()) or Run(path).finished:
        return resume_search(path, callbacks, data=data, trust=trust, **resumable)
    check_launchable(settings)
    settings, _ = given_again(data, settings, path, "zarts.search(resume=RUN, data=...)")
    words = [*(["--trust"] if trust else []), *([] if data is None else ["--data", settings.data])]
    launch_resumed(settings, path, resumable, callbacks, words)
    return SearchResult.of(read_result(settings, Run(path)))
