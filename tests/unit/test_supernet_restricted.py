"""Operations that have been dropped do not run, and leave no trace."""

import pytest
import torch
from torch.nn import functional as F

from small import STACKED
from zarts.networks import seeded
from zarts.spaces import Subspace, get_space
from zarts.supernet import build_supernet


def part_of(name, count, generator):
    space = get_space(name)
    values = {kind: torch.rand(shape, generator=generator) for kind, shape in space.shapes.items()}
    return Subspace.all_of(space).strongest(values, count, space.derive(values))


def gradients(name, part, images, *, restricted, native, narrow, double=False):
    """Logits, and gradients in the weights of the operations that are left and in all parameters."""
    with seeded(0):
        model = build_supernet(
            part.whole,
            channels=4,
            cells=3 if name in STACKED else 1,
            num_classes=3,
            generator=torch.Generator().manual_seed(0),
            native=native,
        ).double()
    if restricted:
        model.restrict(part.mask())
    leaves = {kind: matrix.clone().requires_grad_() for kind, matrix in narrow.items()}
    logits = model(images, part.scatter(leaves))
    loss = F.cross_entropy(logits, torch.arange(len(images)) % 3)
    wanted = [*leaves.values(), *(p for p in model.parameters())]
    found = torch.autograd.grad(loss, wanted, create_graph=double, allow_unused=True)
    if double:
        norm = sum(g.square().sum() for g in found if g is not None)
        found = torch.autograd.grad(norm, wanted, allow_unused=True)
    return logits, [torch.zeros_like(w) if g is None else g for w, g in zip(wanted, found, strict=True)], model


@pytest.mark.parametrize("name", ["darts", "s3", "nasbench201"])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("native", [False, True])
def test_the_same_as_with_all_operations_running_at_weight_0(generator, name, count, native):
    part = part_of(name, count, generator)
    images = torch.randn(3, 3, 8, 8, generator=generator).double()
    narrow = {kind: torch.rand(shape, generator=generator).double() for kind, shape in part.shapes.items()}
    for double in (False, True) if count == 2 and name in ("s3", "nasbench201") else (False,):
        options = {"native": native, "narrow": narrow, "double": double}
        full, few = (gradients(name, part, images, restricted=r, **options) for r in (False, True))
        torch.testing.assert_close(few[0], full[0])
        for ours, theirs in zip(few[1], full[1], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8)


def test_statistics_of_what_does_not_run_stay(generator):
    part = part_of("darts", 2, generator)
    narrow = {kind: torch.rand(shape, generator=generator).double() for kind, shape in part.shapes.items()}
    images = torch.randn(3, 3, 8, 8, generator=generator).double()
    for native in (False, True):
        model = gradients("darts", part, images, restricted=True, native=native, narrow=narrow)[2]
        for kind, cell in zip(model.kinds, model.cells, strict=True):
            mask = part.mask()[kind]
            for group, layout in zip(cell.groups, model.layouts[kind], strict=True):
                for name, places in layout.places.items():
                    if name not in group.ops or not name.startswith("dil"):
                        continue
                    moved = (group.ops[name].norm.mean != 0).any(1).tolist()
                    assert moved == [bool(mask[place.edge, place.op]) for place in places]
        model.restrict({})
        model(images, {k: torch.ones(s).double().requires_grad_() for k, s in part.whole.shapes.items()})
        norms = [m.mean for n, m in model.named_modules() if n.endswith("norm") and hasattr(m, "mean")]
        assert all((mean != 0).any(1).all() for mean in norms), "all run again"


def test_they_take_no_time(generator):
    """Fewer MACs run, though weights require a gradient."""
    from torch.utils.flop_counter import FlopCounterMode

    images, flops = torch.randn(2, 3, 8, 8, generator=generator), []
    for count in (7, 4, 2, 1):
        part = part_of("darts", count, generator)
        with seeded(0):
            model = build_supernet(part.whole, channels=4, cells=3, num_classes=3, native=False)
        model.restrict(part.mask())
        weights = part.scatter({kind: torch.ones(shape, requires_grad=True) for kind, shape in part.shapes.items()})
        with FlopCounterMode(display=False) as counter:
            model(images, weights)
        flops.append(counter.get_total_flops())
    assert flops == sorted(flops, reverse=True)
    assert len(set(flops)) == 4
