"""The cells of a search at its epochs: side by side in one picture, and one after the other in an animation."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from zarts.errors import RunError
from zarts.reports.cells import cell_picture
from zarts.reports.layout import Box
from zarts.reports.primitives import Curve, Picture, Plate, Shape, Tip, Words, to_svg
from zarts.reports.raster import figure_of
from zarts.reports.summary import RunFiles, kept, read_run
from zarts.reports.svg import drawing, to_png
from zarts.runtime.io import write_atomically
from zarts.spaces import Genotype

__all__ = ["draw_strip"]

_GAP, _HEAD, _EDGE = 14.0, 30.0, 8.0  # points: between cells; above them; around all
_WIDEST, _DPI, _FRAME_DPI = 12_000, 144.0, 72.0  # pixels of the strip; dots per inch of strip, of frames
_COLOURS, _FRAME_MS, _LAST_MS = 48, 500, 2500
_POINTS_PER_INCH = 72.0


class _Column(NamedTuple):
    title: str
    cells: Mapping[str, Picture]
    kept: bool

    @property
    def width(self) -> float:
        return max(picture.width for picture in self.cells.values())


def draw_strip(run: Path, every: int, folder: Path) -> list[Path]:
    """Draw `strip.svg`, `strip.png` and `epochs.gif`: the cells of every N-th epoch of a search.

    Rows are cell types. Columns are epochs: every N-th one, the last one and the kept one. Cells that a selection
    derives after the last epoch have the last column.

    Args:
        run: the folder of a search, finished or interrupted.
        every: N.
        folder: gets the pictures.

    Returns:
        The files.

    Raises:
        RunError: the run has no cells of epochs or a damaged file, or a picture cannot be written.
    """
    files = read_run(run)
    if not files.history:
        raise RunError(f"{run}: has no cells of epochs (genotypes/): leave --every out to draw the final cells")
    columns = _columns(files, every)
    heights, widest = _heights(columns), max(column.width for column in columns)
    strip, frames = _picture(columns, heights), [_picture([column], heights, widest) for column in columns]
    with drawing():
        dpi = min(_DPI, _WIDEST / strip.width * _POINTS_PER_INCH)
        contents: dict[str, bytes | str] = {
            "strip.svg": to_svg(strip),
            "strip.png": to_png(figure_of(strip), dpi),
            "epochs.gif": _animation([to_png(figure_of(frame), _FRAME_DPI) for frame in frames]),
        }
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]


def _columns(run: RunFiles, every: int) -> list[_Column]:
    """The columns of the picture."""
    known = kept(run)
    last, kept_epoch = max(run.history), known.epoch if known and run.result else None
    shown = {epoch: one for epoch, one in run.history.items() if epoch % every == 0 or epoch in (last, kept_epoch)}
    columns = [_column(f"epoch {epoch}", one, is_kept=epoch == kept_epoch) for epoch, one in shown.items()]
    if kept_epoch is None and run.result and run.genotype is not None:
        columns.append(_column("selected at the end", run.genotype, is_kept=True))
    return columns


def _column(title: str, genotype: Genotype, *, is_kept: bool) -> _Column:
    pictures = {kind: cell_picture(cell, kind, genotype.space) for kind, cell in genotype.cells.items()}
    return _Column(f"{title}, kept" if is_kept else title, pictures, is_kept)


def _heights(columns: Sequence[_Column]) -> dict[str, float]:
    """The height of the row of each cell type."""
    return {kind: max(column.cells[kind].height for column in columns) for kind in columns[0].cells}


def _picture(columns: Sequence[_Column], heights: Mapping[str, float], least: float = 0.0) -> Picture:
    """Cells in rows of these heights; columns are as wide as their cells, and at least `least`."""
    shapes: list[Shape] = []
    left, height = _EDGE, _HEAD + sum(heights.values()) + _EDGE
    for number, column in enumerate(columns):
        wide = max(least, column.width)
        if column.kept:
            frame = Box(left + wide / 2, height / 2, wide, height - _EDGE)
            shapes.append(Plate("kept", frame, 8.0, "paper", "dil"))
        colour = "dil" if column.kept else "ink"
        shapes.append(
            Words(f"head-{number}", left + 16.0, _HEAD / 2 + 6.0, column.title, 12.0, colour, False, column.kept)
        )
        top = _HEAD
        for kind, row in heights.items():
            shapes += _placed(column.cells[kind], left, top, f"{kind}-{number}-")
            top += row
        left += wide + _GAP
    return Picture((0.0, 0.0), left - _GAP + _EDGE, height, shapes)


def _placed(picture: Picture, left: float, top: float, prefix: str) -> list[Shape]:
    """The shapes of a picture, moved to this upper left corner; `prefix` makes their names unique."""
    x, y = left - picture.corner[0], top - picture.corner[1]
    return [
        _moved(shape, x, y)._replace(name=f"{prefix}{shape.name}" if shape.name else "") for shape in picture.shapes
    ]


def _moved(shape: Shape, x: float, y: float) -> Shape:
    if isinstance(shape, Curve):
        return shape._replace(points=[(px + x, py + y) for px, py in shape.points])
    if isinstance(shape, Tip):
        return shape._replace(point=(shape.point[0] + x, shape.point[1] + y))
    if isinstance(shape, Plate):
        return shape._replace(box=shape.box._replace(x=shape.box.x + x, y=shape.box.y + y))
    return shape._replace(x=shape.x + x, y=shape.y + y)


def _animation(frames: Sequence[bytes]) -> bytes:
    """An endless GIF that pauses at its last frame."""
    images = [
        Image.open(io.BytesIO(frame)).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE) for frame in frames
    ]
    times = [_FRAME_MS] * (len(images) - 1) + [_LAST_MS]
    buffer = io.BytesIO()
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=times, loop=0, optimize=True)
    return buffer.getvalue()
