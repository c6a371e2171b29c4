"""The report in a browser: what a reader sees, hovers and moves; and that nothing leaves the page."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from docs.tools.picture import BROWSERS
from fits import made_up, write_fit
from reports import DIAGNOSIS, LANDSCAPE, row, search, search_events, table, write_run
from zarts.reports import write_report
from zarts.reports.edge_weights import edge_weights
from zarts.spaces import PARAMETERLESS, SPACES

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed"),
    pytest.mark.usefixtures("unchecked"),
]

EPOCHS = 50
LIMIT = 5_000_000
"""Bytes of the report of a run of 50 epochs, at most."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A search of 50 epochs whose cells change every ten of them, with a diagnosis and a landscape."""
    generator = torch.Generator().manual_seed(0)
    space = SPACES["darts"]
    cells = [space.random(generator) for _ in range(5)]
    history = [cells[epoch // 10] for epoch in range(EPOCHS)]
    events = search_events(EPOCHS)
    for epoch, genotype in enumerate(history, start=1):
        counts = {kind: genotype.count(kind, PARAMETERLESS) for kind in genotype.cells}
        alphas = {kind: torch.randn(shape, generator=generator).tolist() for kind, shape in space.shapes.items()}
        events.append({"event": "genotype", "epoch": epoch, "parameterless": counts, "alphas": alphas})
    result = {"command": "search", "method": "zarts-mgs", "space": "darts", "alphas": alphas, "seconds": 9.0}
    folder = write_run(tmp_path_factory.mktemp("browser"), result, events, cells[-1], history)
    (folder / "diagnosis.json").write_text(json.dumps(DIAGNOSIS))
    (folder / "landscape.json").write_text(json.dumps(LANDSCAPE))
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


class Opener:
    """Opens reports, and keeps what goes wrong in them and what they ask for."""

    def __init__(self, browser):
        self.browser, self.contexts, self.wrong, self.asked = browser, [], [], []

    def __call__(self, folder, **options):
        context = self.browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        context.set_default_timeout(20_000)
        self.contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(f"file://{folder}/report.html")
        return page

    def check(self):
        """Nothing has gone wrong, and nothing was asked for but the files themselves."""
        assert self.wrong == []
        assert len(self.asked) == len(self.contexts)
        assert all(url.startswith("file://") for url in self.asked)

    def close(self):
        for context in self.contexts:
            context.close()


@pytest.fixture
def opened(browser):
    """Opens the report of a folder."""
    opener = Opener(browser)
    yield opener
    opener.check()
    opener.close()


@pytest.fixture(scope="module")
def desk_opener(browser):
    opener = Opener(browser)
    yield opener
    opener.close()


@pytest.fixture(scope="module")
def desk_page(desk_opener, run):
    page = desk_opener(run)
    page.locator(".slider").wait_for()
    return page


@pytest.fixture
def desk(desk_opener, desk_page):
    """The report of the run on a wide screen, opened once for all tests that leave it as it was."""
    yield desk_page
    desk_page.mouse.move(1, 1)
    desk_opener.check()


def see(page, name):
    """Scrolls to a chart, and waits until it is a live one."""
    figure = page.locator(f'[data-figure="{name}"]')
    figure.scroll_into_view_if_needed()
    figure.locator(".live .main-svg").first.wait_for()
    return figure


def hover(page, figure, x=0.5, y=0.5):
    """The mouse over the inside of a chart, and what the page then says."""
    box = figure.locator(".live .nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + x * box["width"] - 3, box["y"] + y * box["height"])
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    label = figure.locator(".hoverlayer").get_by_text("epoch").or_(figure.locator(".hoverlayer text")).first
    label.wait_for()
    return figure.locator(".hoverlayer").text_content()


def tip_of(page):
    tip = page.locator(".tip")
    tip.wait_for()
    return tip.inner_text()


def test_hovering_a_curve_tells_its_values(desk):
    page = desk
    said = hover(page, see(page, "parameterless"))
    assert "epoch 26" in said or "epoch 25" in said
    assert "normal" in said
    assert "reduce" in said


def test_a_click_on_a_name_hides_its_line(desk):
    page = desk
    figure = see(page, "parameterless")
    assert figure.locator(".scatterlayer .trace").count() == 2
    figure.locator(".legendtoggle").first.click()
    playwright.expect(figure.locator(".scatterlayer .trace")).to_have_count(1)
    figure.locator(".legendtoggle").first.click()
    playwright.expect(figure.locator(".scatterlayer .trace")).to_have_count(2)


def test_hovering_an_edge_tells_its_operation_and_weight(desk, run):
    page = desk
    weights = edge_weights(json.loads((run / "result.json").read_text()), "darts", run)
    edge = page.locator('#cells [id^="cell-0-edge-"]').first
    target, source = map(int, edge.get_attribute("data-edge").split("-"))
    path = edge.locator("path.catch")
    edge.scroll_into_view_if_needed()
    length = path.evaluate("(path) => { const p = path.getPointAtLength(path.getTotalLength() / 2);"
                           "const q = p.matrixTransform(path.getScreenCTM()); return [q.x, q.y]; }")  # fmt: skip
    page.mouse.move(*length)
    said = tip_of(page)
    assert f"to node {target}" in said
    ops = weights["normal"][target, source]
    assert f"{ops[0].weight:.3f}" in said
    assert ", weight 0." in said
    assert page.locator(".lit").count() >= 3, "the edge, its operation and its label"
    page.mouse.move(1, 1)
    page.locator(".tip").wait_for(state="hidden")


def test_operations_are_reached_by_the_keyboard(desk):
    page = desk
    operation = page.locator('#cells [id^="cell-0-op-"]').first
    page.locator(".slider input").focus()
    for _ in range(3):  # the picture that can be scrolled is on the way
        page.keyboard.press("Tab")
        if page.locator(".tip").is_visible():
            break
    assert operation.get_attribute("aria-label") in tip_of(page)
    assert ", weight 0." in operation.get_attribute("aria-label")
    page.keyboard.press("Escape")
    assert page.locator(".tip").is_hidden()


def epoch_event(run, epoch):
    lines = (run / "metrics.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines if '"genotype"' in line]
    return next(event for event in events if event["epoch"] == epoch and "alphas" in event)


def test_the_slider_shows_the_cells_of_each_epoch(desk, run):
    page = desk
    said, cell = page.locator(".slider output"), page.locator('[data-kind="0"] .body')

    def picture():
        labels = cell.locator('[id^="cell-0-label-"], [id^="cell-0-edge-"]')
        return labels.evaluate_all("(all) => all.map((one) => one.id + one.dataset.words)"), cell.inner_text()

    assert said.inner_text().startswith("epoch 50 · kept")
    last = picture()
    page.locator(".slider input").fill("0")
    assert said.inner_text().startswith("epoch 1")
    first = picture()
    assert first != last
    page.locator(".slider input").fill("9")
    assert picture() == first
    operation = page.locator('#cells [id^="cell-0-label-"]').first
    operation.hover()
    of_epoch = edge_weights(epoch_event(run, 10), "darts", run)["normal"]
    target, source = map(int, operation.get_attribute("data-edge").split("-"))
    heaviest = float(re.search(r"\t(0\.\d{3})", tip_of(page))[1])
    assert heaviest == pytest.approx(of_epoch[target, source][0].weight, abs=6e-4)
    page.locator(".slider .back").click()
    assert picture() == last
    assert page.locator(".strip .kept").count() == 1


def test_play_goes_through_the_epochs(desk):
    page = desk
    page.locator(".play").click()
    page.wait_for_function("Number(document.querySelector('.slider output').textContent.match(/\\d+/)[0]) > 2")
    page.locator(".play").click()
    here = page.locator(".slider output").inner_text()
    page.wait_for_timeout(500)
    assert page.locator(".slider output").inner_text() == here
    page.locator(".back").click()


def test_landscapes_tell_their_losses(desk):
    page = desk
    assert "loss" in hover(page, see(page, "surface-0"), 0.3, 0.4)
    page.locator('[data-figure="surface-3d"]').scroll_into_view_if_needed()
    assert page.get_by_text("raise <val_batches>").is_visible()


def test_the_page_follows_light_and_dark_when_they_change_and_print_has_the_still_pictures(opened, run):
    page = opened(run, color_scheme="dark")
    figure = see(page, "supernet-loss")
    colour = "() => getComputedStyle(document.querySelector('[data-figure=supernet-loss] .js-line')).stroke"
    colours = {"light": "rgb(0, 103, 166)", "dark": "rgb(95, 180, 236)"}
    assert page.evaluate(colour) == colours["dark"]
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(f"({colour})() === '{colours[scheme]}'")
    assert figure.locator(".still").is_hidden()
    page.emulate_media(media="print")
    assert figure.locator(".still svg").is_visible()
    assert figure.locator(".live").is_hidden()
    assert page.locator(".slider").is_hidden()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(31, 35, 41)", "ink on light paper"


def test_without_scripts_the_still_pictures_are_there(opened, run):
    page = opened(run, java_script_enabled=False)
    assert page.locator("#curves .still svg").first.is_visible()
    assert page.locator("#cells svg").count() == 2
    assert page.locator(".slider").is_hidden()
    words = page.locator('#cells [id^="cell-0-op-"] title').first.text_content()
    assert ", weight 0." in words


@pytest.mark.parametrize("of", ["run", "comparison"])
def test_no_page_is_wider_than_a_phone(opened, run, compared, of):
    page = opened({"run": run, "comparison": compared}[of], viewport={"width": 390, "height": 844}, has_touch=True)
    for name in page.locator("[data-figure]").evaluate_all("(all) => all.map((one) => one.dataset.figure)"):
        page.locator(f'[data-figure="{name}"]').scroll_into_view_if_needed()
    page.locator(".live .main-svg").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    beyond = """[...document.querySelectorAll("header *, main *")].filter((one) => one.getClientRects().length
        && one.getBoundingClientRect().right > 390.5 && !one.closest(".overflow, .scroll, .bounded, .live, svg"))"""
    assert page.evaluate(f"{beyond}.map((one) => one.outerHTML.slice(0, 99))") == [], "but for what scrolls inside"
    if of == "comparison":
        assert page.locator(".track s:visible").count() == 5, "a dot for each seed"
        page.emulate_media(media="print")
        assert page.locator(".track s:visible").count() == 5
        assert page.locator(".folded").is_hidden()


def test_a_tap_tells_an_operation(opened, run):
    page = opened(run, viewport={"width": 390, "height": 844}, has_touch=True)
    page.locator(".slider").wait_for()
    page.locator('#cells [id^="cell-0-label-"]').first.tap()
    assert ", weight 0." in tip_of(page)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    generator = torch.Generator().manual_seed(0)
    (folder / "darts" / "seed0").mkdir(parents=True)
    (folder / "darts" / "seed0" / "genotype.json").write_text(SPACES["s2"].random(generator).to_json())
    found = table()
    found["rows"].append(
        row("a very long row with=settings of=its own", 95.5, {"0": search("b/seed0", 95.5, [1, 2])}, n=1)
    )
    (folder / "table.json").write_text(json.dumps(found))
    write_report(folder)
    return folder


def test_a_table_is_sorted_by_a_click_and_cells_are_drawn_when_they_are_opened(opened, compared):
    page = opened(compared)
    names = page.locator("table.sortable tbody th")
    before = names.all_inner_texts()
    page.get_by_role("button", name="digits").click()
    assert names.all_inner_texts() == [before[3], before[0], before[1], before[2]]
    page.get_by_role("button", name="digits").click()
    assert names.all_inner_texts() == [before[2], before[1], before[0], before[3]]
    page.get_by_role("button", name="time").click()
    assert names.all_inner_texts()[:2] == [before[1], before[0]], "what has no time stays below"
    page.locator(".searches > summary").first.click()
    page.locator("[data-parts] summary").first.click()
    page.locator('.drawn [id^="found-0-label-"]').first.hover()
    assert "to node 2" in tip_of(page)


@pytest.mark.parametrize(("width", "shown"), [(1200, ""), (390, "-narrow")], ids=["desk", "phone"])
def test_networks_of_a_fit_against_another_cost(opened, tmp_path, width, shown):
    """The cost in which networks differ most is first; the switch shows another, live; the mouse tells of a mark."""
    write_report(write_fit(tmp_path, made_up(12)))
    page = opened(tmp_path, viewport={"width": width, "height": 844})
    see(page, f"networks-macs{shown}")
    page.get_by_text("Latency", exact=True).click()
    figure = see(page, f"networks-latency-ms{shown}")
    assert page.locator("[data-figure]:visible").count() == 1
    mark = figure.locator(".scatterlayer .trace:not(:has(text)) path.point").last.bounding_box()
    for step in (3, 0):
        page.mouse.move(mark["x"] + mark["width"] / 2 - step, mark["y"] + mark["height"] / 2)
    figure.locator(".hoverlayer text").first.wait_for()
    said = figure.locator(".hoverlayer").text_content()
    assert "Latency: " in said
    assert "validation accuracy" in said
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_run_of_fifty_epochs_is_small(run):
    assert (run / "report.html").stat().st_size < LIMIT / 2


@pytest.mark.slow
def test_also_one_whose_cells_change_at_every_epoch(tmp_path, generator):
    history = [SPACES["darts"].random(generator) for _ in range(EPOCHS)]
    write_run(tmp_path, None, search_events(EPOCHS), history[-1], history)
    assert write_report(tmp_path).stat().st_size < LIMIT


def test_the_picture_of_readme(tmp_path):
    """The report from its top on, 1200 pixels wide: verdict in black, marks of networks in colour."""
    write_report(write_fit(tmp_path, made_up(12)))
    words = ["-m", "docs.tools.picture", str(tmp_path), "--out", str(tmp_path / "x.png"), "--height", "1330"]
    subprocess.run([sys.executable, *words], cwd=Path(__file__).parents[2], check=True, timeout=120)
    with Image.open(tmp_path / "x.png") as image:
        assert image.size == (1200, 1330)
        below = image.convert("RGB").crop((0, 740, 1200, 1330)).getcolors(1 << 20)
    assert any(max(pixel) - min(pixel) > 100 for _, pixel in below)  # the chart was drawn when it was taken
