import copy
import pickle

import pytest
import torch
from torch import nn

from small import STACKED, often
from zarts.errors import RunError, SettingsError
from zarts.networks import create_model, seeded
from zarts.networks.auxiliary_head import AuxiliaryHead
from zarts.networks.network import drop_path
from zarts.spaces import SPACES, Choice, Genotype, published, published_sources

ALL_SKIP = Genotype(
    "s2", {kind: ((Choice("skip_connect", 0), Choice("skip_connect", 1)),) * 4 for kind in ("normal", "reduce")}
)


def build(genotype="DARTS_V2", **settings):
    cells = published(genotype) if isinstance(genotype, str) else genotype
    with seeded(0):
        return create_model(cells, **({"channels": 4, "cells": 3, "in_channels": 1} | settings))


@pytest.fixture
def images(generator):
    return torch.randn(4, 1, 8, 8, generator=generator)


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@pytest.mark.parametrize("name", often(published_sources(), "DARTS_V2", "PDARTS", "PC_DARTS_image", "sdarts/c10_s1_rs"))
def test_published_cells_train(name, stem, generator):
    net = build(name, stem=stem, in_channels=3, auxiliary=True, cells=5, generator=generator)
    logits, auxiliary = net.forward_with_auxiliary(torch.randn(3, 3, 16, 16, generator=generator))
    (logits.sum() + auxiliary.sum()).backward()
    assert logits.shape == auxiliary.shape == (3, 10)
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in net.parameters())


@pytest.mark.parametrize("space", STACKED)
def test_random_cells_of_every_space_run(space, images, generator):
    net = build(SPACES[space].random(generator), generator=generator)
    assert net(images).isfinite().all()


@pytest.mark.parametrize(
    ("stem", "side"), [("cifar", 8), ("cifar", 9), ("cifar", 28), ("imagenet", 33), ("imagenet", 224)]
)
@pytest.mark.parametrize("auxiliary", [False, True])
def test_image_sizes(stem, side, auxiliary, generator):
    net = build("PDARTS", stem=stem, auxiliary=auxiliary)
    x = torch.randn(2, 1, side, side + 1, generator=generator)
    outputs = net.forward_with_auxiliary(x) if auxiliary else (net(x),)
    assert all(output.shape == (2, 10) for output in outputs)


def test_sizes_and_channels_of_the_cells(images):
    for stem, expected in (
        ("cifar", [(16, 8), (32, 4), (32, 4), (64, 2), (64, 2)]),
        ("imagenet", [(16, 8), (32, 4), (32, 4), (64, 2), (64, 2)]),
    ):
        net, shapes = build(stem=stem, cells=5), []
        for cell in net.cells:
            cell.register_forward_hook(lambda _m, _a, output, shapes=shapes: shapes.append(tuple(output.shape[1:3])))
        net(nn.functional.interpolate(images, size=8 if stem == "cifar" else 64))
        assert shapes == expected


def test_logits_are_those_of_the_cells_computed_by_hand(images):
    genotype = published("PC_DARTS_cifar")
    net = build(genotype).eval()
    before, previous = net.stem(images)
    for cell, kind in zip(net.cells, ["normal", "reduce", "reduce"], strict=True):
        node = [cell.preprocess.before(before), cell.preprocess.previous(previous)]
        for choices, module in zip(genotype.cells[kind], cell.nodes, strict=True):
            first, second = module.ops
            node.append(first(node[choices[0].source]) + second(node[choices[1].source]))
        before, previous = previous, torch.cat(node[2:], dim=1)
    assert torch.allclose(net(images), net.classifier(previous.mean(dim=(2, 3))), atol=1e-6)


def test_all_batch_norms_are_affine_and_pools_have_none():
    net = build("DARTS_V1")
    assert all(layer.affine for layer in net.modules() if isinstance(layer, nn.BatchNorm2d))
    assert isinstance(net.cells[1].nodes[0].ops[0], nn.MaxPool2d)


def test_evaluation_does_not_depend_on_the_rest_of_the_batch(images):
    net = build(drop_path=0.5)
    net(images)
    net.eval()
    assert torch.allclose(net(images)[:1], net(images[:1]), atol=1e-6)
    assert torch.allclose(net(images.flip(0)).flip(0), net(images), atol=1e-6)


def test_copies_and_pickles_compute_the_same(images):
    net = build(drop_path=0.3, generator=torch.Generator().manual_seed(1))
    copies = copy.deepcopy(net), pickle.loads(pickle.dumps(net))  # noqa: S301
    expected = net(images)
    for other in copies:
        assert other.drop_path_probability == 0.3
        assert torch.equal(other(images), expected)


@pytest.mark.parametrize("name", often(["DARTS_V2", "PDARTS"], "DARTS_V2"))
def test_exports_with_any_batch_size(name, images):
    net = build(name, auxiliary=True, drop_path=0.2, generator=torch.Generator()).eval()
    program = torch.export.export(net, (images,), dynamic_shapes={"images": {0: torch.export.Dim("batch")}})
    assert torch.allclose(program.module()(images), net(images), atol=1e-6)
    assert program.module()(images[:3]).shape == (3, 10)


def test_noise_exports_without_a_generator(images, generator):
    net = build(SPACES["s4"].random(generator)).eval()
    program = torch.export.export(net, (images,), dynamic_shapes={"images": {0: torch.export.Dim("batch")}})
    assert program.module()(images[:3]).shape == (3, 10)


class TestAuxiliary:
    def test_looks_at_the_second_reduction(self, images):
        net, seen = build(auxiliary=True, cells=5), []
        net.auxiliary_head.register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
        net.cells[3].register_forward_hook(lambda _module, _args, output: seen.append(output))
        net.forward_with_auxiliary(images)
        assert seen[0] is seen[1]

    def test_does_not_change_the_logits(self, images):
        net = build(auxiliary=True)
        assert torch.equal(net(images), net.forward_with_auxiliary(images)[0])

    def test_plain_forward_never_runs_it(self, images):
        net = build(auxiliary=True)
        net.auxiliary_head.register_forward_hook(lambda *_: pytest.fail("the head ran"))
        net(images)

    @pytest.mark.parametrize(("stem", "side", "stride"), [("cifar", 8, 3), ("imagenet", 7, 2)])
    def test_pool_is_the_published_one_at_the_published_size(self, stem, side, stride, generator):
        head = AuxiliaryHead(4, 3, stem).eval()
        x = torch.randn(2, 4, side, side, generator=generator)
        expected = head.classifier(head.features(nn.functional.avg_pool2d(x.relu(), 5, stride)).flatten(1))
        assert torch.equal(head(x), expected)

    @pytest.mark.parametrize("side", [1, 2, 5, 14])
    def test_pool_adapts_to_other_sizes(self, side, generator):
        head = AuxiliaryHead(4, 3, "cifar").eval()
        x = torch.randn(2, 4, side, side, generator=generator)
        expected = head.classifier(head.features(nn.functional.adaptive_avg_pool2d(x.relu(), 2)).flatten(1))
        assert torch.equal(head(x), expected)

    def test_network_without_a_head(self, images):
        with pytest.raises(SettingsError, match="auxiliary=True"):
            build().forward_with_auxiliary(images)

    def test_batch_of_one(self, images):
        net = build(auxiliary=True)
        with pytest.raises(SettingsError, match="1 image"):
            net.forward_with_auxiliary(images[:1])
        assert net.eval().forward_with_auxiliary(images[:1])[1].shape == (1, 10)


class TestDropPath:
    def test_drops_whole_samples_and_keeps_the_mean(self, generator):
        x = torch.ones(4000, 2, 2, 2)
        output = drop_path(x, 0.3, generator)
        values = output.flatten(1)
        assert torch.equal(values.amin(1), values.amax(1))
        dropped = (values[:, 0] == 0).float().mean()
        assert dropped == pytest.approx(0.3, abs=0.03)
        assert torch.allclose(values[values > 0], torch.tensor(1 / 0.7))
        assert output.mean() == pytest.approx(1, abs=0.04)

    def test_probability_zero_changes_nothing(self, generator):
        x = torch.randn(5, 2, 3, 3, generator=generator)
        assert torch.equal(drop_path(x, 0.0, generator), x)

    def test_never_on_an_identity(self, images):
        net = build(ALL_SKIP, drop_path=0.9)
        node = net.cells[0].nodes[0]
        x = images.expand(4, 4, 8, 8)
        assert torch.equal(node([x, x], 0.9), x + x)

    def test_on_a_skip_that_reduces(self, images, generator):
        net = build(ALL_SKIP, generator=generator)
        node = net.cells[1].nodes[0]
        x = images.repeat(8, 8, 1, 1)
        output = node([x, x], 0.7)
        assert (output.flatten(1) == 0).all(dim=1).any()

    def test_only_while_training(self, images):
        net, plain = build(drop_path=0.9), build()
        assert not torch.allclose(net(images), plain(images))
        plain.load_state_dict(net.state_dict())
        assert torch.equal(net.eval()(images), plain.eval()(images))

    def test_generator_alone_decides(self, images):
        generator = torch.Generator().manual_seed(1)
        net = build(drop_path=0.5, generator=generator)
        before, state = torch.get_rng_state(), generator.get_state()
        first, second = net(images), net(images)
        generator.set_state(state)
        assert torch.equal(net(images), first)
        assert not torch.equal(first, second)
        assert torch.equal(before, torch.get_rng_state())

    def test_can_be_set_for_each_epoch(self, images):
        net = build(drop_path=0.0)
        first = net(images)
        net.drop_path_probability = 0.9
        assert not torch.equal(net(images), first)
        net.drop_path_probability = 0.0
        assert torch.equal(net(images), first)

    @pytest.mark.parametrize("probability", [-0.1, 1.0, float("nan")])
    def test_refuses_other_probabilities(self, probability):
        with pytest.raises(SettingsError, match=f"drop-path probability is {probability}"):
            build(drop_path=probability)


class TestRefused:
    def test_other_cells(self):
        with pytest.raises(RunError, match=r"\['normal'\]"):
            build(Genotype("s2", {"normal": ALL_SKIP.cells["normal"]}))

    def test_cells_of_different_size(self):
        cells = {**ALL_SKIP.cells, "reduce": ALL_SKIP.cells["reduce"][:3]}
        with pytest.raises(RunError, match="'reduce': 3"):
            build(Genotype("s2", cells))

    def test_input_that_does_not_exist_yet(self):
        nodes = ((Choice("skip_connect", 0), Choice("skip_connect", 2)),) * 4
        with pytest.raises(RunError, match=r"\[0, 2\]"):
            build(Genotype("s2", {**ALL_SKIP.cells, "reduce": nodes}))

    def test_unknown_operation(self):
        nodes = ((Choice("conv_7x7", 0),),) * 4
        with pytest.raises(SettingsError, match="unknown operation 'conv_7x7'"):
            build(Genotype("s2", {**ALL_SKIP.cells, "normal": nodes}))

    def test_unknown_stem(self):
        with pytest.raises(SettingsError, match="'cifar'"):
            build(stem="cifr")

    def test_too_few_cells(self):
        with pytest.raises(SettingsError, match="cells is 2"):
            build(cells=2)
