"""Selections: what is known to be best is chosen."""

from dataclasses import replace

import pytest
import torch

from zarts.limits import Constraints
from zarts.relax import Parameterization, softmax
from zarts.select import SELECTIONS, SelectionContext, best_of, evolution, perturbation
from zarts.select.connectivity import best_connected
from zarts.select.evolution import cross
from zarts.spaces import Choice, get_space


def context(
    space, evaluate, *, alpha=None, sample=None, tune=lambda weights, steps: None, early=None, seed=0, constraints=None
):
    space = get_space(space)
    alpha = torch.zeros(space.dimension) if alpha is None else alpha
    generator = torch.Generator().manual_seed(seed)
    draw = sample or space.random
    return SelectionContext(
        constraints or Constraints(space),
        softmax(space.split(alpha)),
        generator,
        draw,
        evaluate,
        tune,
        early or (lambda points, steps: evaluate(points)),
    )


@pytest.mark.parametrize("name", SELECTIONS)
@pytest.mark.parametrize("space", ["s1", "darts-zero", "nasbench201"])
def test_a_cell_of_the_space_and_the_same_for_the_same_seed(name, space):
    def evaluate(points):
        return points @ torch.linspace(0, 1, points.shape[1])

    few = {"select_generations": 2, "select_samples": 9} if name == "evolution" else {}
    first, again = (SELECTIONS[name](context(space, evaluate), **few).genotype for _ in range(2))
    get_space(space).check(first)
    assert first == again


def test_the_best_of_cells_is_the_one_with_the_lowest_loss():
    space = get_space("nasbench201")
    cells = [space.random(torch.Generator().manual_seed(seed)) for seed in range(6)]
    losses = torch.tensor([0.5, 0.4, float("nan"), 0.1, 0.3, 0.2])
    queue = iter(cells)

    def evaluate(points):
        assert torch.equal(points, torch.stack([space.flatten(space.one_hot(cell)) for cell in cells]))
        return losses

    chosen = best_of(context("nasbench201", evaluate, sample=lambda *_: next(queue)), select_samples=6)
    assert chosen.genotype == cells[3]
    assert chosen.info["best"] == 3


def additive(worth):
    """A known loss: every operation takes its worth times its weight from it."""
    return lambda points: -(points.double() @ worth.double()).float()


@pytest.mark.parametrize("order", ["one-pass", "progressive"])
@pytest.mark.parametrize("space", ["s1", "darts", "darts-zero"])
def test_operations_and_edges_whose_removal_hurts_most_stay(space, order):
    """By hand: on each edge the operation of the largest worth, of each node the two edges of the largest worth."""
    space = get_space(space)
    generator = torch.Generator().manual_seed(3)
    worth = torch.rand(space.dimension, generator=generator)
    worth[[op == "none" for edges in space.candidates.values() for ops in edges for op in ops]] = 0
    genotype = perturbation(context(space.name, additive(worth)), select_order=order).genotype
    for kind, rows in space.split(worth).items():
        edges = dict(zip(space.edges, zip(rows, space.candidates[kind], strict=True), strict=True))
        for target, chosen in enumerate(genotype.cells[kind], start=2):
            best, totals = {}, {}
            for source in range(target):
                values, ops = edges[target, source]
                best[source] = max((float(v), op) for v, op in zip(values, ops, strict=True) if op != "none")
                totals[source] = float(values.sum()) if order == "one-pass" else best[source][0]
            kept = sorted(totals, key=totals.get, reverse=True)[:2]
            assert chosen == tuple(Choice(best[source][1], source) for source in kept)


def test_progressive_decisions_are_made_one_by_one_and_trained_on():
    space, seen = get_space("s3"), []
    chosen = context(
        "s3", additive(torch.rand(space.dimension)), tune=lambda weights, steps: seen.append(weights.clone())
    )
    genotype = perturbation(chosen, select_order="progressive", select_tune_steps=7).genotype
    assert len(seen) == 2 * (14 + 4)
    decided = [sum(bool((rows == 1).any()) for m in space.split(w).values() for rows in m) for w in seen[:28]]
    assert decided == list(range(1, 29)), "an edge a time"
    last = space.split(seen[-1])
    for kind, rows in last.items():
        assert (rows[:, 1:].sum(-1) == 1).sum() == 8, "two edges a node are left"
        assert torch.equal(rows[:, 1:], space.one_hot(genotype)[kind][:, 1:])


def test_an_operation_that_is_left_alone_has_the_weight_of_its_edge():
    encoding, seen = Parameterization(get_space("s2"), normalized=True), []
    alpha = torch.randn(encoding.dimension, generator=torch.Generator().manual_seed(0))
    chosen = context(
        "s2", additive(torch.rand(encoding.space.dimension)), tune=lambda weights, steps: seen.append(weights.clone())
    )
    chosen = replace(chosen, strengths=encoding.strengths(alpha), betas=encoding.betas(alpha))
    perturbation(chosen, select_order="progressive", select_tune_steps=1)
    for kind, rows in encoding.space.split(seen[27]).items():
        assert torch.equal(rows.amax(-1), chosen.betas[kind])
        assert (rows.amin(-1) == 0).all()


def test_the_best_cell_is_connected():
    """Where `none` is best everywhere, the way that costs least has its best other operation, and nothing else has."""
    space = get_space("nasbench201")
    scores = torch.zeros(6, 5)
    scores[:, 0] = 10
    scores[:, 3] = torch.tensor([8.0, 1.0, 1.0, 5.0, 1.0, 9.0])  # 1<-0 2<-0 2<-1 3<-0 3<-1 3<-2
    ops = [[op for op, _ in node] for node in best_connected(Constraints(space), scores.flatten()).cells["normal"]]
    assert ops == [["none"], ["none", "none"], ["nor_conv_3x3", "none", "none"]]  # 5 beats 8 + 1 of 20 and the others
    scores[3, 3] = 0
    scores[4, 3] = 9.5
    ops = [[op for op, _ in node] for node in best_connected(Constraints(space), scores.flatten()).cells["normal"]]
    assert ops == [["nor_conv_3x3"], ["none", "none"], ["none", "nor_conv_3x3", "none"]]


def test_the_best_connected_cell_is_the_best_of_all_that_are():
    space, generator = get_space("nasbench201"), torch.Generator().manual_seed(0)
    for _ in range(3):
        scores = torch.randn(6, 5, generator=generator)
        scores[:, 0] += 1
        found = space.one_hot(best_connected(Constraints(space), scores.flatten()))["normal"]
        codes = torch.cartesian_prod(*[torch.arange(5)] * 6)
        totals = scores[torch.arange(6), codes].sum(-1)
        a, b, c, d, e, f = (codes != 0).T
        totals[~(d | (a & e) | (b & f) | (a & c & f))] = -torch.inf
        assert found.argmax(-1).tolist() == codes[totals.argmax()].tolist()


def test_removed_operations_leave_the_rest_as_it_is():
    space = get_space("nasbench201")
    alpha = torch.randn(30, generator=torch.Generator().manual_seed(0))
    mixture = alpha.view(6, 5).softmax(-1).flatten()

    def evaluate(points):
        assert len(points) == 30
        for i, point in enumerate(points):
            assert torch.equal((point - mixture).nonzero().flatten(), torch.tensor([i]))
            assert point[i] == 0
        return points.sum(-1)

    perturbation(context(space.name, evaluate, alpha=alpha))


def test_a_removal_that_leaves_no_finite_loss_hurts_most():
    worth = torch.zeros(30)

    def evaluate(points):
        losses = additive(worth)(points)
        losses[points[:, 3] == 0] = float("nan")
        return losses

    cell = perturbation(context("nasbench201", evaluate)).genotype.cells["normal"]
    assert cell[0] == (Choice("nor_conv_3x3", 0),)


def test_evolution_judges_each_cell_once_and_beats_as_many_random_ones():
    space = get_space("nasbench201")
    worth = torch.rand(space.dimension, generator=torch.Generator().manual_seed(3))
    evaluated = []

    def evaluate(points):
        evaluated.extend(points)
        return additive(worth)(points)

    found = evolution(context("nasbench201", evaluate), select_samples=20, select_generations=9, select_parents=5)
    assert found.info["evaluated"] == len(evaluated) == 200
    assert len({point.numpy().tobytes() for point in evaluated}) == 200
    generations = found.info["best_of_generation"]
    assert generations == sorted(generations, reverse=True)
    losses = additive(worth)(torch.stack(evaluated))
    assert torch.equal(evaluated[int(losses.argmin())], space.flatten(space.one_hot(found.genotype)))
    by_chance = best_of(context("nasbench201", additive(worth)), select_samples=200).info["scores"]
    assert generations[-1] < min(by_chance) - 0.1


def test_random_cells_make_up_for_children_that_were_there_before():
    """Without mutation a single parent has no other children than itself."""
    found = evolution(
        context("s2", lambda points: points.sum(1)),
        select_samples=4,
        select_generations=3,
        select_parents=1,
        select_mutation=0.0,
    )
    assert found.info["evaluated"] == 16


def test_a_crossing_has_nodes_of_both():
    space, generator = get_space("darts"), torch.Generator().manual_seed(0)
    a, b = space.random(generator), space.random(generator)
    assert cross(a, b, 0.0, generator) == a
    assert cross(a, b, 1.0, generator) == b
    taken = 0
    for _ in range(500):
        child = cross(a, b, 0.25, generator)
        space.check(child)
        for kind, nodes in child.cells.items():
            for own, theirs, node in zip(a.cells[kind], b.cells[kind], nodes, strict=True):
                assert node in (own, theirs)
                taken += node == theirs
    assert taken / (500 * 8) == pytest.approx(0.25, abs=0.03)
