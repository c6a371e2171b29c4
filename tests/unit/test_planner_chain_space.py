"""Chain networks as vectors: exact there and back, edits of a known size, networks that can be built, words."""

import math
from collections import Counter
from dataclasses import replace

import pytest
import torch

from small import EVERY_KIND
from zarts.errors import SettingsError
from zarts.limits.macs import count_macs, count_parameters
from zarts.networks import create_chain
from zarts.planner.chain_counts import chain_counts, last_side
from zarts.planner.chain_space import ChainSpace
from zarts.planner.chain_words import chain_key, difference, scaled_handmade, short_name
from zarts.planner.coordinates import FLIP, Choice, Level
from zarts.spaces import HANDMADE, Chain, ChainStem, Stage, handmade

SPACE = ChainSpace([24, 28, 32])


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", HANDMADE)
def test_hand_made_networks_are_points(name):
    """At any width and stride of the stem; the words give back what made them."""
    for width in (0.02, 0.35, 0.7, 1.0, 1.14, 1.37, 3.0):
        for stride in (1, 2):
            chain = handmade(name, width, stride)
            x = SPACE.encode(chain, 28, share=0.5)
            assert x.dtype == torch.float64
            assert SPACE.decode(x) == (chain, 28)
            assert SPACE.share(x) == 0.5
            found = scaled_handmade(replace(chain, name=""))
            assert handmade(*found) == chain
    assert scaled_handmade(replace(chain, dropout=0.3)) is None


@pytest.mark.usefixtures("unchecked")
def test_random_networks_are_points_that_can_be_built(generator):
    """Counts in closed form are those of the built network."""
    sizes = Counter()
    for image_size in (8, 28, 32):
        space = ChainSpace([image_size], max_parameters=500_000)
        for number in range(8):
            chain, size = space.random(generator)
            assert space.valid(chain, size)
            assert space.decode(space.encode(chain, size)) == (chain, size)
            network = create_chain(chain, num_classes=3).eval()
            with torch.no_grad():
                assert network(torch.zeros(2, 3, size, size)).shape == (2, 3)
            if number < 2:
                counts = count_parameters(network), count_macs(network, (3, size, size))
                assert chain_counts(chain, size, num_classes=3) == counts
            sizes[len(chain.stages)] += 1
    assert len(sizes) >= 4


@pytest.mark.parametrize("chain", [EVERY_KIND, *(row.chain for row in HANDMADE.values())], ids=lambda chain: chain.name)
def test_counts_are_those_of_the_built_network(chain):
    network = create_chain(chain, num_classes=7, in_channels=1)
    counts = count_parameters(network), count_macs(network, (1, 29, 29))
    assert chain_counts(chain, 29, num_classes=7, in_channels=1) == counts


@pytest.mark.usefixtures("unchecked")
def test_one_choice_changes_with_the_stated_probability(generator):
    """Within 4 standard errors; of a block of five a little less, as its ways to change overlap."""
    draws = 4000
    for part, value in ((Choice((1, 2)), 2), (Choice(tuple("abcde")), "c"), (Level(1, 4), 2)):
        x = torch.tensor(part.write(value)) + torch.randn(draws, part.coordinates, generator=generator)
        changed = sum(part.read(row) != value for row in x.tolist()) / draws
        error = 4 * math.sqrt(FLIP / draws)
        assert FLIP * (0.9 if part.coordinates > 2 else 1) - error < changed < FLIP + error


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("name", "most"), [("resnet8", 0.7), ("vgg", 0.7), ("mobilenet_v2", 0.45)])
def test_radii_are_one_change_and_many(name, most, generator):
    parent = (handmade(name, 1.0, 1), 28)
    x, counts = SPACE.encode(*parent), []
    for radius in SPACE.radii:
        v = torch.randn(150, SPACE.dimension, generator=generator, dtype=torch.float64)
        v = radius * torch.nn.functional.normalize(v, dim=1)
        counts.append([len(difference(parent, SPACE.decode(x + row))) for row in v])
    small, large = counts
    changed = [count for count in small if count]
    assert 0.2 < len(changed) / len(small) < 0.9
    assert changed.count(1) / len(changed) > most
    assert 3.5 < sum(large) / len(large) < 11


@pytest.mark.usefixtures("unchecked")
def test_what_the_space_cannot_say_is_refused_by_name():
    resnet = handmade("resnet8")
    deep = replace(resnet, stages=(Stage("conv", 8, 6), *resnet.stages))
    for chain, size, message in (
        (resnet, 30, "image size 30"),
        (deep, 28, "6 -> 4 convolutions"),
        (replace(resnet, stem=ChainStem(16, kernel=5)), 28, "kernel 5 -> 3"),
        (replace(resnet, stages=resnet.stages * 3), 28, "9 stages"),
    ):
        with pytest.raises(SettingsError, match=message):
            SPACE.encode(chain, size)
    with pytest.raises(SettingsError, match="a stage"):
        ChainSpace([])
    with pytest.raises(SettingsError, match="allow more"):
        ChainSpace([8], max_parameters=1).random(torch.Generator())


def test_valid_refuses_what_is_too_small_or_too_large():
    mobile = handmade("mobilenet_v2", 1.0, 1)
    assert [last_side(mobile, size) for size in (8, 16, 17, 28)] == [1, 1, 2, 2]
    assert [SPACE.valid(mobile, size) for size in (8, 16, 17, 28)] == [False, False, True, True]
    assert not SPACE.valid(handmade("resnet8", 0.02), 28)
    narrow = Chain(ChainStem(2), (Stage("inverted", 8, expansion=1),))
    assert not SPACE.valid(narrow, 28)
    assert SPACE.valid(replace(narrow, stages=(Stage("inverted", 8, expansion=3),)), 28)
    parameters, macs = chain_counts(mobile, 28)
    assert ChainSpace([28], max_parameters=parameters, max_macs=macs).valid(mobile, 28)
    assert not ChainSpace([28], max_parameters=parameters - 1).valid(mobile, 28)
    assert not ChainSpace([28], max_macs=macs - 1).valid(mobile, 28)


def test_keys_are_the_same_for_the_same_network_only():
    chain = handmade("resnet14")
    first = chain.stages[0]
    cut = replace(chain, stages=(replace(first, depth=1), replace(first, depth=1), *chain.stages[1:]))
    plain = replace(chain, stages=(replace(first, shortcut="projection"), *chain.stages[1:]))
    same = [chain, cut, plain, replace(chain, divisor=8, name="")]
    assert len({chain_key(one, 28) for one in same}) == 1
    other = replace(chain, stages=(first, replace(chain.stages[1], shortcut="projection"), chain.stages[2]))
    assert (
        len({chain_key(chain, 28), chain_key(chain, 32), chain_key(other, 28), chain_key(handmade("resnet8"), 28)}) == 4
    )


def stages(chain, number, **change):
    """The chain with another stage of that number."""
    changed = replace(chain.stages[number - 1], **change)
    return replace(chain, stages=(*chain.stages[: number - 1], changed, *chain.stages[number:]))


RESNET, VGG = handmade("resnet20"), handmade("vgg")
INVERTED = Chain(ChainStem(16), (Stage("inverted", 16, expansion=3), Stage("inverted", 32, stride=2, expansion=6)))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (RESNET, RESNET, []),
        (RESNET, handmade("resnet20", stem_stride=2), ["stem: stride 1 -> 2"]),
        (RESNET, stages(RESNET, 2, depth=2), ["stage 2: 3 -> 2 residual pairs"]),
        (RESNET, handmade("resnet20", 1.14), ["all widths × 1.14"]),
        (RESNET, stages(RESNET, 3, width=70), ["stage 3: 64 -> 70 channels"]),
        (
            RESNET,
            replace(RESNET, stages=RESNET.stages[1:]),
            ["stage 1 removed: 3 residual pairs, 16 channels, stride 1"],
        ),
        (RESNET, replace(RESNET, head=128, dropout=0.2), ["dropout: 0.0 -> 0.2", "head: 128 channels added"]),
        (
            RESNET,
            replace(RESNET, stages=(*RESNET.stages, Stage("separable", 96, kernel=5, stride=2))),
            ["new stage 4: 1 separable convolution 5×5, 96 channels, stride 2"],
        ),
        (
            VGG,
            replace(VGG, stages=tuple(replace(stage, downsampling="stride") for stage in VGG.stages)),
            ["downsampling: max pool -> stride"],
        ),
        (
            INVERTED,
            stages(INVERTED, 2, kernel=5, expansion=3, squeeze_excitation=True),
            ["stage 2: kernel 3 -> 5", "stage 2: expansion 6 -> 3", "stage 2: squeeze-and-excitation added"],
        ),
        (
            INVERTED,
            stages(INVERTED, 1, kind="residual", expansion=1),
            ["stage 1: 1 inverted bottleneck 3×3, expansion 3 -> 1 residual pair"],
        ),
    ],
)
def test_differences_are_said_in_as_few_things_as_can_be(old, new, expected):
    assert difference((old, 28), (new, 28)) == expected
    assert difference((old, 28), (new, 32)) == ["image size: 28 -> 32", *expected]


@pytest.mark.usefixtures("unchecked")
def test_short_names_say_all_of_a_network(generator):
    assert short_name(handmade("resnet8", 1.14, 2)) == "resnet8 width 1.14, stem stride 2"
    assert short_name(handmade("mobilenet_v2"), 32) == "mobilenet_v2, 32×32"
    chain = Chain(
        ChainStem(16, 2),
        (Stage("residual", 18), Stage("residual", 36, 2, 2), Stage("inverted", 54, 1, 2, 5, 3, True)),
        head=128,
        activation="relu6",
    )
    assert short_name(chain) == "s16/2 R18 2R36/2 I54/2x3k5e h128 relu6"
    chains = {SPACE.random(generator)[0] for _ in range(100)}
    assert len({short_name(replace(chain, divisor=1)) for chain in chains}) == len(
        {replace(c, divisor=1) for c in chains}
    )
