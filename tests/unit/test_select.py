"""Selections: what is known to be best is chosen."""

import pytest
import torch

from zarts.relax import softmax
from zarts.select import SELECTIONS, Trained, best_of
from zarts.spaces import get_space


def trained(space, judge, *, alpha=None, sample=None, seed=0):
    space = get_space(space)
    alpha = torch.zeros(space.dimension) if alpha is None else alpha
    generator = torch.Generator().manual_seed(seed)
    draw = sample or (lambda space, generator: space.random(generator))
    return Trained(space, softmax(space.split(alpha)), generator, draw, judge)


@pytest.mark.parametrize("name", SELECTIONS)
@pytest.mark.parametrize("space", ["s1", "darts-zero", "nasbench201"])
def test_a_cell_of_the_space_and_the_same_for_the_same_seed(name, space):
    def judge(points):
        return points @ torch.linspace(0, 1, points.shape[1])

    first, again = (SELECTIONS[name](trained(space, judge)).genotype for _ in range(2))
    get_space(space).check(first)
    assert first == again


def test_the_best_of_cells_is_the_one_with_the_lowest_loss():
    space = get_space("nasbench201")
    cells = [space.random(torch.Generator().manual_seed(seed)) for seed in range(6)]
    losses = torch.tensor([0.5, 0.4, float("nan"), 0.1, 0.3, 0.2])
    queue = iter(cells)

    def judge(points):
        assert torch.equal(points, torch.stack([space.flatten(space.one_hot(cell)) for cell in cells]))
        return losses

    chosen = best_of(trained("nasbench201", judge, sample=lambda *_: next(queue)), select_samples=6)
    assert chosen.genotype == cells[3]
    assert chosen.info["best"] == 3
