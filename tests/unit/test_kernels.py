import pytest
import torch

import zarts.kernels.build as build
from small import needs_compiler
from zarts.engine.device import native_kernels
from zarts.errors import KernelError, SettingsError
from zarts.kernels import compiled, prepare
from zarts.nets import SuperNet, seeded
from zarts.spaces import get_space

CPU = torch.device("cpu")


def results(native, threads=1, images=None, training=True, **sizes):
    """Logits, gradients and statistics of a supernet."""
    with seeded(0):
        net = (
            SuperNet(get_space("darts"), cells=4, num_classes=5, native=native, **sizes)
            .train(training)
            .to(images.dtype)
        )
    weights = {
        kind: torch.rand(shape, generator=torch.Generator().manual_seed(1)) for kind, shape in net.shapes.items()
    }
    weights = {kind: w.to(images.dtype).requires_grad_() for kind, w in weights.items()}
    torch.set_num_threads(threads)
    logits = net(images, weights)
    logits.square().sum().backward()
    torch.set_num_threads(1)
    gradients = [p.grad for p in net.parameters()] + [w.grad for w in weights.values()]
    return [logits.detach(), *gradients, *(b for b in net.buffers() if b.is_floating_point())]


@pytest.fixture
def counted(monkeypatch):
    """How many cells the native kernels worked on."""
    import zarts.nets.supernet as module

    seen, call = [], module.mixed_cell

    def mixed_cell(*arguments):
        seen.append(arguments)
        return call(*arguments)

    monkeypatch.setattr(module, "mixed_cell", mixed_cell)
    return seen


@needs_compiler
def test_the_supernet_uses_them(counted, generator):
    images = torch.randn(2, 3, 8, 8, generator=generator)
    results(True, images=images, channels=4)
    assert len(counted) == 4
    results(False, images=images, channels=4)
    assert len(counted) == 4


@needs_compiler
def test_channels_that_are_no_multiple_of_four_are_left_to_torch(counted, generator):
    results(True, images=torch.randn(2, 3, 8, 8, generator=generator), channels=2)
    assert [arguments[1][0].shape[1] for arguments in counted] == [4, 8, 8][-len(counted) :]


@needs_compiler
def test_threads_change_the_last_bits_at_most(generator, monkeypatch):
    monkeypatch.setattr("zarts.kernels.calls._WORTH", 0)
    images = torch.randn(5, 3, 12, 12, generator=generator, dtype=torch.float64)
    for one, three in zip(results(True, images=images, channels=8), results(True, 3, images, channels=8), strict=True):
        torch.testing.assert_close(three, one)


@needs_compiler
def test_a_nan_stays_one(generator):
    images = torch.randn(2, 3, 8, 8, generator=generator)
    images[0, 0, 0, 0] = float("nan")
    assert results(True, images=images, channels=4)[0].isnan().all()


def test_no_compiler_is_said(monkeypatch):
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    build._compiler.cache_clear()
    try:
        with pytest.raises(KernelError, match=r"no C\+\+ compiler: install"):
            prepare(torch.float32, [4])
        notes = []
        assert not native_kernels("auto", CPU, "darts", [4], notes.append)
        assert "several times slower" in notes[0]
        with pytest.raises(SettingsError, match=r"kernels: there is no C\+\+ compiler.* --kernels torch"):
            native_kernels("native", CPU, "darts", [4], notes.append)
    finally:
        build._compiler.cache_clear()


def test_a_compiler_that_cannot_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "_compiler", lambda: ("false", b""))
    with pytest.raises(KernelError, match="cannot compile the native kernels"):
        compiled.__wrapped__(torch.float32, 4)
    assert not list((tmp_path / "zarts" / "kernels").iterdir())


def test_channels_must_be_multiples_of_four():
    with pytest.raises(SettingsError, match="multiples of 4 channels, not 6"):
        native_kernels("native", CPU, "darts", [6, 12, 24], print)


def test_a_folder_that_cannot_be_made_is_said(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(KernelError, match="cannot be kept"):
        build._folder()
