"""The collapse watch, which cells were kept, and what hovering an operation tells."""

import json
import re

import pytest
import torch

from zarts.errors import RunError
from zarts.relax import Parameterization
from zarts.reports.cell_view import cell_view, slides, weights_data
from zarts.reports.collapse import signs, spans
from zarts.reports.edge_weights import edge_weights
from zarts.reports.summary import RunFiles, kept
from zarts.spaces import SPACES, Choice, Genotype


def counted(*counts):
    return [
        {"event": "genotype", "epoch": epoch, "parameterless": {"normal": count, "reduce": 8}}
        for epoch, count in enumerate(counts, start=1)
    ]


def eigenvalues(*values, **last):
    found = [{"event": "eigenvalue", "epoch": 2 * place, "eigenvalue": value} for place, value in enumerate(values, 1)]
    return [*found[:-1], {**found[-1], **last}]


@pytest.mark.parametrize(
    ("epochs", "words"),
    [([], ""), ([3], "3"), ([31, 32, 50], "31–32 and 50"), ([1, 3, 4, 5, 9], "1, 3–5 and 9"), (range(31, 51), "31–50")],
)
def test_spans(epochs, words):
    assert spans(epochs) == words


def test_collapse_in_words():
    (sign,) = signs(counted(2, 5, 6, 8, 4))
    assert sign.warning
    assert sign.text.startswith("more than 4 pools and skips in the normal cell in epochs 2–4 (at most 8)")
    assert sign.text.endswith("4 after the last epoch.")
    assert "--max-skips 2" in sign.advice
    (sign,) = signs(counted(2, 5))
    assert "in epoch 2 (at most 5)" in sign.text


def test_no_collapse_in_words():
    (sign,) = signs(counted(2, 4))
    assert not sign.warning
    assert sign.text.startswith("never more than 4")
    assert signs([]) == []


def test_growth_of_the_eigenvalue():
    (sign,) = signs(eigenvalues(0.3, 0.2, 0.8))
    assert sign.warning
    assert sign.text.startswith("grew 4.0 times, from 0.2 in epoch 4 to 0.8 in epoch 6")
    (sign,) = signs(eigenvalues(0.2, 0.8, stopped=True, genotype_of_epoch=2))
    assert sign.text.endswith("ended the search.")


@pytest.mark.parametrize("values", [(0.3, 0.2, 0.25), (-0.1, 0.9), (0.3, 0.1, None, 0.12)])
def test_no_growth_of_the_eigenvalue(values):
    (sign,) = signs(eigenvalues(*values))
    assert not sign.warning
    assert "has not grown" in sign.text


def test_one_eigenvalue_says_nothing():
    assert signs(eigenvalues(0.3)) == []


def test_warnings_of_the_search_are_told():
    (sign,) = signs([{"event": "warning", "epoch": 3, "text": "alpha follows noise"}])
    assert sign == ("Warning in epoch 3", "alpha follows noise.", True, "")


def cells(*ops):
    return [
        Genotype("darts", {"normal": ((Choice(op, 0), Choice("sep_conv_3x3", 1)),) * 4, "reduce": ()}) for op in ops
    ]


def run_of(tmp_path, *ops, final=None, events=(), result=True):
    history = dict(enumerate(cells(*ops), start=1))
    genotype = cells(final)[0] if final else history[max(history)]
    return RunFiles(
        tmp_path,
        result={"command": "search"} if result else {},
        events=list(events),
        genotype=genotype,
        history=history,
    )


def test_the_last_epoch_is_kept(tmp_path):
    found = kept(run_of(tmp_path, "skip_connect", "max_pool_3x3"))
    assert found.epoch == 2
    assert found.why == "of epoch 2, the last one"
    assert kept(run_of(tmp_path, "skip_connect", result=False)).why.endswith("the search has not finished")
    assert kept(RunFiles(tmp_path)) is None


def test_an_early_stop_goes_back(tmp_path):
    events = eigenvalues(0.1, 0.9, stopped=True, genotype_of_epoch=1)
    found = kept(run_of(tmp_path, "skip_connect", "max_pool_3x3", final="skip_connect", events=events))
    assert found.epoch == 1
    assert "ended after epoch 4" in found.why


def test_a_selection_chooses_cells_of_no_epoch(tmp_path):
    events = [{"event": "selection", "select": "perturbation"}]
    found = kept(run_of(tmp_path, "skip_connect", final="max_pool_3x3", events=events))
    assert found.epoch is None
    assert "after epoch 1 by perturbation" in found.why
    assert "do not say why" in kept(run_of(tmp_path, "skip_connect", final="max_pool_3x3")).why


def test_cells_that_are_alike_are_there_once(tmp_path):
    run = run_of(tmp_path, "skip_connect", "max_pool_3x3", "skip_connect", "skip_connect", final="dil_conv_3x3")
    found = slides(run, lambda cell: cell.title + str(cell.rows))
    assert len(found["fragments"]) == 3 + 1
    assert [one["parts"] for one in found["slides"]] == [[0, 1], [2, 1], [0, 1], [0, 1], [3, 1]]
    assert [one["changed"] for one in found["slides"]] == [False, True, True, False, True]
    assert [one["label"] for one in found["slides"]][-2:] == ["epoch 4", "at the end"]
    assert [one["kept"] for one in found["slides"]] == [False] * 4 + [True]
    assert [one["epoch"] for one in found["slides"]] == [1, 2, 3, 4, None]
    assert [one["collapse"] for one in found["slides"]] == [False] * 5
    assert slides(run_of(tmp_path, "none"), lambda cell: "")["slides"][0]["kept"]
    assert slides(RunFiles(tmp_path), lambda cell: "") == {}


def test_more_than_four_parameterless_operations_are_marked(tmp_path):
    whole = Genotype("darts", {"normal": ((Choice("skip_connect", 0), Choice("max_pool_3x3", 1)),) * 4, "reduce": ()})
    found = slides(RunFiles(tmp_path, genotype=whole, history={7: whole}), lambda cell: "")
    assert found["slides"][0]["collapse"]


def result_of(space="s2", betas=False, generator=None):
    alphas = {kind: torch.randn(shape, generator=generator) for kind, shape in SPACES[space].shapes.items()}
    more = {kind: torch.randn(len(SPACES[space].edges), generator=generator) for kind in alphas} if betas else {}
    plain = {
        key: {kind: part.tolist() for kind, part in parts.items()}
        for key, parts in (("alphas", alphas), ("betas", more))
        if parts
    }
    return {"space": space, **plain}, alphas, more


def test_weights_are_the_softmax_of_alpha(tmp_path, generator):
    result, alphas, _ = result_of(generator=generator)
    weights = edge_weights(result, "s2", tmp_path)
    space = SPACES["s2"]
    for kind, edges in weights.items():
        for number, edge in enumerate(space.edges):
            values = dict(edges[edge])
            expected = alphas[kind][number].softmax(-1)
            assert [values[op] for op in space.candidates[kind][number]] == pytest.approx(expected.tolist(), rel=1e-5)
            assert edges[edge][0].weight == max(values.values())


def test_weights_of_edges_are_in_them(tmp_path, generator):
    result, alphas, betas = result_of(betas=True, generator=generator)
    weights = edge_weights(result, "s2", tmp_path)
    into = sum(weight for source in range(3) for _, weight in weights["normal"][3, source])
    assert into == pytest.approx(1.0, rel=1e-6), "the weights of the edges into a node have the sum 1"
    plain = edge_weights({**result, "betas": {}}, "s2", tmp_path)
    assert sum(weight for _, weight in plain["normal"][3, 0]) == pytest.approx(1.0)
    assert Parameterization(SPACES["s2"], True).dimension == sum(map(torch.numel, (*alphas.values(), *betas.values())))


def test_weights_of_a_space_of_ones_own(tmp_path):
    lists = json.dumps(["skip_connect", "sep_conv_3x3"])
    (tmp_path / "space.yaml").write_text(f"name: mine\nnodes: 1\nkeep: 1\nnormal: {lists}\nreduce: {lists}\n")
    alphas = {kind: [[0.0, 1.0], [0.0, 0.0]] for kind in ("normal", "reduce")}
    weights = edge_weights({"alphas": alphas}, "mine", tmp_path)
    assert weights["normal"][2, 0][0] == ("sep_conv_3x3", pytest.approx(0.731059, rel=1e-5))
    (tmp_path / "space.yaml").write_text("name: mine\n")
    with pytest.raises(RunError, match="alphas"):
        edge_weights({"alphas": alphas}, "mine", tmp_path)


def test_no_weights_where_there_are_none(tmp_path):
    assert edge_weights({"alphas": {}}, "darts", tmp_path) == {}
    assert edge_weights({"alphas": {"normal": [[1.0]]}}, "another", tmp_path) == {}


@pytest.mark.parametrize("alphas", [{"normal": [[1.0]]}, {"normal": [[1.0]], "reduce": [[1.0]]}, [1], {"normal": "x"}])
def test_damaged_alphas_are_named(tmp_path, alphas):
    with pytest.raises(RunError, match="alphas"):
        edge_weights({"alphas": alphas}, "s2", tmp_path)


def test_every_operation_has_its_words(tmp_path, generator):
    result, _, _ = result_of(generator=generator)
    weights, genotype = edge_weights(result, "s2", tmp_path), SPACES["s2"].random(generator)
    view = cell_view(genotype, "normal", "here", weights)
    for node, choices in enumerate(genotype.cells["normal"], start=2):
        for slot, (op, source) in enumerate(choices):
            part = re.search(
                rf'<g id="here-op-{node}-{slot}" data-op="(\S+)" data-edge="(\S+)"><title>(.*?)</title>', view.svg
            )
            assert part[1] == f"{node}-{slot}"
            assert part[2] == f"{node}-{source}"
            words = {"skip_connect": "skip", "sep_conv_3x3": "sep conv 3×3"}[op]
            name = {0: "cₖ₋₂", 1: "cₖ₋₁"}.get(source, str(source))
            weight = dict(weights["normal"][node, source])[op]
            assert part[3] == f"{words}, from {name} to node {node}, weight {weight:.3f}"
    assert view.svg.count("<title>") == 3 * 8, "operations, their edges and their labels"
    edge = weights_data(weights, ["normal"])[0]["3-2"]
    assert [role for _, _, role in edge] == [{"skip": "skip"}.get(op, "sep") for op, _, _ in edge]


def test_hostile_operations_are_text(tmp_path):
    genotype = Genotype("darts", {"normal": ((Choice("<script>x</script>", 0),),)})
    view = cell_view(genotype, "normal", "here")
    assert "<script" not in view.svg
    assert "<title>&lt;script&gt;x&lt;/script&gt;, from" in view.svg
