"""Limits and cost terms in a search: the gradient of alpha, the derived cell, the log and the report."""

import pytest
import torch

import zarts
from small import often, small
from zarts.config import RetrainSettings, search_settings
from zarts.data import load_data
from zarts.errors import SettingsError
from zarts.limits import FINAL_NETWORKS, Costs, count_macs, count_parameters
from zarts.methods import GRADIENT, METHODS
from zarts.networks import create_model, create_nasbench201
from zarts.relax import Parameterization, softmax
from zarts.reports import draw_curves
from zarts.spaces import get_space

pytestmark = pytest.mark.usefixtures("unchecked")

FINAL = {"final_cells": 4, "final_channels": 4}
LOW, LOW_MACS = 12_000, 120_000  # of 4,686 to 20,798 parameters, of 52,608 to 185,728 MACs


def network(genotype):
    return create_model(genotype, cells=4, channels=4, in_channels=1)


def costs(**given):
    settings = search_settings({"method": "zarts-mgs", "space": "s2", "data": "digits", **FINAL, **given})
    return Costs(settings, get_space("s2"), load_data("digits"))


def events(result, name):
    return [event for event in result.history if event["event"] == name]


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    "method",
    often(
        [name for name, row in METHODS.items() if row.supernet != "none"],
        *("zarts-mgs", "darts", "gdas", "p-zarts", "enas", "spos", "proxyless", "merge-zarts"),
    ),
)
def test_every_method_keeps_the_limits(tmp_path, method):
    settings = small(method, max_params=LOW, max_macs=LOW_MACS, **FINAL)
    result = zarts.search(out=tmp_path / "run", **settings)
    found = network(result.genotype)
    assert count_parameters(found) <= LOW
    assert count_macs(found, (1, 8, 8)) <= LOW_MACS
    rows = events(result, "cost")
    assert [row["epoch"] for row in rows] == list(range(1, 1 + settings["epochs"]))
    for row in rows:
        assert row["parameters"]["derived"] <= row["parameters"]["limit"] == LOW
        assert row["macs"]["derived"] <= row["macs"]["limit"] == LOW_MACS
    stored = (tmp_path / "run" / "result.json").read_text()
    assert f'"parameters": {count_parameters(found)}' in stored


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    "method",
    often(
        ["zarts-mgs", "zarts-rs", "zarts-gld", "darts", "darts-2nd", "gdas", "amended-darts", "proxyless", "fbnet"],
        *("zarts-mgs", "darts", "gdas"),
    ),
)
def test_the_expected_cost_falls_towards_the_limit(tmp_path, method):
    """A penalty beside which the loss is nothing: every arch optimizer makes it smaller."""
    row = METHODS[method]
    by_gradient = row.arch_optimizer in GRADIENT
    more = {"arch_learning_rate": 0.1} if by_gradient else {"warmup_epochs": 0}
    more |= {"epochs": 3, "limit_penalty": 1e4}
    if row.arch_optimizer in ("mgs", "rs"):
        more |= {"samples": 8}
    result = zarts.search(out=tmp_path / "run", **small(method, max_params=LOW, **FINAL, **more))
    space = get_space("s2")
    even = {kind: torch.full(shape, 0.5) for kind, shape in space.shapes.items()}
    start = costs(max_params=LOW).record(result.genotype, even)["parameters"]["expected"]
    assert events(result, "cost")[-1]["parameters"]["expected"] < start - 5


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("method", ["zarts-mgs", "darts-pt", "rsps", "random"])
def test_limits_in_nasbench201_are_of_the_benchmarks_networks(tmp_path, method):
    result = zarts.search(out=tmp_path / "run", **small(method, space="nasbench201", max_params=300_000))
    assert count_parameters(create_nasbench201(result.genotype, in_channels=1)) <= 300_000


@pytest.mark.usefixtures("no_pictures")
def test_random_cells_are_within_the_limit(tmp_path):
    found = [
        zarts.search(out=tmp_path / f"{seed}", method="random", space="s2", seed=seed, max_params=LOW, **FINAL)
        for seed in range(4)
    ]
    assert all(count_parameters(network(result.genotype)) <= LOW for result in found)
    assert len({result.genotype for result in found}) == 4


@pytest.mark.usefixtures("no_pictures")
def test_a_limit_that_is_wide_leaves_no_trace(tmp_path):
    plain = zarts.search(out=tmp_path / "plain", **small("darts"))
    wide = zarts.search(out=tmp_path / "wide", **small("darts", max_params=10**9))
    assert not events(plain, "cost")
    assert all(torch.equal(plain.alphas[kind], wide.alphas[kind]) for kind in plain.alphas)


def test_the_term_by_hand():
    both = costs(max_params=LOW, limit_penalty=3.0, cost_weight=0.5, cost="macs")
    space = get_space("s2")
    alpha = space.split(torch.randn(space.dimension, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    row = both.record(space.random(torch.Generator()), softmax(alpha))
    even = both.record(space.random(torch.Generator()), softmax({k: 0 * m for k, m in alpha.items()}))
    beyond = row["parameters"]["expected"] / LOW - 1
    share = row["macs"]["expected"] / even["macs"]["expected"]
    assert beyond > 0
    torch.testing.assert_close(both.regularizer(softmax(alpha)).item(), 3.0 * beyond + 0.5 * share)
    roomy = costs(max_params=10**6)
    assert roomy.regularizer(softmax(alpha)) == 0
    nothing = Costs(search_settings({"space": "s2"}), space, load_data("digits"))
    assert nothing.record(space.random(torch.Generator()), softmax(alpha)) == {}


def test_weights_of_edges_say_how_much_of_an_edge_to_expect():
    """Equal ones change nothing; where all of a node's weight is on two edges, only these cost."""
    parameterization, counted = Parameterization(get_space("s2"), normalized=True), costs(cost_weight=1.0)
    genotype = parameterization.space.random(torch.Generator())
    alpha = torch.cat([torch.randn(56, generator=torch.Generator().manual_seed(0)).double(), torch.zeros(28)])
    expected = counted.record(genotype, parameterization.strengths(alpha))["parameters"]["expected"]
    plain = counted.record(genotype, softmax(parameterization.operations(alpha)))["parameters"]["expected"]
    torch.testing.assert_close(expected, plain)
    chosen = parameterization.space.one_hot(genotype)
    sure = torch.cat(
        [100 * parameterization.space.flatten(chosen), *(100 * chosen[kind].sum(-1) for kind in chosen)]
    ).double()
    expected = counted.record(genotype, parameterization.strengths(sure))["parameters"]["expected"]
    torch.testing.assert_close(expected, float(counted.of(genotype)["parameters"]))


def test_costs_are_counted_of_the_network_that_a_retraining_builds():
    assert FINAL_NETWORKS["darts"] == (RetrainSettings().cells, RetrainSettings().channels)
    space, alpha = get_space("s2"), torch.zeros(56)
    counted = Costs(search_settings({"space": "s2", "max_params": 10**7}), space, load_data("digits"))
    genotype = space.derive(space.split(alpha))
    assert counted.of(genotype)["parameters"] == count_parameters(create_model(genotype, in_channels=1))


def test_impossible_limits_are_refused_before_the_first_step(tmp_path):
    with pytest.raises(SettingsError, match="max_params = 100"):
        zarts.search(out=tmp_path / "run", **small("zarts-mgs", max_params=100, **FINAL))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit_penalty": 2.0}, "limit_penalty"),
        ({"cost": "macs"}, "cost"),
        ({"final_cells": 8}, "final_cells"),
        ({"method": "random", "limit_penalty": 9}, "limit_penalty"),
        ({"method": "rsps", "cost_weight": 0.1}, "cost_weight"),
    ],
)
def test_settings_that_would_mean_nothing_are_refused(options, message):
    with pytest.raises(SettingsError, match=message):
        search_settings(options)


def test_the_report_shows_costs_along_the_search():
    row = {"expected": 3e6, "derived": 2_000_000, "limit": 2_500_000}
    curves = {
        curve.name: curve
        for curve in draw_curves(
            [{"event": "cost", "epoch": e, "parameters": row, "macs": {**row, "limit": None}} for e in (1, 2)]
        )
    }
    assert list(curves) == ["cost-parameters", "cost-macs"]
    assert "Dashed: the limit" in curves["cost-parameters"].note
    assert 'id="mark"' in curves["cost-parameters"].svg
    assert 'id="mark"' not in curves["cost-macs"].svg
