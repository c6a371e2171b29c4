"""The signal-to-noise ratio that a search logs, and its one warning."""

import json

import pytest
import torch
from torch import nn

from small import SMALL, evaluate
from zarts.api import search
from zarts.arch_optim import ZeroOrderArchOptimizer
from zarts.bilevel import BatchLoss, Bilevel, Evaluator, mean_squares
from zarts.searcher import noise_monitor
from zarts.searcher.noise_monitor import NoiseMonitor
from zarts.zo import GuidedSearch


def images_problem():
    """The loss of an image x is (x alpha - 1)^2; weights have no part in it."""
    model = nn.Linear(1, 1)

    def forward(alpha, batch):
        losses = (batch[0] @ alpha - 1).square()
        return BatchLoss(losses.mean() + 0 * model.weight.sum(), torch.tensor(0), losses.detach())

    return Bilevel(model, torch.optim.SGD(model.parameters(), lr=0.1), forward)


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(n, 4, generator=generator), torch.zeros(n)) for n in (8, 8, 5)]


def test_images_are_evaluated_in_the_passes_of_their_candidates(batches):
    problem, points = images_problem(), torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    losses, metrics, images = Evaluator(problem).evaluate(points, batches[:1], batches)
    assert torch.equal(losses, metrics)
    assert torch.equal(losses, evaluate(problem, points, batches[:1], batches))
    expected = (points @ torch.cat([x for x, _ in batches]).T - 1).square()
    assert torch.allclose(images, expected)
    assert torch.allclose(losses, torch.stack([part.mean(1) for part in expected.split([8, 8, 5], 1)]).mean(0))


def test_a_candidate_that_diverges_has_no_images(batches):
    problem = images_problem()
    points = torch.tensor([[0.0] * 4, [float("nan")] * 4])
    losses, _, images = Evaluator(problem).evaluate(points, batches[:1], batches[1:])
    assert losses.isnan().tolist() == [False, True]
    assert images.isnan().all(1).tolist() == [False, True]


def test_a_step_tells_the_ratio_of_its_own_losses(batches):
    problem = images_problem()
    optimizer = GuidedSearch(torch.zeros(4), torch.Generator().manual_seed(2), samples=4, mixture_lambda=1.0)
    again = GuidedSearch(torch.zeros(4), torch.Generator().manual_seed(2), samples=4, mixture_lambda=1.0)
    outcome = ZeroOrderArchOptimizer(optimizer, inner_steps=0).step(problem, [], batches)
    images = Evaluator(problem).evaluate(again.ask(), [], batches).images
    assert outcome["snr"] == mean_squares(images).signal_to_noise
    one = ZeroOrderArchOptimizer(
        GuidedSearch(torch.zeros(4), torch.Generator(), samples=1, antithetic=False), inner_steps=0
    ).step(problem, [], batches)
    assert "snr" not in one, "one candidate differs from none"


def test_the_warning_comes_once_and_not_early():
    watch = NoiseMonitor()
    assert [watch.add({"snr": 0.1}) for _ in range(19)] == [None] * 19
    warning = watch.add({"snr": 0.1})
    assert warning.startswith("alpha follows noise")
    assert "0.10" in warning
    assert [watch.add({"snr": 0.0}) for _ in range(40)] == [None] * 40


def test_no_warning_of_what_is_heard_or_has_no_ratio():
    watch = NoiseMonitor()
    assert [watch.add({"snr": 0.3}) for _ in range(50)] == [None] * 50
    assert [watch.add({"losses": []}) for _ in range(50)] == [None] * 50
    late = [watch.add({"snr": -0.5}) for _ in range(20)]
    assert sum(word is not None for word in late) == 1, "the mean of the last twenty falls in time"


def test_the_watch_goes_on_from_its_state():
    watch, other = NoiseMonitor(), NoiseMonitor()
    for _ in range(19):
        watch.add({"snr": 0.0})
    other.load_state_dict(json.loads(json.dumps(watch.state_dict())))
    assert other.add({"snr": 0.0}) is not None
    watch.load_state_dict(other.state_dict())
    assert watch.add({"snr": 0.0}) is None


def test_a_search_logs_it_and_warns_once(tmp_path, monkeypatch):
    monkeypatch.setattr(noise_monitor, "_FAR_BELOW", float("inf"))
    monkeypatch.setattr(noise_monitor, "_WINDOW", 2)
    heard = []
    history = search(**SMALL, out=tmp_path / "run", callbacks=[heard.append]).history
    kinds = [event["event"] for event in history if event["event"] in ("alpha_step", "warning")]
    assert kinds[:3] == ["alpha_step", "alpha_step", "warning"]
    assert kinds.count("warning") == 1
    assert all("snr" in event for event in history if event["event"] == "alpha_step")
    assert next(event for event in heard if event["event"] == "warning")["text"].startswith("alpha follows noise")
