"""From settings to functions: the criterion that trains weights, and the objective that candidates are compared by."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zarts.bilevel import METRICS, Objective
from zarts.config import UserFunction
from zarts.errors import SettingsError

__all__ = ["Criterion", "criterion_of", "objective_of"]

_TRIED_IMAGES, _TRIED_CLASSES = 4, 100
"""Images of each class, and classes, that user-defined functions are tried with."""


@dataclass(frozen=True)
class Criterion:
    """A loss of logits `(n, classes)` and labels `(n,)`.

    Args:
        loss: the loss, one number with a gradient.
        images: one term an image, whose mean is the loss; None: the loss is not known to be such a mean.
    """

    loss: Callable[[Tensor, Tensor], Tensor]
    images: Callable[[Tensor, Tensor], Tensor] | None = None


def criterion_of(
    criterion: str | UserFunction, labels: Tensor, classes: int, device: torch.device, label_smoothing: float = 0.0
) -> Criterion:
    """The criterion of a setting.

    `balanced` is the mean over images of w_c times the cross entropy, with w_c = n / (K n_c): n training images, K
    classes with images, n_c images of class c. It is a mean over images, so that pieces of a batch add up; torch's
    `CrossEntropyLoss(weight=w)` divides by the sum of the weights in the batch instead.

    Args:
        criterion: a name, or a user-defined function.
        labels: of all training images.
        classes: number of classes.
        device: where logits are.
        label_smoothing: of the built-in ones.

    Raises:
        SettingsError: the function fails, has no gradient or has weights of its own; or it is not known, or comes with
            a label smoothing.
    """
    if isinstance(criterion, UserFunction):
        if label_smoothing:
            raise SettingsError(
                f"label_smoothing = {label_smoothing:g} is of the built-in criteria, and criterion = {criterion.name}: "
                "set it to 0, and smooth labels in your function, as nn.CrossEntropyLoss(label_smoothing=...) does"
            )
        return Criterion(_loss_of(criterion, classes, device))
    if criterion == "balanced":
        counts = torch.bincount(labels.cpu(), minlength=classes)
        weights = (len(labels) / ((counts > 0).sum() * counts.clamp_min(1))).to(device, torch.float32)

        def each(logits: Tensor, right: Tensor) -> Tensor:
            return F.cross_entropy(logits, right, weights, reduction="none", label_smoothing=label_smoothing)

        return Criterion(lambda logits, right: each(logits, right).mean(), each)
    return Criterion(
        partial(F.cross_entropy, label_smoothing=label_smoothing),
        partial(F.cross_entropy, reduction="none", label_smoothing=label_smoothing),
    )


def _loss_of(criterion: UserFunction, classes: int, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """The function of a user-defined criterion on the device, once it has been tried.

    Raises:
        SettingsError: see `criterion_of`.
    """
    function = _known("criterion", criterion)
    if isinstance(function, nn.Module):
        if any(weight.requires_grad for weight in function.parameters()):
            raise SettingsError(
                f"criterion {criterion.name} has parameters that need a gradient, and nothing trains them: take buffers"
            )
        function = copy.deepcopy(function).to(device)
    logits, labels = _images(classes, device)
    try:
        loss = function(logits.requires_grad_(), labels)
    except Exception as failure:
        raise SettingsError(
            f"criterion {criterion.name} fails with logits {tuple(logits.shape)} and labels {tuple(labels.shape)} "
            f"({_reason(failure)})"
        ) from failure
    if not isinstance(loss, Tensor) or loss.dim() != 0 or not loss.requires_grad:
        got = f"a tensor {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        gradient = isinstance(loss, Tensor) and loss.requires_grad
        raise SettingsError(
            f"criterion {criterion.name} returns {got} with{'' if gradient else 'out'} a gradient; weights are trained "
            "by the gradient of one number: return a tensor without dimensions that is computed from the logits"
        )
    return function


def objective_of(objective: str | UserFunction, classes: int, device: torch.device) -> Objective | None:
    """The objective that a setting means; None: the loss.

    A user-defined function is tried: whether it has a gradient, decides which methods can use it.

    Args:
        objective: a name, or a user-defined function.
        classes: number of classes.
        device: where logits are.

    Raises:
        SettingsError: the function fails or is not known.
    """
    if not isinstance(objective, UserFunction):
        return METRICS.get(objective)
    name, function = objective.name, _known("objective", objective)
    larger = getattr(function, "larger_is_better", False)
    if not isinstance(larger, bool):
        raise SettingsError(f"objective {name} has larger_is_better = {larger!r}: needs True or False")
    found = Objective(name, function, larger)
    logits, labels = _images(classes, device)
    try:
        differentiable = found.metric(logits.clone().requires_grad_(), labels).requires_grad
    except SettingsError:  # numpy takes no tensors with gradient, and needs none
        differentiable = False
    with torch.no_grad():
        found.metric(logits, labels)
    return replace(found, differentiable=differentiable)


def _known(setting: str, function: UserFunction) -> Callable[..., Any]:
    """The function itself.

    Raises:
        SettingsError: it has to be named or passed again.
    """
    if function.function is None:
        raise SettingsError(
            f"{setting} = {function.name} is user-defined, and is not run unasked: pass {setting} again"
        )
    return function.function


def _images(classes: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Random logits `(4 k, classes)`, and four labels of each of k classes: of every one, up to a hundred."""
    tried = torch.linspace(0, classes - 1, min(classes, _TRIED_CLASSES), dtype=torch.float64).round().long()
    labels = tried.repeat(_TRIED_IMAGES)
    logits = torch.randn(len(labels), classes, generator=torch.Generator().manual_seed(0))
    return logits.to(device), labels.to(device)


def _reason(failure: Exception) -> str:
    return " ".join(f"{type(failure).__name__}: {failure}".split())
