"""Subspaces beside the whole space."""

import pytest
import torch

from zarts.spaces import SPACES, Subspace, get_space


def strengths(space, generator):
    return {kind: torch.rand(shape, generator=generator) for kind, shape in space.shapes.items()}


def smaller(space, count, generator):
    values = strengths(space, generator)
    return Subspace.all_of(space).strongest(values, count, space.derive(values)), values


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("count", [1, 2, 9])
def test_what_is_left(generator, name, count):
    space = get_space(name)
    part, values = smaller(space, count, generator)
    inner = part.space
    assert inner.name == space.name
    assert inner.shapes == part.shapes == {k: (edges, min(count, ops)) for k, (edges, ops) in space.shapes.items()}
    assert (inner == space) == (inner is space) == all(ops <= count for _, ops in space.shapes.values())
    mask = part.mask()
    for kind, rows in values.items():
        for edge, (ops, left) in enumerate(zip(space.candidates[kind], inner.candidates[kind], strict=True)):
            assert list(left) == [op for op, stays in zip(ops, mask[kind][edge].tolist(), strict=True) if stays]
            dropped = [float(rows[edge, i]) for i, op in enumerate(ops) if op not in left]
            kept = [float(rows[edge, i]) for i, op in enumerate(ops) if op in left]
            if count > 1 or space.keep is None:
                assert not dropped or max(dropped) < min(kept)
            else:
                assert left != ("none",)
    genotype = inner.random(generator)
    space.check(genotype)
    assert space.derive(values) == inner.derive(part.gather(values)), "the strongest cell can still be derived"


@pytest.mark.parametrize("name", ["darts", "s1", "s3", "nasbench201"])
def test_scatter_and_gather(generator, name):
    space = get_space(name)
    part, values = smaller(space, 2, generator)
    gathered = part.gather(values)
    scattered, mask = part.scatter(gathered, fill=-7.0), part.mask()
    for kind in values:
        assert torch.equal(scattered[kind], torch.where(mask[kind], values[kind], -7.0))
        assert torch.equal(part.gather(scattered)[kind], gathered[kind])
    leaf = {kind: matrix.clone().requires_grad_() for kind, matrix in gathered.items()}
    total = sum((part.scatter(leaf)[kind] * values[kind]).sum() for kind in values)
    for kind, gradient in zip(leaf, torch.autograd.grad(total, list(leaf.values())), strict=True):
        assert torch.equal(gradient, gathered[kind])
    genotype = part.space.random(generator)
    hot = part.scatter(part.space.one_hot(genotype))
    assert all(torch.equal(hot[kind], space.one_hot(genotype)[kind]) for kind in hot)


def test_where_nothing_is_dropped_matrices_are_themselves(generator):
    space = get_space("darts")
    part, values = smaller(space, 7, generator), strengths(space, generator)
    scattered = part[0].scatter(values)
    assert all(scattered[kind] is values[kind] for kind in values)


def test_again_and_again(generator):
    """Each part is one of the part before it; of equal strengths the first operation stays."""
    space = get_space("darts")
    equal = {kind: torch.ones(shape) for kind, shape in space.shapes.items()}
    part = Subspace.all_of(space)
    for count in (4, 2, 1):
        part = part.strongest(equal, count, space.derive(equal))
        assert all((rows == torch.arange(count)).all() for rows in part.kept.values())
    values = strengths(space, generator)
    part = Subspace.all_of(space)
    for count in (5, 3, 3):
        before = part.mask()
        part = part.strongest(values, count, space.derive(values))
        assert all((part.mask()[kind] <= before[kind]).all() for kind in before)
    direct = Subspace.all_of(space).strongest(values, 3, space.derive(values))
    assert all(torch.equal(part.kept[kind], direct.kept[kind]) for kind in direct.kept)


def test_the_operations_of_the_cell_stay(generator):
    """Within limits a cell may need operations that are not the strongest ones."""
    space = get_space("s2")
    values = {kind: torch.tensor([[0.9, 0.1]]).repeat(14, 1) for kind in space.shapes}
    weak = {kind: 1 - matrix for kind, matrix in values.items()}
    part = Subspace.all_of(space).strongest(values, 1, space.derive(weak))
    for kind, edges in part.space.candidates.items():
        expected = space.one_hot(space.derive(weak))[kind][:, 1]
        assert [ops == ("sep_conv_3x3",) for ops in edges] == expected.bool().tolist()


def test_spaces_of_one_name_are_told_apart():
    """Their hash is that of the name, so that whatever remembers by a space goes by equality too."""
    whole = get_space("s2")
    part = Subspace.all_of(whole).strongest(
        {kind: torch.ones(shape) for kind, shape in whole.shapes.items()}, 1, whole.derive(whole_ones(whole))
    )
    assert hash(part.space) == hash(whole)
    assert {whole: 1}.get(part.space) is None


def whole_ones(space):
    return {kind: torch.ones(shape) for kind, shape in space.shapes.items()}
