"""Objectives: metrics equal scikit-learn's, and the operation that an objective prefers is the one that is derived."""

import math

import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from torch import nn
from torch.nn import functional as F

from small import evaluate
from zarts.arch_optim import GradientArchOptimizer, ZeroOrderArchOptimizer
from zarts.bilevel import ERROR, METRICS, BatchLoss, Bilevel, Evaluator, Objective, first_order_gradient
from zarts.errors import SettingsError
from zarts.spaces import Space
from zarts.zo import GradientlessDescent, GuidedSearch, RandomSearch

SKLEARN = {
    "error": lambda labels, answers: 1 - accuracy_score(labels, answers),
    "balanced-error": lambda labels, answers: 1 - balanced_accuracy_score(labels, answers),
    "macro-f1": lambda labels, answers: f1_score(labels, answers, average="macro"),
}


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_metrics_are_those_of_scikit_learn(generator, name):
    """Of 7 classes some have no images, some no answers, some neither."""
    metric = METRICS[name]
    for images in (1, 3, 20, 200):
        labels = torch.randint(1, 5, (images,), generator=generator)
        logits = torch.randn(images, 7, generator=generator)
        logits[:, [0, 4]] = -9.0
        found = metric.metric(logits, labels).item()
        assert found == pytest.approx(SKLEARN[name](labels, logits.argmax(1)), abs=1e-6)
        if metric.images is not None:
            assert metric.images(logits, labels).mean().item() == pytest.approx(found, abs=1e-6)
    sign = -1 if name == "macro-f1" else 1
    assert metric.value(torch.tensor(0.25)).item() == sign * 0.25


@pytest.mark.parametrize(
    ("function", "message"),
    [(lambda logits, labels: labels, "one number"), (lambda logits, labels: 1 / 0, "ZeroDivisionError")],
)
def test_functions_that_are_no_objective(function, message):
    with pytest.raises(SettingsError, match=message):
        Objective("mine", function).metric(torch.zeros(3, 2), torch.zeros(3, dtype=torch.long))


SPACE = Space("two", {"normal": (("prior", "weak"),)}, "this test", inputs=1, nodes=1, keep=None)
LABELS = torch.cat([torch.zeros(190, dtype=torch.long), torch.ones(10, dtype=torch.long)])
PRIOR = math.log(0.95 / 0.05)
MARGINS = torch.cat([torch.full((190,), 0.5), torch.linspace(0.5, 8.0, 10)])
BATCHES = [(torch.arange(200)[i::4], LABELS[i::4]) for i in range(4)]


def mixture(alpha, images):
    """Logits of softmax(alpha) over two operations.

    `prior` always answers class 0, with the probability of 95 % that is true of it; `weak` is always right, of class 0
    by little. The first has the smaller loss, the second the smaller balanced error.
    """
    share = alpha.softmax(0)
    sides = torch.where(LABELS[images] == 0, MARGINS[images], -MARGINS[images])
    return torch.stack([share[0] * PRIOR + share[1] * sides, torch.zeros(len(images))], 1)


def problem(objective=None):
    model = nn.Linear(1, 1)

    def forward(alpha, batch):
        logits = mixture(alpha, batch[0])
        each = F.cross_entropy(logits.detach(), batch[1], reduction="none")
        loss = F.cross_entropy(logits, batch[1]) + 0 * model.weight.sum()
        return BatchLoss(loss, (logits.argmax(1) == batch[1]).sum(), each, logits)

    return Bilevel(model, torch.optim.SGD(model.parameters(), lr=0.1), forward, objective=objective)


def points(shares):
    """The alphas at which `prior` has these shares."""
    return torch.stack([shares.logit(), torch.zeros(len(shares))], 1)


def test_the_two_operations_are_in_opposite_order_by_loss_and_by_balanced_error():
    shares = torch.linspace(0.01, 0.99, 99)
    losses = evaluate(problem(), points(shares), (), BATCHES)
    errors = evaluate(problem(METRICS["balanced-error"]), points(shares), (), BATCHES)
    assert losses[:50].min() > losses[50:].min(), "the loss is least where prior has more than half"
    assert (losses.diff()[:50] < 0).all()
    assert (errors.diff() >= 0).all(), "prior's share only makes the balanced error larger"
    # class 0 is always right; an image of class 1 is wrong where share * PRIOR > (1 - share) * margin
    wrong = (shares[:, None] * PRIOR > (1 - shares[:, None]) * MARGINS[None, 190:]).float().mean(1)
    assert torch.allclose(errors, wrong / 2)
    assert (errors[0], errors[-1]) == (0, 0.5)


def derived(learner, objective):
    at = problem(objective)
    outcomes = [learner.step(at, [], BATCHES) for _ in range(40)]
    genotype = SPACE.derive(SPACE.split(learner.alpha))
    return genotype.cells["normal"][0][0].op, outcomes


OPTIMIZERS = {
    "mgs": lambda x, g: GuidedSearch(x, g, sigma=0.5),
    "rs": lambda x, g: RandomSearch(x, g, samples=4),
    "gld": lambda x, g: GradientlessDescent(x, g),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(
    ("objective", "operation"),
    [(None, "prior"), (METRICS["balanced-error"], "weak"), (METRICS["macro-f1"], "weak")],
    ids=["loss", "balanced-error", "macro-f1"],
)
def test_zero_order_search_derives_the_operation_of_its_objective(name, objective, operation):
    """By macro-F1, too, `weak` is better: 1 against .49."""
    generator = torch.Generator().manual_seed(0)
    learner = ZeroOrderArchOptimizer(OPTIMIZERS[name](torch.zeros(2), generator), inner_steps=0)
    found, outcomes = derived(learner, objective)
    assert found == operation
    key = "losses" if objective is None else "values"
    assert all(len(outcome[key]) > 1 for outcome in outcomes)
    assert {outcome.get("objective") for outcome in outcomes} == {objective and objective.name}
    assert ("snr" in outcomes[0]) == (objective is not METRICS["macro-f1"])
    if objective is METRICS["macro-f1"]:
        assert max(outcomes[-1]["values"]) > 0.9, "logged with its own sign"


def balanced_loss(logits, labels):
    each = F.cross_entropy(logits, labels, reduction="none")
    return (each[labels == 0].mean() + each[labels == 1].mean()) / 2


@pytest.mark.parametrize("sign", [1, -1])
def test_a_gradient_method_follows_a_differentiable_objective(sign):
    """The mean over classes of their losses prefers `weak`, and is no mean over batches: they are passed together."""
    objective = Objective("mine", lambda *of: sign * balanced_loss(*of), larger_is_better=sign < 0, differentiable=True)
    alpha = torch.tensor([0.3, -0.2])
    leaf = alpha.clone().requires_grad_()
    together = torch.cat([images for images, _ in BATCHES])
    expected = balanced_loss(mixture(leaf, together), LABELS[together])
    value, gradient = first_order_gradient(problem(objective), alpha, BATCHES)
    assert value == pytest.approx(expected.item())
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, leaf)[0])
    learner = GradientArchOptimizer(torch.zeros(2), lr=0.05, weight_decay=0.0, betas=(0.5, 0.999))
    found, outcomes = derived(learner, objective)
    assert found == "weak"
    assert outcomes[0]["values"][0] * sign > 0, "logged with its own sign"
    assert derived(GradientArchOptimizer(torch.zeros(2), lr=0.05, weight_decay=0.0, betas=(0.5, 0.999)), None)[0] == (
        "prior"
    )


def test_where_the_objective_has_no_gradient_the_proposal_is_centred_at_alpha():
    """`exact` weights and `softmax` weights are then the same: the proposal's density is that of the noise alone."""
    asked = []

    class Spy(GuidedSearch):
        def ask(self, gradient=None):
            asked.append(gradient)
            return super().ask(gradient)

    for objective in (None, ERROR):
        learner = ZeroOrderArchOptimizer(Spy(torch.zeros(2), torch.Generator()), inner_steps=0)
        learner.step(problem(objective), [], BATCHES)
    assert torch.equal(asked[0], first_order_gradient(problem(), torch.zeros(2), BATCHES)[1])
    assert torch.equal(asked[1], torch.zeros(2))


def test_the_log_has_the_metric_and_the_comparison_the_regularizer():
    at = problem(METRICS["macro-f1"])
    at.regularizer = lambda alpha: alpha[0]
    alphas = torch.tensor([[1.0, 0.0], [-3.0, 0.0]])
    found = Evaluator(at).evaluate(alphas, (), BATCHES)
    torch.testing.assert_close(found.values, alphas[:, 0] - found.metrics)
    assert found.metrics[1] > 0.9
    assert found.images.isnan().all()


def test_training_images_are_evaluated_together_and_before_they_are_learnt():
    """The objective of weight steps is that of all their images, whose logits do not depend on the weights here."""
    at, alphas = problem(METRICS["balanced-error"]), points(torch.tensor([0.2, 0.9]))
    torch.testing.assert_close(Evaluator(at).evaluate_early(alphas, BATCHES), evaluate(at, alphas, (), BATCHES))
