"""ONNX files of the user beside a fit: what they take, and how they compare."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from fits_tiny import fit_in, tiny_fit  # noqa: F401 (a fixture)
from zarts.data import DataSet, ImageSet
from zarts.errors import DataError, NotFoundError, SettingsError
from zarts.exports import onnx_input
from zarts.planner.baselines import copies_of, onnx_names
from zarts.planner.onnx_baselines import OnnxBaseline, _forms, is_guess

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
    return OnnxBaseline.open(str(file), [], 8, lambda size, number: images(size, **of))


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
    assert f"97.5 % of the same test images, given to it {takes}; no difference could be shown: found minus" in text
    assert "found is worse" in one.compared("found", torch.zeros(40, dtype=torch.bool))[0]


def test_forms():
    levels = torch.tensor([[[[0]], [[51]], [[255]]]], dtype=torch.uint8)
    found = {takes: form(levels).flatten().tolist() for takes, form in _forms(images(channels=3)).items()}
    assert found["scaled to [0, 1]"] == pytest.approx([0, 0.2, 1])
    assert found["normalized by their mean and deviation"] == pytest.approx([-4, -2, 6])
    assert found["normalized as for ImageNet"] == pytest.approx([-0.485 / 0.229, -0.256 / 0.224, 0.594 / 0.225])
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
    with pytest.raises(SettingsError, match=r"baselines: .*mine\.onnx") as raised:
        opened(bright(tmp_path, 0.5, **more), **of)
    assert said in str(raised.value)


def test_a_file_that_is_no_network(tmp_path):
    (tmp_path / "mine.onnx").write_bytes(b"no network")
    with pytest.raises(SettingsError, match="cannot be read"):
        opened(tmp_path / "mine.onnx")
    with pytest.raises(NotFoundError, match=r"none\.onnx"):
        opened("none.onnx")


def test_a_file_that_gives_no_numbers_of_classes(tmp_path):
    file = bright(tmp_path, 0.5)
    model = onnx.load(file)
    model.graph.node.append(helper.make_node("ArgMax", ["logits"], ["classes"], axis=1, keepdims=0))
    model.graph.output.pop()
    model.graph.output.append(helper.make_tensor_value_info("classes", TensorProto.INT64, ("n",)))
    onnx.save(model, file)
    with pytest.raises(SettingsError, match=r"its first output has the shape \[32\]"):
        opened(file)


def test_weights_that_lie_beside_a_file_are_kept_with_it(tmp_path):
    file = bright(tmp_path, 120 / 255)
    onnx.save_model(onnx.load(file), file, save_as_external_data=True, location="weights", size_threshold=0)
    one = opened(file)
    one.keep(copy := tmp_path / "run" / "1-mine.onnx")
    (tmp_path / "weights").unlink()
    assert OnnxBaseline.open(str(file), [copy], 8, lambda size, number: images(size)).takes == "scaled to [0, 1]"


def test_files_of_one_name_have_copies_of_their_own(tmp_path):
    copies = copies_of("resnet8, a/model.onnx, b/model.onnx", tmp_path)
    assert onnx_names("resnet8, a/model.onnx, b/model.onnx") == list(copies) == ["a/model.onnx", "b/model.onnx"]
    assert len({copy for found in copies.values() for copy in found}) == 2


def test_a_file_that_would_take_much_of_the_time_is_refused(tmp_path):
    one = replace(opened(bright(tmp_path, 0.5)), seconds=0.1)
    slow = replace(one, data=replace(one.data, counts={"test": 600}))
    assert slow.finish(601.0) == pytest.approx(60.0)
    with pytest.raises(SettingsError, match='time="10m" or more'):
        slow.finish(599.0)


def test_a_file_that_fails_in_the_end_leaves_the_verdict(tmp_path):
    def gone():
        raise DataError("the test images are gone")

    one = opened(bright(tmp_path, 0.5))
    text, facts = replace(one, data=replace(one.data, load_test=gone)).compared("found", torch.ones(40))
    assert text.endswith("could not be tested: the test images are gone")
    assert facts["error"] == "the test images are gone"


def test_a_file_says_its_size(tmp_path):
    assert onnx_input(bright(tmp_path, 0.5)) == (None, 1, 8, 8)


def test_the_file_of_another_fit_has_its_accuracy_and_stays_with_the_fit(tiny_fit, tmp_path):  # noqa: F811
    file = tiny_fit.run / "model" / "model.onnx"
    result = fit_in(tmp_path / "run", baselines=str(file), int8=False, input="float")
    (facts,) = result.facts["onnx_baselines"]
    assert facts["takes"] == "as whole numbers from 0 to 255"
    assert facts["test_accuracy"] == pytest.approx(tiny_fit.facts["test_accuracy"], abs=0.3)
    assert any(detail.startswith(f"Your {file}, as it is, is right on ") for detail in result.facts["details"])
    copy = tmp_path / "run" / "baselines" / "1-model.onnx"
    assert onnx.load(copy) == onnx.load(file)


def test_a_refused_file_leaves_no_folder(tmp_path):
    (tmp_path / "mine.onnx").write_bytes(b"no network")
    with pytest.raises(SettingsError, match="cannot be read"):
        fit_in(tmp_path / "run", baselines=str(tmp_path / "mine.onnx"))
    assert not (tmp_path / "run").exists()


def test_a_guess_is_no_better_than_the_commonest_class():
    labels = torch.tensor([0, 1] * 500)
    assert is_guess(51.0, labels)
    assert not is_guess(97.0, labels)
    assert is_guess(12.0, torch.arange(10).repeat(100))
    assert not is_guess(16.0, torch.arange(10).repeat(100))
    assert is_guess(91.0, torch.tensor([0] * 90 + [1] * 10))
