import copy

import pytest
import torch

import zarts.kernels.build as build
from small import needs_compiler
from zarts.errors import KernelError, SettingsError
from zarts.kernels import Projection, compiled, prepare, project
from zarts.networks import seeded
from zarts.networks.operations import FactorizedReduce, PointwiseBlock
from zarts.searcher.supernets import native_kernels
from zarts.spaces import get_space
from zarts.supernet import SuperNet

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
    import zarts.supernet.mixed_cell as module

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
    monkeypatch.setattr("zarts.kernels.bindings._WORTH", 0)
    images = torch.randn(5, 3, 12, 12, generator=generator, dtype=torch.float64)
    for one, three in zip(results(True, images=images, channels=4), results(True, 3, images, channels=4), strict=True):
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
        with pytest.raises(KernelError, match=r"C\+\+ compiler"):
            prepare(torch.float32, [4])
        notes = []
        assert not native_kernels("auto", CPU, "darts", [4], notes.append)
        assert "several times slower" in notes[0]
        with pytest.raises(SettingsError, match='kernels="torch"'):
            native_kernels("native", CPU, "darts", [4], notes.append)
    finally:
        build._compiler.cache_clear()


def test_a_compiler_that_cannot_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "_compiler", lambda: ("false", b""))
    with pytest.raises(KernelError, match="compile"):
        compiled.__wrapped__(torch.float32, 4)
    assert not list((tmp_path / "zarts" / "kernels").iterdir())


def test_channels_must_be_multiples_of_four():
    with pytest.raises(SettingsError, match="multiples of 4"):
        native_kernels("native", CPU, "darts", [6, 12, 24], print)


def test_a_folder_that_cannot_be_made_is_said(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(KernelError, match="cannot be kept"):
        build._folder()


def cell_network(generator):
    """A small supernet in double precision, its images and its weights."""
    with seeded(0):
        net = SuperNet(get_space("darts"), channels=4, cells=3, num_classes=5).double()
    images = torch.randn(3, 3, 8, 8, generator=generator, dtype=torch.float64)
    return net, images, {k: torch.rand(s, generator=generator, dtype=torch.float64) for k, s in net.shapes.items()}


@needs_compiler
def test_two_graphs_alive_at_once_do_not_share_memory(generator, monkeypatch):
    monkeypatch.setattr("zarts.kernels.allocator._SMALL", 0)
    net, images, weights = cell_network(generator)

    def gradients(loss, **settings):
        return torch.autograd.grad(loss, list(net.parameters()), **settings)

    expected = [gradients(net(x, weights).square().sum()) for x in (images, -images)]
    first, second = (net(x, weights).square().sum() for x in (images, -images))
    found = [gradients(first, retain_graph=True), gradients(second)]
    for theirs, ours in zip([*expected, expected[0]], [*found, gradients(first)], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(theirs, ours, strict=True))


@needs_compiler
def test_gradients_that_nobody_asked_for_are_not_computed(generator, monkeypatch):
    net, images, weights = cell_network(generator)
    leaves = {kind: w.clone().requires_grad_() for kind, w in weights.items()}
    expected = torch.autograd.grad(net(images, leaves).square().sum(), list(leaves.values()))
    made = []
    zeros_like = torch.zeros_like
    monkeypatch.setattr(torch, "zeros_like", lambda x, **kw: made.append(tuple(x.shape)) or zeros_like(x, **kw))
    net(images, weights).square().sum().backward()
    assert made
    assert not set(made) & set(net.shapes.values())  # the weights of the operations are constant
    made.clear()
    net.zero_grad()
    net.requires_grad_(False)
    found = torch.autograd.grad(net(images, leaves).square().sum(), list(leaves.values()))
    assert set(made) == set(net.shapes.values())
    assert all(parameter.grad is None for parameter in net.parameters())
    for theirs, ours in zip(expected, found, strict=True):
        torch.testing.assert_close(ours, theirs)


@needs_compiler
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("stride", "inputs", "sides"), [(1, 6, (5, 7)), (1, 16, (8, 8)), (2, 16, (8, 8)), (2, 6, (7, 6))]
)
def test_a_projection_equals_that_of_torch(stride, inputs, sides, training, generator):
    with seeded(0):
        part = (PointwiseBlock if stride == 1 else FactorizedReduce)(inputs, 8, affine=False).double().train(training)
        plain = copy.deepcopy(part)
    x = torch.randn(3, inputs, *sides, generator=generator, dtype=torch.float64)
    mean, var, _ = part.norm.buffers()
    results = []
    for function, own in (
        (lambda x: project(Projection(part.weights, mean, var, training, part), x), part),
        (plain, plain),
    ):
        leaf = x.clone().requires_grad_()
        y = function(leaf)
        first = torch.autograd.grad((y**3).sum(), [leaf, *own.weights], retain_graph=True)
        results.append([y, *first, *list(own.norm.buffers())[:2]])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)
    only_input = torch.autograd.grad(
        project(Projection((*(w.detach() for w in part.weights),), mean, var, training, part), leaf).sum(), leaf
    )
    assert only_input[0].shape == x.shape
