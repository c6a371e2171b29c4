"""ONNX files of the user beside a fit: what they take, and how they compare."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from fits_tiny import fit_in, tiny_fit  # noqa: F401 (a fixture)
from zarts.data import DataSet, ImageSet
from zarts.errors import NotFoundError, SettingsError
from zarts.exports import onnx_input
from zarts.planner.onnx_baselines import OnnxBaseline, _forms, onnx_files

pytestmark = pytest.mark.usefixtures("unchecked")


def bright(folder, threshold, *, shape=("n", 1, 8, 8), kind=TensorProto.FLOAT, classes=2):
    """A file whose first logit is minus, and whose last one plus, the mean above a threshold."""
    nodes = [
        helper.make_node("Cast", ["images"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Sub", ["mean", "threshold"], ["above"]),
        helper.make_node("Unsqueeze", ["above", "axis"], ["column"]),
        helper.make_node("Mul", ["column", "signs"], ["logits"]),
    ]
    constants = {"threshold": np.float32(threshold), "axis": np.array([1]), "signs": np.linspace(-1, 1, classes)}
    constants["signs"] = constants["signs"].astype(np.float32)[None]
    graph = helper.make_graph(
        nodes,
        "bright",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (shape[0], classes))],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    file = folder / "mine.onnx"
    onnx.save(model, file)
    return file


def images(size=8, channels=1):
    """Half of them of level 100, half of 140; of the test images one is where it does not belong."""
    levels, labels = torch.tensor([100, 140] * 20), torch.tensor([0, 1] * 20)
    pixels = levels[:, None, None, None].expand(-1, channels, size, size).to(torch.uint8).contiguous()
    test = ImageSet(pixels, torch.cat([torch.tensor([1]), labels[1:]]))
    mean, std = (0.4,) * channels, (0.1,) * channels
    return DataSet("two", ("dark", "light"), ImageSet(pixels, labels), mean, std, True, {}, lambda: test)


def opened(file, **of):
    return OnnxBaseline.open(file, 8, lambda size, number: images(size, **of))


@pytest.mark.parametrize(
    ("threshold", "takes", "more"),
    [
        (120 / 255, "scaled to [0, 1]", {}),
        (120.0, "as levels from 0 to 255", {}),
        (120.0, "as whole numbers from 0 to 255", {"kind": TensorProto.UINT8}),
        (0.7, "normalized by their mean and deviation", {}),
        (120 / 255, "scaled to [0, 1]", {"shape": (1, 3, 8, 8)}),
    ],
)
def test_what_a_file_takes_is_what_makes_training_images_right(tmp_path, threshold, takes, more):
    file = bright(tmp_path, threshold, **more)
    one = opened(file)
    assert one.takes == takes
    text, facts = one.compared("found", torch.ones(40, dtype=torch.bool))
    assert facts["test_accuracy"] == pytest.approx(97.5)
    assert facts["difference"]["mean"] == pytest.approx(2.5)
    assert "no difference could be shown, found minus yours +2.5 points" in text
    assert "found is worse" in one.compared("found", torch.zeros(40, dtype=torch.bool))[0]


def test_forms():
    levels = torch.tensor([[[[0]], [[51]], [[255]]]], dtype=torch.uint8)
    found = {takes: form(levels).flatten().tolist() for takes, form in _forms(images(channels=3)).items()}
    assert found["scaled to [0, 1]"] == pytest.approx([0, 0.2, 1])
    assert found["normalized by their mean and deviation"] == pytest.approx([-4, -2, 6])
    assert found["normalized as ImageNet is"] == pytest.approx([-0.485 / 0.229, -0.256 / 0.224, 0.594 / 0.225])
    assert found["as levels from 0 to 255"] == found["as whole numbers from 0 to 255"] == [0, 51, 255]


@pytest.mark.parametrize(
    ("more", "of", "said"),
    [
        ({"classes": 3}, {}, "gives 3 numbers an image, and there are 2 classes"),
        ({"shape": ("n", 8, 8, 1)}, {}, "takes n×8×8×1"),
        ({"shape": (7, 1, 8, 8)}, {}, "takes 7×1×8×8"),
        ({}, {"channels": 3}, "takes grey images, and these have colours"),
    ],
)
def test_files_that_do_not_fit_the_images(tmp_path, more, of, said):
    with pytest.raises(SettingsError, match=r"baselines: mine\.onnx") as raised:
        opened(bright(tmp_path, 0.5, **more), **of)
    assert said in str(raised.value)


def test_a_file_that_is_no_network(tmp_path):
    (tmp_path / "mine.onnx").write_bytes(b"no network")
    with pytest.raises(SettingsError, match="cannot be run"):
        opened(tmp_path / "mine.onnx")
    with pytest.raises(NotFoundError, match=r"none\.onnx"):
        onnx_files("resnet8, none.onnx", tmp_path)


def test_a_file_says_its_size(tmp_path):
    assert onnx_input(bright(tmp_path, 0.5)) == (None, 1, 8, 8)


def test_the_file_of_another_fit_has_its_accuracy_and_stays_with_the_fit(tiny_fit, tmp_path):  # noqa: F811
    file = tiny_fit.run / "model" / "model.onnx"
    result = fit_in(tmp_path / "run", baselines=str(file), int8=False, input="float")
    (facts,) = result.facts["onnx_baselines"]
    assert facts["takes"] == "as whole numbers from 0 to 255"
    assert facts["test_accuracy"] == pytest.approx(tiny_fit.facts["test_accuracy"], abs=0.3)
    assert any(detail.startswith("Your model.onnx, as it is: ") for detail in result.facts["details"])
    copy = tmp_path / "run" / "baselines" / "model.onnx"
    assert copy.read_bytes() == file.read_bytes()
    assert onnx_files("gone/model.onnx", tmp_path / "run") == [copy]


def test_a_refused_file_leaves_no_folder(tmp_path):
    (tmp_path / "mine.onnx").write_bytes(b"no network")
    with pytest.raises(SettingsError, match="cannot be run"):
        fit_in(tmp_path / "run", baselines=str(tmp_path / "mine.onnx"))
    assert not (tmp_path / "run").exists()
