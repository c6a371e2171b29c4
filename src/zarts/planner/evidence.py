"""What figures prove: rank correlations, and differences on the same test images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats
from torch import Tensor

from zarts.errors import SettingsError

__all__ = [
    "Correlation",
    "Difference",
    "accuracy_interval",
    "compared_words",
    "paired_difference",
    "paired_difference_of_seeds",
    "paired_difference_of_trainings",
    "rank_correlation",
    "smallest_difference",
]

Answers = np.ndarray | Tensor | Sequence[bool]
"""Whether a network's answer was right, one an image."""


class Correlation(NamedTuple):
    """A rank correlation and the interval of that of all networks, each in [-1, 1]; `n` networks were compared."""

    value: float
    low: float
    high: float
    n: int


class Difference(NamedTuple):
    """Accuracy of the first minus that of the second network, and its interval, in percentage points."""

    mean: float
    low: float
    high: float

    @property
    def shown(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def rank_correlation(a: Sequence[float], b: Sequence[float], confidence: float = 0.95) -> Correlation:
    """Spearman's rank correlation; equal values share their ranks.

    The interval is tanh(atanh(r) -+ q sqrt((1 + r^2 / 2) / (n - 3))); it covers 93 to 97 % at 8 to 20 networks. A
    correlation of 1 counts as halfway to the next one below, for its logarithm would be infinite. Below 4 networks,
    and where all values of one side are equal (r is 0 then), it is -1 to 1.

    Args:
        a: one finite number a network.
        b: another.
        confidence: in (0, 1).

    Raises:
        SettingsError: the lengths differ, or a value is not finite.

    Source: Bonett and Wright, Sample size requirements for estimating Pearson, Kendall and Spearman correlations
        (Psychometrika 2000).
    """
    x, y = np.asarray(a, float), np.asarray(b, float)
    n = len(x)
    if x.shape != y.shape or not np.isfinite([x, y]).all():
        raise SettingsError(f"ranks of {len(x)} and {len(y)} values: needs as many of both, all finite")
    if n < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Correlation(0.0, -1.0, 1.0, n)
    value = float(np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1])
    if n < 4:
        return Correlation(value, -1.0, 1.0, n)
    most = 1 - 6 / (n * (n * n - 1))
    near = min(most, max(-most, value))
    reach = stats.norm.ppf((1 + confidence) / 2) * math.sqrt((1 + near**2 / 2) / (n - 3))
    low, high = math.tanh(math.atanh(near) - reach), math.tanh(math.atanh(near) + reach)
    return Correlation(value, -1.0 if value < -most else low, 1.0 if value > most else high, n)


def paired_difference(correct_a: Answers, correct_b: Answers, draws: int = 10_000, seed: int = 0) -> Difference:
    """Difference of two networks on the same images, with the 95 % interval of a paired bootstrap over images.

    An image is right by the first alone, by the second alone, or alike; a resample of the images is one multinomial
    draw of these three counts. One image is added to the first two, as by Bonett and Price: without them four images
    to none would already be a proof, and images without any difference one that there never is any.

    Args:
        correct_a: shape (n,), of the first network.
        correct_b: shape (n,), of the second.
        draws: resamples.
        seed: of the draws.

    Raises:
        SettingsError: the numbers of images differ, or there are none.

    Source: Bonett and Price, Adjusted Wald confidence interval for a difference of binomial proportions based on
        paired data (2012).
    """
    a, b = _answers([(correct_a, correct_b)])[0]
    alone = int((a & ~b).sum()), int((b & ~a).sum())
    n = len(a)
    chances = np.array([alone[0] + 1, alone[1] + 1, n - sum(alone)]) / (n + 2)
    counts = np.random.default_rng(seed).multinomial(n + 2, chances, size=draws)
    low, high = np.quantile((counts[:, 0] - counts[:, 1]) / (n + 2), [0.025, 0.975])
    return Difference(100 * (alone[0] - alone[1]) / n, 100 * float(low), 100 * float(high))


def paired_difference_of_seeds(pairs: Sequence[tuple[Answers, Answers]]) -> Difference:
    """Difference of two architectures: of trainings with several seeds, on the same images.

    The 95 % interval is over seeds and images together. The variance of the mean is that of the seeds' means / S, plus
    that of the images' means / n, less what both have counted of the rest; its degrees of freedom are Satterthwaite's,
    so that with three seeds which differ it is as wide as it has to be.

    Args:
        pairs: for each seed whether the first and the second network were right, each of shape (n,); 3 seeds or more.

    Raises:
        SettingsError: fewer than 3 seeds, or the numbers of images differ.

    Differs: a bootstrap that resamples images and seeds together covers 95 % where images differ more than seeds do;
        where seeds differ much, its interval of three covers 74 % and of four 81 % (simulated), this one 96 %.
    """
    if len(pairs) < 3:
        raise SettingsError(f"{len(pairs)} seeds say nothing of an architecture: needs 3 or more")
    differences = np.array([a.astype(float) - b for a, b in _answers(pairs)])
    seeds, n = differences.shape
    mean = float(differences.mean())
    by_seed, by_image = differences.mean(1), differences.mean(0)
    rest = differences - by_seed[:, None] - by_image + mean
    parts = [  # of the variance of the mean, each with its degrees of freedom
        (float(by_seed.var(ddof=1)) / seeds, seeds - 1),
        (max(float(by_image.var()), 2 / (n + 2) / n) / n, max(1, n - 1)),
        (-float((rest**2).sum()) / (max(1, n - 1) * (seeds - 1)) / (seeds * n), max(1, n - 1) * (seeds - 1)),
    ]
    variance = max(sum(part for part, _ in parts), parts[0][0], parts[1][0])
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    reach = float(stats.t.ppf(0.975, max(seeds - 1, freedom))) * math.sqrt(variance)
    return Difference(100 * mean, 100 * (mean - reach), 100 * (mean + reach))


def paired_difference_of_trainings(pairs: Sequence[tuple[Answers, Answers]]) -> Difference:
    """Difference of two networks that were trained with the same seeds, on the same images.

    Of one pair of files; of two, the mean of both differences and of the ends of their intervals, a little too wide;
    from three seeds on of the architectures, see `paired_difference_of_seeds`.

    Args:
        pairs: for each seed whether the first and the second network were right, each of shape (n,).

    Raises:
        SettingsError: the numbers of images differ, or there are none.
    """
    if len(pairs) > 2:
        return paired_difference_of_seeds(pairs)
    each = [paired_difference(a, b) for a, b in pairs]
    return Difference(*(float(np.mean([one[at] for one in each])) for at in range(3)))


def compared_words(other: str, difference: Difference) -> str:
    """What a difference says of a network of the user beside another one, which is the first of the two."""
    words = "no difference could be shown"
    if difference.shown:
        words = f"{other} is {'better' if difference.mean > 0 else 'worse'}"
    return (
        f"{words}: {other} minus yours {difference.mean:+.1f} points (95 % interval {difference.low:+.1f} to "
        f"{difference.high:+.1f})"
    )


def smallest_difference(n_images: int, accuracy: float, agreement: float = 0.5) -> float:
    """The least difference of two networks, in points, that so many test images can tell at 95 %.

    1.96 sqrt(2 p (1 - p) (1 - agreement) / n): half of the interval, where both networks have accuracy p.

    Args:
        n_images: of the test set, 1 or more.
        accuracy: of both networks, in [0, 1]; at most one half of an image from 0 and 1.
        agreement: correlation of their errors, in [0, 1).

    Raises:
        SettingsError: a number is out of its range.
    """
    if n_images < 1 or not 0 <= accuracy <= 1 or not 0 <= agreement < 1:
        raise SettingsError(f"{n_images} images, accuracy {accuracy}, agreement {agreement}: out of range")
    p = min(1 - 0.5 / n_images, max(0.5 / n_images, accuracy))
    return 100 * 1.96 * math.sqrt(2 * p * (1 - p) * (1 - agreement) / n_images)


def accuracy_interval(correct: Answers) -> tuple[float, float]:
    """The 95 % interval of an accuracy, in percent, by Wilson's formula, which holds near 0 and 100 % too.

    Args:
        correct: whether each test image was right, shape (n,), n above 0.
    """
    right = np.asarray(correct).astype(bool)
    found = stats.binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    return 100 * float(found.low), 100 * float(found.high)


def _answers(pairs: Sequence[tuple[Answers, Answers]]) -> list[tuple[np.ndarray, np.ndarray]]:
    arrays = [(np.asarray(a).astype(bool), np.asarray(b).astype(bool)) for a, b in pairs]
    shapes = {array.shape for pair in arrays for array in pair}
    if len(shapes) != 1 or any(len(shape) != 1 or shape[0] == 0 for shape in shapes):
        raise SettingsError(f"answers have shapes {sorted(shapes)}: needs one (n,) for all, n above 0")
    return arrays
