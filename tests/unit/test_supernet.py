import contextlib
import copy
import pickle

import pytest
import torch
from torch import nn

from small import STACKED
from zarts.errors import SettingsError
from zarts.limits import count_parameters
from zarts.networks import seeded
from zarts.spaces import SPACES, Space, get_space
from zarts.supernet import SuperNet, build_supernet


@pytest.fixture
def images(generator):
    return torch.randn(3, 1, 8, 8, generator=generator)


def build(name, generator=None, **settings):
    with seeded(0):
        settings = {"channels": 4, "cells": 3, "num_classes": 5, "in_channels": 1} | settings
        return SuperNet(get_space(name), generator=generator, **settings)


def random_weights(shapes, generator):
    return {kind: torch.rand(shape, generator=generator) for kind, shape in shapes.items()}


def one_hot_weights(shapes, generator):
    weights = {}
    for kind, (edges, ops) in shapes.items():
        chosen = torch.randint(ops, (edges,), generator=generator)
        weights[kind] = nn.functional.one_hot(chosen, ops).float()
    return weights


def ran(net):
    """Names of the stacks of operations that run from now on."""
    names = []
    for name, module in net.named_modules():
        if name.split(".")[-2:-1] == ["ops"]:
            module.register_forward_hook(lambda *_, name=name: names.append(name))
    return names


@pytest.mark.parametrize(
    ("name", "settings", "count"),
    [
        ("darts", {}, 1_930_618),
        ("darts-zero", {}, 1_930_618),
        ("s1", {}, 405_146),
        ("s2", {}, 665_466),
        ("s3", {}, 665_466),
        ("s4", {}, 624_506),
        ("darts", {"stem": "imagenet", "num_classes": 1000}, 2_215_648),
    ],
)
def test_parameters_at_paper_size(name, settings, count):
    with torch.device("meta"):
        net = build(name, **({"channels": 16, "cells": 8, "num_classes": 10, "in_channels": 3} | settings))
    assert count_parameters(net) == count


@pytest.mark.parametrize("name", STACKED)
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_every_space_gives_finite_logits_and_gradients(name, stem, images, generator):
    net = build(name, generator, stem=stem)
    weights = {kind: w.requires_grad_() for kind, w in random_weights(net.shapes, generator).items()}
    logits = net(images, weights)
    logits.square().sum().backward()
    assert logits.shape == (3, 5)
    assert logits.isfinite().all()
    for kind, matrix in weights.items():
        assert matrix.grad.isfinite().all()
        dead = [[op == "none" for op in ops] for ops in get_space(name).candidates[kind]]
        assert torch.equal(matrix.grad == 0, torch.tensor(dead))


def test_gradient_of_the_weights_is_that_of_finite_differences(images, generator):
    net = build("s2").double().eval()
    weights = {kind: w.double().requires_grad_() for kind, w in random_weights(net.shapes, generator).items()}
    net(images.double(), weights).sum().backward()
    for kind, edge, op in (("normal", 0, 1), ("reduce", 4, 0), ("reduce", 13, 1)):
        values = []
        for step in (1e-5, -1e-5):
            moved = {k: w.detach().clone() for k, w in weights.items()}
            moved[kind][edge, op] += step
            values.append(net(images.double(), moved).sum().item())
        assert weights[kind].grad[edge, op].item() == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4)


def test_one_hot_weights_run_the_chosen_operations_only(images, generator):
    net = build("darts", native=False).eval()
    weights = {kind: torch.zeros(shape) for kind, shape in net.shapes.items()}
    for matrix in weights.values():
        matrix[:, 2] = 1  # skip_connect
    weights["normal"][13] = torch.eye(7)[3]  # sep_conv_3x3 from the last node but one to the last
    names = ran(net)
    net(images, weights)
    assert names == ["cells.0.groups.3.ops.sep_conv_3x3", *(f"cells.{i}.groups.0.ops.skip_connect" for i in (1, 2))]


def test_statistics_of_operations_that_do_not_run_stay(images, generator):
    net = build("darts")
    weights = {kind: torch.zeros(shape) for kind, shape in net.shapes.items()}
    weights["normal"][0, 0] = weights["normal"][3, 0] = weights["normal"][4, 3] = 1
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    net(images, weights)
    moved = {
        name: (buffer != before[name]).any(dim=1).tolist()
        for name, buffer in net.named_buffers()
        if ".ops." in name and not torch.equal(buffer, before[name])
    }
    pool, conv = "cells.0.groups.0.ops.max_pool_3x3.", "cells.0.groups.1.ops.sep_conv_3x3."
    slots = [True, False, False, True] + 4 * [False]
    assert dict.fromkeys((pool + "mean", pool + "var"), slots).items() <= moved.items()
    assert all(rows == [True, False, False] for name, rows in moved.items() if name.startswith(conv))
    assert all(name.startswith((pool, conv)) for name in moved)


def test_weights_that_require_a_gradient_run_everything_with_the_same_result(images, generator):
    net = build("darts", native=False).eval()
    weights = one_hot_weights(net.shapes, generator)
    names = ran(net)
    logits = net(images, {kind: w.clone().requires_grad_() for kind, w in weights.items()})
    assert len(names) == 3 * 4 * 6 + 2  # the skips of stride 1 are no modules
    assert torch.allclose(logits, net(images, weights), atol=1e-6)


def test_none_everywhere_and_no_weight_at_all_are_the_same(images):
    net = build("darts-zero").eval()
    nothing = {kind: torch.zeros(shape) for kind, shape in net.shapes.items()}
    none = {kind: w.clone() for kind, w in nothing.items()}
    for matrix in none.values():
        matrix[:, 0] = 1
    assert torch.equal(net(images, none), net(images, nothing))
    assert torch.allclose(net(images, none), net.classifier.bias.expand(3, 5))


def test_reductions_are_at_one_and_two_thirds_of_the_depth(generator):
    for cells, positions in ((3, [1, 2]), (4, [1, 2]), (5, [1, 3]), (8, [2, 5]), (20, [6, 13])):
        with torch.device("meta"):
            net = build("s2", cells=cells)
        assert [index for index, kind in enumerate(net.kinds) if kind == "reduce"] == positions
    shapes = []
    net = build("s2", cells=5)
    for cell in net.cells:
        cell.register_forward_hook(lambda _module, _args, output: shapes.append(tuple(output.shape[1:])))
    net(torch.randn(2, 1, 8, 8, generator=generator), random_weights(net.shapes, generator))
    assert shapes == [(16, 8, 8), (32, 4, 4), (32, 4, 4), (64, 2, 2), (64, 2, 2)]


def test_only_stem_and_classifier_have_affine_or_bias_parameters():
    names = [name for name, parameter in build("darts").named_parameters() if parameter.dim() == 1]
    assert names == ["stem.norm.weight", "stem.norm.bias", "classifier.bias"]


def test_names_in_the_state_dict():
    keys = build("darts").state_dict()
    assert "cells.2.groups.3.ops.sep_conv_3x3.second.depthwise" in keys
    assert "cells.0.preprocess.before.conv.weight" in keys


def test_copies_and_pickles_compute_the_same(images, generator):
    net = build("s4", torch.Generator().manual_seed(2))
    weights = random_weights(net.shapes, generator)
    copies = copy.deepcopy(net), pickle.loads(pickle.dumps(net))  # noqa: S301
    expected = net(images, weights)
    for other in copies:
        assert torch.equal(other(images, weights), expected)


def test_noise_comes_from_the_generator_only(images):
    generator = torch.Generator().manual_seed(2)
    net = build("s4", generator).eval()
    weights = {kind: torch.full(shape, 0.5) for kind, shape in net.shapes.items()}
    before, state = torch.get_rng_state(), generator.get_state()
    first, second = net(images, weights), net(images, weights)
    generator.set_state(state)
    assert torch.equal(net(images, weights), first)
    assert not torch.equal(first, second)
    assert torch.equal(before, torch.get_rng_state())


class TestRefused:
    def test_too_few_cells(self):
        with pytest.raises(SettingsError, match="cells is 2"):
            build("s2", cells=2)

    def test_too_few_channels(self):
        with pytest.raises(SettingsError, match="channels is 1"):
            build("s2", channels=1)

    def test_unknown_supernet(self):
        with pytest.raises(SettingsError, match="'partial'"):
            build_supernet(get_space("s2"), channels=4, cells=3, num_classes=2, supernet="partly")

    def test_unknown_stem(self):
        with pytest.raises(SettingsError, match="'imagenet'"):
            build("s2", stem="image")

    def test_space_of_another_form(self):
        space = Space("one", {"normal": (("skip_connect",),) * 6}, "nowhere", inputs=1, nodes=3)
        with pytest.raises(SettingsError, match="'one'"):
            SuperNet(space, channels=4, cells=3, num_classes=2)

    def test_weights_of_another_space(self, images):
        weights = {kind: torch.zeros(shape) for kind, shape in SPACES["darts"].shapes.items()}
        with pytest.raises(SettingsError, match=r"\(14, 7\)"):
            build("s3")(images, weights)


class TestSeeded:
    def test_same_seed_same_weights_and_no_trace(self):
        before = torch.get_rng_state()
        first, second = (build("s2").state_dict() for _ in range(2))
        assert all(torch.equal(first[key], second[key]) for key in first)
        assert torch.equal(before, torch.get_rng_state())

    def test_other_seed_other_weights(self):
        draws = []
        for seed in (1, 2):
            with seeded(seed):
                draws.append(torch.rand(1).item())
        assert draws[0] != draws[1]

    def test_none_draws_from_the_default_generator(self):
        with torch.random.fork_rng():
            before = torch.get_rng_state()
            with seeded(None):
                torch.rand(1)
            assert not torch.equal(before, torch.get_rng_state())

    def test_state_comes_back_after_an_error(self):
        before = torch.get_rng_state()
        with contextlib.suppress(KeyError), seeded(1):
            torch.rand(1)
            raise KeyError
        assert torch.equal(before, torch.get_rng_state())
