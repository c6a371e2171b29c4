"""The landscape of a run, read from `landscape.json`: surfaces of losses over a plane through alpha."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zarts.readers import malformed
from zarts.reports.summary import show
from zarts.runtime.io import read_mapping

__all__ = ["Landscape", "Minimum", "Surface", "read_landscape"]


class Minimum(NamedTuple):
    """The lowest loss of a surface, and its coordinates."""

    x: float
    y: float
    loss: float


class Surface(NamedTuple):
    """Losses over the plane.

    Args:
        name: the approximation of the optimal weights.
        losses: of shape `(len(y), len(x))`; some may not be finite.
        sharpness: the larger eigenvalue of the Hessian within the plane, at alpha.
        minimum: None where no loss is finite.
    """

    name: str
    losses: np.ndarray
    sharpness: float | None
    minimum: Minimum | None


class Landscape(NamedTuple):
    """A plane through alpha, which is at (0, 0), and the surfaces over it; `of` is a remark for the reader."""

    x: list[float]
    y: list[float]
    surfaces: list[Surface]
    of: str

    @property
    def range(self) -> tuple[float, float]:
        """The ends of the colour scale: the lowest and the highest finite loss of all surfaces.

        If both are the same, the upper end is raised by one.
        """
        finite = np.concatenate([surface.losses[np.isfinite(surface.losses)] for surface in self.surfaces])
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        return low, high if high > low else low + 1.0


def read_landscape(folder: Path) -> Landscape | None:
    """Read `landscape.json`; None where a run has no such file, or one without surfaces.

    Raises:
        RunError: the file is damaged.
    """
    path = folder / "landscape.json"
    data = read_mapping(path)
    if not data.get("surfaces"):
        return None
    with malformed(path, "a landscape"):
        x, y = ([float(place) for place in data[key]] for key in ("x", "y"))
        surfaces = [_surface(surface, (len(y), len(x))) for surface in data["surfaces"]]
        if not all(map(math.isfinite, (*x, *y))):
            raise ValueError("coordinates that are not finite")
    where = f"after epoch {show(data['epoch'])}; " if "epoch" in data else ""
    made_of, ours = Path(str(data.get("run", folder))).name, folder.resolve().name
    other = (
        ""
        if made_of in (ours, folder.name)
        else f" The file names another run, {made_of}: check that it belongs to this one."
    )
    return Landscape(x, y, surfaces, f"{where}all surfaces have the same colour scale, and alpha is at (0, 0).{other}")


def _surface(data: dict[str, Any], shape: tuple[int, int]) -> Surface:
    losses = np.array(data["losses"], dtype=float)
    if losses.shape != shape:
        raise ValueError(f"losses have shape {losses.shape}; the coordinates need {shape}")
    lowest, sharpness = data.get("minimum"), data.get("sharpness")
    return Surface(
        show(data.get("name", "loss")),
        losses,
        None if sharpness is None else float(sharpness),
        Minimum(*(float(lowest[key]) for key in Minimum._fields)) if lowest else None,
    )
