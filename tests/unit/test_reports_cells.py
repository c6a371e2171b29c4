"""The pictures of cells: complete, readable, the same each time."""

import itertools
import os
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from small import often
from zarts.errors import RunError
from zarts.reports import draw_cells
from zarts.reports.cells import cell_picture, cell_svg, form_of
from zarts.reports.layout import lay_out
from zarts.reports.node_order import best_orders, crossings
from zarts.reports.primitives import Curve
from zarts.reports.raster import _patch, figure_of
from zarts.reports.svg import drawing
from zarts.reports.theme import ROLES, kind_of, label_of
from zarts.spaces import PARAMETERLESS, SPACES, Choice, Genotype


def genotypes(name, number=10):
    generator = torch.Generator().manual_seed(7)
    return [SPACES[name].random(generator) for _ in range(number)]


def edges_of(box):
    return box.x - box.width / 2, box.y - box.height / 2, box.x + box.width / 2, box.y + box.height / 2


def overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def text_boxes(figure):
    """Each text with its box as the renderer draws it, in the points of the layout."""
    axes = figure.axes[0]
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = {}
    for text in axes.texts:
        (x0, y0), (x1, y1) = axes.transData.inverted().transform(text.get_window_extent(renderer))
        boxes[text.get_gid()] = (x0, min(y0, y1), x1, max(y0, y1))
    return boxes


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("space", often(SPACES, "darts-zero", "nasbench201"))
def test_labels_stand_clear_of_labels_and_nodes(space):
    for genotype in genotypes(space):
        for kind, cell in genotype.cells.items():
            with drawing():
                figure = figure_of(cell_picture(cell, kind, space))
                texts = text_boxes(figure)
            boxes = {
                patch.get_gid(): edges_of_patch(patch)
                for patch in figure.axes[0].patches
                if (patch.get_gid() or "").startswith(("node-", "op-")) or patch.get_gid() == "output"
            }
            form = form_of(space)
            drawn = sum(choice.op != "none" for choices in cell for choice in choices)
            assert len(boxes) == form.inputs + len(cell) + drawn + 1
            assert len(texts) == form.inputs + len(cell) + drawn + 2 + 1 + form.concat
            for (name, a), (other, b) in itertools.combinations(texts.items(), 2):
                assert not overlap(a, b), f"{genotype}: {name} on {other}"
            for (name, a), (other, b) in itertools.combinations(boxes.items(), 2):
                assert not overlap(a, b), f"{genotype}: {name} on {other}"
            for name, text in texts.items():
                home = {"name-output": "output", "concat": "output"}.get(
                    name, name.replace("label-", "op-").replace("name-", "node-")
                )
                for other, box in boxes.items():
                    if other == home:
                        assert box[0] < text[0], f"{name} is wider than its box"
                        assert text[2] < box[2], f"{name} is wider than its box"
                    else:
                        assert not overlap(text, box), f"{genotype}: {name} on {other}"


def edges_of_patch(patch):
    extents = patch.get_path().get_extents(patch.get_patch_transform())
    return extents.x0, extents.y0, extents.x1, extents.y1


@pytest.mark.parametrize("space", SPACES)
def test_wires_pass_no_box(space):
    for genotype in genotypes(space, 8):
        for cell in genotype.cells.values():
            layout = lay_out(cell, 84.0, form_of(space))
            boxes = [*layout.nodes.values(), *layout.pills.values(), layout.output]
            for wire in layout.wires:
                patch = _patch(Curve("", wire.points, "sep", 1.0))
                points = patch.get_path().to_polygons(closed_only=False)[0][1:-1]
                for box in boxes:
                    left, top, right, bottom = edges_of(box)
                    inside = (
                        (points[:, 0] > left + 0.5)
                        & (points[:, 0] < right - 0.5)
                        & (points[:, 1] > top - 2)
                        & (points[:, 1] < bottom + 2)
                    )
                    assert not inside.any(), f"{genotype}: {wire} through {box}"


@pytest.mark.parametrize("space", SPACES)
def test_svg_has_every_edge_and_operation(space):
    for genotype in genotypes(space, 2):
        for kind, cell in genotype.cells.items():
            root = ElementTree.fromstring(cell_svg(genotype, kind))
            ids = {element.get("id") for element in root.iter()}
            texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
            form = form_of(space)
            cell = [[choice for choice in choices if choice.op != "none"] for choices in cell]
            last = form.inputs + len(cell) - 1
            for node, choices in enumerate(cell, start=form.inputs):
                assert (f"output-{node}" in ids) == (form.concat or node == last)
                for slot, choice in enumerate(choices):
                    assert f"edge-{choice.source}-{node}-{slot}" in ids
            wanted = sorted(label_of(choice.op) for choices in cell for choice in choices)
            assert sorted(text for text in texts if text in wanted) == wanted


def test_files_are_the_same_each_time_and_nothing_global_changes(tmp_path):
    genotype = genotypes("darts", 1)[0]
    parameters, state = dict(matplotlib.rcParams), torch.get_rng_state()
    first = draw_cells(genotype, tmp_path / "a")
    assert dict(matplotlib.rcParams) == parameters
    assert torch.equal(torch.get_rng_state(), state)
    with matplotlib.rc_context({"font.size": 30.0, "svg.fonttype": "path", "axes.facecolor": "red"}):
        second = draw_cells(genotype, tmp_path / "b")
    assert [path.name for path in first] == ["normal.svg", "normal.png", "reduce.svg", "reduce.png"]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(path.name for path in first)
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes()
    assert first[1].read_bytes().startswith(b"\x89PNG")
    assert first[0].read_text().count("fill: " + ROLES["paper"].light) == 1


@pytest.mark.long  # in one process, twice: below and above
def test_other_process_gives_the_same_bytes(tmp_path):
    genotype = genotypes("s1", 1)[0]
    (tmp_path / "genotype.json").write_text(genotype.to_json())
    code = (
        "import sys; from pathlib import Path; from zarts.reports import draw_cells; from zarts.spaces import Genotype;"
        "p = Path(sys.argv[1]); draw_cells(Genotype.load(p / 'genotype.json'), p / 'there')"
    )
    environment = {"PYTHONHASHSEED": "3", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env=environment)
    for path in draw_cells(genotype, tmp_path / "here"):
        assert path.read_bytes() == (tmp_path / "there" / path.name).read_bytes()


def test_unusual_cells_are_drawn():
    op = "conv_1x7_7x1<&>"
    cells = {"normal": ((Choice(op, 0), Choice(op, 0)), (Choice("skip_connect", 2),), ()), "only": ()}
    genotype = Genotype("own", cells)
    assert "conv 1\u00d77 7\u00d71&lt;&amp;&gt;" in cell_svg(genotype, "normal")
    assert "only cell" in cell_svg(genotype, "only")


@pytest.mark.parametrize("op", ["", "_"])
def test_operation_without_a_printed_letter_is_drawn(op):
    genotype = Genotype("my-space", {"normal": ((Choice(op, 0), Choice("sep_conv_3x3", 1)),)})
    assert "sep conv" in cell_svg(genotype, "normal")


def test_mathematics_signs_stay_text():
    assert "a$b_1$" in cell_svg(Genotype("a$b_1$", {"normal": ()}), "normal")


@pytest.mark.parametrize("source", [2, -1])
def test_edge_from_a_later_node_is_refused(source):
    genotype = Genotype("darts", {"normal": ((Choice("skip_connect", source), Choice("skip_connect", 0)),)})
    with pytest.raises(RunError, match=f"source {source}"):
        cell_svg(genotype, "normal")


def test_no_file_where_a_folder_must_be(tmp_path):
    (tmp_path / "cells").write_text("")
    with pytest.raises(RunError, match=r"normal\.svg"):
        draw_cells(genotypes("s2", 1)[0], tmp_path / "cells")


def test_crossings_are_counted_and_removed():
    a, b, c, d = ((node, None) for node in range(4))
    segments = [(a, d), (b, c)]
    assert crossings([[a, b], [c, d]], segments) == 1
    assert crossings([[a, b], [d, c]], segments) == 0
    assert best_orders([[a, b], [c, d]], segments) == [[[a, b], [d, c]]]


def test_every_operation_has_a_family_and_words():
    ops = {op for space in SPACES.values() for edges in space.candidates.values() for ops in edges for op in ops}
    assert {kind_of(op).role for op in PARAMETERLESS} == {"pool", "skip"}
    assert {kind_of(op).role for op in ops} == {"sep", "dil", "pool", "skip", "other"}
    assert [label_of(op) for op in ("sep_conv_3x3", "skip_connect", "noise")] == ["sep conv 3\u00d73", "skip", "noise"]


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_colours_have_contrast(mode):
    def contrast(a, b):
        high, low = sorted((luminance(getattr(ROLES[a], mode)), luminance(getattr(ROLES[b], mode))), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for kind in ("sep", "dil", "pool", "skip", "other"):
        assert contrast(kind, "paper") > 4.5
        assert contrast("ink", f"{kind}-tint") > 7
    assert contrast("muted", "paper") > 4.5
    assert len({role.light for role in ROLES.values()}) == len(ROLES)
