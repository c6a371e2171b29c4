"""A step of the weights: divided over ranks and in pieces, scaled, clipped; each beside the plain one."""

import threading
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from zarts.config import RetrainSettings
from zarts.errors import DivergedError
from zarts.networks import create_model, create_nasbench201, seeded, share_norms
from zarts.networks.sync_batchnorm import SharedNorm
from zarts.runtime.distributed import Ranks
from zarts.runtime.seed import keyed_generator
from zarts.spaces import published
from zarts.spaces.nasbench201 import from_string
from zarts.training.train_step import WeightStep, divide, own_part

CPU = torch.device("cpu")


def plain(network, *inputs):
    return network(*inputs)


class Threads(Ranks):
    """Ranks that are threads of this process; `run` does one thing in all of them at a time."""

    def __init__(self, rank, count, shared):
        super().__init__()
        self.rank, self.count, self._shared = rank, count, shared

    def all_reduce(self, tensor):
        self._shared.parts[self.rank] = tensor.clone()
        self._shared.barrier.wait()
        total = sum(self._shared.parts[rank] for rank in range(self.count))
        self._shared.barrier.wait()
        return total

    @staticmethod
    def run(count, work):
        shared = SimpleNamespace(parts={}, barrier=threading.Barrier(count, timeout=60))
        results, errors = {}, []

        def one(rank):
            try:
                results[rank] = work(Threads(rank, count, shared))
            except Exception as error:
                errors.append(error)
                shared.barrier.abort()

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors, errors
        return [results[rank] for rank in range(count)]


def batch(images=12, classes=3, seed=1):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randn(images, 1, 8, 8, generator=generator, dtype=torch.float64)
    return pixels, torch.randint(classes, (images,), generator=generator)


def trained(ranks=None, steps=2, frozen_norms=False, images=12, drop=0.4, **settings):
    """The parameters and buffers after some steps, and the losses."""
    ranks = ranks or Ranks()
    settings = RetrainSettings(**{"learning_rate": 0.1, "batch_size": 12, "auxiliary_weight": 0.3, **settings})
    drops = torch.Generator()
    with LOCK, seeded(0):
        network = create_model(
            published("DARTS_V2"), channels=2, cells=3, num_classes=3, in_channels=1, auxiliary=True, generator=drops
        ).double()
    network.drop_path_probability = drop
    network.train()
    for part in network.modules():
        if frozen_norms and isinstance(part, nn.BatchNorm2d):
            part.eval()
    share_norms(network, ranks, CPU)
    optimizer = torch.optim.SGD(network.parameters(), lr=settings.learning_rate, momentum=0.9)
    step = WeightStep(
        settings,
        network,
        optimizer,
        ranks,
        CPU,
        F.cross_entropy,
        lambda number, piece: drops.manual_seed(keyed_generator("drops", number).initial_seed()),
    )
    losses = [[value.item() for value in step(plain, number, *batch(images))] for number in range(steps)]
    return {k: v.clone() for k, v in network.state_dict().items()}, losses


LOCK = threading.Lock()  # torch's default generator is one for all threads


@pytest.mark.parametrize(("images", "count", "pieces"), [(12, 1, 1), (13, 2, 3), (96, 4, 2), (5, 2, 4), (3, 2, 1)])
def test_every_image_is_passed_once_by_the_ranks_together(images, count, pieces):
    seen, total, numbers = [], 0.0, set()
    for rank in range(count):
        parts = list(divide(images, Threads(rank, count, None), pieces))
        numbers.add(len(parts))
        total += sum(weight for _, weight in parts)
        seen += [i for piece, _ in parts for i in range(piece.start, piece.stop)]
        assert all(piece.stop - piece.start >= 2 for piece, _ in parts)
        assert own_part(images, Threads(rank, count, None)) == slice(parts[0][0].start, parts[-1][0].stop)
    assert total == pytest.approx(1)
    assert len(numbers) == 1  # or a rank would wait for ever
    assert sorted(seen) == (list(range(images)) if images >= 2 * count else sorted(2 * list(range(images))))


def test_pieces_are_the_same_step_but_for_batch_norm():
    """With fixed statistics; what drop-path drops does not depend on the pieces."""
    whole, losses = trained(frozen_norms=True)
    pieces, others = trained(frozen_norms=True, micro_batches=3)
    torch.testing.assert_close(pieces, whole, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(others, losses, rtol=1e-6, atol=0)
    other, _ = trained(micro_batches=3)
    assert not torch.allclose(other["classifier.weight"], trained()[0]["classifier.weight"])


@pytest.mark.parametrize("images", [12, 13, 3])  # shared evenly, unevenly, and too few to be shared
def test_two_ranks_train_as_one(images):
    """Weights, running statistics and losses, with drop-path and the auxiliary head, to twelve digits."""
    alone, losses = trained(images=images)
    for together, others in Threads.run(2, lambda ranks: trained(ranks, images=images)):
        for name in alone:  # of 2 x 3 images the unbiased variance is another one
            if images >= 4 or "running_var" not in name:
                torch.testing.assert_close(together[name], alone[name], rtol=1e-9, atol=1e-12, msg=name)
        torch.testing.assert_close(others, losses, rtol=1e-6, atol=0)


def test_ranks_and_pieces_together():
    alone, _ = trained(frozen_norms=True, micro_batches=1)
    for together, _ in Threads.run(2, lambda ranks: trained(ranks, frozen_norms=True, micro_batches=2)):
        torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-12)


def test_shared_norm_is_batch_norm_of_all_images():
    """Output, gradients and statistics of torch's, for a mean far from 0 too."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 3, 4, 4, generator=generator, dtype=torch.float64) + 50
    norm = nn.BatchNorm2d(3).double()
    nn.init.uniform_(norm.weight)
    weight = norm.weight.detach().clone()

    def work(ranks):
        own = nn.BatchNorm2d(3).double()
        own.weight.data.copy_(weight)
        shared = SharedNorm(own, ranks)
        part = x.chunk(2)[ranks.rank].clone().requires_grad_()
        for _ in range(3):
            y = shared(part)
        (y * y.cos()).sum().backward()
        return y.detach(), part.grad, shared.state_dict(), shared.weight.grad

    whole = x.clone().requires_grad_()
    for _ in range(3):
        y = norm(whole)
    (y * y.cos()).sum().backward()
    parts = Threads.run(2, work)
    close = {"rtol": 1e-9, "atol": 1e-10}
    torch.testing.assert_close(torch.cat([part[0] for part in parts]), y.detach(), **close)
    torch.testing.assert_close(torch.cat([part[1] for part in parts]), whole.grad, **close)
    for _, _, state, _ in parts:
        torch.testing.assert_close(state, norm.state_dict(), **close)
    torch.testing.assert_close(parts[0][3] + parts[1][3], norm.weight.grad, **close)


def step_of(network, images, labels, **settings):
    settings = RetrainSettings(**{"learning_rate": 0.1, "auxiliary_weight": 0.0, "drop_path": 0.0, **settings})
    optimizer = torch.optim.SGD(network.parameters(), lr=settings.learning_rate)
    step = WeightStep(settings, network, optimizer, Ranks(), CPU, F.cross_entropy, lambda number, piece: None)
    step(plain, 0, images, labels)
    return step


def small_network():
    with seeded(0):
        return create_nasbench201(
            from_string("|nor_conv_1x1~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|"),
            channels=2,
            cells=1,
            num_classes=3,
            in_channels=1,
        )


def test_the_gradient_is_clipped_after_unscaling():
    """A scaled loss makes the same step: the norm that is clipped is that of the gradient without its scale."""
    images, labels = batch()
    before, moved = small_network(), []
    for precision in ("32-true", "16-mixed"):
        network = small_network()
        step_of(network, images.float(), labels, precision=precision, grad_clip=0.01)
        moved.append(
            torch.cat(
                [(a - b).detach().flatten() for a, b in zip(network.parameters(), before.parameters(), strict=True)]
            )
        )
    assert moved[0].norm().item() == pytest.approx(0.01 * 0.1, rel=1e-3)
    torch.testing.assert_close(moved[1], moved[0])
    network = small_network()
    step_of(network, images.float(), labels, grad_clip=0.0)
    assert sum((a - b).square().sum() for a, b in zip(network.parameters(), before.parameters(), strict=True)) > 1e-4


def test_a_scaled_loss_that_overflows_leaves_the_step_out():
    images, labels = batch()
    network = small_network()
    settings = RetrainSettings(precision="16-mixed", auxiliary_weight=0.0, drop_path=0.0)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    step = WeightStep(settings, network, optimizer, Ranks(), CPU, F.cross_entropy, lambda number, piece: None)
    step.load_state_dict({**step.state_dict(), "scale": 1e38})
    before = [p.clone() for p in network.parameters()]
    step(plain, 0, 1e4 * images.float(), labels)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), before, strict=True))
    assert step.state_dict()["scale"] == pytest.approx(5e37)


def test_a_loss_that_is_not_finite():
    images, labels = batch()
    with pytest.raises(DivergedError, match="learning_rate"):
        step_of(small_network(), torch.nan * images.float(), labels)
