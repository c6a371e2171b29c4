"""Landscape of the validation loss around the alpha of a search; an interrupted one is resumed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from zarts.analysis.landscape_cache import LandscapeCache
from zarts.analysis.loss_surface import Surface, surface_name, survey
from zarts.analysis.plane import Plane, draw_plane
from zarts.bilevel import Batch
from zarts.errors import Interrupted, RunError, SettingsError
from zarts.readers import malformed
from zarts.runs import Run
from zarts.runtime.seed import keyed_generator
from zarts.searcher import RestoredSearch
from zarts.training.trainer import Callback

__all__ = ["Landscape", "make_landscape"]

_INNER_STEPS = 10


@dataclass(frozen=True)
class Landscape:
    """Surfaces over a plane through alpha, in which alpha is at (0, 0).

    Args:
        run: name of the run folder of the search.
        epoch: number of finished epochs of the search.
        x: coordinates along the first direction, in `unit`.
        y: coordinates along the second direction, in `unit`.
        unit: Euclidean distance in alpha that 1 in x or y stands for.
        surfaces: one for each number of inner steps.
        eigenvalue: the dominant eigenvalue of the whole Hessian in alpha of the first-order loss; None if that loss is
            not among the surfaces, or the relaxation is not twice differentiable.
        learning_rate: of the inner steps.
        momentum: of the inner steps.
        seconds: wall time.
    """

    run: str
    epoch: int
    x: list[float]
    y: list[float]
    unit: float
    surfaces: list[Surface]
    eigenvalue: float | None
    learning_rate: float
    momentum: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for `landscape.json`."""
        return {"command": "landscape", **vars(self), "surfaces": [surface.to_dict() for surface in self.surfaces]}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Landscape:
        """From the content of a `landscape.json`.

        Raises:
            RunError: it is something else.
        """
        with malformed("landscape.json", "a landscape", way_out=": add --again to start over"):
            own = {name: data[name] for name in Landscape.__dataclass_fields__}
            return Landscape(**{**own, "surfaces": [Surface.from_dict(surface) for surface in data["surfaces"]]})


class _InnerStep(NamedTuple):
    """Options of the inner steps and of batch norm."""

    learning_rate: float
    momentum: float
    batch_norm: Literal["train", "eval"]


def make_landscape(
    found: RestoredSearch,
    run: Run,
    callback: Callback,
    *,
    inner_steps: Sequence[int] = (),
    grid: int = 41,
    radius: float = 1.0,
    scale: str = "unit",
    val_batches: int | None = None,
    learning_rate: float | None = None,
    momentum: float | None = None,
    seed: int = 0,
    again: bool = False,
) -> Landscape:
    """Evaluate the points of a plane through the alpha of a search; what the run folder already has is not repeated.

    The values are validation losses, whatever the search's objective is.

    Args:
        found: the search at its last checkpoint; it is left as it is.
        run: its run folder, which gets `landscape.json`, and until that is complete `landscape.part.json`.
        callback: called with `part` events, which say how much is done.
        inner_steps: M of each surface; 0 is the first order, 1 the second; empty: 0, 1 and the M of the search, or 10
            if that is 0.
        grid: see `draw_plane`.
        radius: see `draw_plane`.
        scale: see `draw_plane`.
        val_batches: validation batches of a loss, the same for all points: the first ones of the validation half, in
            the order of the search; None: as many as a loss of the search has.
        learning_rate: of the inner steps; None: that of the search's inner steps now. Late in a search it is almost 0,
            and the surfaces hardly differ.
        momentum: of the inner steps; None: that of the search's inner steps.
        seed: of the directions.
        again: whether to replace an existing landscape, or a part of one with another state or other options.

    Raises:
        SettingsError: a number is out of range.
        RunError: the method has no alpha, or a file is of another run, state or options.
        Interrupted: Ctrl-C or SIGTERM; the evaluated points are saved.

    Source: ZARTS, section 3 and supplementary 1.2 (figure 1).
    """
    _check(found, run, inner_steps, val_batches, learning_rate, momentum)
    settings, ranks = found.settings, found.problem.ranks
    steps = sorted(set(inner_steps)) or sorted({0, 1, settings.inner_steps or _INNER_STEPS})
    images = val_batches or settings.val_batches
    inner = _inner_step(found, learning_rate, momentum)
    plane = draw_plane(found.alpha, grid=grid, radius=radius, scale=scale, seed=seed)
    options = {
        "grid": grid,
        "radius": radius,
        "scale": scale,
        "inner_steps": steps,
        "val_batches": images,
        "seed": seed,
    }
    cache = LandscapeCache(run, _identity(found), {**options, **inner._asdict()}, again=again)
    if (whole := ranks.broadcast(cache.whole)) is not None:
        return Landscape.from_dict(whole)
    cache.losses = ranks.broadcast(cache.losses)
    val = [found.val[i] for i in range(images)]
    surfaces, eigenvalue = _measured(found, plane, cache, val, inner, callback, seed)
    name, places = run.path.resolve().name, plane.places.tolist()
    rates = inner.learning_rate, inner.momentum
    made = Landscape(
        name, found.epoch, places, places, plane.unit, surfaces, eigenvalue, *rates, round(cache.seconds, 3)
    )
    cache.finish(made.to_dict())
    return made


def _measured(
    found: RestoredSearch,
    plane: Plane,
    cache: LandscapeCache,
    val: list[Batch],
    inner: _InnerStep,
    callback: Callback,
    seed: int,
) -> tuple[list[Surface], float | None]:
    """All surfaces and the eigenvalue; the cache saves the evaluated points from time to time and on interruption."""
    points = len(plane.places) ** 2 * len(cache.losses)
    ranks = found.problem.ranks

    def progress() -> None:
        cache.write_now_and_then()
        callback({"event": "part", "text": _doing(cache, plane), "done": _known(cache), "of": points})

    try:
        train = [found.train[found.global_step + i] for i in range(max(cache.losses))]
        surfaces = survey(
            replace(found.problem, objective=None),
            plane,
            cache.losses,
            train,
            val,
            **inner._asdict(),
            progress=progress,
        )
        cache.write()
        with ranks.together():
            start = keyed_generator(seed, "landscape", "eigenvalue")
            eigenvalue = found.eigenvalue(val, start) if 0 in cache.losses else None
    except Interrupted:
        cache.write()
        done = f"{_known(cache)} of {points} points are saved in {cache.part}"
        raise Interrupted(f"interrupted: {done}; the same command resumes") from None
    return surfaces, ranks.broadcast(eigenvalue)


def _known(cache: LandscapeCache) -> int:
    return sum(map(len, cache.losses.values()))


def _doing(cache: LandscapeCache, plane: Plane) -> str:
    points = len(plane.places) ** 2
    return next((surface_name(steps) for steps, losses in cache.losses.items() if len(losses) < points), "eigenvalue")


def _check(
    found: RestoredSearch,
    run: Run,
    inner_steps: Sequence[int],
    val_batches: int | None,
    learning_rate: float | None,
    momentum: float | None,
) -> None:
    if found.settings.relaxation in ("none", "cell"):
        raise RunError(f"{run.path}: method {found.settings.method!r} has no alpha, and so no landscape")
    for steps in inner_steps:
        if steps < 0:
            raise SettingsError(f"inner_steps = {steps}: expected 0 (first order) or more")
    if val_batches is not None and not 1 <= val_batches <= len(found.val):
        raise SettingsError(
            f"val_batches = {val_batches}: expected 1 to {len(found.val)}, the batches of the validation half"
        )
    if learning_rate is not None and not learning_rate > 0:
        raise SettingsError(f"learning_rate = {learning_rate:g}: expected more than 0")
    if momentum is not None and not 0 <= momentum < 1:
        raise SettingsError(f"momentum = {momentum:g}: expected from 0, below 1")


def _inner_step(found: RestoredSearch, learning_rate: float | None, momentum: float | None) -> _InnerStep:
    """The options of the inner steps: as given, else of the search's inner steps, else of its weights now."""
    settings, now = found.settings, found.problem.optimizer.param_groups[0]
    rate = next(r for r in (learning_rate, settings.inner_learning_rate, now["lr"]) if r is not None)
    mass = next(m for m in (momentum, settings.inner_momentum, now["momentum"]) if m is not None)
    return _InnerStep(float(rate), float(mass), settings.batch_norm)


def _identity(found: RestoredSearch) -> dict[str, Any]:
    """The identity of the search, with a hash of alpha and all weights."""
    state = hashlib.blake2b(digest_size=16)
    for tensor in (found.alpha, *found.problem.model.state_dict().values()):
        state.update(tensor.detach().cpu().numpy().tobytes())
    return {**found.identity, "state": state.hexdigest()}
