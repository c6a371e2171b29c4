"""Layers of chains in the native kernel compute what torch computes."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

import zarts
import zarts.networks.fused as fused
from small import needs_compiler
from zarts.errors import KernelError
from zarts.kernels import ChainLayer, chain_convolution, chain_layer
from zarts.kernels import build as kernel_build
from zarts.kernels.chain import _Picked
from zarts.networks import checkpoint_cells, seeded, use_kernels
from zarts.networks.chain import ConvNorm, create_chain
from zarts.spaces import Chain, ChainStem, Stage

pytestmark = needs_compiler

# kernel, stride, depthwise, channels in and out, activation
LAYERS = {
    "tiles": (3, 1, False, 20, 36, "relu"),
    "tiles of whole vectors": (3, 1, False, 16, 16, "relu6"),
    "tiles, few outputs": (3, 1, False, 5, 3, None),
    "tiles, three vectors": (3, 1, False, 36, 20, None),
    "one channel": (3, 1, False, 1, 16, "relu"),
    "stride": (3, 2, False, 5, 20, "relu"),
    "wide kernel": (5, 3, False, 3, 8, "relu6"),
    "1×1": (1, 1, False, 20, 5, None),
    "1×1, whole vectors": (1, 1, False, 16, 24, "relu"),
    "1×1, stride": (1, 2, False, 16, 20, "relu"),
    "depthwise": (3, 1, True, 20, 20, "relu6"),
    "depthwise, stride": (3, 2, True, 16, 16, "relu"),
    "depthwise by torch": (5, 1, True, 5, 5, "relu"),
}
SIZES = [(3, 9, 7), (17, 5, 6), (2, 1, 3)]


@pytest.fixture
def taken(monkeypatch):
    """The activations of the layers that the kernel ran."""
    seen, call = [], fused.chain_layer

    def chain_layer(layer, *arguments):
        seen.append(layer.activation)
        return call(layer, *arguments)

    monkeypatch.setattr(fused, "chain_layer", chain_layer)
    return seen


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layer_of(kernel, stride, depthwise, inputs, outputs, activation):
    with seeded(0):
        layer = ConvNorm(inputs, outputs, kernel, stride, depthwise=depthwise, activation=activation).double()
        nn.init.normal_(layer.norm.weight)
        nn.init.normal_(layer.norm.bias)
    return layer


def results(part, x, *, on, threads=1):
    """Output, gradients of input and parameters and buffers of a copy of a part."""
    part, x = copy.deepcopy(part), x.clone().requires_grad_()
    use_kernels(part, on)
    torch.set_num_threads(threads)
    with seeded(0):  # of dropout
        y = part(x)
    (y * numbers(*y.shape, seed=1).to(y.dtype)).sum().backward()
    torch.set_num_threads(1)
    return [y.detach(), x.grad, *(p.grad for p in part.parameters()), *part.buffers()]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("case", LAYERS)
def test_a_layer_computes_what_torch_does(case, size, taken):
    layer = layer_of(*LAYERS[case])
    batch, height, width = size
    x = numbers(batch, LAYERS[case][3], height, width)
    native = results(layer, x, on=True)
    assert taken == [LAYERS[case][5]]
    torch.testing.assert_close(native, results(layer, x, on=False), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("shortcut", ["padding", "projection"])
def test_a_shortcut_is_added_before_the_activation(shortcut, taken):
    first, second = Stage("residual", 5), Stage("residual", 12, depth=2, stride=2, shortcut=shortcut)
    chain = Chain(ChainStem(5), (first, second))
    with seeded(0):
        network = create_chain(chain, num_classes=3).double()
    native = results(network, numbers(3, 3, 9, 7), on=True)
    assert taken == ["relu"] * 7
    torch.testing.assert_close(native, results(network, numbers(3, 3, 9, 7), on=False), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", ["resnet8", "vgg", "ds_cnn", "mobilenet_v2"])
def test_single_precision_is_near_double(name):
    """Tiles of 4×4 pixels cost a digit at most; a second run has the same bits."""
    with seeded(0):
        network = zarts.create_model(name, num_classes=5, in_channels=1, width=0.3)
    images = numbers(8, 1, 28, 28)
    exact = results(network.double(), images, on=False)
    torch_, ours, again = (results(network.float(), images.float(), on=on) for on in (False, True, True))
    assert all(torch.equal(a, b) for a, b in zip(ours, again, strict=True))
    for single, plain, double in zip(ours, torch_, exact, strict=True):
        if not double.is_floating_point():
            assert torch.equal(single, double)
            continue
        assert (single - double).norm() <= 20 * (plain - double).norm() + 1e-4 * double.norm()


def in_bfloat16(part, x, *, on):
    """Output, gradients of input and parameters and buffers of a copy of a part, under autocast."""
    part, x = copy.deepcopy(part), x.clone().requires_grad_()
    use_kernels(part, on, bfloat16=True)
    with seeded(0), torch.autocast("cpu", torch.bfloat16):
        y = part(x)
    (y * numbers(*y.shape, seed=1).to(y.dtype)).sum().backward()
    return [y.detach(), x.grad, *(p.grad for p in part.parameters()), *part.buffers()]


@pytest.mark.parametrize("activation", [None, "relu", "relu6"])
@pytest.mark.parametrize("adds", [False, True])
@pytest.mark.parametrize("channels", [5, 16, 36])
def test_bfloat16_features_are_rounded_once(channels, adds, activation):
    """Against the same formulas in double precision on the same 16-bit numbers: half a unit in the last place."""
    z, beside, gradient = (numbers(7, channels, 9, 5, seed=seed).bfloat16() for seed in range(3))
    scale, shift = numbers(channels, seed=3).float(), numbers(channels, seed=4).float()
    identity = torch.eye(channels)[..., None, None]

    def run(z, weight, *rest):
        tensors = [one.clone().requires_grad_() for one in (z, *rest) if one is not None]
        z, scale, shift, *beside = tensors
        layer = ChainLayer(1, False, activation, 1e-5, 0.1, torch.zeros(channels), torch.ones(channels))
        if weight is None:
            y = layer.plain(z, None, scale, shift, *(beside or [None]))
        else:
            with torch.autocast("cpu", torch.bfloat16):  # the convolution leaves each number as it is
                y = chain_layer(layer, z, weight, scale, shift, *beside)
        y.backward(gradient.to(y.dtype))
        return [y.detach(), *(one.grad for one in tensors)]

    beside = beside if adds else None
    ours = run(z, identity, scale, shift, beside)
    exact = run(z.double(), None, scale.double(), shift.double(), None if beside is None else beside.double())
    features, parameters = (torch.bfloat16, 2.0**-7), (torch.float32, 1e-5)  # 8 bits, of which 1 is not written
    expected = [features, features, parameters, parameters, features]
    for one, other, (dtype, unit) in zip(ours, exact, expected, strict=False):
        assert one.dtype == dtype
        torch.testing.assert_close(one.double(), other, rtol=unit / 2 * 1.001, atol=1e-5)


def test_a_nan_in_bfloat16_stays_one():
    layer = layer_of(1, 1, False, 3, 20, "relu").float()
    nan = torch.tensor(0x7FFFFFFF, dtype=torch.int32).view(torch.float32)  # rounded as a number it would be -0
    with torch.no_grad():
        layer.norm.bias[1] = nan
    y = in_bfloat16(layer, numbers(2, 3, 4, 4).float(), on=True)[0]
    assert y.dtype == torch.bfloat16
    assert y.isnan().any(dim=(0, 2, 3)).tolist() == [False, True] + 18 * [False]


@pytest.mark.parametrize("name", ["resnet8", "vgg"])
def test_under_autocast_the_kernel_is_as_near_as_torch(name, taken):
    """The error of outputs, gradients and statistics against double precision, mean over four networks."""
    errors = {False: 0.0, True: 0.0}
    for seed in range(4):
        with seeded(seed):
            network = zarts.create_model(name, num_classes=5, in_channels=1, width=0.3)
        images = numbers(8, 1, 28, 28, seed=seed)
        exact = results(network.double(), images, on=False)
        network, images = network.float(), images.float()
        found = {on: in_bfloat16(network, images, on=on) for on in (False, True)}
        again = in_bfloat16(network, images, on=True)
        assert all(torch.equal(a, b) for a, b in zip(found[True], again, strict=True))
        for on, halves in found.items():
            for one, double in zip(halves, exact, strict=True):
                errors[on] += float((one - double).norm() / double.norm()) if double.is_floating_point() else 0
    assert len(taken) == 8 * sum(isinstance(part, ConvNorm) for part in network.modules())
    assert 0 < errors[True] < 1.1 * errors[False]


def test_a_strided_shortcut_has_a_dense_gradient():
    x = numbers(2, 3, 5, 7).requires_grad_()
    sliced = torch.autograd.grad(x[:, :, ::2, ::2].square().sum(), x)[0]
    picked = torch.autograd.grad(_Picked.apply(x, 2).square().sum(), x)[0]
    assert torch.equal(picked, sliced)
    assert picked.is_contiguous(memory_format=torch.channels_last)
    assert torch.autograd.gradgradcheck(lambda x: _Picked.apply(x, 2), x)


def test_threads_change_the_rounding_only_and_a_run_repeats():
    for case in ("tiles", "stride", "depthwise", "1×1"):
        layer = layer_of(*LAYERS[case])
        x = numbers(9, LAYERS[case][3], 32, 32)
        one, three, again = (results(layer, x, on=True, threads=n) for n in (1, 3, 3))
        torch.testing.assert_close(three, one, rtol=1e-10, atol=1e-10)
        assert all(torch.equal(a, b) for a, b in zip(three, again, strict=True))


def test_everything_but_plain_training_stays_with_torch(taken):
    layer, x = layer_of(*LAYERS["tiles"]), numbers(2, 20, 5, 5)
    layer(x)
    use_kernels(layer, True)
    with torch.no_grad():
        layer(x)
    layer.eval()(x)
    layer.train()
    with torch.autocast("cpu", torch.float16):
        layer(x)
    single = copy.deepcopy(layer).float()
    use_kernels(single, True)
    with torch.autocast("cpu", torch.bfloat16):  # not asked for
        single(x.float())
    use_kernels(single, True, bfloat16=True)
    single(x.float())
    copy.deepcopy(layer).bfloat16()(x.bfloat16())
    handle = layer.conv.register_forward_hook(lambda *_: None)
    layer(x)
    handle.remove()
    replaced = copy.deepcopy(layer)
    replaced.norm.__class__ = type("SharedNorm", (nn.BatchNorm2d,), {})
    replaced(x)
    with pytest.raises(ValueError, match="more than 1 value"):
        layer(x[:1, :, :1, :1])
    assert not taken
    layer(x)
    assert taken == ["relu"]
    assert layer.state_dict().keys() == layer_of(*LAYERS["tiles"]).state_dict().keys()


def test_a_checkpointed_network_computes_the_same():
    with seeded(0):
        network = zarts.create_model("resnet8", num_classes=5, in_channels=1, width=0.3).double()
    kept = results(network, numbers(3, 1, 9, 9), on=True)
    checkpoint_cells(network, (), on=True)
    assert all(torch.equal(a, b) for a, b in zip(results(network, numbers(3, 1, 9, 9), on=True), kept, strict=True))


def test_a_checkpointed_network_computes_the_same_in_bfloat16():
    with seeded(0):
        network = zarts.create_model("resnet8", num_classes=5, in_channels=1, width=0.3)
    images = numbers(3, 1, 9, 9).float()
    kept = in_bfloat16(network, images, on=True)
    checkpoint_cells(network, (), on=True)
    assert all(torch.equal(a, b) for a, b in zip(in_bfloat16(network, images, on=True), kept, strict=True))


def test_a_shortcut_of_another_type_is_left_to_torch(taken):
    layer = layer_of(3, 1, False, 20, 20, None).float()
    use_kernels(layer, True, bfloat16=True)
    x, last = numbers(2, 20, 5, 5).float(), nn.ReLU()
    with torch.autocast("cpu", torch.bfloat16):
        assert fused.fused(layer, x, numbers(2, 20, 5, 5).float(), last) is None
        assert fused.fused(layer, x, numbers(2, 20, 5, 5).bfloat16(), last) is not None


def test_second_derivatives_in_bfloat16_are_those_of_torch():
    weight = numbers(3, 2, 1, 1).float()
    x, scale = numbers(2, 2, 4, 4, seed=1).float(), numbers(3, seed=2).float()

    def penalty(native):
        tensors = [one.clone().requires_grad_() for one in (x, weight, scale)]
        layer = ChainLayer(1, False, None, 1e-5, 0.1, torch.zeros(3), torch.ones(3))
        with torch.autocast("cpu", torch.bfloat16):
            y = chain_layer(layer, *tensors, scale) if native else layer.plain(*tensors, scale, None)
        first = torch.autograd.grad(y.float().square().sum(), tensors, create_graph=True)
        return torch.autograd.grad(sum(one.float().square().sum() for one in first), tensors)

    for ours, torch_ in zip(penalty(True), penalty(False), strict=True):
        assert (ours - torch_).norm() < 0.05 * torch_.norm() + 1e-3


def test_second_derivatives_are_those_of_torch():
    weight, scale, x = numbers(3, 2, 3, 3), numbers(3, seed=2), numbers(2, 2, 4, 4, seed=3)
    tensors = [tensor.requires_grad_() for tensor in (x, weight, scale)]

    def native(x, weight, scale):
        layer = ChainLayer(1, False, None, 1e-5, 0.1, torch.zeros_like(scale), torch.ones_like(scale))
        return chain_layer(layer, chain_convolution(x, weight[:2], 2), weight, scale, scale)

    assert torch.autograd.gradcheck(native, tensors)
    assert torch.autograd.gradgradcheck(native, tensors)


def test_without_a_compiler_the_network_stays_as_it_was(monkeypatch):
    layer = layer_of(*LAYERS["tiles"])
    kernel_build._compiler.cache_clear()
    kernel_build.compiled.cache_clear()
    monkeypatch.setattr(kernel_build.shutil, "which", lambda name: None)
    with pytest.raises(KernelError, match="compiler"):
        use_kernels(layer, True)
    assert not layer.native
    kernel_build._compiler.cache_clear()


def test_gradients_stop_where_none_is_wanted():
    x = numbers(2, 20, 5, 5)
    layer = layer_of(*LAYERS["tiles"])
    use_kernels(layer, True)
    layer.conv.weight.requires_grad_(False)
    layer(x).sum().backward()
    assert x.grad is None
    assert layer.conv.weight.grad is None
    frozen = copy.deepcopy(layer)
    expected = functional.batch_norm(
        functional.conv2d(x, frozen.conv.weight, padding=1), None, None, frozen.norm.weight, frozen.norm.bias, True
    )
    torch.testing.assert_close(layer(x), expected.relu())
