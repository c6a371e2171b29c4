"""What the axes of a method mean in a search: where weights train, what selections see, what they leave behind."""

import copy

import pytest
import torch
from torch import nn

import zarts
from small import often, small
from zarts.config import search_settings
from zarts.errors import DataError, SettingsError
from zarts.methods import EVALUATING, METHODS
from zarts.relax import softmax
from zarts.runs import Run
from zarts.searcher import measure_search
from zarts.spaces import get_space
from zarts.training.setup import weight_optimizer

pytestmark = pytest.mark.usefixtures("no_pictures")


def passes(monkeypatch, tmp_path, method, **other):
    """Every pass of a search: whether it is differentiated, whether in the weights of operations too, and these."""
    import sys

    module, seen = sys.modules["zarts.searcher.supernet_loss"], []
    forward = module.SupernetLoss._loss

    def watched(self, weights, batch):
        in_alpha = any(w.requires_grad for w in weights.values())
        seen.append((torch.is_grad_enabled(), in_alpha, {kind: w.detach().clone() for kind, w in weights.items()}))
        return forward(self, weights, batch)

    monkeypatch.setattr(module.SupernetLoss, "_loss", watched)
    return zarts.search(out=tmp_path / "run", **small(method, **other)), seen


def trained_at(seen):
    return [weights for gradient, in_alpha, weights in seen if gradient and not in_alpha]


@pytest.mark.parametrize(
    ("method", "space"),
    [
        *((method, "s2") for method in ("gdas", "proxyless", "rsps", "setn", "enas")),
        ("enas", "nasbench201"),
        *(
            pytest.param(method, "nasbench201", marks=pytest.mark.long)
            for method in ("gdas", "proxyless", "rsps", "setn")
        ),
    ],
)
def test_weights_train_at_one_operation_an_edge(monkeypatch, tmp_path, method, space):
    _, seen = passes(monkeypatch, tmp_path, method, space=space)
    space, paths = get_space(space), trained_at(seen)
    assert len(paths) == 4, "two epochs of two steps"
    for weights in paths:
        for rows in weights.values():
            assert ((rows == 0) | (rows == 1)).all()
            assert rows.sum(-1).max() == 1
            assert rows.sum() == (
                len(rows) if method in ("gdas", "proxyless") or space.keep is None else space.keep * space.nodes
            )
    assert len({space.flatten(weights).numpy().tobytes() for weights in paths}) > 1


@pytest.mark.long
def test_zarts_differentiates_nothing_but_the_weights_and_these_at_the_uniform_mixture(monkeypatch, tmp_path):
    """And ends, with the same images, where DARTS-PT without its gradient does."""
    result, seen = passes(monkeypatch, tmp_path, "zarts", space="s2", select="perturbation")
    assert not any(in_alpha for _, in_alpha, _ in seen)
    assert all((rows == 0.5).all() for weights in trained_at(seen) for rows in weights.values())
    other = small("darts-pt", space="s2", arch_optimizer="none")
    assert zarts.search(out=tmp_path / "other", **other).genotype == result.genotype


@pytest.mark.parametrize("method", often(["darts", "darts-pt", "zarts-mgs"], "darts", "zarts-mgs"))
def test_weights_train_at_the_mixture(monkeypatch, tmp_path, method):
    _, seen = passes(monkeypatch, tmp_path, method)
    assert all((rows > 0.1).all() for weights in trained_at(seen) for rows in weights.values())


def test_alpha_of_setn_moves_along_the_gradient_of_the_mixture(monkeypatch, tmp_path):
    _, seen = passes(monkeypatch, tmp_path, "setn")
    mixtures = [weights for _, in_alpha, weights in seen if in_alpha]
    assert len(mixtures) == 2
    assert all((rows > 0.4).all() for weights in mixtures for rows in weights.values())


def test_gdas_draws_anew_for_each_step_of_weights_and_of_alpha(monkeypatch, tmp_path):
    _, seen = passes(monkeypatch, tmp_path, "gdas", epochs=3, warmup_epochs=0)
    draws = [get_space("s2").flatten(weights).round() for _, _, weights in seen]
    assert len(draws) == 12
    assert len({draw.numpy().tobytes() for draw in draws}) == 12


@pytest.mark.parametrize(
    ("update", "small_perturbations", "candidates"),
    [
        ("mgs", {"sigma": 1e-6, "mixture_lambda": 1.0, "samples": 3, "antithetic": False}, 3),
        ("rs", {"smoothing": 1e-6, "samples": 2, "arch_learning_rate": 1e-12}, 4),
        ("gld", {"radius_max": 4e-6, "radius_min": 1e-6}, 4),
    ],
)
def test_the_candidates_of_gzas_share_their_noise(monkeypatch, tmp_path, update, small_perturbations, candidates):
    """With perturbations far below the noise all candidates of a step train and are evaluated at the same paths."""
    _, seen = passes(monkeypatch, tmp_path, "gzas", arch_optimizer=update, inner_steps=1, **small_perturbations)
    flat = [get_space("s2").flatten(weights) for _, _, weights in seen]
    evaluated = [number for number, (gradient, _, _) in enumerate(seen) if not gradient]
    assert len(evaluated) == 2 * candidates
    for step in (evaluated[:candidates], evaluated[candidates:]):
        for number in step:
            assert seen[number - 1][0], "a weight step of its own before it"
            assert torch.equal(flat[number], flat[step[0]])
            assert torch.equal(flat[number - 1], flat[step[0] - 1])
    assert not torch.equal(flat[evaluated[0]], flat[evaluated[-1]])


def test_perturbations_of_gzas_that_are_larger_than_the_noise_change_the_paths(monkeypatch, tmp_path):
    _, seen = passes(monkeypatch, tmp_path, "gzas", sigma=100.0, mixture_lambda=1.0, samples=3, antithetic=False)
    evaluated = [get_space("s2").flatten(weights) for gradient, _, weights in seen if not gradient]
    assert len({path.numpy().tobytes() for path in evaluated}) == 6


@pytest.mark.usefixtures("unchecked")
def test_an_alpha_without_updates_is_0(tmp_path):
    result = zarts.search(out=tmp_path / "run", **small("darts-pt", arch_optimizer="none"))
    assert all((alpha == 0).all() for alpha in result.alphas.values())
    assert not [event for event in result.history if event["event"] == "alpha_step"]


@pytest.mark.parametrize("select", often([*EVALUATING, "progressive"], "best-of", "evolution"))
def test_selections_leave_the_search_as_it_was_and_find_the_same_again(tmp_path, select):
    order = {"select_order": "progressive", "select_tune_steps": 2} if select == "progressive" else {}
    select = "perturbation" if order else select
    settings = search_settings(small("darts", select=select, space="s4", **order))
    run = Run.create(tmp_path / "run", {}, "search")

    def drive(job):
        job.run()
        modes = [module.training for module in job.supernet.modules()]
        states = [generator.get_state() for generator in job.shared.generators]
        first, before = job.genotype, copy.deepcopy(job.state_dict())
        job.finish()
        assert job.genotype == first
        assert str(job.state_dict()) == str(before)
        assert [module.training for module in job.supernet.modules()] == modes
        for name, tensor in job.supernet.state_dict().items():
            assert torch.equal(tensor, before["model"][name]), name
        for generator, state in zip(job.shared.generators, states, strict=True):
            assert torch.equal(generator.get_state(), state)

    measure_search(settings, run, drive)


def test_all_is_evaluated_on_the_same_images_as_they_are(monkeypatch, tmp_path):
    """Of the half for alpha, not augmented; at most all of them."""
    import sys

    module, seen, modes = sys.modules["zarts.searcher.supernet_loss"], [], set()
    forward = module.SupernetLoss._loss

    def watched(self, weights, batch):
        if not torch.is_grad_enabled():
            seen.append(batch[0])
            modes.add(self.supernet.training)
        return forward(self, weights, batch)

    monkeypatch.setattr(module.SupernetLoss, "_loss", watched)
    zarts.search(out=tmp_path / "run", **small("rsps", select_samples=3, select_images=20))
    assert modes == {True}, "by the statistics of the batch"
    modes.clear()
    zarts.search(
        out=tmp_path / "pt", **small("darts-pt", space="nasbench201", arch_optimizer="none", select_recalibration=0)
    )
    assert modes == {False}, "by running ones"
    del seen[3:]
    assert [len(images) for images in seen] == [20, 20, 20], "three cells"
    assert torch.equal(seen[0], seen[2])
    seen.clear()
    zarts.search(out=tmp_path / "all", **small("rsps", select_samples=1, select_images=10_000))
    assert [len(images) for images in seen] == [32]
    seen.clear()
    monkeypatch.setattr("zarts.searcher.halves._SELECTION_BATCH", 7)
    zarts.search(out=tmp_path / "parts", **small("rsps", select_samples=1, select_images=21, batch_size=6))
    assert [len(images) for images in seen] == [7, 7, 7]


def test_validation_batches_have_a_size_of_their_own(monkeypatch, tmp_path):
    import sys

    module, sizes = sys.modules["zarts.searcher.supernet_loss"], []
    forward = module.SupernetLoss._loss

    def watched(self, weights, batch):
        sizes.append((torch.is_grad_enabled(), len(batch[1])))
        return forward(self, weights, batch)

    monkeypatch.setattr(module.SupernetLoss, "_loss", watched)
    zarts.search(out=tmp_path / "run", **small("zarts-rs", val_batch_size=32))
    assert set(sizes) == {(True, 16), (False, 32)}
    with pytest.raises(DataError, match="val_batch_size = 33"):
        zarts.search(out=tmp_path / "none", **small("zarts-rs", val_batch_size=33))


def test_the_best_cell_by_the_log_is_the_result(tmp_path):
    result = zarts.search(out=tmp_path / "run", **small("setn", select_samples=6))
    (event,) = [event for event in result.history if event["event"] == "selection"]
    assert len(event["scores"]) == 6
    assert event["scores"][event["best"]] == min(event["scores"])
    assert event["select"] == "best-of"


@pytest.mark.parametrize("nesterov", [False, True])
def test_momenta_that_start_at_0_are_torchs_own(nesterov):
    """Also for weights whose first gradient comes later."""
    ours, theirs = (nn.ParameterList([torch.arange(3.0), torch.ones(2)]) for _ in range(2))
    settings = search_settings({"nesterov": nesterov})
    options = {"lr": settings.learning_rate, "momentum": 0.9, "weight_decay": 3e-4, "nesterov": nesterov}
    optimizers = weight_optimizer(settings, ours), torch.optim.SGD(theirs, **options)
    for step in range(3):
        for parameters, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            loss = parameters[0].square().sum() + (parameters[1].exp().sum() if step else 0)
            loss.backward()
            optimizer.step()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_nesterov_needs_momentum(tmp_path):
    with pytest.raises(SettingsError, match="nesterov = True"):
        zarts.search(out=tmp_path / "run", **small("darts", nesterov=True, momentum=0.0))
    assert not (tmp_path / "run").exists()


def test_light_reductions(tmp_path):
    heavy, light = (
        zarts.search(out=tmp_path / name, **small("rsps", space="nasbench201", reduction=name))
        for name in ("residual", "light")
    )
    losses = [r.history[0]["train_loss"] for r in (heavy, light)]
    assert losses[0] != losses[1]
    with pytest.raises(SettingsError, match="reduction"):
        zarts.search(out=tmp_path / "s2", **small("rsps", reduction="light"))


@pytest.mark.long
def test_the_strongest_mixture_of_another_update_can_be_taken_apart(tmp_path):
    """Perturbation beside each update that has a mixture."""
    for update in ("mgs", "rs", "gld", "gradient", "unrolled"):
        settings = small("darts-pt", arch_optimizer=update, space="nasbench201")
        result = zarts.search(out=tmp_path / update, **settings)
        (event,) = [event for event in result.history if event["event"] == "selection"]
        assert len(event["operations"]["normal"]) == 6
        assert METHODS["darts-pt"].select == event["select"]
        get_space("nasbench201").check(result.genotype)
        assert softmax(result.alphas)["normal"].shape == (6, 5)
