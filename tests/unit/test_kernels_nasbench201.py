import pytest
import torch

import zarts.kernels.build as build
import zarts.kernels.cell as cell
import zarts.supernet.nasbench201_cell as module
from small import needs_compiler, often
from zarts.networks import seeded
from zarts.spaces.nasbench201 import NASBENCH201
from zarts.supernet import NasBench201SuperNet


def results(native, images, *, threads=1, channels=4, weights=None, training=True):
    """Logits, gradients and statistics of a supernet of three cells."""
    with seeded(0):
        net = NasBench201SuperNet(NASBENCH201, channels=channels, cells=1, num_classes=5, native=native)
    net = net.train(training).to(images.dtype)
    if weights is None:
        weights = torch.rand(6, 5, generator=torch.Generator().manual_seed(1)).to(images.dtype).requires_grad_()
    torch.set_num_threads(threads)
    logits = net(images, {"normal": weights})
    logits.square().sum().backward()
    torch.set_num_threads(1)
    gradients = [p.grad for p in [*net.parameters(), weights] if p.grad is not None]
    return [logits.detach(), *gradients, *(b for b in net.buffers() if b.is_floating_point())]


@pytest.fixture
def counted(monkeypatch):
    """The channels of the cells that the native kernels worked on."""
    seen, call = [], module.dense_cell

    def dense_cell(cell, x, weights):
        seen.append(x.shape[1])
        return call(cell, x, weights)

    monkeypatch.setattr(module, "dense_cell", dense_cell)
    return seen


@pytest.fixture
def images(generator):
    return torch.randn(5, 3, 12, 10, generator=generator, dtype=torch.float64)


@needs_compiler
def test_native_and_torch_agree_and_each_is_used(counted, images):
    native = results(True, images)
    assert counted == [4, 8, 16]
    torch.testing.assert_close(native, results(False, images))
    assert len(counted) == 3


@needs_compiler
@pytest.mark.parametrize("channels", often([4, 8, 16], 4))
def test_single_precision_is_near_double(channels, images):
    """Tiles of 4×4 pixels cost a digit at most."""
    single = results(True, images.float(), channels=channels)
    for ours, exact in zip(single, results(False, images, channels=channels), strict=True):
        assert (ours - exact).norm() <= 1e-4 * exact.norm()


@needs_compiler
def test_channels_that_are_no_multiple_of_four_are_left_to_torch(counted, images):
    results(True, images, channels=2)
    assert counted == [4, 8]


@needs_compiler
@pytest.mark.parametrize("training", [True, False])
def test_threads_change_the_last_bits_at_most(training, images, monkeypatch):
    monkeypatch.setattr("zarts.kernels.bindings._WORTH", 0)
    one, three = (results(True, images, threads=threads, training=training) for threads in (1, 3))
    torch.testing.assert_close(three, one)
    for again, same in zip(results(True, images, threads=3, training=training), three, strict=True):
        assert torch.equal(again, same)


@needs_compiler
def test_more_images_than_are_summed_at_once(generator):
    images = torch.randn(40, 3, 16, 16, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(results(True, images), results(False, images))


@needs_compiler
def test_a_nan_stays_one(images):
    images[0, 0, 0, 0] = float("nan")
    assert results(True, images)[0].isnan().all()


def test_without_a_compiler_torch_does_the_work(counted, images, monkeypatch):
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    caches = (build._compiler, build.compiled, cell._available)
    for cache in caches:
        cache.cache_clear()
    try:
        without = results(True, images)
    finally:
        for cache in caches:
            cache.cache_clear()
    assert counted == []
    for ours, torchs in zip(without, results(False, images), strict=True):
        assert torch.equal(ours, torchs)
