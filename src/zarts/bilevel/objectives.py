"""Objectives: what candidates are compared by, computed from the logits and labels of all their validation images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zarts.errors import SettingsError

__all__ = ["BALANCED_ERROR", "ERROR", "MACRO_F1", "METRICS", "Objective", "balanced_error", "error", "macro_f1"]


@dataclass(frozen=True)
class Objective:
    """A function of logits and labels that candidates are compared by instead of the loss.

    Args:
        name: for logs and messages.
        function: from logits `(n, classes)` and labels `(n,)` of all validation images to one number.
        larger_is_better: whether a larger number is better; inside, `value` is then its negative.
        differentiable: whether the number has a gradient in the logits that an update of alpha can follow.
        images: from the same arguments to one term an image, `(n,)`, whose mean is `value`; None: there are none, as
            for macro-F1, which is a ratio of sums.
    """

    name: str
    function: Callable[[Tensor, Tensor], Tensor | float]
    larger_is_better: bool = False
    differentiable: bool = False
    images: Callable[[Tensor, Tensor], Tensor] | None = None

    def metric(self, logits: Float[Tensor, "n classes"], labels: Int[Tensor, " n"]) -> Float[Tensor, ""]:
        """The number as the function gives it.

        Raises:
            SettingsError: the function fails, or gives something other than one number.
        """
        try:
            found = self.function(logits, labels)
            number = found if isinstance(found, Tensor) else torch.tensor(float(found))
        except SettingsError:
            raise
        except Exception as failure:
            reason = " ".join(f"{type(failure).__name__}: {failure}".split())
            raise SettingsError(
                f"objective {self.name} fails with logits {tuple(logits.shape)} and labels {tuple(labels.shape)} "
                f"({reason}): it has to return one number for all images together"
            ) from failure
        if number.numel() != 1:
            raise SettingsError(
                f"objective {self.name} returns a tensor of shape {tuple(number.shape)}; needs one number for all "
                "images together: take the mean, for example"
            )
        return number.reshape(()).to(logits)

    def value(self, metric: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """The number of which smaller is better."""
        return -metric if self.larger_is_better else metric


def error(logits: Float[Tensor, "n classes"], labels: Int[Tensor, " n"]) -> Float[Tensor, ""]:
    """Share of wrong answers, in [0, 1]."""
    return 1 - (logits.argmax(1) == labels).sum() / len(labels)


def balanced_error(logits: Float[Tensor, "n classes"], labels: Int[Tensor, " n"]) -> Float[Tensor, ""]:
    """1 minus the mean recall of the classes that have images here, in [0, 1].

    Source: Brodersen et al., The balanced accuracy and its posterior distribution (ICPR 2010). Classes without images
        are left out, as by scikit-learn's `balanced_accuracy_score`.
    """
    images = torch.bincount(labels, minlength=logits.shape[1])
    right = torch.bincount(labels[logits.argmax(1) == labels], minlength=logits.shape[1])
    present = images > 0
    return 1 - (right[present] / images[present]).mean()


def macro_f1(logits: Float[Tensor, "n classes"], labels: Int[Tensor, " n"]) -> Float[Tensor, ""]:
    """Mean over classes of F1 = 2 TP / (2 TP + FP + FN), in [0, 1]; larger is better.

    The mean is over the classes that have images or answers here, as by scikit-learn's `f1_score` with
    `average="macro"`; of those without images F1 is 0.
    """
    answers, classes = logits.argmax(1), logits.shape[1]
    right = torch.bincount(labels[answers == labels], minlength=classes)
    counted = torch.bincount(labels, minlength=classes) + torch.bincount(answers, minlength=classes)
    present = counted > 0  # 2 TP + FP + FN
    return (2 * right[present] / counted[present]).mean()


def _wrong(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.argmax(1) != labels).to(logits)


def _wrong_by_class(logits: Tensor, labels: Tensor) -> Tensor:
    """Wrong answers, each times n / (K n_c): n images, K classes with images, n_c images of its class."""
    images = torch.bincount(labels, minlength=logits.shape[1])
    return _wrong(logits, labels) * (len(labels) / (images > 0).sum() / images[labels])


ERROR = Objective("error", error, images=_wrong)
BALANCED_ERROR = Objective("balanced-error", balanced_error, images=_wrong_by_class)
MACRO_F1 = Objective("macro-f1", macro_f1, larger_is_better=True)
METRICS = {metric.name: metric for metric in (ERROR, BALANCED_ERROR, MACRO_F1)}
"""The built-in objectives beside the loss, by name."""
