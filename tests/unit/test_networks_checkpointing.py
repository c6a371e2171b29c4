"""A network that is checkpointed computes what it computes without: to the bit, with all that is drawn and counted."""

import copy

import pytest
import torch
from torch.nn import functional

from zarts.networks import checkpoint_cells, create_model, create_nasbench201, seeded
from zarts.runtime.measure import Allocations
from zarts.spaces import Choice, Genotype, get_space, published
from zarts.supernet import build_supernet

IMAGES = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.tensor([0, 1, 2, 1])
NOISY = Genotype("s4", dict.fromkeys(("normal", "reduce"), ((Choice("noise", 0), Choice("sep_conv_3x3", 1)),) * 2))


def weights_of(space, *, leaf):
    drawn = {
        kind: torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        for kind, shape in space.shapes.items()
    }
    return {kind: value.requires_grad_() if leaf else value for kind, value in drawn.items()}


def supernet(name, drops=0.0, **options):
    """Builds a supernet of a space; the operation weights of a call."""
    space = get_space(name)
    cells = 3 if space.skeleton == "darts" else 1

    def build(generator):
        network = build_supernet(space, channels=4, cells=cells, num_classes=3, generator=generator, **options)
        network.drop.path, network.drop.skip = drops, drops
        return network

    return build, [weights_of(space, leaf=True)]


def found(genotype, **options):
    def build(generator):
        if genotype.space == "nasbench201":
            return create_nasbench201(genotype, channels=4, cells=1, num_classes=3)
        return create_model(genotype, channels=4, cells=3, num_classes=3, generator=generator, **options)

    return build, []


CASES = {
    "supernet of torch's kernels": supernet("s2", native=False),
    "supernet of native kernels": supernet("darts"),
    "noise": supernet("s4", native=False),
    "noise, native": supernet("s4"),
    "drop-path": supernet("s2", drops=0.4),
    "drop-path and noise": supernet("s4", drops=0.4),
    "partial channels": supernet("s2", supernet="partial", partial_channels=2, native=False),
    "merged": supernet("darts", supernet="merged", native=False),
    "merged, native": supernet("darts", supernet="merged"),
    "nasbench201, torch": supernet("nasbench201", native=False),
    "nasbench201, native": supernet("nasbench201"),
    "nasbench201, drop-path": supernet("nasbench201", drops=0.4),
    "network": found(published("DARTS_V2")),
    "network with drop-path": found(published("DARTS_V2"), drop_path=0.4),
    "network with noise and drop-path": found(NOISY, drop_path=0.4),
    "ImageNet stem": found(published("DARTS_V2"), stem="imagenet"),
}


def passed(build, context, on, steps=2):
    """Outputs, gradients, buffers and states of generators after some passes with gradient."""
    torch.manual_seed(5)
    generator = torch.Generator().manual_seed(3)
    with seeded(0):
        network = build(generator).double().train()
    checkpoint_cells(network, [generator], on=on)
    outputs, gradients = [], []
    for _ in range(steps):
        logits = network(IMAGES, *context)
        functional.cross_entropy(logits, LABELS).backward()
        outputs.append(logits.detach())
    gradients = [p.grad for p in network.parameters()] + [w.grad for matrix in context for w in matrix.values()]
    for matrix in context:
        for w in matrix.values():
            w.grad = None
    states = [generator.get_state(), torch.get_rng_state()]
    return [*outputs, *gradients, *network.buffers(), *states]


@pytest.mark.parametrize("name", CASES)
def test_nothing_changes(name):
    build, context = CASES[name]
    plain, checkpointed = (passed(build, context, on) for on in (False, True))
    assert len(plain) == len(checkpointed)
    for a, b in zip(plain, checkpointed, strict=True):
        assert (a is None) == (b is None)
        assert a is None or torch.equal(a, b)


@pytest.mark.parametrize("native", [False, True])
def test_second_derivatives(native):
    """As of an exact product with the Hessian, and again from a graph that is kept."""
    build, (weights,) = supernet("s2", native=native)
    found = []
    for on in (False, True):
        with seeded(0):
            network = build(torch.Generator()).double()
        checkpoint_cells(network, [], on=on)
        loss = functional.cross_entropy(network(IMAGES, weights), LABELS)
        gradients = torch.autograd.grad(loss, list(network.parameters()), create_graph=True)
        inner = torch.stack([(g * g.detach().sin()).sum() for g in gradients]).sum()
        for _ in range(2):
            products = torch.autograd.grad(inner, list(weights.values()), retain_graph=True)
            found.append([*gradients, *products, *network.buffers()])
    assert max(float(product.abs().max()) for product in products) > 1e-6
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("name", ["supernet of native kernels", "network with drop-path", "nasbench201, torch"])
def test_less_is_kept(name):
    build, context = CASES[name]
    peaks = []
    for on in (False, True):
        with seeded(0):
            network = build(torch.Generator()).double()
        checkpoint_cells(network, [], on=on)
        images = IMAGES.repeat(8, 1, 1, 1)
        with Allocations() as counted:
            network(images, *context).sum().backward()
        peaks.append(counted.peak)
    assert peaks[1] < 0.8 * peaks[0]


def test_what_is_only_evaluated_is_not_run_again():
    build, _ = CASES["network"]
    network = build(torch.Generator()).double().eval()
    checkpoint_cells(network, [], on=True)
    assert network.checkpointing.active
    with torch.no_grad():
        assert not network.checkpointing.active
    twin = copy.deepcopy(network)
    assert twin.checkpointing.on
    checkpoint_cells(twin, [], on=False)
    assert (network.checkpointing.on, twin.checkpointing.on) == (True, False)
