"""Descriptions of chain networks: JSON there and back, errors that say what is wrong, widths as published."""

import ast
import json
import sys
from pathlib import Path

import pytest
from torchvision.models._utils import _make_divisible

import zarts
from small import EVERY_KIND
from zarts.errors import RunError, SettingsError
from zarts.spaces import HANDMADE, Chain, ChainStem, Stage, handmade


@pytest.mark.parametrize("chain", [EVERY_KIND, *(row.chain for row in HANDMADE.values())], ids=lambda chain: chain.name)
def test_json_there_and_back(chain, tmp_path):
    file = tmp_path / "chain.json"
    file.write_text(chain.to_json(), encoding="utf-8")
    assert Chain.load(file) == chain == Chain.from_dict(chain.to_dict())
    assert hash(chain) == hash(Chain.load(file))
    assert len(chain.to_json().splitlines()) == len(chain.stages) + 11


def test_what_is_left_out_has_its_default():
    text = '{"format": 1, "stem": {"width": 4}, "stages": [{"kind": "conv", "width": 4}]}'
    assert Chain.from_json(text) == Chain(ChainStem(4), (Stage("conv", 4),))


WRONG = [
    (lambda data: data.update(format=2), "format 2"),
    (lambda data: data.pop("stem"), "expected the keys"),
    (lambda data: data.update(stages={}), "expected a list"),
    (lambda data: data.update(stages=[]), "no stages"),
    (lambda data: data.update(heads=3), "did you mean 'head'"),
    (lambda data: data.update(head=0), "head is 0"),
    (lambda data: data.update(dropout=1), "dropout is 1"),
    (lambda data: data.update(activation="relu66"), "did you mean 'relu6'"),
    (lambda data: data.update(name='x"""'), "name is"),
    (lambda data: data["stem"].update(stride=True), "stem: stride is True"),
    (lambda data: data["stem"].update(pool=1), "pool is 1"),
    (lambda data: data["stages"].insert(1, 7), "stage 2: is 7"),
    (lambda data: data["stages"][1].pop("width"), "stage 2: lacks a value"),
    (lambda data: data["stages"][1].update(kind="residuals"), "did you mean 'residual'"),
    (lambda data: data["stages"][1].update(depth=1.5), "depth is 1.5"),
    (lambda data: data["stages"][1].update(kernel=5), "a residual pair has 3"),
    (lambda data: data["stages"][0].update(kernel=4), "odd"),
    (lambda data: data["stages"][0].update(expansion=2), "only kind 'inverted'"),
    (lambda data: data["stages"][0].update(width=1 << 17), "to 65536"),
    (lambda data: data["stages"][2].update(width=11), "'padding' cannot"),
]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("spoil", "message"), WRONG, ids=[message for _, message in WRONG])
def test_what_is_wrong_is_said_with_its_place(spoil, message):
    data = json.loads(EVERY_KIND.to_json())
    spoil(data)
    with pytest.raises(RunError, match=message) as caught:
        Chain.from_dict(data, "net.json")
    assert str(caught.value).startswith("net.json: ")


def test_text_that_is_no_json():
    with pytest.raises(RunError, match="not JSON"):
        Chain.from_json("{")


@pytest.mark.usefixtures("unchecked")
def test_widths_are_rounded_as_published():
    """torchvision's own function is the oracle; the head does not get narrower."""
    published = HANDMADE["mobilenet_v2"].chain
    for width in (0.1, 0.35, 0.5, 0.75, 1.0, 1.3, 1.4):
        scaled = handmade("mobilenet_v2", width)
        expected = [_make_divisible(one.width * width, 8) for one in (published.stem, *published.stages)]
        assert [one.width for one in (scaled.stem, *scaled.stages)] == expected
        assert scaled.head == _make_divisible(1280 * max(1, width), 8)
    assert [stage.width for stage in handmade("resnet8", 0.7).stages] == [11, 22, 45]
    assert handmade("resnet8", 0.001).stem.width == 1
    assert handmade("vgg", 0.5, 2).stem == ChainStem(32, 2)
    for width in (0, -1, float("nan"), "wide"):
        with pytest.raises(SettingsError, match="width"):
            handmade("resnet8", width)
    with pytest.raises(SettingsError, match="stride is 0"):
        handmade("resnet8", stem_stride=0)
    with pytest.raises(SettingsError, match="did you mean 'resnet8'"):
        handmade("resnet-8")


def test_small_images_get_a_smaller_stride_of_the_stem():
    """Of MobileNetV2, whose last features would be a single pixel; not where the stride does no harm."""
    chain = handmade("mobilenet_v2")
    assert [chain.for_images(size).stem.stride for size in (8, 28, 32, 63, 64, 224)] == [1, 1, 1, 1, 2, 2]
    assert handmade("ds_cnn").for_images(28).stem.stride == 2
    assert handmade("resnet20").for_images(8) == handmade("resnet20")


def test_the_description_needs_no_torch():
    """Its own modules import none; the room's `__init__` does, for spaces of cells."""
    files = [Path(zarts.__file__).parent / "spaces" / name for name in ("chain.py", "handmade_chains.py")]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    known = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    known |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    assert {name for name in known if name.split(".")[0] not in sys.stdlib_module_names} == {
        *("zarts.errors", "zarts.readers", "zarts.spaces.chain")
    }
