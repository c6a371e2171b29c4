"""A space and operations of one's own: what files say, what the supernet makes of them, and when code is run."""

import shutil
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from torch import nn

import zarts
from small import TRAIN, often, outcome, small, stop_at
from zarts.api import evaluate, predict, resume_retrain, resume_search
from zarts.errors import Interrupted, RunError, SettingsError
from zarts.networks import OPERATIONS, load_operations, register_operation, seeded
from zarts.spaces import SPACES, get_space
from zarts.spaces.custom import read_space
from zarts.supernet import SuperNet

pytestmark = pytest.mark.usefixtures("unchecked")

ONE = {**TRAIN, "epochs": 1}
EXAMPLE = Path(__file__).parents[2] / "examples" / "own_space"
OPS = ["skip_connect", "sep_conv_3x3"]
GOOD = {"name": "mine", "nodes": 2, "normal": OPS, "reduce": OPS}


@pytest.fixture(autouse=True)
def _forgotten():
    """What a test makes known is not known to the next one."""
    spaces, operations = dict(SPACES), dict(OPERATIONS)
    yield
    for known, before in ((SPACES, spaces), (OPERATIONS, operations)):
        known.clear()
        known.update(before)


def forget():
    SPACES.pop("gated", None)
    OPERATIONS.pop("gated_conv", None)


def written(tmp_path, data):
    path = tmp_path / "my.yaml"
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
    return path


def test_the_example_says_which_operation_may_be_on_which_edge():
    space = get_space(str(EXAMPLE / "space.yaml"))
    assert space is get_space("gated")
    assert (space.nodes, space.keep, len(space.edges)) == (3, 2, 9)
    assert set(space.candidates["normal"]) == {("skip_connect", "sep_conv_3x3", "gated_conv")}
    reduce = dict(zip(space.edges, space.candidates["reduce"], strict=True))
    assert reduce[2, 1] == ("max_pool_3x3", "skip_connect", "gated_conv")
    assert reduce[3, 1] == reduce[4, 3] == ("avg_pool_3x3", "sep_conv_3x3", "gated_conv")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("a: [", r"my\.yaml"),
        ("- 1", "keys"),
        ({"node": 3}, "'nodes'"),
        ({"name": "my space"}, "'my space'"),
        ({"name": "darts"}, "'darts'"),
        ({"nodes": 0}, "nodes is 0"),
        ({"keep": True}, "keep is True"),
        ({"normal": {"4<-0": OPS}}, "'4<-0'"),
        ({"normal": {"2<-0": OPS}}, "2<-1"),
        ({"reduce": {"2<-0": ["none"], "others": OPS}}, r"\['none'\]"),
        ({"reduce": "skip_connect"}, "'skip_connect'"),
        ({"reduce": [1]}, r"\[1\]"),
        ({"normal": ["none", "none", "noise"]}, "twice"),
        ({"normal": {"2<-0": [*OPS, "none"], "others": OPS}}, "'2<-0'"),
    ],
)
def test_files_that_describe_no_space(tmp_path, change, message):
    path = written(tmp_path, change if isinstance(change, str) else {**GOOD, **change})
    with pytest.raises(SettingsError, match=message):
        get_space(str(path))
    if change != {"name": "darts"}:
        with pytest.raises(SettingsError, match=message):
            zarts.search(out=tmp_path / "run", **small("darts", space=str(path)))
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SettingsError, match=r"none\.yaml"):
        read_space(tmp_path / "none.yaml")


def test_an_operation_that_is_not_there(tmp_path):
    path = written(tmp_path, {**GOOD, "normal": ["skip_conect", "sep_conv_3x3"]})
    with pytest.raises(SettingsError, match="'skip_connect'"):
        zarts.search(out=tmp_path / "run", **small("darts", space=str(path)))
    assert not (tmp_path / "run").exists()


HEAD = "import torch, zarts\nfrom torch import nn\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "registers"),
        ("x = 1\n1 / 0", "ZeroDivisionError"),
        ("def", "SyntaxError"),
        ('@zarts.register_operation("none")\ndef f(c, s, a): ...', "'none'"),
        (
            '@zarts.register_operation("same")\ndef f(c, s, a): return nn.Identity()',
            "'same'",
        ),
        (
            '@zarts.register_operation("floor")\ndef f(c, s, a): return nn.AvgPool2d(s)',
            "'floor'",
        ),
        (
            '@zarts.register_operation("wide")\ndef f(c, s, a): return nn.Conv2d(2 * c, c, 1)',
            "'wide'",
        ),
    ],
)
def test_files_that_give_no_operations(tmp_path, text, message):
    path = tmp_path / "my_ops.py"
    path.write_text(HEAD * ("zarts" in text) + text)
    with pytest.raises(SettingsError, match=message):
        load_operations(path)


def test_no_file_of_operations(tmp_path):
    with pytest.raises(SettingsError, match="Python file"):
        load_operations(tmp_path / "none.py")


class Twice(nn.Module):
    def forward(self, x):
        return 2 * x


@pytest.mark.parametrize("one_hot", [False, True])
def test_the_supernet_adds_an_unknown_operation_as_any_other(tmp_path, generator, one_hot):
    """Twice the identity with weight w is the identity with weight 2 w; the other cells have known operations."""
    register_operation("twice")(lambda channels, stride, affine: Twice())
    pools = ["max_pool_3x3", "avg_pool_3x3"]
    own, known = (
        get_space(str(written(tmp_path, {**GOOD, "name": name, "nodes": 3, "normal": ops, "reduce": pools})))
        for name, ops in (("own", ["twice", "sep_conv_3x3"]), ("known", OPS))
    )
    images = torch.randn(3, 1, 8, 8, generator=generator, dtype=torch.float64)
    weights = {kind: torch.rand(shape, generator=generator, dtype=torch.float64) for kind, shape in own.shapes.items()}
    if one_hot:
        weights = {kind: (matrix == matrix.amax(-1, keepdim=True)).double() for kind, matrix in weights.items()}
    doubled = {**weights, "normal": weights["normal"] * torch.tensor([2.0, 1.0])}
    results = []
    for space, point in ((own, weights), (known, doubled)):
        with seeded(0):
            net = SuperNet(space, channels=4, cells=3, num_classes=5, in_channels=1).double()
        leaves = {k: m.clone().requires_grad_(not one_hot) for k, m in point.items()}
        logits = net(images, leaves)
        logits.square().sum().backward()
        results.append((logits, [p.grad for p in net.parameters() if p.grad is not None], leaves["normal"].grad))
    (a, grads_a, alpha_a), (b, grads_b, alpha_b) = results
    torch.testing.assert_close(a, b)
    assert len(grads_a) == len(grads_b) > 10
    for x, y in zip(grads_a, grads_b, strict=True):
        torch.testing.assert_close(x, y)
    if not one_hot:
        torch.testing.assert_close(alpha_a, alpha_b * torch.tensor([2.0, 1.0]))


@pytest.fixture
def own(tmp_path):
    """The example's files somewhere else, and settings with them."""
    files = {"space": tmp_path / "space.yaml", "operations": tmp_path / "operations.py"}
    for name, file in files.items():
        shutil.copy(EXAMPLE / file.name, file)
        assert name
    return {key: str(path) for key, path in files.items()}


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    "method", often(["zarts-mgs", "darts-2nd", "gdas", "proxyless", "spos", "enas", "darts-pt"], "zarts-mgs", "spos")
)
def test_methods_search_a_space_of_ones_own(tmp_path, own, method):
    result = zarts.search(out=tmp_path / "run", **small(method, **own))
    get_space("gated").check(result.genotype)


@pytest.mark.usefixtures("no_pictures")
def test_a_run_needs_no_other_file_and_runs_no_code_unasked(tmp_path, own, monkeypatch):
    settings, heard = small("zarts-mgs", **own), []
    image = tmp_path / "image.png"
    Image.new("L", (8, 8)).save(image)
    straight = zarts.search(out=tmp_path / "straight", callbacks=[heard.append], **settings)
    notes = [event["text"] for event in heard if event["event"] == "note"]
    assert f"running the Python code of {own['operations']}" in notes
    monkeypatch.setattr("zarts.training.trainer.stop_request", stop_at(2))
    with pytest.raises(Interrupted):
        zarts.search(out=tmp_path / "run", **settings)
    monkeypatch.setattr("zarts.training.trainer.stop_request", stop_at(0))
    for file in own.values():
        Path(file).unlink()
    forget()
    run = (tmp_path / "run").rename(tmp_path / "moved")
    kept = run / "operations.py"
    with pytest.raises(SettingsError, match=f"operations=.{kept}"):
        resume_search(run)
    assert "gated_conv" not in OPERATIONS
    other = tmp_path / "other.py"
    other.write_text(kept.read_text() + "\n")
    with pytest.raises(SettingsError, match=r"other\.py"):
        resume_search(run, operations=other)
    whole = kept.read_text()
    kept.write_text(f"{whole}# another line\n")
    with pytest.raises(RunError, match="damaged, or edited"):
        resume_search(run, operations=kept)
    kept.write_text(whole)
    resumed = resume_search(run, operations=kept)
    assert outcome(run) == outcome(straight.run)

    forget()
    with pytest.raises(SettingsError, match="not run unasked"):
        zarts.retrain(run, out=tmp_path / "trained", **ONE)
    trained = zarts.retrain(run, out=tmp_path / "trained", operations=str(kept), **ONE)
    assert trained.genotype == resumed.genotype
    shutil.rmtree(run)
    forget()
    kept = trained.run / "operations.py"
    for again in (resume_retrain, evaluate):
        with pytest.raises(SettingsError, match="not run unasked"):
            again(trained.run)
    assert evaluate(trained.run, operations=kept) == trained.test_accuracy
    forget()
    with pytest.raises(SettingsError, match="not run unasked"):
        next(predict(trained.run, [image]))
    (found,) = predict(trained.run, [image], operations=kept, top=10)
    assert sum(chance for _, chance in found.classes) == pytest.approx(1)
    forget()
    start = {"weights_from": str(trained.run), "out": tmp_path / "tuned", **ONE}
    with pytest.raises(SettingsError, match="not run unasked"):
        zarts.retrain(**start)
    tuned = zarts.retrain(operations=str(kept), **start)
    assert tuned.genotype == trained.genotype
    forget()
    assert evaluate(tuned.run, operations=tuned.run / "operations.py") == tuned.test_accuracy
    assert resume_retrain(trained.run, operations=kept).test_accuracy == trained.test_accuracy


@pytest.mark.usefixtures("no_pictures")
def test_a_space_without_operations_of_ones_own_needs_none(tmp_path):
    path = written(tmp_path, GOOD)
    result = zarts.search(out=tmp_path / "run", **small("darts", space=str(path)))
    path.unlink()
    SPACES.pop("mine")
    trained = zarts.retrain(result.run, out=tmp_path / "trained", **TRAIN)
    assert evaluate(trained.run) == trained.test_accuracy
    with pytest.raises(SettingsError, match="operations"):
        evaluate(trained.run, operations=EXAMPLE / "operations.py")


def test_operations_that_nothing_uses_are_refused(tmp_path, own):
    with pytest.raises(SettingsError, match="gated_conv"):
        zarts.search(out=tmp_path / "run", **small("darts", operations=own["operations"]))
    with pytest.raises(SettingsError, match="operations"):
        zarts.retrain("DARTS_V2", out=tmp_path / "run", operations=own["operations"], **TRAIN)
    with pytest.raises((RunError, SettingsError), match=r"no (such )?Python file|cannot be read"):
        zarts.search(out=tmp_path / "run", **{**small("darts", **own), "operations": str(tmp_path / "none.py")})
    assert not (tmp_path / "run").exists()


def test_the_command_line_says_that_code_is_run(tmp_path, own, command, monkeypatch):
    monkeypatch.setattr("zarts.training.dry_run._SECONDS", 0.0)
    monkeypatch.setattr("zarts.training.stub_forward._SECONDS", 0.0)
    code, _, err = command(
        "search",
        "--space",
        own["space"],
        "--operations",
        own["operations"],
        "--dry-run",
        "--method",
        "zarts-mgs",
        "--set",
        "epochs=2",
        "--set",
        "warmup_epochs=1",
        "--set",
        "subset=64",
        "--set",
        "channels=2",
        "--set",
        "cells=3",
        "--set",
        "batch_size=16",
        "--set",
        "inner_steps=1",
        "--set",
        "samples=2",
        "--memory-limit",
        "none",
        "--devices",
        "1",
    )
    assert code == 0, err
    assert "Python code" in err
    assert "its code is run" in " ".join(command("search", "--help-all")[1].split())
