"""Cells with few skips, against deletions by hand."""

import pytest
import torch

from zarts.errors import SettingsError
from zarts.limits import Constraints, Cost, Limit
from zarts.select import few_skips
from zarts.spaces import Space, get_space

S2 = get_space("s2")  # skip_connect, sep_conv_3x3


def planted():
    """Skips of strength .9, .8, .75, .7 on the edges 0, 1, 2, 5 of the normal cell, convolutions elsewhere."""
    normal = torch.tensor([[0.1, 0.4]]).repeat(14, 1)
    for edge, strength in ((0, 0.9), (1, 0.8), (2, 0.75), (5, 0.7)):
        normal[edge] = torch.tensor([strength, 1 - strength])
    return {"normal": normal, "reduce": torch.tensor([[0.9, 0.1]]).repeat(14, 1)}


def ops(genotype, kind="normal"):
    return [[(choice.op.split("_")[0], choice.source) for choice in node] for node in genotype.cells[kind]]


def test_by_hand():
    strengths = planted()
    before = {kind: matrix.clone() for kind, matrix in strengths.items()}
    plain = few_skips(Constraints(S2), strengths, 4)
    assert plain == S2.derive(strengths)
    assert ops(plain) == [
        [("skip", 0), ("skip", 1)],
        [("skip", 0), ("sep", 1)],
        [("skip", 0), ("sep", 1)],
        [("sep", 0), ("sep", 1)],
    ]
    three = few_skips(Constraints(S2), strengths, 3)
    assert ops(three)[2] == [("sep", 1), ("sep", 2)], "edge 4<-0 has .3 left, less than two others"
    two = few_skips(Constraints(S2), strengths, 2)
    assert ops(two)[:2] == [[("skip", 0), ("skip", 1)], [("sep", 1), ("sep", 2)]]
    assert ops(few_skips(Constraints(S2), strengths, 1))[0] == [("skip", 0), ("sep", 1)], (
        "a node of two edges keeps both"
    )
    none = few_skips(Constraints(S2), strengths, 0)
    assert {op for node in ops(none) for op, _ in node} == {"sep"}
    assert {op for node in ops(none, "reduce") for op, _ in node} == {"skip"}, "the reduction cell is left alone"
    assert all(torch.equal(strengths[kind], before[kind]) for kind in before)


def test_within_limits():
    """Convolutions cost 1, and at most four are allowed: the skips that are left are where they are strongest."""
    cost = Cost(S2, 0, {kind: torch.tensor([[0.0, 1.0]]).repeat(14, 1).double() for kind in S2.shapes})
    constraints = Constraints(S2, [Limit("max_params", cost, 4)])
    assert few_skips(constraints, planted(), 4).count("normal", frozenset({"skip_connect"})) == 4
    with pytest.raises(SettingsError, match="max_skips = 3"):
        few_skips(constraints, planted(), 3)


def test_a_space_that_needs_its_skips():
    edges = (("skip_connect",), ("skip_connect",), *((("sep_conv_3x3",),) * 12))
    space = Space("own", {"normal": edges, "reduce": edges}, "")
    strengths = {kind: torch.ones(14, 1) for kind in space.shapes}
    assert few_skips(Constraints(space), strengths, 2).count("normal", frozenset({"skip_connect"})) == 2
    with pytest.raises(SettingsError, match="max_skips = 1"):
        few_skips(Constraints(space), strengths, 1)


def test_in_nasbench201():
    space = get_space("nasbench201")
    normal = torch.tensor([[0.1, 0.5, 0.2, 0.3, 0.0]]).repeat(6, 1)
    normal[3, 1] = 0.4
    found = few_skips(Constraints(space), {"normal": normal}, 5)
    assert found.count("normal", frozenset({"skip_connect"})) == 5
    assert found.cells["normal"][2][0].op == "nor_conv_3x3"
