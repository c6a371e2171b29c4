"""The cell space of NAS-Bench-201 and the strings that its tables name architectures by.

Source: Dong and Yang, NAS-Bench-201 (ICLR 2020); Dong et al., NATS-Bench (TPAMI 2021), where it is the topology space.
"""

from __future__ import annotations

import re

from zarts.errors import RunError, SettingsError
from zarts.spaces.genotype import Choice, Genotype
from zarts.spaces.space import Space

__all__ = ["NASBENCH201", "from_string", "to_string"]

_OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

NASBENCH201 = Space(
    "nasbench201",
    {"normal": (_OPS,) * 6},
    "Dong and Yang, NAS-Bench-201 (ICLR 2020)",
    inputs=1,
    nodes=3,
    keep=None,
    skeleton="nasbench201",
)

_NODE = re.compile(r"\|(?:[^|~+]+~\d+\|)+")
_CHOICE = re.compile(r"([^|~+]+)~(\d+)")
_FORM = "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"


def to_string(genotype: Genotype) -> str:
    """The benchmark's name of an architecture, in the form `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`.

    Raises:
        RunError: the genotype is not one of this space.
    """
    NASBENCH201.check(genotype)
    return "+".join("|" + "".join(f"{op}~{source}|" for op, source in node) for node in genotype.cells["normal"])


def from_string(text: str) -> Genotype:
    """The genotype of such a name; the operations of a node may stand in any order.

    Raises:
        SettingsError: the text has not that form, or names an operation or an edge that does not exist.
    """
    nodes = text.strip().split("+")
    if not all(_NODE.fullmatch(node) for node in nodes):
        raise SettingsError(f"architecture {text!r}: expected the form {_FORM}")
    cell = tuple(
        tuple(sorted((Choice(op, int(source)) for op, source in _CHOICE.findall(node)), key=lambda c: c.source))
        for node in nodes
    )
    genotype = Genotype(NASBENCH201.name, {"normal": cell})
    try:
        NASBENCH201.check(genotype, f"architecture {text!r}")
    except RunError as error:
        raise SettingsError(str(error)) from None
    return genotype
