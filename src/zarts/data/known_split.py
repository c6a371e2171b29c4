"""The split of a run as `split.json` keeps it, and the images of an earlier split among those that are listed now."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from zarts.data.contents import Content, read_contents
from zarts.errors import DataError
from zarts.readers import malformed

__all__ = [
    "PARTS",
    "KnownSplit",
    "Recognised",
    "check_unchanged",
    "contents_of",
    "digest",
    "with_contents",
    "written_split",
]

PARTS = ("train", "val", "test")


@dataclass
class Recognised:
    """What has become of the images of an earlier split.

    Args:
        parts: the images that are known, under the names that they have now, in the order of the earlier split.
        new: images that are not known.
        gone: images of the earlier split that are not listed any more.
        changed: images that are known by name alone, as their contents have changed.
    """

    parts: dict[str, list[str]] = field(default_factory=dict)
    new: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class KnownSplit:
    """An earlier split.

    Args:
        source: what its images were listed in.
        parts: the names of the images of each part.
        contents: the content of each image; empty for a split of zarts 0.1.0.
        classes: the class of each image; None for a split of zarts 0.1.0.
        left_out: names of images that were left out.
        strict: whether the run goes on, so that it needs the same training images and takes no new ones.
    """

    source: str
    parts: Mapping[str, Sequence[str]]
    contents: Mapping[str, Content]
    classes: Mapping[str, str] | None
    left_out: frozenset[str]
    strict: bool

    @staticmethod
    def read(manifest: Mapping[str, Any], where: str, *, strict: bool) -> KnownSplit:
        """The split in a `split.json`.

        Raises:
            DataError: it lists no images, or is not whole.
        """
        wrong = (
            f"{where}: the earlier split (split.json) lists no {{}} images; it is of "
            f"{manifest.get('source', 'another data set')}, or was edited"
        )
        parts: dict[str, list[str]] = {}
        part_of: dict[str, str] = {}
        for part in PARTS:
            names = manifest.get(part, [] if part == "val" else None)
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise DataError(wrong.format(part))
            if not names and part != "val":
                raise DataError(wrong.format(part))
            for name in names:
                if part_of.setdefault(name, part) != part:
                    raise DataError(
                        f"{where}: {name!r} is in both lists, {part_of[name]} and {part}, of the earlier split "
                        "(split.json); remove it from one, or start a new search"
                    )
            if names:
                parts[part] = names
        contents, classes = _details(manifest, parts, where)
        left_out = frozenset(manifest.get("left_out", ()))
        return KnownSplit(str(manifest.get("source")), parts, contents, classes, left_out, strict)

    def recognise(self, names: Sequence[str], contents: Mapping[str, Content], where: str) -> Recognised:
        """Find the images of this split among listed ones: by name and content, by content, or by name alone.

        A name alone counts in the place of the earlier split, or where that split has no contents.

        Args:
            names: what is listed now.
            contents: of the listed images.
            where: what they are listed in.
        """
        part_of = {name: part for part, own in self.parts.items() for name in own}
        by_digest: dict[str, list[str]] = {}
        for name in part_of:  # training images first, so that none of them is ever tested
            if name in self.contents:
                by_digest.setdefault(self.contents[name].digest, []).append(name)
        now: dict[str, str] = {}
        copies: list[tuple[str, str]] = []
        found = Recognised()
        later = []
        for name in names:
            digest = contents[name].digest if name in contents else None
            if name in part_of and (
                digest is None or name not in self.contents or self.contents[name].digest == digest
            ):
                now[name] = name
            else:
                later.append(name)
        for name in later:
            digest = contents[name].digest if name in contents else None
            same = by_digest.get(digest, []) if digest is not None else []
            free = next((other for other in same if other not in now), None)
            if free is not None:
                now[free] = name
            elif same:
                copies.append((part_of[same[0]], name))
            elif name in part_of and name not in now and self.source == where:
                now[name] = name
                found.changed.append(name)
            else:
                found.new.append(name)
        for part, own in self.parts.items():
            there = [now[name] for name in own if name in now]
            there += [] if self.strict else [name for other, name in copies if other == part]
            if there:
                found.parts[part] = there
        if self.strict:
            found.new += [name for _, name in copies]
        found.new = [name for name in found.new if not (self.strict and name in self.left_out)]
        found.gone = [name for name in part_of if name not in now]
        return found


def _details(
    manifest: Mapping[str, Any], parts: Mapping[str, Sequence[str]], where: str
) -> tuple[dict[str, Content], dict[str, str] | None]:
    """The contents and the classes of the images of a split; empty and None for one of zarts 0.1.0."""
    if "files" not in manifest and not isinstance(manifest.get("labels"), Mapping):
        return {}, None
    contents: dict[str, Content] = {}
    classes: dict[str, str] = {}
    what = "a whole list of images: was it edited?"
    with malformed(f"{where}: the earlier split (split.json)", what, DataError):
        for part, names in parts.items():
            if "files" in manifest:
                contents |= zip(names, map(Content.parse, manifest["files"][part]), strict=True)
            labels = [manifest["classes"][label] for label in manifest["labels"][part]]
            classes |= zip(names, labels, strict=True)
    return contents, classes


def contents_of(manifest: Mapping[str, Any] | None) -> dict[str, Content]:
    """The contents of the images of an earlier split by name, as far as they are known."""
    found: dict[str, Content] = {}
    for part, texts in ((manifest or {}).get("files") or {}).items():
        with contextlib.suppress(ValueError):
            found |= zip((manifest or {})[part], map(Content.parse, texts), strict=False)
    return found


def with_contents(known: KnownSplit, where: str) -> KnownSplit:
    """A split of zarts 0.1.0 with the contents of its images, if they are still where they were."""
    source = Path(known.source)
    if known.contents or known.source == where or not source.is_dir():
        return known
    names = [name for own in known.parts.values() for name in own]
    contents, _ = read_contents(source, names, {})
    return replace(known, contents=contents)


def written_split(
    source: str,
    parts: Mapping[str, Sequence[str]],
    class_of: Mapping[str, str],
    contents: Mapping[str, Content],
    left_out: Sequence[str],
    drawn_by: int | None,
) -> dict[str, Any]:
    """A split as `split.json` keeps it.

    Args:
        source: what the images are listed in.
        parts: the names of the images of each part.
        class_of: the class of each image.
        contents: of each image, if they are known.
        left_out: names of images that are left out.
        drawn_by: the seed by which the test images were drawn; None: they were given.
    """
    classes = sorted({class_of[name] for names in parts.values() for name in names})
    label = {name: i for i, name in enumerate(classes)}
    split: dict[str, Any] = {"source": source, "classes": classes}
    if drawn_by is not None:
        split["seed"] = drawn_by
    split |= {part: list(names) for part, names in parts.items()}
    split["labels"] = {part: [label[class_of[name]] for name in names] for part, names in parts.items()}
    if contents:
        split["files"] = {part: [str(contents[name]) for name in names] for part, names in parts.items()}
    if left_out:
        split["left_out"] = list(left_out)
    return split


def digest(names: Iterable[str]) -> str:
    """A short digest of a set of names, independent of their order."""
    listed = "\0".join(sorted(names)).encode("utf-8", "surrogateescape")
    return hashlib.blake2b(listed, digest_size=16).hexdigest()


def check_unchanged(manifest: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Check that the training images are those of an earlier load; others would change the halves of a search.

    Args:
        manifest: of the earlier load.
        now: of this load, with `source`, `train_images` and perhaps `train_names`, the digest of their names.

    Raises:
        DataError: the number of images has changed, or their names have, if `now` has their digest.
    """
    source, earlier = now["source"], "the earlier split (split.json)"
    of = manifest.get("source", "another data set")
    for key in ("train_images", "train_names"):
        if key in now and key not in manifest:
            raise DataError(f"{source}: {earlier} has no {key}; it is of {of}, or was edited")
    way_out = "start a new search, or put the images back"
    was, count = manifest["train_images"], now["train_images"]
    if was != count:
        raise DataError(f"{source}: {earlier} is of {was} training images, now there are {count}; {way_out}")
    if "train_names" in now and manifest["train_names"] != now["train_names"]:
        raise DataError(
            f"{source}: the names of the {was} training images of {earlier} have changed (digest "
            f"{str(manifest['train_names'])[:8]}, now {now['train_names'][:8]}); {way_out}"
        )
