"""What is left out of a folder of images, and why: counted in one line, listed in the run folder."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from zarts.errors import DataError

__all__ = ["EXPECTED", "LeftOut", "check_share", "counted", "left_out_csv", "left_out_note"]

_SHARE = 0.05
"""A run stops where a larger share of the images is left out."""

EXPECTED = frozenset({"left by another system", "hidden", "another kind of file", "another folder"})
"""Reasons that say nothing against the images that are used."""


@dataclass(frozen=True)
class LeftOut:
    """A file or a folder that is not used.

    Args:
        name: its path, as the images are named.
        reason: why, in a few words; equal reasons are counted together.
    """

    name: str
    reason: str


def left_out_note(where: str, left_out: Sequence[LeftOut], file: str | None = "left_out.csv") -> tuple[str, ...]:
    """One line that counts what is left out, by reason, and names the file that lists it; nothing if nothing is."""
    listed = "" if file is None else f"; all are in {file}"
    return (f"{where}: left out: {counted(left_out)}{listed}",) if left_out else ()


def check_share(where: str, used: int, left_out: Sequence[LeftOut], *, allowed: bool) -> None:
    """Check that no more than 5 % of the images are left out; debris and files of other kinds do not count.

    Args:
        where: the images, for messages.
        used: number of images that are used.
        left_out: what is left out.
        allowed: whether more may be left out.

    Raises:
        DataError: more than 5 % are left out.
    """
    counting = [one for one in left_out if one.reason not in EXPECTED]
    if not allowed and len(counting) > _SHARE * (used + len(counting)):
        share = 100 * len(counting) / (used + len(counting))
        raise DataError(
            f"{where}: {len(counting)} of {used + len(counting)} images ({share:.0f} %) would be left out: "
            f"{counted(counting)}: repair or remove them, or go on without them by --allow-left-out"
        )


def left_out_csv(left_out: Sequence[LeftOut]) -> str:
    """The text of `left_out.csv`: the columns `file` and `reason`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "reason"))
    writer.writerows((one.name, one.reason) for one in left_out)
    return text.getvalue()


def counted(left_out: Sequence[LeftOut]) -> str:
    """How many are left out for each reason, and the first of them."""
    counts = Counter(one.reason for one in left_out)
    first = {one.reason: one.name for one in reversed(left_out)}
    return ", ".join(f"{count} {reason} (first: {first[reason]})" for reason, count in counts.most_common())
