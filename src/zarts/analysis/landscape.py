"""The landscape of the validation loss around a search's alpha, made in pieces that are kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from zarts.analysis.landscape_cache import LandscapeCache
from zarts.analysis.loss_surface import Surface, surface_name, survey
from zarts.analysis.plane import Plane, draw_plane
from zarts.bilevel import Batch
from zarts.errors import Interrupted, RunError, SettingsError
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
        run: name of the folder of the search.
        epoch: epochs that it had done.
        x: places along the first direction, in `unit`.
        y: likewise along the second one.
        unit: Euclidean distance in alpha that 1 in x or y stands for.
        surfaces: one for each number of inner steps.
        eigenvalue: the dominant one of the whole Hessian in alpha of the first-order loss; None where that is not
            among the surfaces, or alpha's relaxation is not twice differentiable.
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
        """From the content of a `landscape.json`."""
        own = {name: data[name] for name in Landscape.__dataclass_fields__}
        return Landscape(**{**own, "surfaces": [Surface.from_dict(surface) for surface in data["surfaces"]]})


class _Tuning(NamedTuple):
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
    """Judge the points of a plane through a search's alpha, or go on with that; kept in the run's folder.

    Args:
        found: the search, where it stands; it is left as it is.
        run: its folder, into which `landscape.json` goes, and `landscape.part.json` until it is whole.
        callback: hears how far it is.
        inner_steps: M of each surface; 0 is the first order, 1 the second; none: 0, 1 and the search's M, or 10.
        grid: see `draw_plane`.
        radius: see `draw_plane`.
        scale: see `draw_plane`.
        val_batches: validation batches that judge a point, the same for all: the first ones of the half that moves
            alpha, in the search's order; None: as many as a loss of the search has.
        learning_rate: of the inner steps; None: what the search's inner steps have now. Late in a search that is next
            to nothing, and the surfaces hardly differ.
        momentum: of the inner steps; None: what the search's have.
        seed: of the directions.
        again: whether to replace a landscape that is there, or a part of one that is of another state or options.

    Raises:
        SettingsError: a number that cannot be.
        RunError: a method that has no alpha; a file of another run, state or options.
        Interrupted: Ctrl-C or SIGTERM; what is known is kept.

    Source: ZARTS, section 3 and supplementary 1.2 (figure 1).
    """
    _check(found, run, inner_steps, val_batches, learning_rate, momentum)
    settings, ranks = found.settings, found.problem.ranks
    steps = sorted(set(inner_steps)) or sorted({0, 1, settings.inner_steps or _INNER_STEPS})
    images = val_batches or settings.val_batches
    tuning = _tuning(found, learning_rate, momentum)
    plane = draw_plane(found.alpha, grid=grid, radius=radius, scale=scale, seed=seed)
    options = {
        "grid": grid,
        "radius": radius,
        "scale": scale,
        "inner_steps": steps,
        "val_batches": images,
        "seed": seed,
    }
    kept = LandscapeCache(run, _identity(found), {**options, **tuning._asdict()}, again=again)
    if (whole := ranks.broadcast(kept.whole)) is not None:
        return Landscape.from_dict(whole)
    kept.losses = ranks.broadcast(kept.losses)
    val = [found.val[i] for i in range(images)]
    surfaces, eigenvalue = _measured(found, plane, kept, val, tuning, callback, seed)
    name, places = run.path.resolve().name, plane.places.tolist()
    rates = tuning.learning_rate, tuning.momentum
    made = Landscape(
        name, found.epoch, places, places, plane.unit, surfaces, eigenvalue, *rates, round(kept.seconds, 3)
    )
    kept.finish(made.to_dict())
    return made


def _measured(
    found: RestoredSearch,
    plane: Plane,
    kept: LandscapeCache,
    val: list[Batch],
    tuning: _Tuning,
    callback: Callback,
    seed: int,
) -> tuple[list[Surface], float | None]:
    """All surfaces and the eigenvalue; what is known is kept on the way, and when it is interrupted."""
    points = len(plane.places) ** 2 * len(kept.losses)
    ranks = found.problem.ranks

    def heard() -> None:
        kept.write_now_and_then()
        callback({"event": "part", "text": _doing(kept, plane), "done": _known(kept), "of": points})

    try:
        train = [found.train[found.global_step + i] for i in range(max(kept.losses))]
        surfaces = survey(found.problem, plane, kept.losses, train, val, **tuning._asdict(), heard=heard)
        kept.write()
        with ranks.together():
            start = keyed_generator(seed, "landscape", "eigenvalue")
            eigenvalue = found.eigenvalue(val, start) if 0 in kept.losses else None
    except Interrupted:
        kept.write()
        done = f"{_known(kept)} of {points} points are kept in {kept.part}"
        raise Interrupted(f"interrupted: {done}; go on with the same command") from None
    return surfaces, ranks.broadcast(eigenvalue)


def _known(kept: LandscapeCache) -> int:
    return sum(map(len, kept.losses.values()))


def _doing(kept: LandscapeCache, plane: Plane) -> str:
    points = len(plane.places) ** 2
    return next((surface_name(steps) for steps, losses in kept.losses.items() if len(losses) < points), "eigenvalue")


def _check(
    found: RestoredSearch,
    run: Run,
    inner_steps: Sequence[int],
    val_batches: int | None,
    learning_rate: float | None,
    momentum: float | None,
) -> None:
    if found.settings.relaxation in ("none", "cell"):
        raise RunError(f"{run.path}: method {found.settings.method!r} has no alpha, and so no landscape over it")
    for steps in inner_steps:
        if steps < 0:
            raise SettingsError(f"inner_steps = {steps}: needs to be 0 (first order) or more")
    if val_batches is not None and not 1 <= val_batches <= len(found.val):
        raise SettingsError(f"val_batches = {val_batches}: the half that moves alpha has 1 to {len(found.val)}")
    if learning_rate is not None and not learning_rate > 0:
        raise SettingsError(f"learning_rate = {learning_rate:g}: needs to be above 0")
    if momentum is not None and not 0 <= momentum < 1:
        raise SettingsError(f"momentum = {momentum:g}: needs to be from 0, below 1")


def _tuning(found: RestoredSearch, learning_rate: float | None, momentum: float | None) -> _Tuning:
    """What inner steps go by: what is given, what the search's inner steps have, what its weights have now."""
    settings, now = found.settings, found.problem.optimizer.param_groups[0]
    rate = next(r for r in (learning_rate, settings.inner_learning_rate, now["lr"]) if r is not None)
    mass = next(m for m in (momentum, settings.inner_momentum, now["momentum"]) if m is not None)
    return _Tuning(float(rate), float(mass), settings.batch_norm)


def _identity(found: RestoredSearch) -> dict[str, Any]:
    """The state of the search, alpha and weights to the bit."""
    state = hashlib.blake2b(digest_size=16)
    for tensor in (found.alpha, *found.problem.model.state_dict().values()):
        state.update(tensor.detach().cpu().numpy().tobytes())
    return {**found.identity, "state": state.hexdigest()}
