"""Intervals that cover what they say, by theory and simulation; and the sentence made of them."""

import math
import re

import numpy as np
import pytest
import torch
from scipy import stats

from zarts.errors import SettingsError
from zarts.planner.evidence import (
    paired_difference,
    paired_difference_of_seeds,
    rank_correlation,
    smallest_difference,
)
from zarts.planner.promises import Progress, common_slope, promised
from zarts.planner.verdict import Finalist, verdict, why_alone

pytestmark = pytest.mark.usefixtures("unchecked")


def test_rank_correlation_is_spearmans():
    a, b = [1, 2, 2, 5, 7, 9, 3, 4], [2, 1, 4, 4, 6, 9, 5, 0]
    assert rank_correlation(a, b).value == pytest.approx(stats.spearmanr(a, b).statistic)
    z = math.atanh(1 - 6 / 504)
    one = rank_correlation(range(8), range(8))
    assert one == (pytest.approx(1), pytest.approx(math.tanh(z - 1.95996 * math.sqrt((1 + 0.988095**2 / 2) / 5))), 1, 8)
    assert rank_correlation(range(8), range(0, -8, -1))[:3] == (pytest.approx(-1), -1, pytest.approx(-one.low))
    assert rank_correlation([1, 1, 1, 1], [1, 2, 3, 4]) == (0, -1, 1, 4)
    assert rank_correlation([1, 2, 3], [1, 2, 3])[1:] == (-1, 1, 3)
    with pytest.raises(SettingsError, match="finite"):
        rank_correlation([1, math.nan], [1, 2])


def test_what_a_network_promises_is_its_curve_after_more_steps():
    """v = u + a n^-0.8 with the same a: slow networks have taken fewer steps, and gain more."""
    a, slow, fast = 40.0, 0.02, 0.2

    def at(u, n):
        return Progress(u + a * n**-0.8, n)

    slope = common_slope([(at(slow, 100), at(slow, 300)), (at(fast, 900), at(fast, 2700))])
    assert slope == pytest.approx(a)
    assert promised(at(slow, 300), slope, 3.0) == pytest.approx(at(slow, 900).value)
    assert promised(at(fast, 2700), slope, 3.0) == pytest.approx(at(fast, 8100).value)
    assert at(slow, 300).value > at(fast, 2700).value
    assert at(slow, 900).value < at(fast, 8100).value
    assert promised(at(slow, 300), slope, math.inf) == pytest.approx(slow)
    assert promised(at(slow, 300), slope, 10.0, flat=900) == pytest.approx(at(slow, 900).value)
    assert promised(at(slow, 300), slope, 10.0, flat=200) == at(slow, 300).value


def test_where_more_steps_are_no_better_a_network_promises_what_it_has():
    slope = common_slope([(Progress(0.2, 100), Progress(0.3, 300)), (Progress(0.2, 100), Progress(0.2, 300))])
    assert slope == 0
    assert promised(Progress(0.3, 300), slope, 3.0) == 0.3


@pytest.mark.parametrize(("n", "rho"), [(8, 0.0), (8, 0.9), (12, 0.6), (20, 0.8)])
def test_rank_correlations_cover_their_value(n, rho):
    """Of normal pairs it is 6 / pi asin(rho / 2); 600 draws have a standard error of 0.9 %."""
    random, true, covered = np.random.default_rng(n), 6 / math.pi * math.asin(rho / 2), 0
    for _ in range(600):
        x = random.standard_normal(n)
        found = rank_correlation(x, rho * x + math.sqrt(1 - rho**2) * random.standard_normal(n))
        covered += found.low <= true <= found.high
    assert 0.92 < covered / 600 < 0.985


def answers(n, alone_a, alone_b):
    """Answers of two networks of which so many are right by one alone."""
    a = torch.zeros(n, dtype=torch.bool)
    b = a.clone()
    a[:alone_a], b[alone_a : alone_a + alone_b], a[-n // 4 :], b[-n // 4 :] = True, True, True, True
    return a, b


def test_a_paired_difference_has_the_variance_of_the_multinomial():
    """(p + q - (p - q)^2) / n of a million images, which cost nothing; alike images make it narrow."""
    n, p, q = 1_000_000, 0.03, 0.02
    found = paired_difference(*answers(n, 30_000, 20_000), draws=40_000)
    half = 100 * 1.95996 * math.sqrt((p + q - (p - q) ** 2) / n)
    assert found.mean == pytest.approx(1.0)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.03)
    assert (found.high + found.low) / 2 == pytest.approx(1.0, abs=half / 20)


@pytest.mark.parametrize("alone", range(3, 9))
def test_few_images_prove_as_much_as_mcnemars_exact_test(alone):
    """All of so many images by the first alone: a proof from six on, where 2 / 2^6 is below 5 %."""
    exact = stats.binomtest(alone, alone).pvalue < 0.05
    assert paired_difference(*answers(400, alone, 0)).shown == exact == (alone >= 6)
    nothing = paired_difference(*answers(40, 0, 0))
    assert nothing.low < -3 < 3 < nothing.high


@pytest.mark.parametrize(("n", "p", "q"), [(40, 0.15, 0.05), (200, 0.05, 0.05), (1000, 0.03, 0.02)])
def test_paired_differences_cover_theirs(n, p, q):
    random, covered = np.random.default_rng(n), 0
    for seed in range(400):
        u = random.random(n)
        found = paired_difference(u < p, (u >= p) & (u < p + q), 1000, seed)
        covered += found.low <= 100 * (p - q) <= found.high
    assert covered / 400 > 0.92


@pytest.mark.parametrize(("seeds", "spread"), [(3, 0.0), (3, 0.3), (5, 0.05)])
def test_differences_of_architectures_cover_seeds_and_images(seeds, spread):
    """Equal architectures, whose trainings and images both vary: a difference is rarely shown."""
    random, shown = np.random.default_rng(seeds), 0
    for _ in range(200):
        image = random.standard_normal(400)
        pairs = [
            tuple(image + random.normal(0, 0.5, 400) + random.normal(0, spread) < 1.2 for _ in range(2))
            for _ in range(seeds)
        ]
        shown += paired_difference_of_seeds(pairs).shown
    assert shown / 200 < 0.09


def test_a_large_difference_of_architectures_is_shown():
    pairs = [answers(1000, 80 + seed, 10) for seed in range(3)]
    found = paired_difference_of_seeds(pairs)
    assert found.mean == pytest.approx(7.1)
    assert 4 < found.low < 7.1 < found.high < 10
    with pytest.raises(SettingsError, match="3 or more"):
        paired_difference_of_seeds(pairs[:2])
    with pytest.raises(SettingsError, match="shapes"):
        paired_difference(pairs[0][0], pairs[0][1][:5])


def test_what_a_number_of_images_can_tell():
    """1.96 sqrt(p (1 - p) / n) where half of the errors are shared; in the mean, half of the interval by bootstrap."""
    assert smallest_difference(40, 0.91) == pytest.approx(100 * 1.96 * math.sqrt(0.91 * 0.09 / 40))
    assert smallest_difference(40, 0.91) == pytest.approx(8.9, abs=0.05)
    assert smallest_difference(40, 1.0) > 1
    random = np.random.default_rng(0)
    independent = paired_difference(random.random(100_000) < 0.9, random.random(100_000) < 0.9)
    assert (independent.high - independent.low) / 2 == pytest.approx(smallest_difference(100_000, 0.9, 0), rel=0.05)


FORBIDDEN = re.compile(r"\b(alpha|supernet|genotype|cell|rung)s?\b", re.I)


def finalists(seeds=1, n=1000, alone=(60, 10), latencies=(None, None), **more):
    pairs = [answers(n, *alone) for _ in range(seeds)]
    found, handmade = zip(*pairs, strict=True)
    return (
        Finalist("resnet8", handmade, 78_000, latencies[1]),
        Finalist("s16 R18", found, 99_100, latencies[0], **more),
    )


def test_a_verdict_says_better_only_with_proof():
    better = verdict(*finalists(seeds=3))
    assert (better.better, better.delivered) == (True, "s16 R18")
    assert "is better than the hand-made network resnet8" in better.line
    assert "31.0 % against 26.0 % of 1,000 test images" in better.line
    assert f"{better.difference.low:+.1f} to {better.difference.high:+.1f}" in better.line
    assert "architectures: 3 trainings" in better.line
    worse = verdict(*finalists(alone=(10, 60), seeds=2))
    assert (worse.better, worse.delivered) == (False, "resnet8")
    assert "hand-made network resnet8 is better than the searched" in worse.line
    assert "these two pairs of files" in worse.line
    open_ = verdict(*finalists(alone=(12, 10)))
    assert (open_.better, open_.delivered) == (None, "resnet8")
    assert "No difference could be shown; take the smaller one: resnet8 (78.0k parameters" in open_.line
    assert "these two files" in open_.line
    alone = verdict(finalists()[0], alone=why_alone(5, reason="", hopeless=True))
    assert "are right (78.0k parameters). Of 5 searched networks none promised enough" in alone.line
    assert (alone.better, alone.difference) == (None, None)
    faster = verdict(*finalists(alone=(12, 10), latencies=(1.1, 1.3)))
    assert (faster.delivered, "faster one: s16 R18 (99.1k parameters, 1.1 ms" in faster.line) == ("s16 R18", True)
    kept = verdict(*finalists(alone=(12, 10), latencies=(1.1, 1.3)), take=lambda *_: (False, "faster"))
    assert (kept.delivered, "take the faster one: resnet8" in kept.line) == ("resnet8", True)
    for one in (better, worse, open_, faster):
        assert not FORBIDDEN.search(one.line)
        assert "\n" not in one.line
    with pytest.raises(SettingsError, match="seeds"):
        verdict(finalists(seeds=2)[0], finalists()[1])


def test_a_verdict_says_what_was_lost_and_what_cannot_be_told():
    handmade, found = finalists(n=40, alone=(2, 1))
    few = verdict(handmade, found)
    assert "With 40 test images differences below ± " in few.line
    before = answers(1000, 68, 10)[0]
    lossy = verdict(*finalists(float_correct=[before]))
    assert "Points lost by int8: s16 R18 0.8." in lossy.line
    assert "int8" not in verdict(*finalists(float_correct=[answers(1000, 64, 10)[0]])).line
    alone = verdict(handmade, alone=why_alone(0, reason="that takes 5 minutes or more"))
    assert (alone.better, alone.delivered, alone.difference) == (None, "resnet8", None)
    assert alone.line.startswith("Take resnet8: ")
    assert "nothing was searched: that takes 5 minutes or more." in alone.line
    assert not FORBIDDEN.search(alone.line)
    lost = why_alone(5, reason="", diverged="s16 R18")
    assert lost == "It is compared with no other network, as the final training of s16 R18 diverged."
    assert "Of 5 searched networks none could be compared" in why_alone(5, reason="")
