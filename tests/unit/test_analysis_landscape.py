"""Landscapes of a quadratic bilevel problem, against closed forms, and of a search: resumed and refused."""

import json
import math
import shutil

import pytest
import torch
from test_bilevel import ETA, RHO, TRAIN, VAL, Quadratic

from small import SMALL, leftovers, small, stop_at
from zarts.analysis import draw_plane, survey
from zarts.analysis.landscape_cache import LandscapeCache
from zarts.api import landscape, search
from zarts.errors import Interrupted, RunError, SettingsError
from zarts.reports import draw_landscape
from zarts.runs import Run

pytestmark = pytest.mark.usefixtures("unchecked")

QUICK = {"inner_steps": [0, 1], "grid": 3}


def plane_of(alpha, **other):
    return draw_plane(alpha, **{"grid": 9, "radius": 1.0, "scale": "unit", "seed": 1, **other})


@pytest.mark.parametrize("scale", ["unit", "coordinate", "alpha"])
def test_directions_are_orthonormal_and_the_centre_is_alpha_to_the_bit(scale):
    alpha = torch.randn(50, generator=torch.Generator().manual_seed(2))
    plane = plane_of(alpha, scale=scale, radius=2.0, grid=5)
    torch.testing.assert_close(plane.directions @ plane.directions.T, torch.eye(2, dtype=torch.float64))
    assert plane.places.tolist() == [-2.0, -1.0, 0.0, 1.0, 2.0]
    assert torch.equal(plane.points([12])[0], alpha)
    unit = {"unit": 1.0, "coordinate": math.sqrt(50), "alpha": float(alpha.double().norm())}[scale]
    right, up = plane.points([13, 17]).double() - alpha.double()
    torch.testing.assert_close(right, unit * plane.directions[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(up, unit * plane.directions[1], atol=1e-5, rtol=0)
    assert not torch.equal(plane.directions, plane_of(alpha, seed=2).directions)


@pytest.mark.parametrize("steps", [0, 1, 10])
@pytest.mark.parametrize("scale", ["unit", "coordinate"])
def test_on_a_quadratic_losses_sharpness_and_minimum_equal_the_closed_form(steps, scale):
    """L(alpha) = |c A alpha + (1 - c) omega - b|^2 / 2 + rho |alpha|^2 / 2 with c = 1 - (1 - eta)^M."""
    toy = Quadratic()
    c = 1 - (1 - ETA) ** steps
    plane = plane_of(toy.minimiser(c), scale=scale)  # so that the grid's minimum is its centre
    found = survey(toy.problem, plane, {steps: []}, [TRAIN] * steps, [VAL])[0]
    hessian = c**2 * toy.a.T @ toy.a + RHO * torch.eye(4, dtype=torch.float64)
    in_plane = plane.directions @ hessian @ plane.directions.T
    y, x = torch.meshgrid(plane.places, plane.places, indexing="ij")
    at = torch.stack([x, y], 2)
    bottom = (c * toy.a @ plane.alpha + (1 - c) * toy.omega - toy.b).square().sum() / 2
    bottom = bottom + RHO * plane.alpha.square().sum() / 2
    rise = plane.unit**2 * torch.einsum("rci,ij,rcj->rc", at, in_plane, at) / 2
    torch.testing.assert_close(found.losses, bottom + rise, rtol=1e-10, atol=1e-10)
    assert found.sharpness == pytest.approx(float(torch.linalg.eigvalsh(in_plane)[-1]), rel=1e-8)
    assert (found.minimum.x, found.minimum.y) == (0.0, 0.0)
    assert found.minimum.loss == pytest.approx(float(bottom), rel=1e-10)
    rim = (at.abs().amax(2) > 1 - 1e-9)[..., None].squeeze(2)
    assert found.rise == pytest.approx(float(rise[rim].mean()), rel=1e-8)
    assert torch.equal(toy.model.omega.detach(), toy.omega)


def test_the_minimum_is_off_the_centre_where_that_is_no_minimiser():
    toy = Quadratic()
    plane = plane_of(toy.minimiser(0.0), grid=11)
    shifted = plane_of(plane.points([2 * 11 + 8])[0], grid=11)
    found = survey(toy.problem, shifted, {0: []}, [], [VAL])[0].minimum
    assert (found.x, found.y) == pytest.approx((-0.6, 0.6))


def test_the_paper_s_claim_on_the_quadratic_more_steps_bring_the_minimum_nearer_to_the_true_one():
    toy = Quadratic()
    plane = plane_of(toy.minimiser(1.0), grid=7, radius=0.6)
    surfaces = survey(toy.problem, plane, {0: [], 1: [], 40: []}, [TRAIN] * 40, [VAL])
    off = [math.hypot(surface.minimum.x, surface.minimum.y) for surface in surfaces]
    assert off[0] > 0.2
    assert off[2] == 0
    assert [surface.name for surface in surfaces] == ["first order", "second order", "M = 40"]


def test_losses_that_are_not_finite_are_left_out():
    plane = plane_of(torch.zeros(4), grid=3)
    losses = torch.arange(9, dtype=torch.float64).view(3, 3)
    losses[0, 0] = torch.nan
    assert math.isnan(plane.sharpness(losses))
    assert math.isnan(plane.rise(losses))
    assert (plane.minimum(losses).x, plane.minimum(losses).y, plane.minimum(losses).loss) == (0.0, -1.0, 1.0)
    assert plane.minimum(torch.full((3, 3), torch.nan, dtype=torch.float64)) is None


@pytest.mark.parametrize(
    ("alpha", "options", "message"),
    [
        (4, {"grid": 4}, "grid = 4"),
        (4, {"grid": 1}, "grid = 1"),
        (4, {"radius": 0.0}, "radius = 0"),
        (4, {"scale": "alfa"}, "'alpha'"),
        (4, {"scale": "alpha"}, "scale = alpha"),
        (1, {}, "1 coordinate"),
    ],
)
def test_planes_that_cannot_be(alpha, options, message):
    with pytest.raises(SettingsError, match=message):
        plane_of(torch.zeros(alpha), **options)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return search(**{**SMALL, "val_batches": 2}, out=tmp_path_factory.mktemp("landscape") / "run").run


@pytest.fixture
def run(made, tmp_path, quick):
    """A copy of the run."""
    return shutil.copytree(made, tmp_path / "run")


@pytest.fixture
def quick(monkeypatch):
    """No pictures, and no eigenvalue, which takes longer than all of these points."""
    monkeypatch.setattr("zarts.api._analyze.draw_landscape", lambda folder: [])
    monkeypatch.setattr("zarts.api._analyze.write_report", lambda folder: folder / "report.html")
    monkeypatch.setattr("zarts.searcher.restore.dominant_eigenvalue", lambda *_: 0.25)


def files(run):
    return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in run.rglob("*") if p.is_file()}


def untimed(run):
    data = json.loads((run / "landscape.json").read_text())
    data.pop("seconds")
    return data


def test_of_a_search(run, made):
    before, heard = files(run), []
    found = landscape(run, **QUICK, callbacks=[heard.append])
    after = files(run)
    assert {path: after[path] for path in before} == before, "the run is left alone"
    assert {p.name for p in after.keys() - before.keys()} == {"landscape.json"}
    data = untimed(run)
    assert (data["command"], data["run"], data["epoch"], data["x"]) == ("landscape", "run", 2, [-1.0, 0.0, 1.0])
    assert [surface["name"] for surface in data["surfaces"]] == ["first order", "second order"]
    assert data["surfaces"][0]["losses"] == found.surfaces[0].losses.tolist()
    assert data["eigenvalue"] == 0.25
    assert data["learning_rate"] == found.learning_rate > 0
    assert [event for event in heard if event["event"] == "part"][-1] == {
        "event": "part",
        "text": "eigenvalue",
        "done": 18,
        "of": 18,
    }

    again = landscape(run, **QUICK)
    assert again.seconds == found.seconds, "a finished one is only read"
    assert torch.equal(again.surfaces[1].losses, found.surfaces[1].losses)
    assert files(run)[run / "landscape.json"] == after[run / "landscape.json"]


def test_the_eigenvalue_is_that_of_the_whole_hessian_where_alpha_is(made):
    """A plane's sharpness is at most that; here against the search's own function on the same images."""
    from zarts.api import searched_settings
    from zarts.bilevel import dominant_eigenvalue
    from zarts.searcher import restore_search

    with restore_search(searched_settings(made), Run(made), lambda event: None) as found:
        val = [found.val[0]]
        other = dominant_eigenvalue(found.problem, found.alpha, val, torch.Generator().manual_seed(3))
        assert found.eigenvalue(val, torch.Generator().manual_seed(4)) == pytest.approx(other, rel=1e-2)


@pytest.mark.long
def test_default_surfaces_and_the_settings_of_inner_steps(run):
    found = landscape(run, grid=3, learning_rate=0.5, momentum=0.0)
    assert [surface.inner_steps for surface in found.surfaces] == [0, 1], "the search's M is 1"
    assert (found.learning_rate, found.momentum) == (0.5, 0.0)
    first, second = (surface.losses for surface in found.surfaces)
    other = landscape(run, grid=3, again=True)
    assert torch.equal(other.surfaces[0].losses, first)
    assert not torch.equal(other.surfaces[1].losses, second)
    assert other.learning_rate < 0.025, "what the cosine has come to"


def test_stopped_and_gone_on_with_it_ends_with_the_same_numbers(run, monkeypatch):
    landscape(run, **QUICK)
    straight = untimed(run)
    (run / "landscape.json").unlink()
    monkeypatch.setattr("zarts.searcher.restore.stop_request", stop_at(25))
    with pytest.raises(Interrupted, match=r"part\.json"):
        landscape(run, **QUICK)
    assert not (run / "landscape.json").exists()
    saved = json.loads((run / "landscape.part.json").read_text())["losses"]
    assert 0 <= len(saved["0"]) < 9 or len(saved["1"]) < 9
    monkeypatch.setattr("zarts.searcher.restore.stop_request", stop_at(0))
    landscape(run, **QUICK)
    assert untimed(run) == straight
    assert not (run / "landscape.part.json").exists()
    assert leftovers(run) == []


def test_what_is_known_is_written_now_and_then(run, monkeypatch):
    monkeypatch.setattr("zarts.analysis.landscape_cache._EVERY_SECONDS", 0.0)
    seen = []

    def heard(event):
        if event["event"] == "part":
            seen.append(sum(map(len, json.loads((run / "landscape.part.json").read_text())["losses"].values())))

    landscape(run, **QUICK, callbacks=[heard])
    assert seen == [4, 8, 9, 13, 17, 18]


TIES = {"global_step": 8, "state": "ab"}, {"grid": 3, "inner_steps": [0, 10], "seed": 0}


def cache(folder, identity=TIES[0], options=TIES[1], *, again=False):
    return LandscapeCache(Run(folder), identity, options, again=again)


@pytest.mark.parametrize(
    ("identity", "options", "message"),
    [
        (
            {**TIES[0], "state": "cd"},
            TIES[1],
            "another state",
        ),
        ({**TIES[0], "global_step": 9}, TIES[1], "another state"),
        (
            TIES[0],
            {**TIES[1], "inner_steps": [0]},
            "inner_steps",
        ),
        (TIES[0], {**TIES[1], "seed": 1}, "seed = 0"),
    ],
)
@pytest.mark.parametrize("name", ["landscape.json", "landscape.part.json"])
def test_files_of_another_run_state_or_options_are_refused_and_replaced_when_asked(
    tmp_path, name, identity, options, message
):
    theirs = cache(tmp_path)
    theirs.finish({"surfaces": []}) if name == "landscape.json" else theirs.write()
    before = files(tmp_path)
    with pytest.raises(RunError, match=f"{name}: .*{message}"):
        cache(tmp_path, identity, options)
    mine = cache(tmp_path, identity, options, again=True)
    assert (mine.whole, set(map(len, mine.losses.values()))) == (None, {0})
    assert files(tmp_path) == before, "left alone until the new one is whole"
    mine.finish({"surfaces": []})
    assert cache(tmp_path, identity, options).whole["options"] == options
    assert not mine.part.exists()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("landscape.json", "{", "again=True"),
        ("landscape.json", "[]", "again=True"),
        ("landscape.part.json", "{", "again=True"),
        ("landscape.part.json", "TIES", "again=True"),
    ],
)
def test_damaged_files_are_refused_and_replaced_when_asked(tmp_path, name, text, message):
    ties = json.dumps({"identity": TIES[0], "options": TIES[1]})
    (tmp_path / name).write_text(text.replace("TIES", ties))
    with pytest.raises(RunError, match=f"{name}: .*{message}"):
        cache(tmp_path)
    assert cache(tmp_path, again=True).losses == {0: [], 10: []}


def test_a_part_is_gone_on_with_also_beside_a_whole_one_that_it_will_replace(tmp_path):
    cache(tmp_path, options={**TIES[1], "seed": 1}).finish({"surfaces": []})
    begun = cache(tmp_path, again=True)
    begun.losses[0] += [1.5, math.nan]
    begun.write()
    assert json.loads((tmp_path / "landscape.part.json").read_text())["losses"] == {"0": [1.5, None], "10": []}
    for again in (False, True):
        on = cache(tmp_path, again=again)
        assert on.losses[0][0] == 1.5
        assert math.isnan(on.losses[0][1])
        assert on.seconds > begun._before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inner_steps": [0, -1]}, "inner_steps = -1"),
        ({"val_batches": 0}, "val_batches = 0"),
        ({"val_batches": 3}, "val_batches = 3"),
        ({"learning_rate": 0.0}, "learning_rate = 0"),
        ({"momentum": 1.0}, "momentum = 1"),
    ],
)
def test_options_that_cannot_be(run, options, message):
    with pytest.raises(SettingsError, match=message):
        landscape(run, grid=3, **options)


def test_runs_without_a_landscape(run, tmp_path, retrained):
    drawn = search(method="random", data="digits", out=tmp_path / "random").run
    with pytest.raises(RunError, match="'random'"):
        landscape(drawn)
    with pytest.raises(RunError, match="search run"):
        landscape(retrained.run)
    cells = search(**{**small("rsps"), "epochs": 1}, out=tmp_path / "rsps").run
    with pytest.raises(RunError, match="'rsps'"):
        landscape(cells)
    (run / "checkpoint.pt").unlink()
    with pytest.raises(RunError, match="checkpoint"):
        landscape(run)


def test_a_relaxation_that_draws_has_a_landscape_under_common_noise_and_no_eigenvalue(tmp_path, quick):
    run = search(**small("gdas"), out=tmp_path / "gdas").run
    found = landscape(run, **QUICK)
    assert found.eigenvalue is None
    first = untimed(run)
    landscape(run, **QUICK, again=True)
    assert untimed(run) == first


def test_another_process_at_work_is_waited_for(run, monkeypatch):
    monkeypatch.setattr("zarts.runtime.processes.PATIENCE_SECONDS", 0.0)
    with Run(run).lock(), pytest.raises(RunError, match="another process"):
        landscape(run, **QUICK)


@pytest.mark.long  # of the command, too: cli/test_landscape.py
def test_pictures(made, tmp_path):
    """One scale of colours; the minimum marked; holes where a loss is not finite; the same bytes each time."""
    surface = {"losses": [[1.0, 2.0, 3.0], [2.0, None, 4.0], [3.0, 4.0, 5.0]], "sharpness": None, "rise": None}
    data = {
        "x": [-1, 0, 1],
        "y": [-1, 0, 1],
        "surfaces": [
            {**surface, "name": "first order", "minimum": {"x": -1, "y": -1, "loss": 1.0}},
            {"name": "M = 10", "losses": [[None] * 3] * 3, "sharpness": None, "rise": None, "minimum": None},
        ],
    }
    (tmp_path / "landscape.json").write_text(json.dumps(data))
    svg, png = draw_landscape(tmp_path)
    before = svg.read_bytes(), png.read_bytes()
    for part in (b'id="minimum"', b'id="contours-0"', b'id="solid-1"', b"first order", b"M = 10", b"not finite"):
        assert part in before[0]
    assert draw_landscape(tmp_path) == [svg, png]
    assert (svg.read_bytes(), png.read_bytes()) == before
    for broken in ({**data, "x": [0, 1]}, {"x": [0], "y": [0]}):
        (tmp_path / "landscape.json").write_text(json.dumps(broken))
        with pytest.raises(RunError, match=r"landscape\.json"):
            draw_landscape(tmp_path)
