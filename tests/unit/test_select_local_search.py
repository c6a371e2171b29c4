"""The local search: it finds what is known to be best nearby, within the limits, and trains each candidate alone."""

import importlib

import pytest
import torch

import zarts
from small import small
from zarts.config import dump, search_settings
from zarts.errors import SettingsError
from zarts.limits import Constraints, Limit, count_costs
from zarts.relax import softmax
from zarts.select import SelectionContext, local_search, perturbation
from zarts.select.local_search import neighbours
from zarts.spaces import get_space

pytestmark = pytest.mark.usefixtures("no_pictures", "unchecked")

FEW = {"select_screen_steps": 2, "select_early_steps": 3, "select_finalists": 2}


def context(space, evaluate, early, *, constraints=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    alpha = space.split(torch.zeros(space.dimension))
    return SelectionContext(
        constraints or Constraints(space), softmax(alpha), generator, space.random, evaluate, lambda *_: None, early
    )


def nothing(points, steps):
    raise AssertionError("no network is trained by itself")


def additive(worth):
    """A known loss: every operation takes its worth times its weight from it."""
    return lambda points, *_: -(points.double() @ worth.double()).float()


def distance(a, b):
    return sum(
        x not in other
        for kind in a.cells
        for node, other in zip(a.cells[kind], b.cells[kind], strict=True)
        for x in node
    )


@pytest.mark.parametrize(("space", "count"), [("nasbench201", 6 * 4), ("s2", 2 * (2 + 6 + 10 + 14)), ("darts", 264)])
def test_neighbours_are_all_cells_that_differ_in_one_choice(space, count):
    """By hand: 2 nodes of `darts` keep 2 edges each with 7 operations: 2 · (7 (n − 1) − 1) for n earlier nodes."""
    space = get_space(space)
    cell = space.random(torch.Generator().manual_seed(0))
    found = list(neighbours(space, cell))
    assert len(set(found)) == len(found) == count
    for other in found:
        space.check(other)
        assert distance(cell, other) == 1


@pytest.mark.parametrize("name", ["nasbench201", "s2", "darts-zero"])
def test_each_round_takes_the_best_neighbour_until_none_is_better(name):
    """The present cell is perturbation's at first; what comes after it is found by hand."""
    space = get_space(name)
    shared, alone = (torch.rand(space.dimension, generator=torch.Generator().manual_seed(s)) for s in (1, 2))
    start = perturbation(context(space, additive(shared), nothing)).genotype

    def losses(cells):
        return [float(additive(alone)(space.flatten(space.one_hot(c))[None])) for c in cells]

    expected, moves = start, 0
    while moves < 60:
        around = list(neighbours(space, expected))
        values = losses([expected, *around])
        if min(values) == values[0]:
            break
        expected, moves = [expected, *around][values.index(min(values))], moves + 1
    many = {"select_samples": 1000, **FEW}
    one = local_search(context(space, additive(shared), additive(alone)), **many)
    assert distance(start, one.genotype) == 1
    assert losses([one.genotype])[0] == min(losses(neighbours(space, start)))
    found = local_search(context(space, additive(shared), additive(alone)), select_rounds=60, **many)
    assert losses([found.genotype]) == pytest.approx(losses([expected]))
    assert len(found.info["rounds"]) == moves + 1, "the last one finds nothing"


def test_the_second_evaluation_decides_among_the_finalists_and_the_present_cell():
    space, calls = get_space("nasbench201"), []
    worth = torch.rand(30, generator=torch.Generator().manual_seed(5))

    def early(points, steps):
        calls.append((len(points), steps))
        return additive(worth)(points) * (1 if steps == 50 else -1)  # the second contradicts the first

    def evaluate(points):
        return additive(worth)(points)

    found = local_search(context(space, evaluate, early))
    assert calls == [(24, 50), (4, 150)]
    losses = found.info["rounds"][0]["losses"]
    assert losses.index(min(losses)) == 3, "of the three best the worst, and not the present cell, which is better"
    planted = local_search(context(space, evaluate, lambda points, steps: torch.arange(len(points)).float()))
    assert planted.genotype == perturbation(context(space, evaluate, nothing)).genotype


def test_a_candidate_without_a_finite_loss_is_never_chosen():
    space = get_space("nasbench201")
    worth = torch.rand(30, generator=torch.Generator().manual_seed(5))

    def early(points, steps):
        losses = additive(worth)(points)
        losses[points[:, 3] == 0] = float("nan")  # all without a 3x3 convolution on the first edge
        return losses

    chosen = local_search(context(space, lambda points: points.sum(1), early)).genotype
    assert chosen.cells["normal"][0][0].op == "nor_conv_3x3"


@pytest.mark.parametrize("name", ["nasbench201", "s2"])
def test_no_candidate_is_beyond_the_limits(name):
    space = get_space(name)
    cost = count_costs(space, channels=4, cells=4, num_classes=7, in_channels=1, image_size=12, stem="cifar")[
        "parameters"
    ]
    most = round(0.7 * cost.cheapest() + 0.3 * cost.of(space.derive(cost.operations)))
    table, seen = space.flatten(cost.operations).float(), []

    def early(points, steps):
        seen.extend((cost.base + points @ table).tolist())
        return -points @ table

    constraints = Constraints(space, [Limit("max_params", cost, most)])
    free = local_search(context(space, lambda points: points.sum(1), lambda points, _: -points @ table))
    bound = local_search(context(space, lambda points: points.sum(1), early, constraints=constraints), select_rounds=20)
    assert max(seen) <= most < cost.of(free.genotype) or constraints.holds(free.genotype)
    assert constraints.holds(bound.genotype)
    assert cost.of(bound.genotype) > cost.cheapest()


def test_the_control_draws_evenly_among_the_same_candidates():
    space = get_space("nasbench201")
    worth = torch.rand(30, generator=torch.Generator().manual_seed(5))
    start = perturbation(context(space, additive(worth), nothing)).genotype
    drawn = [
        local_search(context(space, additive(worth), nothing, seed=seed), ablation="uniform").genotype
        for seed in range(400)
    ]
    assert set(drawn) == {start, *neighbours(space, start)}
    assert max(drawn.count(cell) for cell in set(drawn)) < 40, "16 are expected of each of 25"


def early_passes(monkeypatch, tmp_path, name="run", **other):
    """Operation weights, images and first weights of each pass of a deep network."""
    module, seen = importlib.import_module("zarts.searcher.searcher"), []
    fresh = module.Searcher.new_network

    def watched(self, number):
        problem = fresh(self, number)
        forward, model = problem.forward, problem.model
        first = torch.cat([p.detach().flatten().clone() for p in model.parameters()])

        def forward_(weights, batch):
            now = torch.cat([p.detach().flatten() for p in model.parameters()])
            seen.append((number, weights.clone(), batch[0], torch.equal(now, first), len(now)))
            return forward(weights, batch)

        problem.forward = forward_
        return problem

    monkeypatch.setattr(module.Searcher, "new_network", watched)
    return zarts.search(out=tmp_path / name, **small("zarts", **{**FEW, **other})), seen


def test_candidates_share_batches_and_first_weights_and_nothing_else(monkeypatch, tmp_path):
    result, seen = early_passes(monkeypatch, tmp_path, space="nasbench201", select_samples=5)
    assert len(seen) == 5 * 2 + 3 * 3
    numbers = list(dict.fromkeys(number for number, *_ in seen))
    assert len(numbers) == 2
    assert seen[0][4] == seen[-1][4] != seen[0][0]
    for number, steps in zip(numbers, (2, 3), strict=True):
        passes = [one for one in seen if one[0] == number]
        for i, (_, weights, images, fresh, _) in enumerate(passes):
            assert torch.equal(weights.view(6, 5).sum(1), torch.ones(6)), "one operation an edge"
            assert torch.equal(images, passes[i % steps][2]), "the same batch at the same step"
            assert fresh == (i % steps == 0)
    assert not torch.equal(seen[0][2], seen[-3][2]), "the second evaluation has other batches"
    deeper, more = early_passes(monkeypatch, tmp_path, "deeper", space="nasbench201", select_samples=5, select_cells=1)
    assert more[0][4] < seen[0][4]
    (event,) = [event for event in result.history if event["event"] == "selection"]
    assert len(event["rounds"][0]["losses"]) == 3
    get_space("nasbench201").check(result.genotype)
    assert deeper.genotype.space == "nasbench201"


def test_the_ablation_evaluates_no_candidate(tmp_path):
    result = zarts.search(out=tmp_path / "run", **{**_without_steps(small("zarts")), "ablation": "uniform"})
    (event,) = [event for event in result.history if event["event"] == "selection"]
    assert event["candidates"] > 1
    written = dump(search_settings({"method": "zarts", "ablation": "uniform"}))
    assert written["ablation"] == "uniform"
    assert not {"select_cells", *FEW} & set(written)
    assert dump(search_settings(written)) == written


def _without_steps(settings):
    return {key: value for key, value in settings.items() if key not in FEW}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "rsps", "select": "local-search"}, "select = local-search"),
        ({"method": "zarts", "ablation": "uniform", "select_cells": 3}, "select_cells"),
        ({"method": "darts-pt", "ablation": "uniform"}, "select="),
        ({"method": "darts-pt", "select_rounds": 2}, "select_rounds"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(SettingsError, match=message):
        search_settings(options)


def test_a_depth_that_cannot_be_is_refused_before_the_first_step(tmp_path):
    with pytest.raises(SettingsError, match="cells is 2"):
        zarts.search(out=tmp_path / "run", **small("zarts", select_cells=2))
    assert not (tmp_path / "run").exists()
