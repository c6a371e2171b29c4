"""The condition number on the quadratic bilevel problem, against its closed form."""

import math

import pytest
import torch
from test_bilevel import ETA, RHO, TRAIN, VAL, Quadratic

from zarts.analysis import condition_number


def closed_form(toy, alpha, steps):
    """The loss after M steps, and its gradient in alpha."""
    c = 1 - (1 - ETA) ** steps
    off = c * toy.a @ alpha + (1 - c) * toy.omega - toy.b
    loss = off.square().sum() / 2 + RHO * alpha.square().sum() / 2
    return loss, c * toy.a.T @ off + RHO * alpha, c**2 * toy.a.T @ toy.a + RHO * torch.eye(4, dtype=torch.float64)


@pytest.mark.parametrize("steps", [0, 1, 10])
def test_equals_the_closed_form_over_the_same_directions(steps):
    toy = Quadratic()
    alpha = torch.randn(4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    found = condition_number(
        toy.problem, alpha, [TRAIN] * steps, [VAL], torch.Generator().manual_seed(1), directions=20, epsilon=0.1
    )
    perturbations = torch.randn(20, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    perturbations = 0.1 * perturbations / perturbations.norm(dim=1, keepdim=True)
    loss, gradient, hessian = closed_form(toy, alpha, steps)
    changes = perturbations @ gradient + ((perturbations @ hessian) * perturbations).sum(1) / 2
    assert found == pytest.approx(float((changes / 0.1 * alpha.norm() / loss).abs().max()), rel=1e-9)
    assert torch.equal(toy.model.omega.detach(), toy.omega)


@pytest.mark.usefixtures("unchecked")
def test_many_directions_approach_the_condition_number_of_the_gradient_from_below():
    toy = Quadratic()
    alpha = torch.ones(4, dtype=torch.float64)
    loss, gradient, _ = closed_form(toy, alpha, 3)
    limit = float(gradient.norm() * alpha.norm() / loss)
    few, many = (
        condition_number(
            toy.problem, alpha, [TRAIN] * 3, [VAL], torch.Generator().manual_seed(0), directions=k, epsilon=1e-6
        )
        for k in (5, 500)
    )
    assert few < many < limit * (1 + 1e-4)
    assert many > 0.97 * limit


def test_learning_rate_and_momentum_are_those_of_the_inner_steps():
    toy = Quadratic()
    alpha = torch.ones(4, dtype=torch.float64)
    frozen = condition_number(
        toy.problem, alpha, [TRAIN] * 5, [VAL], torch.Generator().manual_seed(0), learning_rate=0.0, momentum=0.5
    )
    first_order = condition_number(toy.problem, alpha, [], [VAL], torch.Generator().manual_seed(0))
    moving = condition_number(toy.problem, alpha, [TRAIN] * 5, [VAL], torch.Generator().manual_seed(0))
    assert frozen == first_order != moving
    assert toy.problem.optimizer.param_groups[0]["lr"] == ETA


def test_is_scale_free_and_has_no_value_where_a_loss_has_none():
    toy = Quadratic()
    assert condition_number(toy.problem, torch.zeros(4).double(), [], [VAL], torch.Generator()) == 0, "|alpha| = 0"
    toy.b = toy.omega.clone()
    assert math.isnan(condition_number(toy.problem, torch.zeros(4).double(), [], [VAL], torch.Generator())), "L = 0"
    toy.b[0] = torch.nan
    assert math.isnan(condition_number(toy.problem, torch.ones(4).double(), [], [VAL], torch.Generator()))
