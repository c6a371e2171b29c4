"""Weights of edges and partial channels in a search: what they reduce to, what goes with them, what is kept."""

import json

import pytest
import torch

import zarts
from small import outcome, small
from zarts.config import dump, search_settings
from zarts.errors import SettingsError
from zarts.methods import METHODS
from zarts.relax import Parameterization
from zarts.spaces import get_space

pytestmark = pytest.mark.usefixtures("no_pictures", "unchecked")

DARTS = {key: value for key, value in small("darts").items() if key != "method"}


def test_one_part_and_plain_edges_are_darts(tmp_path):
    """To the bit, whatever the settings of DARTS are."""
    darts = zarts.search(out=tmp_path / "darts", method="darts", **DARTS, arch_learning_rate=0.01)
    rates = {"learning_rate": 0.025, "learning_rate_min": 0.001, "arch_learning_rate": 0.01}
    part = {"partial_channels": 1, "edge_normalization": False}
    found = zarts.search(out=tmp_path / "part", method="pc-darts", **DARTS, **rates, **part)
    ours, theirs = outcome(found.run), outcome(darts.run)
    assert (ours["result"].pop("method"), theirs["result"].pop("method")) == ("pc-darts", "darts")
    assert ours == theirs
    assert all(torch.equal(found.alphas[kind], darts.alphas[kind]) for kind in darts.alphas)


def test_weights_of_edges_are_moved_and_kept(tmp_path):
    result = zarts.search(out=tmp_path / "run", **small("pc-darts", arch_learning_rate=0.1))
    parameterization = Parameterization(get_space("s2"), normalized=True)
    start = parameterization.edges(parameterization.draw(zarts.runtime.seed.keyed_generator(0, "alpha")))
    assert {kind: tuple(row.shape) for kind, row in result.betas.items()} == {"normal": (14,), "reduce": (14,)}
    for kind, row in result.betas.items():
        moved = row - start[kind]
        assert (moved != 0).all()
        assert moved.norm() > 0.1
        assert moved[0].item() == pytest.approx(-moved[1].item(), rel=0.1), (
            "of two edges one gains what the other loses"
        )
    again = zarts.api.resume_search(result.run)
    assert all(torch.equal(again.betas[kind], result.betas[kind]) for kind in result.betas)
    assert set(json.loads((result.run / "result.json").read_text())["betas"]) == {"normal", "reduce"}


def test_the_derived_cell_is_that_of_the_product(tmp_path):
    """Edges of large weight are kept, whatever their operations' shares."""
    result = zarts.search(out=tmp_path / "run", **small("pc-darts", arch_learning_rate=0.1))
    parameterization = Parameterization(get_space("s2"), normalized=True)
    flat = torch.cat([parameterization.space.flatten(result.alphas), *result.betas.values()])
    assert result.genotype == parameterization.space.derive(parameterization.strengths(flat))


@pytest.mark.parametrize(
    "axes",
    [
        {"arch_optimizer": "gld"},
        {"arch_optimizer": "mgs", "relaxation": "gumbel"},
        {"arch_optimizer": "unrolled"},
        pytest.param({"arch_optimizer": "none", "select": "perturbation"}, marks=pytest.mark.long),
        {"weight_relaxation": "adversarial"},
        {"weight_relaxation": "noisy", "edge_normalization": False},
        {"edge_normalization": False, "select": "best-of"},
        {"supernet": "mixed"},
    ],
)
def test_any_update_goes_with_them(tmp_path, axes):
    result = zarts.search(out=tmp_path / "run", **small("pc-darts", **axes))
    get_space("s2").check(result.genotype)
    moves = [event for event in result.history if event["event"] == "alpha_step"]
    assert len(moves) == (0 if axes.get("arch_optimizer") == "none" else 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"method": "pc-darts", "select": "best-of"},
            "edge_normalization = True",
        ),
        (
            {"method": "pc-darts", "weight_relaxation": "uniform"},
            "weight_relaxation = uniform",
        ),
        ({"method": "rsps", "edge_normalization": True}, "relaxation = none"),
        ({"method": "enas", "edge_normalization": True}, "relaxation = cell"),
        ({"method": "darts", "supernet": "none"}, "supernet = none"),
        ({"method": "random", "supernet": "partial"}, "supernet = partial"),
        ({"method": "darts", "partial_channels": 2}, "partial_channels"),
        ({"method": "pc-darts", "space": "nasbench201"}, "supernet = partial"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(SettingsError, match=message):
        search_settings(options)


def test_edges_that_are_all_kept_have_no_weights(tmp_path):
    with pytest.raises(SettingsError, match="edge_normalization"):
        zarts.search(out=tmp_path / "run", **small("darts", space="nasbench201", edge_normalization=True))
    assert not (tmp_path / "run").exists()


def test_pc_darts_has_the_settings_of_its_paper():
    settings = search_settings({"method": "pc-darts"})
    assert (settings.partial_channels, settings.batch_size, settings.warmup_epochs) == (4, 256, 15)
    assert (settings.learning_rate, settings.learning_rate_min, settings.arch_learning_rate) == (0.1, 0.0, 6e-4)
    zero_order = search_settings({"method": "pc-darts", "arch_optimizer": "mgs"})
    assert zero_order.arch_learning_rate == 1.0, "Adam's rate is no factor of a move"
    assert (zero_order.learning_rate, zero_order.arch_update_interval) == (0.1, 10)
    shorter = [search_settings({"method": "pc-darts", "epochs": epochs}).warmup_epochs for epochs in (100, 6, 2)]
    assert shorter == [30, 1, 0], "the same share of other numbers of epochs"
    assert search_settings({"method": "pc-darts", "warmup_epochs": 5, "epochs": 6}).warmup_epochs == 5
    assert METHODS["pc-darts"].supernet in dump(settings).values()
