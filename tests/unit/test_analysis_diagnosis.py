"""Variance components from data of known ones, and the diagnosis of problems whose signal and noise are known."""

import math
import re

import pytest
import torch
from torch import nn

from zarts.analysis import Components, Interval, components, diagnose, measure, needed
from zarts.bilevel import BatchLoss, Bilevel, mean_squares
from zarts.config import search_settings
from zarts.data import Batches
from zarts.errors import DivergedError, SettingsError
from zarts.searcher import RestoredSearch
from zarts.supernet.drop import Drop

DIMENSIONS = 20


def test_mean_squares_by_hand():
    table = torch.tensor([[1.0, 2.0, 3.0], [3.0, 4.0, 8.0]])
    # row means 2 and 5, column means 2, 3, 5.5, mean 3.5; rest 0.5, 0.5, -1 and the opposite
    found = mean_squares(table)
    assert found.candidates == pytest.approx(3 * (1.5**2 + 1.5**2) / 1)
    assert found.conditions == pytest.approx(2 * (1.5**2 + 0.5**2 + 2**2) / 2)
    assert found.interaction == pytest.approx(2 * (0.25 + 0.25 + 1) / 2)
    assert found.signal_to_noise == pytest.approx(13.5 / 1.5 - 1)


def test_the_ratio_where_nothing_varies():
    assert mean_squares(torch.ones(3, 4)).signal_to_noise == 0
    only_rows = torch.tensor([[1.0, 1.0], [2.0, 2.0]])
    assert mean_squares(only_rows).signal_to_noise == math.inf
    assert components(only_rows[:, :, None].expand(2, 2, 3)).snr == (math.inf, math.inf, math.inf)


def drawn(generator, *, perturbation, batches, training, image, shape=(8, 6, 10)):
    """Losses with these standard deviations."""
    k, b, i = shape
    return (
        perturbation * torch.randn(k, 1, 1, generator=generator)
        + batches * torch.randn(1, b, 1, generator=generator)
        + training * torch.randn(k, b, 1, generator=generator)
        + torch.randn(1, b, i, generator=generator)
        + image * torch.randn(k, b, i, generator=generator)
    ).double()


def test_known_components_are_found_within_their_intervals():
    sizes = {"perturbation": 0.3, "batches": 1.0, "training": 0.2, "image": 0.9}
    noise = 0.2**2 + 0.9**2 / 10
    true = {"perturbation": 0.3**2, "batches": 1 + 1 / 10, "interaction": noise, "snr": 0.3**2 / noise}
    generator, runs = torch.Generator().manual_seed(0), 300
    found = [components(drawn(generator, **sizes)) for _ in range(runs)]
    for name, value in true.items():
        inside = sum(getattr(one, name).low <= value <= getattr(one, name).high for one in found)
        # 95 % of 300 are 285, with a standard deviation of 3.8
        assert 270 <= inside <= 298, name
    for name in ("perturbation", "batches", "interaction"):
        estimates = torch.tensor([getattr(one, name).value for one in found])
        assert abs(estimates.mean() - true[name]) < 4 * estimates.std() / runs**0.5, name
    images = torch.tensor([one.images for one in found])
    assert abs(images.mean() - 0.9**2 / 10) < 4 * images.std() / runs**0.5


def test_of_pure_noise_the_ratio_reaches_down_to_nothing():
    generator = torch.Generator().manual_seed(0)
    found = [components(drawn(generator, perturbation=0, batches=1, training=0.2, image=0.9)) for _ in range(200)]
    assert sum(one.snr.low <= 0 for one in found) >= 190  # 97.5 % of 200 are 195


def opened(signal, noise, settings=None):
    """A search whose loss is (g + z) alpha + c on an image with (z, c): |g| = signal, E|z|^2 = noise^2 of an image."""
    model = nn.Linear(1, 1)
    model.drop = Drop(None)
    gradient = torch.zeros(DIMENSIONS)
    gradient[0] = signal

    def forward(alpha, batch):
        losses = batch[0] @ alpha + alpha @ gradient + batch[1]
        nothing = 0 * (model.weight.sum() + alpha.square().sum())  # so that there is what to differentiate, twice
        return BatchLoss(losses.mean() + nothing, torch.tensor(0), losses.detach())

    class Images(Batches):
        def __init__(self):
            """Without images."""

        def __getitem__(self, index):
            generator = torch.Generator().manual_seed(index)
            z = torch.randn(16, DIMENSIONS, generator=generator) * noise / DIMENSIONS**0.5
            return z, torch.randn(16, generator=generator)

    problem = Bilevel(model, torch.optim.SGD(model.parameters(), lr=0.1), forward)
    settings = settings or search_settings({"method": "zarts-mgs", "inner_steps": 1, "val_batches": 2})
    return RestoredSearch(settings, problem, torch.zeros(DIMENSIONS), 0.1, Images(), Images(), 0, 5, {})


def test_components_of_a_linear_loss():
    found = opened(signal=1.0, noise=2.0)
    one = measure(found, 0.1, 1, candidates=40, draws=6, val_batches=2)
    images = 2 * 16
    assert one.parts.perturbation.low <= 0.1**2 <= one.parts.perturbation.high
    assert one.parts.interaction.low <= 0.1**2 * 4 / images <= one.parts.interaction.high
    assert one.parts.images == pytest.approx(0.1**2 * 4 / images, rel=0.2)
    assert one.parts.snr.low <= images / 4 <= one.parts.snr.high
    assert one.correlation.value > 0.9
    assert torch.equal(found.alpha, torch.zeros(DIMENSIONS))
    twice = measure(found, 0.2, 1, candidates=40, draws=6, val_batches=2)
    assert twice.parts.perturbation.value == pytest.approx(4 * one.parts.perturbation.value, rel=1e-3), (
        "the same directions and batches"
    )


def test_needed_batches_bring_the_ratio_to_one():
    """Noise of the training batches stays, that of the validation images falls as one over their number."""
    signal, training, image, now = 0.75, 0.25, 7.0, 3

    def parts(batches):
        noise = training + image / batches
        return Components(*[Interval(value, 0, 1) for value in (signal, 1, noise)], image / batches, Interval(1, 0, 1))

    count = needed(parts(now), DIMENSIONS, now).val_batches
    assert count == 7 / 0.5
    assert parts(count).interaction.value <= signal < parts(count - 1).interaction.value
    training = 1.0
    assert needed(parts(now), DIMENSIONS, now).val_batches is None, "no number of them is enough"
    signal = -0.01
    assert needed(parts(now), DIMENSIONS, now) == (None, None)


def test_needed_candidates_make_an_update_that_is_half_signal():
    """The mean of -(L_i - mean L) u_i of N candidates: its part along -g, and what noise of the losses adds."""
    sigma, signal, noise = 0.1, 1.0, 0.2
    ratio = (sigma * signal) ** 2 / noise**2
    exact = Interval(ratio, ratio, ratio)
    parts = Components(Interval((sigma * signal) ** 2, 0, 1), exact, Interval(noise**2, 0, 1), noise**2, exact)
    count = needed(parts, DIMENSIONS, 1).samples
    assert count == math.ceil(DIMENSIONS / ratio)
    generator = torch.Generator().manual_seed(0)
    u = sigma * torch.randn(400, count, DIMENSIONS, generator=generator)
    mistakes = noise * torch.randn(400, count, generator=generator)
    followed = (u[..., :1] * signal * u).mean(1)[:, 0].mean()  # along g
    misled = (mistakes[..., None] * u).mean(1).square().sum(1).mean()
    assert float(followed**2 / misled) == pytest.approx(1, rel=0.1)


def diagnosed(found, **options):
    events = []
    return diagnose(found, events.append, candidates=12, draws=6, **options), events


def test_pure_noise_is_called_so():
    found, events = diagnosed(opened(signal=0.0, noise=1.0))
    assert found.advice[0].startswith("Noise: ")
    assert [one.sigma for one in found.measurements] == pytest.approx([0.1, 0.4, 1.6])
    assert [event["done"] for event in events] == list(range(20))
    assert found.own


def test_signal_is_called_so_and_needs_nothing():
    found, _ = diagnosed(opened(signal=5.0, noise=0.5), sigmas=[0.3], inner_steps=[0, 1])
    assert [advice.split(":")[0] for advice in found.advice] == ["Signal"]
    assert not found.own
    plain = found.to_dict()
    assert [(one["sigma"], one["inner_steps"]) for one in plain["sigmas"]] == [(0.3, 0), (0.3, 1)]
    assert plain["sigmas"][1]["needed"]["inner_steps"] == 0


def test_what_would_help_is_said():
    found, _ = diagnosed(opened(signal=1.0, noise=9.0))
    assert found.advice[0].startswith(("Mostly noise", "Signal and noise", "Noise"))
    said = " ".join(found.advice[1:])
    assert "validation batches a loss (now 2)" in said
    assert re.search(r"N = \d+ candidates", said)


def test_the_largest_ratio_is_named_where_it_is_of_another_sigma():
    found = opened(signal=0.0, noise=1.0)
    forward = found.problem.forward

    def bowl(alpha, batch):
        outcome = forward(alpha, batch)
        more = 0.03 * alpha.square().sum()
        return BatchLoss(outcome.loss + more, outcome.correct, outcome.images + more.detach())

    found.problem.forward = bowl
    diagnosis, _ = diagnosed(found)
    assert diagnosis.advice[0].startswith("Noise")
    assert "largest ratio" in diagnosis.advice[-1]
    assert "sigma 1.6 and M = 1" in diagnosis.advice[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigmas": [0.0]}, "sigma = 0"),
        ({"inner_steps": [-1]}, "inner_steps = -1"),
        ({"candidates": 2}, "candidates = 2"),
        ({"draws": 1}, "draws = 1"),
        ({"val_batches": 0}, "val_batches = 0"),
        ({"directions": -1}, "directions = -1"),
    ],
)
def test_numbers_out_of_range(options, message):
    with pytest.raises(SettingsError, match=message):
        diagnose(opened(1.0, 1.0), print, **options)


def test_drawn_cells_are_no_perturbations():
    with pytest.raises(SettingsError, match="'spos'"):
        diagnose(opened(1.0, 1.0, search_settings({"method": "spos"})), print)


def test_no_finite_losses():
    found = opened(1.0, 1.0)
    found.problem.forward = lambda alpha, batch: BatchLoss(alpha.sum() * float("nan"), torch.tensor(0))
    with pytest.raises(DivergedError, match=r"sigma 0\.1"):
        measure(found, 0.1, 0, candidates=4, draws=2, val_batches=1)
