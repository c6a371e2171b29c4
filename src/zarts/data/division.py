"""Which listed images train, validate and test: drawn, given by folders, or known from an earlier split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Int64
from torch import Tensor

from zarts.data.contents import Content
from zarts.data.known_split import PARTS, KnownSplit, Recognised
from zarts.data.left_out import LeftOut
from zarts.data.split import UnitsError, split_test, split_units
from zarts.errors import DataError

__all__ = ["Division", "divide", "units_of"]

_IN_WORDS = {"train": "training", "val": "validation", "test": "test"}


@dataclass
class Division:
    """The images of each part, in order.

    Args:
        parts: `train`, and perhaps `val` and `test`, to names.
        left_out: images that are not used, because they would leak.
        notes: messages to the user.
    """

    parts: dict[str, list[str]]
    left_out: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def units_of(
    names: Sequence[str], contents: Mapping[str, Content], groups: Mapping[str, str] | None
) -> Int64[Tensor, " n"] | None:
    """The unit of each image: copies of one another, and images of a group, stay together; None: all are single.

    Args:
        names: of the images.
        contents: of each image.
        groups: the group of each image; None: there are no groups.
    """
    if groups is None and len({contents[name].digest for name in names if name in contents}) == len(names):
        return None
    unit: dict[tuple[str, str], int] = {}
    parent: list[int] = []

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    found = []
    for name in names:
        keys = [("content", contents[name].digest)] if name in contents else []
        keys += [] if groups is None else [("group", groups[name])]
        roots = {root(unit[key]) for key in keys if key in unit} or {len(parent)}
        first = min(roots)
        if first == len(parent):
            parent.append(first)
        for other in roots:
            parent[other] = first
        unit.update((key, first) for key in keys)
        found.append(first)
    units = torch.tensor([root(i) for i in found])
    return None if len(parent) == len(names) else units


def divide(
    where: str,
    given: Mapping[str, Sequence[str]],
    class_of: Mapping[str, str],
    contents: Mapping[str, Content],
    groups: Mapping[str, str] | None,
    seed: int,
    known: KnownSplit | None,
) -> Division:
    """Divide listed images into parts.

    Args:
        where: what they are listed in, for messages.
        given: the part that the list gives to images: all in `train`, or also `val` and `test`. Without `test` a
            stratified fifth of `train` is drawn.
        class_of: the class of each image.
        contents: of each image, if they are known: copies of an image never come into two parts.
        groups: images of a group stay together; None: there are no groups.
        seed: of the drawing.
        known: an earlier split, whose images keep their parts; None: there is none.

    Raises:
        DataError: a class cannot be divided.
    """
    if known is not None:
        found = known.recognise([name for names in given.values() for name in names], contents, where)
        if known.strict:
            return _going_on(where, class_of, known, found)
        if found.parts:
            return _grown(where, given, class_of, contents, groups, seed, found)
    division = Division({part: list(names) for part, names in given.items()})
    _remove_leaks(division, contents, groups)
    division.notes += _in_two_classes(where, division.parts, class_of, contents)
    if "test" not in given:
        names = division.parts["train"]
        train, test = _drawn(where, names, class_of, units_of(names, contents, groups), seed)
        division.parts = {**division.parts, "train": [names[i] for i in train], "test": [names[i] for i in test]}
    return division


def _remove_leaks(division: Division, contents: Mapping[str, Content], groups: Mapping[str, str] | None) -> None:
    """Take images out of the training images that are also in a later part, or whose group is; likewise validation."""
    kept_from: dict[tuple[str, str], str] = {}
    if len(division.parts) < 2:
        return
    for part in ("test", "val", "train"):
        own: set[tuple[str, str]] = set()
        staying = []
        for name in division.parts.get(part, ()):
            keys = [("copies", contents[name].digest)] if name in contents else []
            keys += [] if groups is None else [("of a group", groups[name])]
            other = next((key for key in keys if key in kept_from), None)
            if other is None:
                own.update(keys)
                staying.append(name)
            else:
                what = "a copy of one of" if other[0] == "copies" else "of a group of"
                reason = f"{_IN_WORDS[part]} image that is {what} the {_IN_WORDS[kept_from[other]]} images"
                division.left_out.append(LeftOut(name, reason))
        if part in division.parts:
            division.parts[part] = staying
        kept_from.update(dict.fromkeys(own, part))


def _in_two_classes(
    where: str, parts: Mapping[str, Sequence[str]], class_of: Mapping[str, str], contents: Mapping[str, Content]
) -> list[str]:
    """A note if copies of one picture have different classes, which no network can learn."""
    first: dict[str, str] = {}
    twice: dict[str, str] = {}
    for names in parts.values():
        for name in names:
            if name in contents:
                other = first.setdefault(contents[name].digest, name)
                if class_of[other] != class_of[name]:
                    twice[other] = name
    pair = next(iter(twice.items()), None)
    return [] if pair is None else [f"{where}: {len(twice)} pictures are in two classes (first: {pair[0]}, {pair[1]})"]


def _drawn(
    where: str, names: Sequence[str], class_of: Mapping[str, str], units: Tensor | None, seed: int
) -> tuple[list[int], list[int]]:
    """Indices of the training images and of a stratified fifth for the test."""
    labels, classes = _labels(names, class_of)
    if units is None:
        train, test = split_test(labels, seed)
        return train.tolist(), test.tolist()
    try:
        train, test = split_units(labels, units, seed, "test")
    except UnitsError as error:
        raise DataError(
            f"{where}: all images of class {classes[error.kind]!r} are copies of one another or of one group, and "
            "cannot be both trained on and tested: add others, or name test images yourself"
        ) from None
    return train.tolist(), test.tolist()


def _labels(names: Iterable[str], class_of: Mapping[str, str]) -> tuple[Int64[Tensor, " n"], list[str]]:
    label: dict[str, int] = {}
    found = [label.setdefault(class_of[name], len(label)) for name in names]
    return torch.tensor(found), list(label)


def _going_on(where: str, class_of: Mapping[str, str], known: KnownSplit, found: Recognised) -> Division:
    """The parts of a run that goes on: the same images as when it began.

    Raises:
        DataError: an image is gone, or is of another class.
    """
    if found.gone:
        raise DataError(
            f"{where}: {found.gone[0]!r} of the earlier split (split.json) is gone, {len(found.gone)} in all; put them "
            "back, or start a new search"
        )
    for part, names in found.parts.items():
        for before, name in zip(known.parts[part], names, strict=True):
            if known.classes is not None and known.classes[before] != class_of[name]:
                raise DataError(
                    f"{where}: {name!r} is of class {class_of[name]!r} now, and was of {known.classes[before]!r} in "
                    "the earlier split (split.json); put it back, or start a new search"
                )
    division = Division(found.parts)
    if found.new:
        division.notes.append(
            f"{where}: {len(found.new)} images were added after the split and are left out (first: {min(found.new)}); "
            "a new search or retraining will use them"
        )
    if found.changed:
        division.notes.append(
            f"{where}: {len(found.changed)} images have changed since the run began (first: {found.changed[0]})"
        )
    return division


def _grown(
    where: str,
    given: Mapping[str, Sequence[str]],
    class_of: Mapping[str, str],
    contents: Mapping[str, Content],
    groups: Mapping[str, str] | None,
    seed: int,
    found: Recognised,
) -> Division:
    """Known images in the parts that they have, and new ones in those that the list gives them, or dealt."""
    kept = {name: part for part, names in found.parts.items() for name in names}
    new = set(found.new)
    parts = {part: list(names) for part, names in found.parts.items()}
    for part, names in given.items():
        if part != "train" or "test" in given:
            parts.setdefault(part, []).extend(name for name in names if name in new)
    if "test" not in given and new:
        names = [name for name in given["train"] if name in new or kept[name] != "val"]
        labels, _ = _labels(names, class_of)
        units = units_of(names, contents, groups)
        units = torch.arange(len(names)) if units is None else units
        known = torch.tensor([-1 if name in new else int(kept[name] == "test") for name in names])
        train, test = (
            {names[i] for i in part.tolist()} for part in split_units(labels, units, seed, "new", known=known)
        )
        for part, own in (("train", train), ("test", test)):
            parts.setdefault(part, []).extend(name for name in names if name in new and name in own)
    division = Division({part: parts[part] for part in PARTS if part in parts})
    _remove_leaks(division, contents, groups)
    counted = {part: sum(name in new for name in names) for part, names in division.parts.items()}
    elsewhere = sum(kept.get(name, part) != part for part, names in given.items() for name in names if "test" in given)
    text = f"{where}: {len(kept)} images are those of the earlier split and keep their parts"
    if new:
        text += f"; {len(new)} are new: " + ", ".join(f"{n} {_IN_WORDS[part]}" for part, n in counted.items() if n)
    if found.gone:
        text += f"; {len(found.gone)} are gone (first: {found.gone[0]})"
    if elsewhere:
        text += f"; {elsewhere} lie in the folder of another part, and stay in theirs"
    if new or found.gone or elsewhere:
        division.notes.append(text)
    return division
