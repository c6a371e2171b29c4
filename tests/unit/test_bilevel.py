"""Candidate evaluation and gradients in alpha, against closed forms and against training a deep copy by hand."""

import copy
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from small import evaluate
from zarts.arch_optim import GradientArchOptimizer, ZeroOrderArchOptimizer
from zarts.arch_optim.gradient import amended, first_order, unrolled
from zarts.bilevel import (
    BatchLoss,
    Bilevel,
    Evaluator,
    amended_gradient,
    first_order_gradient,
    hessian_vector_product,
    unrolled_gradient,
)
from zarts.errors import DivergedError, Interrupted
from zarts.zo import OPTIMIZERS

ETA, RHO = 0.1, 0.3
NO_BATCH = (torch.zeros(1), torch.zeros(1))


class Vector(nn.Module):
    """Weights that are one vector."""

    def __init__(self, omega):
        super().__init__()
        self.omega = nn.Parameter(omega.clone())


class Quadratic:
    """L_train = |omega - A alpha|^2 / 2, L_val = |omega - b|^2 / 2 + rho |alpha|^2 / 2; omega*(alpha) = A alpha."""

    def __init__(self):
        g = torch.Generator().manual_seed(3)
        self.a = torch.randn(6, 4, generator=g, dtype=torch.float64)
        self.b = torch.randn(6, generator=g, dtype=torch.float64)
        self.omega = torch.randn(6, generator=g, dtype=torch.float64)
        self.model = Vector(self.omega)
        optimizer = torch.optim.SGD(self.model.parameters(), lr=ETA)
        self.problem = Bilevel(self.model, optimizer, self.forward)

    def forward(self, alpha, batch):
        omega = self.model.omega
        if batch[0].item() == 0:  # a training batch
            return BatchLoss((omega - self.a @ alpha).square().sum() / 2, torch.tensor(0))
        return BatchLoss((omega - self.b).square().sum() / 2 + RHO * alpha.square().sum() / 2, torch.tensor(0))

    def minimiser(self, c):
        """Of the landscape where the weights are c A alpha + (1 - c) omega: c = 1 - (1 - eta)^M after M steps."""
        left = c**2 * self.a.T @ self.a + RHO * torch.eye(4, dtype=torch.float64)
        return torch.linalg.solve(left, c * self.a.T @ (self.b - (1 - c) * self.omega))


TRAIN, VAL = NO_BATCH, (torch.ones(1), torch.zeros(1))


@pytest.mark.parametrize("steps", [0, 1, 2, 10])
def test_candidate_losses_equal_the_closed_form(steps, generator):
    toy = Quadratic()
    points = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    losses = evaluate(toy.problem, points, [TRAIN] * steps, [VAL])
    c = 1 - (1 - ETA) ** steps
    omega = c * points @ toy.a.T + (1 - c) * toy.omega
    expected = (omega - toy.b).square().sum(1) / 2 + RHO * points.square().sum(1) / 2
    torch.testing.assert_close(losses, expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(toy.model.omega.detach(), toy.omega)


def test_the_minimiser_of_the_landscape_goes_to_the_true_one_as_m_grows():
    """The claim of the paper's figure 1: first order is far off, M steps come close."""
    toy = Quadratic()
    true = toy.minimiser(1.0)
    distances = []
    for steps in (0, 1, 10, 40, 200):
        here = toy.minimiser(1 - (1 - ETA) ** steps)
        # that `here` minimises what evaluate computes: any step away from it costs more
        away = here + 1e-3 * torch.cat([torch.eye(4), -torch.eye(4)]).double()
        losses = evaluate(toy.problem, torch.cat([here[None], away]), [TRAIN] * steps, [VAL])
        assert (losses[1:] > losses[0]).all()
        distances.append((here - true).norm().item())
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-8 < 0.5 < distances[0]


def test_unrolled_gradient_equals_differentiating_the_unrolled_step():
    toy = Quadratic()
    optimizer = torch.optim.SGD(toy.model.parameters(), lr=ETA, momentum=0.9, weight_decay=0.01)
    toy.problem.optimizer = optimizer
    start = torch.randn(4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    toy.problem.weight_step(start, TRAIN)  # fills the momentum buffer
    omega, buffer = toy.model.omega.detach().clone(), optimizer.state[toy.model.omega]["momentum_buffer"].clone()

    alpha = start.clone().requires_grad_()
    train_gradient = omega - toy.a @ alpha
    unrolled = omega - ETA * (0.9 * buffer + train_gradient + 0.01 * omega)
    loss = (unrolled - toy.b).square().sum() / 2 + RHO * alpha.square().sum() / 2
    (expected,) = torch.autograd.grad(loss, alpha)

    for hessian in ("central", "exact"):  # grad_alpha L_train is linear in omega here: both are exact
        value, gradient = unrolled_gradient(toy.problem, start, TRAIN, [VAL], hessian)
        assert value == pytest.approx(loss.item(), rel=1e-12)
        torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-9)
    assert torch.equal(toy.model.omega.detach(), omega)
    assert torch.equal(optimizer.state[toy.model.omega]["momentum_buffer"], buffer)


def test_grad_clip_does_not_apply_to_the_unrolled_step():
    toy = Quadratic()
    alpha = torch.arange(4, dtype=torch.float64)
    _, expected = unrolled_gradient(toy.problem, alpha, TRAIN, [VAL])
    toy.problem.grad_clip = 1e-3
    _, gradient = unrolled_gradient(toy.problem, alpha, TRAIN, [VAL])
    assert torch.equal(gradient, expected)


def test_a_loss_that_does_not_depend_on_alpha_has_no_gradient():
    toy = Quadratic()
    toy.problem.forward = lambda alpha, batch: BatchLoss(toy.model.omega.square().sum(), torch.tensor(0))
    with pytest.raises(RuntimeError, match="require grad"):
        first_order_gradient(toy.problem, torch.zeros(4, dtype=torch.float64), [VAL])
    assert torch.equal(toy.model.omega.detach(), toy.omega)


def test_amended_gradient_has_the_hessian_in_the_place_of_its_inverse():
    """L_train = (omega - A alpha)^T D (omega - A alpha) / 2: H is D, and d^2 L_train / d alpha d omega is -A^T D."""
    toy = Quadratic()
    diagonal, val_loss = torch.linspace(0.5, 3, 6).double(), toy.problem.forward

    def forward(alpha, batch):
        if batch is VAL:
            return val_loss(alpha, batch)
        return BatchLoss((diagonal * (toy.model.omega - toy.a @ alpha).square()).sum() / 2, torch.tensor(0))

    toy.problem.forward = forward
    alpha = torch.arange(4, dtype=torch.float64)
    v = toy.omega - toy.b
    for strength in (0.1, 0.7):
        value, gradient = amended_gradient(toy.problem, alpha, TRAIN, [VAL], strength=strength)
        assert value == pytest.approx(val_loss(alpha, VAL).loss.item())
        expected = RHO * alpha + strength * toy.a.T @ (diagonal.square() * v)
        torch.testing.assert_close(gradient, expected, rtol=1e-8, atol=1e-8)
    assert torch.equal(toy.model.omega.detach(), toy.omega)


@pytest.mark.parametrize("rule", [first_order, unrolled, partial(unrolled, hessian="exact"), amended])
def test_a_gradient_update_that_diverges_leaves_alpha(rule):
    toy = Quadratic()
    alpha = torch.arange(4, dtype=torch.float64)
    toy.problem.forward = lambda a, batch: BatchLoss((toy.model.omega.sum() * a.sum()) * float("nan"), torch.tensor(0))
    update = GradientArchOptimizer(alpha, lr=0.1, weight_decay=0.0, betas=(0.5, 0.999), rule=rule)
    with pytest.raises(DivergedError, match="loss nan"):
        update.step(toy.problem, [TRAIN], [VAL])
    assert torch.equal(update.alpha, alpha)


@pytest.mark.parametrize(("mixture_lambda", "message"), [(1.0, "8 losses"), (0.5, "gradient")])
def test_a_zero_order_update_that_diverges_leaves_alpha(mixture_lambda, message, generator):
    toy = Quadratic()
    alpha = torch.arange(4, dtype=torch.float64)
    toy.problem.forward = lambda a, batch: BatchLoss(a.sum() * float("nan"), torch.tensor(0))
    update = ZeroOrderArchOptimizer(OPTIMIZERS["mgs"](alpha, generator, mixture_lambda=mixture_lambda), inner_steps=0)
    with pytest.raises(DivergedError, match=message):
        update.step(toy.problem, [], [VAL])
    assert torch.equal(update.alpha, alpha)


def test_a_stop_goes_through_and_restores(generator):
    toy = Quadratic()

    def stop():
        raise Interrupted("stop")

    toy.problem.check = stop
    with pytest.raises(Interrupted):
        evaluate(toy.problem, torch.zeros(2, 4, dtype=torch.float64), [TRAIN], [VAL], learning_rate=5.0)
    assert torch.equal(toy.model.omega.detach(), toy.omega)
    assert toy.problem.optimizer.param_groups[0]["lr"] == ETA


def test_first_order_gradient_holds_the_weights_fixed():
    toy = Quadratic()
    alpha = torch.arange(4, dtype=torch.float64)
    _, gradient = first_order_gradient(toy.problem, alpha, [VAL])
    torch.testing.assert_close(gradient, RHO * alpha)


def polynomial(power):
    """L_train = alpha * sum(omega^power), so that grad_alpha L_train = sum(omega^power)."""
    model = Vector(torch.tensor([0.4, -1.1, 0.7], dtype=torch.float64))
    optimizer = torch.optim.SGD(model.parameters(), lr=ETA)
    return Bilevel(model, optimizer, lambda alpha, batch: BatchLoss(alpha.sum() * (model.omega**power).sum(), alpha))


@pytest.mark.parametrize("power", [1, 2])
def test_central_difference_is_exact_up_to_quadratic(power):
    problem = polynomial(power)
    v = [torch.tensor([2.0, -3.0, 0.5], dtype=torch.float64)]
    alpha = torch.ones(1, dtype=torch.float64)
    exact = hessian_vector_product(problem, alpha, TRAIN, v, "exact")
    central = hessian_vector_product(problem, alpha, TRAIN, v, "central")
    torch.testing.assert_close(central, exact, rtol=1e-10, atol=1e-10)
    by_hand = (power * problem.model.omega.detach() ** (power - 1) * v[0]).sum()
    assert exact.item() == pytest.approx(by_hand.item(), rel=1e-12)


def test_error_of_the_central_difference_is_a_sixth_of_the_third_derivative():
    """Along the unit vector l, f = sum(omega^3) has f''' = 6 sum(l^3); the error is eps'^2/6 f''' |v|."""
    problem = polynomial(3)
    v = [torch.tensor([2.0, -3.0, 0.5], dtype=torch.float64)]
    alpha = torch.ones(1, dtype=torch.float64)
    error = hessian_vector_product(problem, alpha, TRAIN, v) - hessian_vector_product(problem, alpha, TRAIN, v, "exact")
    unit, length = v[0] / v[0].norm(), v[0].norm()
    assert error.item() == pytest.approx((1e-2**2 * unit.pow(3).sum() * length).item(), rel=1e-6)


class Small(nn.Module):
    """Everything that may change in a step: weights, batch-norm buffers, noise from a generator, dropout."""

    def __init__(self, generator):
        super().__init__()
        self.first, self.norm, self.drop, self.last = (
            nn.Linear(5, 8),
            nn.BatchNorm1d(8),
            nn.Dropout(0.3),
            nn.Linear(8, 3),
        )
        self.generator = generator

    def forward(self, x, alpha):
        h = self.norm(self.first(x)) * alpha.softmax(0)[0] + torch.randn(8, generator=self.generator)
        return self.last(self.drop(torch.tanh(h)))


def small_problem():
    noise = torch.Generator().manual_seed(5)
    torch.manual_seed(0)
    model = Small(noise)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)

    def forward(alpha, batch):
        logits = model(batch[0], alpha)
        return BatchLoss(F.cross_entropy(logits, batch[1]), torch.tensor(0))

    g = torch.Generator().manual_seed(9)
    batches = [(torch.randn(16, 5, generator=g), torch.randint(3, (16,), generator=g)) for _ in range(7)]
    problem = Bilevel(model, optimizer, forward, grad_clip=5.0, generators=[noise])
    problem.weight_step(torch.zeros(4), batches[6])
    return problem, batches


def everything(problem):
    state = problem.optimizer.state_dict()
    return (
        {k: v.clone() for k, v in problem.model.state_dict().items()},
        copy.deepcopy(state["state"]),
        copy.deepcopy(state["param_groups"]),
        [m.training for m in problem.model.modules()],
        [g.get_state() for g in problem.generators],
        torch.get_rng_state(),
    )


def assert_same(a, b):
    torch.testing.assert_close(a, b, rtol=0, atol=0)


@pytest.mark.parametrize("fresh", [False, True], ids=["with momentum", "before the first step"])
def test_everything_is_restored(fresh):
    problem, batches = small_problem()
    if fresh:
        problem.optimizer.state.clear()
    problem.model.last.eval()
    before = everything(problem)
    evaluate(problem, torch.randn(3, 4, generator=torch.Generator().manual_seed(1)), batches[:3], batches[3:5])
    first_order_gradient(problem, torch.zeros(4), batches[:2])
    unrolled_gradient(problem, torch.zeros(4), batches[0], batches[1:2])
    assert_same(before, everything(problem))


@pytest.mark.parametrize("failing_step", range(1, 10))
def test_everything_is_restored_when_a_step_raises(failing_step):
    problem, batches = small_problem()
    before = everything(problem)
    forward, calls = problem.forward, iter(range(1, 100))

    def broken(alpha, batch):
        if next(calls) == failing_step:
            raise RuntimeError("out of memory")
        return forward(alpha, batch)

    problem.forward = broken
    with pytest.raises(RuntimeError, match="out of memory"):
        evaluate(problem, torch.zeros(2, 4), batches[:3], batches[3:5])
    assert_same(before, everything(problem))


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_candidate_is_what_training_a_deep_copy_gives(mode):
    problem, batches = small_problem()
    alpha = torch.tensor([1.0, 0.0, 0.5, 0.0])
    rng = torch.get_rng_state()
    (loss,) = evaluate(problem, alpha[None], batches[:3], batches[3:5], batch_norm=mode)

    model, noise = copy.deepcopy(problem.model), torch.Generator()
    noise.set_state(problem.generators[0].get_state())
    model.generator = noise
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    optimizer.load_state_dict(problem.optimizer.state_dict())
    torch.set_rng_state(rng)
    model.train()
    for x, y in batches[:3]:
        optimizer.zero_grad()
        F.cross_entropy(model(x, alpha), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    model.train(mode == "train")
    with torch.no_grad():
        expected = torch.stack([F.cross_entropy(model(x, alpha), y) for x, y in batches[3:5]]).mean()
    assert_same(loss, expected)


def test_candidates_do_not_influence_each_other():
    problem, batches = small_problem()
    points = torch.randn(4, 4, generator=torch.Generator().manual_seed(2))
    losses = evaluate(problem, points, batches[:3], batches[3:5])
    order = torch.tensor([2, 0, 3, 1])
    assert_same(evaluate(problem, points[order], batches[:3], batches[3:5]), losses[order])
    same = evaluate(problem, points[:1].expand(3, 4), batches[:3], batches[3:5])
    assert same.unique().numel() == 1
    assert losses.unique().numel() == 4


def test_inner_steps_train_the_candidate():
    """The released code's inner loop leaves its candidates as they are: ten steps must change the losses."""
    problem, batches = small_problem()
    points = torch.randn(4, 4, generator=torch.Generator().manual_seed(2))
    still = evaluate(problem, points, [], batches[5:])
    trained = evaluate(problem, points, [batches[i % 5] for i in range(10)], batches[5:])
    assert ((still - trained).abs() > 1e-3).all()


def test_inner_rate_and_momentum():
    problem, batches = small_problem()
    points = torch.zeros(1, 4)
    plain = evaluate(problem, points, batches[:3], batches[3:5])
    assert_same(evaluate(problem, points, batches[:3], batches[3:5], learning_rate=0.1, momentum=0.9), plain)
    assert evaluate(problem, points, batches[:3], batches[3:5], learning_rate=0.01) != plain
    assert evaluate(problem, points, batches[:3], batches[3:5], momentum=0.0) != plain
    still = evaluate(problem, points, batches[:3], batches[3:5], learning_rate=1e-30)
    tiny = evaluate(problem, points, batches[:3], batches[3:5], learning_rate=1e-6)
    torch.testing.assert_close(tiny, still, rtol=0, atol=1e-4)


def test_a_candidate_that_diverges_is_nan_and_the_others_are_not():
    problem, batches = small_problem()
    losses = evaluate(problem, torch.tensor([[0.0] * 4, [float("nan")] * 4, [1.0, 0, 0, 0]]), batches[:2], batches[3:5])
    assert losses.isfinite().tolist() == [True, False, True]


def weights(problem):
    state = problem.model.state_dict()
    return {k: v.clone() for k, v in state.items() if "running" not in k and "num_" not in k}


def test_the_weights_step_refuses_a_loss_that_is_not_finite():
    problem, batches = small_problem()
    before = weights(problem)
    with pytest.raises(DivergedError, match="learning_rate"):
        problem.weight_step(torch.full((4,), float("nan")), batches[0])
    assert_same(before, weights(problem))


def test_the_weights_step_refuses_a_gradient_that_is_not_finite():
    """The root of zero is finite, its slope is not; clipping by a norm that is nan would destroy every weight."""
    problem, batches = small_problem()
    before = weights(problem)
    last = problem.model.last.bias
    problem.forward = lambda alpha, batch: BatchLoss((last * 0).sum().sqrt(), torch.tensor(0))
    with pytest.raises(DivergedError, match="learning_rate"):
        problem.weight_step(torch.zeros(4), batches[0])
    assert_same(before, weights(problem))


def test_recalibration_moves_running_statistics_and_nothing_else():
    """Two batches of mean 4 move a running mean of 0 to 4 (1 - 0.9^2); a candidate is then evaluated by it."""
    model = nn.BatchNorm1d(1, affine=False)
    inputs = torch.tensor([[3.0], [5.0]])

    def forward(alpha, batch):
        return BatchLoss(model(batch[0]).mean(), torch.tensor(0))

    problem = Bilevel(model, torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1), forward)
    batch, points = (inputs, torch.zeros(2)), torch.zeros(2, 1)
    losses = evaluate(problem, points, [], [batch], recalibration=[batch, batch], batch_norm="eval")
    mean, variance = 4 * (1 - 0.9**2), 0.9**2 + 2 * (1 - 0.9**2)
    torch.testing.assert_close(losses, torch.full((2,), (4 - mean) / (variance + model.eps) ** 0.5))
    assert model.running_mean.item() == 0


def test_the_training_loss_is_the_mean_of_the_losses_before_each_step():
    """Gradient descent on a quadratic: omega goes (1 - eta)^m of the way from its minimiser, whatever validates."""
    toy = Quadratic()
    points = torch.randn(5, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    losses = Evaluator(toy.problem).evaluate_early(points, [TRAIN] * 7)
    distance = (points @ toy.a.T - toy.omega).square().sum(1) / 2
    shares = torch.tensor([(1 - ETA) ** (2 * m) for m in range(7)], dtype=torch.float64)
    torch.testing.assert_close(losses, distance * shares.mean(), rtol=1e-12, atol=1e-12)
    assert torch.equal(toy.model.omega.detach(), toy.omega)
