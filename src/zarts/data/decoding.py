"""The images of a part, by their names: decoded into memory, or streamed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from zarts.data.config import Request
from zarts.data.dataset import Images, ImageSet, channel_statistics
from zarts.data.image_io import ImageSource, decode
from zarts.data.left_out import LeftOut, check_share
from zarts.data.preprocess import Fit
from zarts.data.split import subset_indices
from zarts.data.streaming import StreamedSet
from zarts.errors import DataError
from zarts.runtime.seed import keyed_generator

__all__ = ["DEFAULT_SIZE", "ByClass", "Known", "labels_of", "read_part", "training_images"]

DEFAULT_SIZE = 32
_SAMPLE = 2000

ByClass = Mapping[str, Sequence[str]]
"""The names of the images of each class."""


@dataclass(frozen=True)
class Known:
    """Facts about a folder that are known without reading its images.

    Args:
        mean: per channel, of images scaled to [0, 1].
        std: likewise.
        tests: possible names of the folder with test images; the first one that exists counts.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    tests: tuple[str, ...]


def training_images(
    where: str,
    source: ImageSource,
    names: Sequence[str],
    classes: Sequence[str],
    class_of: Mapping[str, str],
    request: Request,
    known: Known | None,
) -> tuple[Images, tuple[float, ...], tuple[float, ...], tuple[str, ...], dict[str, str]]:
    """The training images, their mean and deviation, notes for the user, and the images that cannot be decoded.

    Args:
        where: what they are listed in, for messages.
        source: reads them.
        names: of the training images, of which the request may take a subset.
        classes: in the order of the labels.
        class_of: the class of each image.
        request: image size (None is 32), subset, memory or streaming; a run that goes on needs all images.
        known: facts that are known beforehand.

    Raises:
        DataError: an image cannot be read, and the run goes on.
    """
    size = request.image_size or DEFAULT_SIZE
    labels = labels_of([class_of[name] for name in names], classes)
    chosen = subset_indices(labels, request.subset, request.seed)
    kept, labels = tuple(names[i] for i in chosen.tolist()), labels[chosen]
    channels = None if known is None else len(known.mean)
    damaged: dict[str, str] = {}
    failed = None if request.goes_on else damaged
    if not request.streams(len(kept), size):
        images = decode(source, kept, size, channels, failed=failed)
        kept, labels = _without(damaged, kept, labels)
        statistics = channel_statistics(images) if known is None else (known.mean, known.std)
        return ImageSet(images, labels, kept, request.workers), *statistics, (), damaged
    if known is not None:
        return StreamedSet(source, kept, labels, size, len(known.mean), request.workers), known.mean, known.std, (), {}
    order = torch.randperm(len(kept), generator=keyed_generator(request.seed, "sample"))
    sample = decode(source, [kept[i] for i in order[:_SAMPLE].tolist()], size, failed=failed)
    notes: tuple[str, ...] = ()
    if len(order) > _SAMPLE:
        colours = "colour" if sample.shape[1] == 3 else "grey"
        notes = (
            f"{where}: {len(kept)} images are streamed as {colours} images; colour, mean and deviation come "
            f"from a sample of {len(sample)} (split_seed = {request.seed})",
        )
    kept, labels = _without(damaged, kept, labels)
    streamed = StreamedSet(source, kept, labels, size, sample.shape[1], request.workers)
    return streamed, *channel_statistics(sample), notes, damaged


def _without(damaged: Mapping[str, str], names: tuple[str, ...], labels: Tensor) -> tuple[tuple[str, ...], Tensor]:
    """The images that can be decoded."""
    if not damaged:
        return names, labels
    whole = [i for i, name in enumerate(names) if name not in damaged]
    return tuple(names[i] for i in whole), labels[whole]


def read_part(
    where: str,
    source: ImageSource,
    found: ByClass,
    classes: Sequence[str],
    request: Request,
    size: int,
    channels: int,
    fit: Fit,
    *,
    streams: bool = False,
) -> Images:
    """Labelled images of a given size and number of channels, decoded now or streamed.

    Args:
        where: what they are listed in, for messages.
        source: reads them.
        found: the images.
        classes: all classes, in the order of the labels.
        request: asks for memory or streaming, and says whether many may be left out.
        size: height and width.
        channels: 1 or 3.
        fit: brings them to that size.
        streams: stream them, whatever the request asks for.

    Raises:
        DataError: more than 5 % of the images cannot be decoded, or none can.
    """
    names = tuple(name for images in found.values() for name in images)
    labels = labels_of([kind for kind, images in found.items() for _ in images], classes)
    if streams or request.streams(len(names), size):
        return StreamedSet(source, names, labels, size, channels, request.workers, fit)
    damaged: dict[str, str] = {}
    pixels = decode(source, names, size, channels, fit, damaged)
    left_out = tuple(LeftOut(name, reason) for name, reason in damaged.items())
    if damaged:
        check_share(where, len(pixels), left_out, allowed=request.allow_left_out)
        if not len(pixels):
            raise DataError(
                f"{where}: none of its {len(damaged)} images can be read: {left_out[0].name}: {left_out[0].reason}"
            )
        names, labels = _without(damaged, names, labels)
    return ImageSet(pixels, labels, names, request.workers, left_out)


def labels_of(kinds: Iterable[str], classes: Sequence[str]) -> Int64[Tensor, " n"]:
    """The index of each class in the classes."""
    label = {name: i for i, name in enumerate(classes)}
    return torch.tensor([label[kind] for kind in kinds])
