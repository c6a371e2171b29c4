"""Settings: layers, names, ranges, and the same defaults everywhere."""

import inspect
import re
from functools import partial
from importlib import resources
from pathlib import Path

import pytest
import torch
import yaml

from small import small
from zarts.arch_optim import ARCH_OPTIMIZERS, zero_order_optimizer
from zarts.config import (
    RetrainSettings,
    SearchSettings,
    dump,
    plan_phases,
    preset_layers,
    preset_names,
    preset_summary,
    retrain_settings,
    search_settings,
)
from zarts.errors import (
    DataError,
    DivergedError,
    Interrupted,
    NotFoundError,
    RunError,
    SettingsError,
    ZartsError,
    did_you_mean,
)
from zarts.methods import AXES, DEFAULTS, METHODS, get_method
from zarts.relax import RELAXATIONS
from zarts.searcher.relaxation import relaxations
from zarts.searcher.selections import select
from zarts.select import SELECTIONS, SelectionContext
from zarts.supernet import FORMS
from zarts.zo import OPTIMIZERS


def written(tmp_path, data):
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def test_later_layers_win(tmp_path):
    assert search_settings({}).batch_size == SearchSettings.model_fields["batch_size"].default == 64
    assert search_settings({}, preset="quick").batch_size == 32
    config = written(tmp_path, {"search": {"batch_size": 20, "epochs": 9}, "retrain": {"batch_size": 21}})
    assert search_settings({}, preset="quick", config=config).batch_size == 20
    assert search_settings({"batch_size": 10}, preset="quick", config=config).batch_size == 10
    assert search_settings({"batch_size": 10}, preset="quick", config=config).epochs == 9
    assert retrain_settings({}, preset="quick", config=config).batch_size == 21
    assert retrain_settings({"batch_size": 7}, preset="quick", config=config).batch_size == 7


def test_what_a_search_hands_down_is_above_the_preset_and_below_the_file(tmp_path):
    given = {"data": "cifar10", "image_size": 16}
    assert retrain_settings({}, preset="quick", inherited=given).data == "cifar10"
    config = written(tmp_path, {"data": "svhn"})
    resolved = retrain_settings({}, preset="quick", inherited=given, config=config)
    assert (resolved.data, resolved.image_size) == ("svhn", 16)


def test_a_preset_for_other_images_is_above_what_a_search_hands_down():
    given = {"data": "cifar10", "image_size": 32, "stem": "cifar", "split_seed": 3}
    found = retrain_settings({}, preset="imagenet/transfer", inherited=given)
    assert (found.data, found.image_size, found.stem, found.split_seed) == ("imagenet", 224, "imagenet", 3)
    assert retrain_settings({"data": "svhn"}, preset="imagenet/transfer", inherited=given).data == "svhn"
    assert retrain_settings({}, preset="imagenet/zarts-mgs", inherited=given).data == "cifar10", "it also searches"
    form = {"channels": 36, "cells": 20, "stem": "cifar", "image_size": 32}
    found = retrain_settings({}, preset="imagenet/transfer", inherited=given, form=form)
    assert (found.data, found.channels, found.cells, found.stem, found.image_size) == ("imagenet", 36, 20, "cifar", 32)


def test_defaults_of_the_method():
    assert search_settings({"method": "darts"}).arch_learning_rate == 3e-4
    assert search_settings({"method": "darts", "arch_learning_rate": 0.1}).arch_learning_rate == 0.1
    assert search_settings({"method": "darts"}, preset="quick").arch_update_interval == 1


def test_a_file_need_not_have_sections_and_may_be_empty(tmp_path):
    assert search_settings({}, config=written(tmp_path, {"epochs": 33})).epochs == 33
    assert search_settings({}, config=written(tmp_path, None)) == search_settings({})
    assert search_settings({}, config=written(tmp_path, {"retrain": {"epochs": 5}})) == search_settings({})


@pytest.mark.parametrize("content", ["a: [", "- 1\n- 2", "just words", "1: 2"])
def test_a_file_that_is_no_settings(tmp_path, content):
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(SettingsError, match=r"bad\.yaml"):
        search_settings({}, config=path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SettingsError, match=r"none\.yaml"):
        search_settings({}, config=tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epoch": 3}, "'epochs'"),
        ({"inner_step": 3}, "'inner_steps'"),
        ({"method": "zarts-msg"}, "'zarts-mgs'"),
        ({"inner_steps": -1}, "inner_steps = -1"),
        ({"samples": 0}, "samples = 0"),
        ({"samples": 2.5}, "samples = 2.5"),
        ({"tau": 0}, "tau = 0"),
        ({"tau": "warm"}, "tau = 'warm'"),
        ({"sigma": -0.1}, "sigma = -0.1"),
        ({"sigma": float("inf")}, "sigma = inf"),
        ({"mixture_lambda": 1.1}, "mixture_lambda = 1.1"),
        ({"esr_target": 1}, "esr_target = 1"),
        ({"val_batches": 0}, "val_batches = 0"),
        ({"arch_update_interval": 0}, r"arch_update_interval = 0"),
        ({"epochs": 0}, r"epochs = 0"),
        ({"epochs": None}, "epochs = None"),
        ({"batch_size": 1}, "batch_size = 1"),
        ({"cells": 0}, r"cells = 0"),
        ({"channels": 0}, r"channels = 0"),
        ({"learning_rate": 0}, r"learning_rate = 0"),
        ({"momentum": 1}, r"momentum = 1"),
        ({"image_size": 4}, r"image_size = 4"),
        ({"seed": -1}, r"seed = -1"),
        ({"seed": 2**63}, "seed = 9223372036854775808"),
        ({"proposal": "mix"}, "proposal = 'mix'"),
        ({"importance_weights": "hard"}, r"importance_weights = 'hard'"),
        ({"batch_norm": "none"}, r"batch_norm = 'none'"),
        ({"flip": "perhaps"}, "flip = 'perhaps'"),
        ({"warmup_epochs": 50}, "warmup_epochs = 50"),
        (
            {"method": "spos", "select_batch_norm": "train"},
            "select_recalibration = 20",
        ),
        ({"method": "darts", "sigma": 0.1}, "sigma"),
        ({"method": "zarts-gld", "samples": 4}, "samples"),
        ({"arch_optimizer": "mgs:CMA"}, "arch_optimizer"),
        ({"arch_optimizer": "cmaes", "tau": 1.0}, "tau"),
        ({"method": "zarts-rs", "tau": 1.0}, "tau"),
        ({"radius_max": 1.0}, "radius_max"),
    ],
)
def test_refused(options, message):
    with pytest.raises(SettingsError, match=message):
        search_settings({"method": "zarts-mgs", **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop_pth": 0.1}, "'drop_path'"),
        ({"drop_path": 1}, "drop_path = 1"),
        ({"auxiliary_weight": -1}, r"auxiliary_weight = -1"),
        ({"label_smoothing": 1}, r"label_smoothing = 1"),
        ({"space": "s2"}, r"unknown setting 'space'"),
    ],
)
def test_refused_for_a_retraining(options, message):
    with pytest.raises(SettingsError, match=message):
        retrain_settings(options)


def test_unknown_preset_names_the_nearest():
    with pytest.raises(SettingsError, match="'quick'"):
        search_settings({}, preset="quik")
    with pytest.raises(SettingsError, match="unknown preset"):
        preset_layers("../methods", "search")


def test_far_names_get_no_hint():
    assert did_you_mean("space", "zzz", ["s1", "darts"]) == "unknown space 'zzz': known are darts, s1"


def noted(options, **more):
    """The settings and the notes."""
    notes = []
    return search_settings(options, **more, note=notes.append), notes


def test_what_a_preset_or_file_has_for_another_method_is_one_note(tmp_path):
    config = written(tmp_path, {"sigma": 0.3, "antithetic": False, "epochs": 20})
    settings, (note,) = noted({"method": "darts"}, config=config, preset="digits/zarts-mgs")
    assert settings.epochs == 20
    assert settings.sigma == SearchSettings.model_fields["sigma"].default
    assert "inner_steps (preset 'quick')" in note
    assert re.search(r"antithetic, sigma \(.*settings.yaml\): not used by method 'darts'", note)
    assert "samples" not in note, "the default"
    assert noted({}, config=written(tmp_path, {"method": "darts", "sigma": 0.3}))[1]
    with pytest.raises(SettingsError, match="sigma"):
        search_settings({"sigma": 0.3}, config=written(tmp_path, {"method": "darts"}))
    with pytest.raises(SettingsError, match="'sigma'"):
        search_settings({"method": "darts"}, config=written(tmp_path, {"sigm": 0.3}))
    _, (note,) = noted({"crop": "resized"}, preset="cifar10")
    assert "crop_padding (preset 'cifar10')" in note


@pytest.mark.parametrize("preset", preset_names())
def test_a_preset_alone_has_nothing_to_note(preset):
    notes = []
    if preset not in ("imagenet/transfer", "imagenet/darts"):
        search_settings({}, preset=preset, note=notes.append)
    retrain_settings({}, preset=preset, note=notes.append)
    assert notes == []


@pytest.mark.parametrize(
    "options",
    [
        {"method": "darts", "devices": "1"},
        {"method": "darts", "devices": "auto", "samples": "8", "inner_steps": 0},
        {"method": "rsps", "warmup_epochs": 0},
        {"method": "p-darts", "warmup_epochs": 10},
        {"method": "darts", "partial_channels": 1, "limit_penalty": 0.1},
        {"method": "zarts-mgs", "tau": 0.1, "esr_target": 0.5},
    ],
)
def test_what_happens_anyway_may_be_said(options):
    assert noted(options)[1] == []


def test_all_that_is_wrong_is_reported_at_once():
    given = {"method": "darts", "sigma": 0.3, "tau": "x", "epoch": 3, "channels": 1, "batch_norm": "Eval"}
    with pytest.raises(SettingsError) as error:
        search_settings(given)
    text = str(error.value)
    assert all(
        key in text for key in ("sigma (arguments)", "tau (arguments)", "'epochs'", "channels = 1", "batch_norm")
    )
    idle = {"tau": 1, "esr_target": 0.1, "inner_steps": 0, "inner_momentum": 0.5, "learning_rate": 1e-4}
    with pytest.raises(SettingsError, match=r"esr_target .*; inner_momentum .*; learning_rate_min"):
        search_settings({"method": "zarts-mgs", **idle})
    with pytest.raises(SettingsError, match=r"'schedule'.*cutout = 'x'"):
        retrain_settings({"shedule": "linear", "cutout": "x"})
    with pytest.raises(SettingsError, match=r"learning_rate_decay .*; warmup_epochs = 3"):
        retrain_settings({"learning_rate_decay": 0.9, "epochs": 3, "warmup_epochs": 3})


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"method": "ZARTS-MGS"}, "did you mean 'zarts-mgs'"),
        ({"method": "zarts-mgs", "proposal": "Mix"}, "did you mean 'mixture'"),
    ],
)
def test_case_hides_no_name(options, hint):
    with pytest.raises(SettingsError, match=hint):
        search_settings(options)


@pytest.mark.parametrize(
    ("options", "preset", "warmup"),
    [
        ({"epochs": 3}, None, 1),  # round(10 / 50 of 3)
        ({"epochs": 100}, None, 20),
        ({"epochs": 1}, None, 0),
        ({"epochs": 20}, "quick", 7),  # 2 of 6
        ({"epochs": 2, "method": "merge-zarts"}, "imagenet/zarts-mgs", 1),  # 20 of 50, and an epoch is left
        ({"epochs": 3, "warmup_epochs": 2}, "quick", 2),
    ],
)
def test_a_warm_up_that_is_not_given_scales_with_the_epochs(options, preset, warmup):
    settings, notes = noted({"method": "zarts-mgs", **options}, preset=preset)
    assert settings.warmup_epochs == warmup
    scaled = [note for note in notes if note.startswith(f"warmup_epochs = {warmup} instead of")]
    assert len(scaled) == (0 if "warmup_epochs" in options else 1)
    assert noted(dump(settings)) == (settings, []), "as a resumed run"


def test_a_warm_up_of_a_file_is_given(tmp_path):
    config = written(tmp_path, {"method": "zarts-mgs", "epochs": 10, "warmup_epochs": 5})
    assert search_settings({"epochs": 20}, config=config).warmup_epochs == 5
    with pytest.raises(SettingsError, match="warmup_epochs = 5"):
        search_settings({"epochs": 5}, config=config)


@pytest.mark.parametrize("preset", [None, "quick"])
@pytest.mark.parametrize("method", METHODS)
def test_three_epochs_of_every_method(method, preset):
    settings = search_settings({"method": method, "epochs": 3}, preset=preset)
    phases = plan_phases(settings)
    assert sum(phase.epochs for phase in phases) == settings.epochs
    assert all(phase.epochs > phase.warmup for phase in phases) or settings.arch_optimizer == "none"
    assert search_settings(dump(settings)) == settings


def test_phases_fit_into_the_epochs():
    assert search_settings({"method": "p-zarts", "epochs": 4}).phase_starts == (0.25, 0.5, 0.75)
    shorter = search_settings({"method": "p-zarts", "epochs": 3})
    assert (shorter.phase_operations, [phase.first for phase in plan_phases(shorter)]) == ((2, 1), [0, 1, 2])
    shorter = search_settings({"method": "p-darts", "epochs": 2})
    assert (shorter.phase_operations, shorter.skip_dropout) == ((3,), (0.0, 0.7))
    assert search_settings({"method": "p-zarts", "epochs": 5}).phase_starts == (0.4, 0.6, 0.8)


def test_early_stopping_may_look_back_to_the_same_share_of_the_epochs():
    assert search_settings({"method": "r-darts"}).eigenvalue_after == 10
    assert search_settings({"method": "r-darts", "epochs": 20}).eigenvalue_after == 4
    assert search_settings({"epochs": 12}, preset="digits/r-darts").eigenvalue_after == 4  # 2 of 6
    assert search_settings({"method": "darts", "epochs": 20}).eigenvalue_after == 10, "it has no effect"


def test_a_short_retraining_by_a_preset_for_a_long_one():
    notes = []
    settings = retrain_settings({"epochs": 3}, preset="imagenet/transfer", note=notes.append)
    assert (settings.warmup_epochs, settings.schedule, len(notes)) == (0, "linear", 2)
    assert retrain_settings({"epochs": 100}, preset="imagenet/transfer").warmup_epochs == 2  # 5 of 250
    with pytest.raises(SettingsError, match="linear-tail"):
        retrain_settings({"epochs": 3, "schedule": "linear-tail"}, preset="imagenet/transfer")


@pytest.mark.parametrize(
    ("method", "preset"),
    [
        *((method, None) for method in METHODS),
        *(
            pytest.param(
                method, preset, marks=[] if method in ("zarts-mgs", "pc-darts", "p-darts") else pytest.mark.long
            )
            for method in METHODS
            for preset in ("cifar10", "nb201")
        ),
    ],
)
def test_dumped_settings_read_back_the_same(tmp_path, method, preset):
    space = search_settings({}, preset=preset).space
    if space == "nasbench201" and METHODS[method].supernet in ("partial", "merged"):
        with pytest.raises(SettingsError, match=f"supernet = {METHODS[method].supernet}"):
            search_settings({"method": method}, preset=preset)
        return
    settings = search_settings({"method": method, "seed": 5}, preset=preset)
    assert search_settings({}, config=written(tmp_path, {"search": dump(settings)})) == settings
    assert search_settings(dump(settings)) == settings


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_resolves_and_says_what_it_is(tmp_path, preset):
    if preset in ("imagenet/transfer", "imagenet/darts"):
        with pytest.raises(SettingsError, match=f"'{preset}'"):
            search_settings({}, preset=preset)
    else:
        assert search_settings({}, preset=preset).method in METHODS
    trained = retrain_settings({}, preset=preset)
    assert retrain_settings({}, config=written(tmp_path, {"retrain": dump(trained)})) == trained
    assert len(preset_summary(preset)) > 20
    text = (resources.files("zarts.config") / "presets" / f"{preset}.yaml").read_text()
    assert set(yaml.safe_load(text)) <= {"base", "search", "retrain"}


@pytest.mark.parametrize(
    ("given", "subset"), [("0.25", 0.25), (0.25, 0.25), ("500", 500), (500, 500), (500.0, 500), (None, None)]
)
def test_a_subset_is_a_number_or_a_share(given, subset):
    found = search_settings({"subset": given}).subset
    assert (found, type(found)) == (subset, type(subset))


@pytest.mark.parametrize("given", ["0.4,0.4,0.4,0.2", [0.4, 0.4, 0.4, 0.2], (0.4, 0.4, 0.4, 0.2)])
def test_color_jitter_is_none_or_four_numbers(given):
    assert search_settings({"color_jitter": given}).color_jitter == (0.4, 0.4, 0.4, 0.2)
    assert search_settings({"color_jitter": []}).color_jitter == ()


def test_a_retraining_with_two_crops():
    with pytest.raises(SettingsError, match="crop_padding"):
        retrain_settings({"crop_padding": 4, "crop": "resized"})
    assert retrain_settings({"crop": "resized"}, preset="cifar10").crop == "resized"


@pytest.mark.parametrize(("preset", "batch", "supernet"), [("zarts-mgs", 128, "mixed"), ("merge-zarts", 256, "merged")])
def test_the_papers_numbers_of_direct_search_on_imagenet(preset, batch, supernet):
    paper = search_settings({}, preset=f"imagenet/{preset}")
    assert (paper.method, paper.batch_size, paper.supernet, paper.subset) == (preset, batch, supernet, 0.25)
    assert (paper.cells, paper.channels, paper.epochs, paper.stem, paper.image_size) == (8, 16, 50, "imagenet", 224)
    assert (paper.warmup_epochs, paper.sigma, paper.sigma_decay, paper.tau) == (20, 0.025, "cosine", 0.01)
    assert (paper.learning_rate, paper.crop, paper.color_jitter) == (0.025, "resized", ())
    transfer = retrain_settings({}, preset="imagenet/transfer")
    assert retrain_settings({}, preset=f"imagenet/{preset}") == transfer
    assert (transfer.crop, transfer.color_jitter) == ("resized", (0.4, 0.4, 0.4, 0.2))


def test_the_default_is_the_recommended_method_and_that_of_papers_is_theirs():
    settings = search_settings({})
    assert dump(settings) == dump(search_settings({"method": "zarts"}))
    assert (settings.method, settings.arch_optimizer, settings.select) == ("zarts", "none", "local-search")
    assert settings.axes == METHODS["zarts"].axes == SearchSettings().axes, "without layers, too"
    assert search_settings({}, preset="quick").method == "zarts"
    for preset in ("cifar10", "cifar100", "svhn", "nb201", "sdarts", "rdarts", "imagenet/zarts-mgs"):
        assert search_settings({}, preset=preset).method == "zarts-mgs", preset
    with pytest.raises(SettingsError, match="zarts-mgs"):
        search_settings({"sigma": 0.1})  # which the default of 0.1.0 used


def test_the_papers_numbers():
    paper = search_settings({}, preset="cifar10")
    assert (paper.cells, paper.channels, paper.epochs, paper.samples, paper.inner_steps) == (8, 16, 50, 4, 10)
    trained = retrain_settings({}, preset="cifar10")
    assert (trained.cells, trained.channels, trained.epochs, trained.drop_path) == (20, 36, 600, 0.2)
    assert (trained.auxiliary_weight, trained.cutout) == (0.4, 16)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizers_own_defaults_are_those_of_the_settings(name):
    """Alone or in a search, an optimizer does the same unless something else is said."""
    settings = search_settings({"arch_optimizer": name})
    parameters = inspect.signature(OPTIMIZERS[name]).parameters.values()
    own = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert own == {key: getattr(settings, key) for key in own}
    assert not {k: v for k, v in own.items() if k not in dump(settings)}, "a setting that the method says it ignores"


def keyword_only(function):
    return {p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY}


class Called(Exception):
    """The keywords of a call, raised in the place of the called function."""


def raising(monkeypatch, where, function):
    """Put a function that raises in the place of `function`."""

    def called(*_, **keywords):
        raise Called(keywords)

    monkeypatch.setattr(f"{where}.{function.__name__}", called)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_factory_hands_every_setting_to_its_optimizer(monkeypatch, name):
    raising(monkeypatch, "zarts.arch_optim.optimizers", OPTIMIZERS[name])
    settings = SearchSettings(arch_optimizer=name, samples=5, sigma=0.3, radius_max=1.5, tau=0.2, antithetic=False)
    with pytest.raises(Called) as call:
        zero_order_optimizer(settings, torch.zeros(2), torch.Generator())
    assert call.value.args[0] == settings.model_dump(include=keyword_only(OPTIMIZERS[name]))


@pytest.mark.parametrize("name", SELECTIONS)
def test_a_factory_hands_every_setting_to_its_selection(monkeypatch, name):
    raising(monkeypatch, "zarts.searcher.selections", SELECTIONS[name])
    settings = SearchSettings(max_skips=1, select_samples=7, select_tune_steps=3, select_rounds=2, ablation="uniform")
    with pytest.raises(Called) as call:
        select(name, object.__new__(SelectionContext), settings)
    assert call.value.args[0] == settings.model_dump(include=keyword_only(SELECTIONS[name]))


def test_relaxations_have_every_setting():
    settings = SearchSettings(temperature=3.0, temperature_min=0.2, perturbation=0.4, weight_noise=0.7)
    made = relaxations(settings)
    assert made.keys() == RELAXATIONS.keys()
    for name, function in RELAXATIONS.items():
        keywords = made[name].keywords if isinstance(made[name], partial) else {}
        assert keywords == settings.model_dump(include=keyword_only(function))


@pytest.mark.parametrize("function", [*RELAXATIONS.values(), *SELECTIONS.values()])
def test_a_functions_own_defaults_are_those_of_the_settings(function):
    parameters = inspect.signature(function).parameters.values()
    own = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert own == {name: SearchSettings.model_fields[name].default for name in own}


def test_the_table_of_methods_has_names_that_exist():
    assert set(AXES["arch_optimizer"]) == set(ARCH_OPTIMIZERS)
    assert {*AXES["relaxation"], *AXES["weight_relaxation"]} == {*RELAXATIONS, "none", "same"}
    assert set(AXES["select"]) == set(SELECTIONS)
    assert set(AXES["supernet"]) == {*FORMS, "none"}
    assert set(DEFAULTS) <= {name for known in AXES.values() for name in known}
    for name, method in METHODS.items():
        assert get_method(name).name == name
        assert all(str(getattr(method, axis)) in known for axis, known in AXES.items())
        assert set(method.defaults) <= set(SearchSettings.model_fields)
        assert method.paper
        assert method.summary


def test_every_setting_has_help_and_known_users():
    for kind in (SearchSettings, RetrainSettings):
        for name, field in kind.model_fields.items():
            assert field.description, name
            members = {member for known in AXES.values() for member in known}
            assert set(field.json_schema_extra["used_by"]) <= members, name


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        search_settings(small("zarts-mgs")).epochs = 4


def test_data_dir_is_a_path():
    assert search_settings({"data_dir": "here"}).data_dir == Path("here")


def test_exit_codes():
    codes = {SettingsError: 2, DataError: 3, RunError: 1, NotFoundError: 3, DivergedError: 1, Interrupted: 130}
    assert ZartsError.exit_code == 1
    assert issubclass(NotFoundError, RunError)
    assert issubclass(NotFoundError, SettingsError)
    assert {kind: kind.exit_code for kind in codes} == codes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tau": 0.1, "esr_target": 0.4}, "esr_target"),
        ({"inner_steps": 0, "inner_momentum": 0.5}, "inner_momentum"),
        (
            {"inner_steps": 0, "inner_learning_rate": 0.5},
            "inner_learning_rate",
        ),
        ({"learning_rate": 1e-4}, "learning_rate_min = 0.001"),
        ({"image_size": 10}, "image_size = 10"),
        ({"channels": 1}, "channels = 1"),
        ({"method": "random", "threads": 2}, "threads"),
        ({"method": "random", "subset": 20}, "subset"),
        ({"subset": 1}, "subset = 1"),
        ({"subset": 1.5}, "subset = 1.5"),
        ({"subset": 0.0}, "subset = 0.0"),
        (
            {"crop": "resized", "crop_padding": 2},
            "crop_padding",
        ),
        ({"color_jitter": "0.4,0.4"}, "color_jitter = '0.4,0.4'"),
        ({"color_jitter": [0.4, 0.4, 0.4, 0.6]}, "hue"),
        ({"color_jitter": [-0.4, 0.4, 0.4, 0.1]}, "color_jitter"),
        ({"workers": 0}, "workers = 0"),
        ({"image_cache": "disk"}, "image_cache = 'disk'"),
    ],
)
def test_settings_that_do_not_go_together(options, message):
    with pytest.raises(SettingsError, match=message):
        search_settings(options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arch_optimizer": "mgz"}, "'mgs'"),
        (
            {"method": "random", "arch_optimizer": "mgs"},
            "arch_optimizer = mgs",
        ),
        (
            {"method": "rsps", "arch_optimizer": "mgs"},
            "arch_optimizer = mgs",
        ),
        ({"method": "rsps", "weight_relaxation": "same"}, "relaxation = none"),
        ({"method": "rsps", "select": "argmax"}, "select = argmax"),
        ({"method": "rsps", "select": "perturbation"}, "'rsps'"),
        ({"method": "gdas", "select": "perturbation"}, "relaxation = gumbel"),
        ({"method": "darts", "arch_optimizer": "reinforce"}, "arch_optimizer = reinforce"),
        ({"method": "enas", "arch_optimizer": "mgs"}, "arch_optimizer = mgs"),
        ({"method": "enas", "weight_relaxation": "noisy"}, "weight_relaxation = noisy"),
        ({"method": "darts", "select": "random"}, "select = random"),
        ({"arch_optimizer": "gld", "sigma": 0.1}, "sigma"),
        ({"temperature": 3.0}, "temperature"),
        ({"method": "darts-pt", "select_tune_steps": 3}, "select_tune_steps"),
    ],
)
def test_axes_that_do_not_go_together(options, message):
    with pytest.raises(SettingsError, match=message):
        search_settings(options)


def test_an_axis_brings_its_own_defaults_right_below_where_it_is_set(tmp_path):
    settings = search_settings({"method": "darts", "arch_optimizer": "mgs"})
    assert (settings.arch_learning_rate, settings.arch_update_interval, settings.warmup_epochs) == (1.0, 10, 10)
    assert search_settings({"arch_optimizer": "gradient"}, preset="quick").arch_update_interval == 1
    config = written(
        tmp_path, {"method": "darts", "arch_update_interval": 5, "arch_learning_rate": 0.2, "arch_beta1": 0.1}
    )
    settings = search_settings({"select": "best-of"}, config=config)
    assert (settings.arch_update_interval, settings.select_metric, settings.select_images) == (5, "accuracy", 512)
    settings = search_settings({"arch_optimizer": "gld"}, config=config)
    assert (settings.arch_update_interval, settings.arch_beta1) == (5, 0.5), "Adam's moment is dropped"
    assert "arch_learning_rate" not in dump(settings)


def test_a_methods_defaults_for_a_member_of_an_axis_go_with_it():
    assert search_settings({"method": "p-darts"}).arch_learning_rate == 6e-4
    assert search_settings({"method": "p-darts", "arch_optimizer": "unrolled"}).arch_learning_rate == 6e-4
    other = search_settings({"method": "p-darts", "arch_optimizer": "mgs"})
    assert (other.arch_learning_rate, other.max_skips, other.learning_rate_min) == (1.0, 2, 0.0)


def test_methods_are_their_axes():
    """The same search by another name: only the name differs."""
    setn = search_settings({"method": "setn"})
    made = search_settings({"method": "darts", "weight_relaxation": "uniform", "select": "best-of"})
    assert {**dump(setn), "method": "darts"} == dump(made)


def test_what_other_settings_leave_unused_is_not_written_down():
    mgs = {"method": "zarts-mgs"}
    assert "esr_target" not in dump(search_settings({**mgs, "tau": 0.1}))
    assert "esr_target" in dump(search_settings(mgs))
    assert "inner_momentum" not in dump(search_settings({**mgs, "inner_steps": 0}))
    written = dump(search_settings({**mgs, "tau": 0.1, "inner_steps": 0}))
    assert dump(search_settings(written)) == written


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_preset_on_the_digits(method):
    settings = search_settings({}, preset=f"digits/{method}")
    assert search_settings(dump(settings)) == settings
    assert (settings.method, settings.data) == (method, "digits")
    assert retrain_settings({}, preset=f"digits/{method}") == retrain_settings({}, preset="quick")


def test_a_preset_has_the_last_word_over_its_base_and_over_the_methods_defaults():
    """quick < the defaults of the method < digits/gdas."""
    settings = search_settings({}, preset="digits/gdas")
    assert settings.channels == search_settings({}, preset="quick").channels
    assert settings.arch_update_interval == 1
    assert settings.arch_learning_rate == 0.01
