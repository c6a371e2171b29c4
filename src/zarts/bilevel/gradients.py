"""Gradients of the validation loss in alpha: first order, through one unrolled weight step, and amended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zarts.bilevel.problem import Batch, Bilevel

__all__ = ["amended_gradient", "first_order_gradient", "hessian_vector_product", "unrolled_gradient"]

_RADIUS = 1e-2
"""epsilon' of eq. 1: length of the finite difference of the weights, as in DARTS' released code."""


def first_order_gradient(
    problem: Bilevel,
    alpha: Float[Tensor, " d"],
    batches: Sequence[Batch],
    *,
    batch_norm: Literal["train", "eval"] = "train",
) -> tuple[float, Float[Tensor, " d"]]:
    """The value under the present weights, and its gradient in alpha; nothing is changed.

    Each batch sees the same random numbers, so that the ranks of `problem.ranks` can share the batches; the mean is
    the same for any number of ranks. An objective, which is no mean over batches, takes all of them in one pass.

    Args:
        problem: the weights.
        alpha: the architecture, in the form that `problem.forward` takes.
        batches: usually of the validation half.
        batch_norm: statistics of the batch (`train`) or running ones (`eval`).

    Raises:
        RuntimeError: the loss does not depend on alpha (torch's own); a loss that is not finite raises nothing.
        Interrupted: `problem.check` asks to stop, on this or another rank.
        RankError: another rank is gone.
    """
    parts = [list(batches)] if problem.objective is not None else [[batch] for batch in batches]
    rows = alpha.new_zeros(len(parts), 1 + len(alpha))  # a part's value, and its gradient
    with problem.preserved() as snapshot, problem.ranks.together(), frozen(problem.model):
        for i in snapshot.afresh(problem.ranks.share(len(parts))):
            problem.check()
            problem.set_mode(training=batch_norm == "train")
            leaf = alpha.detach().requires_grad_()
            loss = problem.measure(leaf, parts[i]).value
            rows[i, 0] = loss.detach()
            (rows[i, 1:],) = torch.autograd.grad(loss, leaf)
    mean = problem.ranks.all_reduce(rows).mean(0)
    return mean[0].item(), mean[1:]


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Inside, the weights need no gradient: only that in alpha is computed."""
    weights = [p for p in model.parameters() if p.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_()


def unrolled_gradient(
    problem: Bilevel,
    alpha: Float[Tensor, " d"],
    train_batch: Batch,
    val_batches: Sequence[Batch],
    hessian: Literal["central", "exact"] = "central",
) -> tuple[float, Float[Tensor, " d"]]:
    """The validation loss after one unrolled weight step, and its gradient in alpha (second order).

    With omega' = omega - eta (momentum * buffer + grad_omega L_train(omega, alpha) + decay * omega), the gradient is
    grad_alpha L_val(omega', alpha) - eta (d^2 L_train / d alpha d omega) v, with v = grad_omega' L_val(omega', alpha).

    Args:
        problem: an SGD problem; eta, momentum, its buffers and weight decay are the optimizer's current ones.
        alpha: the architecture.
        train_batch: the batch of the unrolled step.
        val_batches: batches of the validation half.
        hessian: computes the product with v by a central difference (eq. 1) or exactly, by differentiating twice.

    Raises:
        RuntimeError: the training loss does not depend on alpha (torch's own); a loss that is not finite raises
            nothing.

    Source: ZARTS, supplementary 1.1, eq. 1; DARTS, eq. 6 to 8 and its released code for momentum and decay. As in
        that code, neither `grad_clip` nor Nesterov's look-ahead applies to the unrolled step.
    """
    with problem.preserved() as snapshot:
        problem.set_mode(training=True)
        weights = [p for p in problem.model.parameters() if p.requires_grad]
        eta = float(problem.optimizer.param_groups[0]["lr"])
        with torch.enable_grad():
            _unroll(problem, alpha, train_batch, weights)
            leaf = alpha.detach().requires_grad_()
            loss = problem.measure(leaf, val_batches).value
            direct, *v = torch.autograd.grad(loss, [leaf, *weights], materialize_grads=True)
        snapshot.restore()
        problem.set_mode(training=True)
        product = hessian_vector_product(problem, alpha, train_batch, v, hessian)
    return loss.item(), direct - eta * product


def _unroll(problem: Bilevel, alpha: Tensor, batch: Batch, weights: Sequence[Tensor]) -> None:
    """Set the weights to omega', in place."""
    group = problem.optimizer.param_groups[0]
    loss = problem.forward(alpha.detach(), batch).loss
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    with torch.no_grad():
        for weight, gradient in zip(weights, gradients, strict=True):
            step = group["weight_decay"] * weight
            if gradient is not None:
                step += gradient
            buffer = problem.optimizer.state.get(weight, {}).get("momentum_buffer")
            if buffer is not None:
                step += group["momentum"] * buffer
            weight.sub_(step, alpha=group["lr"])


def hessian_vector_product(
    problem: Bilevel,
    alpha: Float[Tensor, " d"],
    batch: Batch,
    vector: Sequence[Tensor],
    hessian: Literal["central", "exact"] = "central",
) -> Float[Tensor, " d"]:
    """(d^2 L_train / d alpha d omega) v at the present weights, for v = `vector`, one tensor a weight.

    The central difference (eq. 1) is [grad_alpha L_train(omega + e v) - grad_alpha L_train(omega - e v)] / (2 e)
    with e = 0.01 / |v|; it is exact where grad_alpha L_train is at most quadratic in omega along v.
    """
    weights = [p for p in problem.model.parameters() if p.requires_grad]
    leaf = alpha.detach().requires_grad_()
    if hessian == "exact":
        loss = problem.forward(leaf, batch).loss
        gradients = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True)
        inner = [(g * v).sum() for g, v in zip(gradients, vector, strict=True) if g is not None]
        return torch.autograd.grad(torch.stack(inner).sum(), leaf)[0]

    def in_alpha() -> list[Tensor]:
        return list(torch.autograd.grad(problem.forward(leaf, batch).loss, [leaf]))

    return _difference(problem, weights, vector, in_alpha)[0]  # (eq. 1)


def _difference(
    problem: Bilevel, weights: Sequence[Tensor], vector: Sequence[Tensor], gradient: Callable[[], list[Tensor]]
) -> list[Tensor]:
    """How `gradient` changes with the weights along `vector`: [g(omega + e v) - g(omega - e v)] / (2 e)."""
    norm = float(torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(v) for v in vector])))
    epsilon = _RADIUS / norm if norm > 0 else 1.0
    sides: list[list[Tensor]] = []
    for sign in (1.0, -1.0):
        with problem.preserved():
            with torch.no_grad():
                for weight, v in zip(weights, vector, strict=True):
                    weight.add_(v, alpha=sign * epsilon)
            sides.append(gradient())
    return [(plus - minus) / (2 * epsilon) for plus, minus in zip(*sides, strict=True)]


def amended_gradient(
    problem: Bilevel,
    alpha: Float[Tensor, " d"],
    train_batch: Batch,
    val_batches: Sequence[Batch],
    *,
    strength: float = 0.1,
) -> tuple[float, Float[Tensor, " d"]]:
    """The validation loss and its gradient in alpha with the amending term, at the present weights.

    grad_alpha L_val - eta (d^2 L_train / d alpha d omega) H v, with v = grad_omega L_val and H the Hessian of L_train
    in omega: the implicit gradient with H in the place of the inverse of H, so that both have an acute angle where
    H is positive definite. Both products are central differences.

    Args:
        problem: the weights.
        alpha: the architecture.
        train_batch: batch of both derivatives of the training loss.
        val_batches: batches of the validation half.
        strength: eta.

    Source: Bi et al., Amended-DARTS (2019), section 3.3.
    """
    with problem.preserved():
        problem.set_mode(training=True)
        weights = [p for p in problem.model.parameters() if p.requires_grad]
        with torch.enable_grad():
            leaf = alpha.detach().requires_grad_()
            loss = problem.measure(leaf, val_batches).value
            direct, *v = torch.autograd.grad(loss, [leaf, *weights], materialize_grads=True)

            def in_weights() -> list[Tensor]:
                train_loss = problem.forward(leaf.detach(), train_batch).loss
                return list(torch.autograd.grad(train_loss, weights, materialize_grads=True))

            curved = _difference(problem, weights, v, in_weights)
            product = hessian_vector_product(problem, alpha, train_batch, curved)
    return loss.item(), direct - strength * product
