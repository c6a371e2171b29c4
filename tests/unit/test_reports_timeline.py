"""Cells along the epochs of a search: which are shown, which one is marked, and that all of it is readable."""

import json
from xml.etree import ElementTree

import pytest
import torch
from PIL import Image

from zarts.errors import RunError
from zarts.reports import draw_strip
from zarts.spaces import SPACES

pytestmark = pytest.mark.usefixtures("unchecked")


def write_run(folder, epochs, *, space="s2", finished=True, kept=None, events=()):
    """The files of a search whose epochs derived different cells; `kept` is an epoch, or None: another cell."""
    generator = torch.Generator().manual_seed(3)
    cells = {epoch: SPACES[space].random(generator) for epoch in range(1, epochs + 1)}
    (folder / "genotypes").mkdir(parents=True)
    (folder / "config.yaml").write_text(f"search: {{space: {space}}}\n")
    for epoch, genotype in cells.items():
        (folder / "genotypes" / f"epoch_{epoch:03d}.json").write_text(genotype.to_json())
    (folder / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    if finished:
        last = SPACES[space].random(generator) if kept is None else cells[kept]
        (folder / "genotype.json").write_text(last.to_json())
        (folder / "result.json").write_text(json.dumps({"command": "search"}))
    return folder


def texts(svg):
    return [text.text for text in ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize(
    ("run", "titles"),
    [
        ({"epochs": 6, "kept": 6}, ["epoch 3", "epoch 6, kept"]),
        ({"epochs": 4, "finished": False}, ["epoch 3", "epoch 4"]),
        ({"epochs": 3, "kept": None}, ["epoch 3", "selected at the end, kept"]),
        (
            {
                "epochs": 4,
                "kept": 2,
                "events": [{"event": "eigenvalue", "epoch": 4, "stopped": True, "genotype_of_epoch": 2}],
            },
            ["epoch 2, kept", "epoch 3", "epoch 4"],
        ),
    ],
)
def test_every_third_epoch_the_last_one_and_the_one_that_was_kept(tmp_path, run, titles):
    svg, png, gif = draw_strip(write_run(tmp_path / "run", **run), 3, tmp_path / "out")
    found = texts(svg)
    assert [text for text in found if text.startswith(("epoch", "selected"))] == titles
    assert found.count("Normal cell") == found.count("Reduction cell") == len(titles)
    assert ('id="kept"' in svg.read_text()) == any("kept" in title for title in titles)
    with Image.open(gif) as animation:
        assert animation.n_frames == len(titles)
        assert animation.info["loop"] == 0
    with Image.open(png) as picture:
        assert picture.width > picture.height


def test_ids_are_unique_and_the_files_the_same_each_time(tmp_path):
    run = write_run(tmp_path / "run", 4, kept=4)
    files = draw_strip(run, 2, tmp_path / "one")
    again = draw_strip(run, 2, tmp_path / "two")
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in again]
    ids = [
        e.get("id") for e in ElementTree.parse(files[0]).iter() if (e.get("id") or "").startswith(("normal", "reduce"))
    ]
    assert len(ids) == len(set(ids)) > 20


def test_a_space_with_one_cell_type(tmp_path):
    svg, *_ = draw_strip(write_run(tmp_path / "run", 2, space="nasbench201", kept=2), 1, tmp_path / "out")
    assert [text for text in texts(svg) if text.startswith("epoch")] == ["epoch 1", "epoch 2, kept"]


@pytest.mark.long
def test_a_long_search_stays_small(tmp_path):
    _, png, gif = draw_strip(write_run(tmp_path / "run", 12, kept=12), 1, tmp_path / "out")
    with Image.open(png) as picture:
        assert picture.width <= 12_001
    assert gif.stat().st_size < 12 * 40_000


def test_runs_without_cells_of_epochs(tmp_path):
    run = write_run(tmp_path / "run", 0, kept=None)
    with pytest.raises(RunError, match="every"):
        draw_strip(run, 2, tmp_path / "out")
    with pytest.raises(RunError, match="no such folder"):
        draw_strip(tmp_path / "none", 2, tmp_path / "out")
