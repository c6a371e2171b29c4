"""ENAS: the policy gradient equals its closed form, and cells are those of the space."""

import math

import pytest
import torch
from torch import nn

from zarts.arch_optim import ReinforceArchOptimizer
from zarts.arch_optim.controller import Controller
from zarts.bilevel import ERROR, BatchLoss, Bilevel
from zarts.spaces import SPACES, Space, get_space

TINY = Space("tiny", {"normal": (("one", "two"),) * 3}, "this test", inputs=1, nodes=2, keep=None)
REWARDS = torch.tensor([0.3, 0.9, 0.1, 0.5, 0.7, 0.2, 0.4, 0.6])
"""Of the 8 cells of `TINY`, numbered by which edges have the second operation."""


def number(points):
    """Which cell each one-hot vector is."""
    return (points.view(-1, 3, 2)[:, :, 1] @ torch.tensor([1.0, 2.0, 4.0])).long()


def bandit():
    """A problem whose batches have 10 images, of which a cell's reward is answered correctly."""
    model = nn.Linear(1, 1)

    def forward(point, batch):
        right = torch.arange(10) < (10 * REWARDS[number(point[None])]).round()
        return BatchLoss(torch.zeros(()), right.sum(), logits=torch.stack([right, ~right], 1).float())

    return Bilevel(model, torch.optim.SGD(model.parameters(), lr=0.1), forward, objective=ERROR)


def update(space=TINY, samples=4000, entropy_weight=0.0, **other):
    settings = {"lr": 1e-2, "weight_decay": 0.0, "betas": (0.0, 0.999), "baseline_decay": 0.99, **other}
    generator = torch.Generator().manual_seed(0)
    like = torch.zeros(space.dimension)
    return ReinforceArchOptimizer(space, like, generator, samples=samples, entropy_weight=entropy_weight, **settings)


BATCHES = [(torch.zeros(10, 1), torch.zeros(10, dtype=torch.long))]


def probabilities(controller):
    """Of all cells, with gradient."""
    drawn = controller(4000, torch.Generator().manual_seed(1))
    log = {int(n): value for n, value in zip(number(drawn.weights), drawn.log_probability, strict=True)}
    return torch.stack([log[cell] for cell in range(8)]).exp()


def spread_out(controller):
    """Parameters large enough that cells differ in probability."""
    with torch.no_grad():
        for parameter in controller.parameters():
            parameter.mul_(20)


def test_the_probabilities_of_all_cells_sum_to_1_and_are_how_often_they_are_drawn():
    controller = Controller(TINY, torch.Generator().manual_seed(0))
    spread_out(controller)
    expected = probabilities(controller).detach()
    assert expected.sum().item() == pytest.approx(1, abs=1e-5)
    assert expected.max() > 2 * expected.min()
    drawn = controller(8000, torch.Generator().manual_seed(2))
    torch.testing.assert_close(number(drawn.weights).bincount(minlength=8) / 8000, expected, atol=0.015, rtol=0)
    joint = -(expected * expected.log()).sum()
    assert drawn.entropy.mean().item() == pytest.approx(joint.item(), abs=0.02)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("baseline", [0.0, 0.5])
def test_the_policy_gradient_is_the_gradient_of_the_expected_reward(baseline):
    learner = update()
    spread_out(learner._controller)
    learner._baseline = baseline
    used = list(learner._controller.parameters())
    expected = torch.autograd.grad(-(probabilities(learner._controller) * REWARDS).sum(), used, allow_unused=True)
    learner.step(bandit(), (), BATCHES)
    ours = torch.cat([p.grad.flatten() for p, g in zip(used, expected, strict=True) if g is not None])
    theirs = torch.cat([g.flatten() for g in expected if g is not None])
    assert (ours - theirs).norm() < 0.15 * theirs.norm()


@pytest.mark.usefixtures("unchecked")
def test_rewards_grow_and_the_baseline_is_their_moving_mean():
    learner = update(samples=10, lr=2e-2, baseline_decay=0.9)
    first = learner.step(bandit(), (), BATCHES)
    rewards = [1 - loss for loss in first["values"]]
    baseline = sum(rewards) / 10
    for reward in rewards:
        baseline = 0.9 * baseline + 0.1 * reward
    assert first["baseline"] == pytest.approx(baseline, abs=1e-5)
    for _ in range(200):
        learner.step(bandit(), (), BATCHES)
    drawn = learner._controller(2000, torch.Generator().manual_seed(3)).weights
    assert REWARDS[number(drawn)].mean() > REWARDS.mean() + 0.1


def test_entropy_is_rewarded():
    learner = update(samples=10, entropy_weight=2.0)
    step = learner.step(bandit(), (), BATCHES)
    assert step["entropy"] == pytest.approx(3 * math.log(2), abs=0.02)
    assert step["baseline"] == pytest.approx(1 - sum(step["values"]) / 10 + 2 * 3 * math.log(2), abs=0.1)


@pytest.mark.parametrize("space", SPACES)
def test_cells_of_every_space(space):
    space = get_space(space)
    learner = update(space)
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        point = learner.training_point(generator)
        cell = learner.sample(space, generator.manual_seed(seed))
        space.check(cell)
        assert torch.equal(space.flatten(space.one_hot(cell)), point)
    space.check(space.derive(space.split(learner.alpha)))
