"""The command `fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from zarts.cli.distributed import command_began
from zarts.cli.options import Config, Out, Print, Resume, Set, parse_set, print_config, with_settings
from zarts.cli.progress import Display, Quiet, Verbose, waited
from zarts.config import FUNCTIONS
from zarts.config.fit import RESUMABLE, FitSettings, fit_settings
from zarts.errors import SettingsError
from zarts.runtime.paths import existing, path_of, printable

__all__ = ["fit"]

_DATA = "a folder of images with a sub-folder for each class, a file .csv or .npz, or the name of a data set"


@with_settings(FitSettings, without=("data",))
def fit(
    data: Annotated[str | None, typer.Argument(help=_DATA, metavar="IMAGES", show_default=False)] = None,
    *,
    config: Config = None,
    set_: Set = None,
    out: Out = None,
    resume: Resume = None,
    print_config_: Print = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    pick: Annotated[
        int | None,
        typer.Option(help="train this network of a finished fit to the end: IMAGES is its folder", metavar="NUMBER"),
    ] = None,
    more: Annotated[
        str | None,
        typer.Option("--data", help="train the network of a finished fit on with these: IMAGES is its folder"),
    ] = None,
    options: dict[str, Any],
) -> None:
    """Find the best small network for your images, in a given time.

    It stays within the limits of a device and says whether the network is better than the best hand-made one.
    """
    given, display = {**options, **parse_set(set_ or [])}, Display(quiet=quiet, verbose=verbose)
    if resume is not None and data is None:  # the images of that fit, where they are now
        data, more = more, None
    if pick is not None or more is not None:
        lines = _more(display, data, pick, more, given, out, [config, resume, print_config_ or None])
    elif resume is not None:
        others = sorted(key for key in given if key not in RESUMABLE)
        if others or config is not None or out is not None or print_config_:
            name = others[0] if others else "everything else"
            raise SettingsError(f"--resume {resume} uses the settings of that fit: leave {name} out")
        existing(resume, "run folder")
        display.load("zarts.api._fit")
        from zarts import api

        with display.progress() as callback:
            lines = api.resume_fit(resume, callback, data=data, begun=command_began(), **given).lines()
    else:
        given |= {} if data is None else {"data": data}
        settings = fit_settings(given, config=config and path_of(config))
        if "data" not in settings.model_fields_set:
            raise SettingsError("no images: name a folder with a sub-folder for each class: `zarts fit path/to/images`")
        if print_config_:
            return print_config("fit", settings)
        display.load("zarts.api._fit")
        from zarts import api

        with display.progress() as callback:
            lines = api.start_fit(settings, out, callback, begun=command_began()).lines()
    for line in lines:
        print(printable(line))
    print(f"time: {waited()}")
    return None


def _more(
    display: Display,
    run: str | None,
    pick: int | None,
    more: str | None,
    given: dict[str, Any],
    out: Path | None,
    others: list[Any],
) -> list[str]:
    """Go on with a finished fit: with another network, or with more images; the lines to print."""
    option = "--data" if pick is None else "--pick"
    if run is None:
        raise SettingsError(f"{option} goes on with a finished fit: name its folder, as in `zarts fit RUN {option} …`")
    if pick is not None and (more is not None or out is not None):
        raise SettingsError("--pick takes images and folder of the fit: leave --data and --out out")
    allowed = ("time",) if pick is None else ("latency_command", *FUNCTIONS)
    unused = sorted(key for key in given if key not in allowed)
    if unused or any(one is not None for one in others):
        named = f"--{unused[0].replace('_', '-')}" if unused else "--config, --resume and --print-config"
        raise SettingsError(f"{option} uses the settings of the fit: leave {named} out")
    existing(run, "run folder")
    display.load("zarts.api._fit_more")
    from zarts import api

    with display.progress() as callback:
        if pick is not None:
            return api.pick(run, pick, callback, begun=command_began(), **given).lines()
        return api.train_on(run, more, callback, out=out, begun=command_began(), **given).lines()
