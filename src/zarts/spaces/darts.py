"""The cell spaces of DARTS and of RobustDARTS.

Sources: `darts`: ZARTS (NeurIPS 2022), supplementary 2.1, which is DARTS (ICLR 2019) without `none`;
`darts-zero`: DARTS itself; `s1` to `s4`: Zela et al., RobustDARTS (ICLR 2020), section 3 and appendix.
"""

from __future__ import annotations

from zarts.spaces.space import Space

__all__ = ["DARTS", "DARTS_ZERO", "S1", "S2", "S3", "S4"]

_OPS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)

# Table of S1, one row an edge in the order 2<-0, 2<-1, 3<-0, 3<-1, 3<-2, 4<-0 … 5<-4: normal cell, reduction cell.
_MAX, _AVG, _SKIP, _SEP3, _, _DIL3, _DIL5 = _OPS
_S1 = (
    ((_SKIP, _DIL3), (_MAX, _AVG)),
    ((_SKIP, _DIL5), (_MAX, _DIL3)),
    ((_SKIP, _DIL5), (_MAX, _AVG)),
    ((_SKIP, _SEP3), (_MAX, _AVG)),
    ((_SKIP, _DIL3), (_SKIP, _DIL5)),
    ((_MAX, _SKIP), (_MAX, _AVG)),
    ((_SKIP, _SEP3), (_MAX, _SEP3)),
    ((_SKIP, _SEP3), (_SKIP, _DIL3)),
    ((_SKIP, _DIL3), (_SKIP, _DIL5)),
    ((_SKIP, _SEP3), (_MAX, _AVG)),
    ((_MAX, _SKIP), (_MAX, _AVG)),
    ((_SKIP, _DIL3), (_SKIP, _DIL5)),
    ((_DIL3, _DIL5), (_SKIP, _DIL5)),
    ((_DIL3, _DIL5), (_SKIP, _DIL5)),
)


def _everywhere(name: str, ops: tuple[str, ...], source: str) -> Space:
    """A space with the same candidates on each of the 14 edges of both cell types."""
    return Space(name, {"normal": (ops,) * 14, "reduce": (ops,) * 14}, source)


_ROBUST = "Zela et al., RobustDARTS (ICLR 2020)"
DARTS = _everywhere("darts", _OPS, "Wang et al., ZARTS (NeurIPS 2022), supplementary 2.1")
DARTS_ZERO = _everywhere("darts-zero", ("none", *_OPS), "Liu et al., DARTS (ICLR 2019)")
S1 = Space("s1", {"normal": tuple(row[0] for row in _S1), "reduce": tuple(row[1] for row in _S1)}, _ROBUST)
S2 = _everywhere("s2", ("skip_connect", "sep_conv_3x3"), _ROBUST)
S3 = _everywhere("s3", ("none", "skip_connect", "sep_conv_3x3"), _ROBUST)
S4 = _everywhere("s4", ("noise", "sep_conv_3x3"), _ROBUST)
