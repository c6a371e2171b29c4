"""Genotypes as text: read from the notations of other projects, and written in them."""

import pytest

from zarts.errors import RunError, SettingsError
from zarts.spaces import (
    SPACES,
    Choice,
    Genotype,
    genotype_string,
    load_architecture,
    parse_genotype,
    published,
    published_sources,
)

V2 = published("DARTS_V2")
TEXT = genotype_string(V2)
CONCAT = "normal_concat=range(2, 6)"


@pytest.mark.parametrize("name", published_sources())
def test_darts_notation_round_trip(name):
    genotype = published(name)
    read = parse_genotype(genotype_string(genotype))
    assert read.cells == genotype.cells
    assert read.space == ("s4" if "noise" in genotype_string(genotype) else "darts")
    assert genotype_string(read) == genotype_string(genotype)


def test_darts_notation_to_the_letter():
    assert TEXT == (
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
        "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], "
        "normal_concat=range(2, 6), "
        "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), "
        "('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], "
        "reduce_concat=range(2, 6))"
    )


def test_the_space_that_is_named_allows_what_the_others_do():
    """So no cell of `darts-zero`, `s1`, `s2` or `s3` needs to be told from one of `darts`."""
    for other in ("darts-zero", "s1", "s2", "s3"):
        for kind in ("normal", "reduce"):
            wide = SPACES["darts"].allowed(kind)
            assert all(set(ops) <= set(wide[edge]) for edge, ops in SPACES[other].allowed(kind).items())


def nested(brackets):
    """The cells with a list, or a tuple, for each node."""
    cells = {kind: [brackets([tuple(choice) for choice in node]) for node in nodes] for kind, nodes in V2.cells.items()}
    return f"normal={cells['normal']}, {CONCAT}, reduce={cells['reduce']}, reduce_concat=[2, 3, 4, 5]"


@pytest.mark.parametrize(
    "text",
    [
        f"DARTS_V2 = {TEXT}",
        f"\n  {TEXT}\n",
        TEXT.replace("range(2, 6)", "range(2,6)").replace(", (", ",\n  ("),
        TEXT.replace(", (", ",  # strongest first\n  ("),
        TEXT.replace("range(2, 6)", "[2, 3, 4, 5]"),
        TEXT.replace("range(2, 6)", "(2, 3, 4, 5)"),
        f"Genotype({nested(list)})",  # pt.darts
        f"Genotype({nested(tuple)}, connectN=None, connects=None)",  # AutoDL-Projects
        TEXT.replace("sep_conv", "dua_sepc").replace("dil_conv", "dil_sepc"),  # AutoDL-Projects
        TEXT.replace("0)", "0, 0.125)").replace("1)", "1, 1.0)").replace("2)", "2, 0.125)"),  # GDAS
    ],
)
def test_ways_to_write_the_same(text):
    assert parse_genotype(text) == Genotype("darts", V2.cells)


def test_cells_of_gdas():
    """The form and the cell of AutoDL-Projects: Dong and Yang, GDAS (CVPR 2019), GDAS_V1."""
    genotype = parse_genotype(
        "GDAS_V1 = Genotype(normal=[(('skip_connect', 0), ('skip_connect', 1)), (('skip_connect', 0), "
        "('sep_conv_5x5', 2)), (('sep_conv_3x3', 3), ('skip_connect', 0)), (('sep_conv_5x5', 4), ('sep_conv_3x3', 3))],"
        "normal_concat=[2, 3, 4, 5], reduce=[(('sep_conv_5x5', 0), ('sep_conv_3x3', 1)), (('sep_conv_5x5', 2), "
        "('sep_conv_5x5', 1)), (('dil_conv_5x5', 2), ('sep_conv_3x3', 1)), (('sep_conv_5x5', 0), ('sep_conv_5x5', 1))],"
        "reduce_concat=[2, 3, 4, 5], connectN=None, connects=None)"
    )
    assert genotype.cells["normal"][2] == (Choice("sep_conv_3x3", 3), Choice("skip_connect", 0))
    assert genotype.count("normal", frozenset({"skip_connect"})) == 4


def test_files_in_every_notation(tmp_path):
    cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|"
    for text, space in ((V2.to_json(), "darts-zero"), (TEXT, "darts"), (f"{cell}\n", "nasbench201")):
        path = tmp_path / "cell.txt"
        path.write_text(text, encoding="utf-8")
        assert load_architecture(path).space == space
    assert genotype_string(load_architecture(path)) == cell


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got $"),
        ("DARTS_V2", "DARTS_V2"),
        ("__import__('os').system('id')", "__import__"),
        ("genotypes.Genotype(normal=[])", "genotypes"),
        ("Genotype([], [], [], [])", "got Genotype"),
        (f"{TEXT}\n{TEXT}", r"expected one Genotype\("),
        (TEXT[:-1], r"Genotype\(normal="),
        ("(" * 3000, "not a genotype"),
        ("Genotype(normal=\0)", "not a genotype"),
        ("Genotype(normal=[])", "normal_concat"),
        (TEXT.replace(CONCAT, f"{CONCAT}, {CONCAT}"), "normal_concat, normal_concat"),
        (TEXT.replace(CONCAT, f"{CONCAT}, steps=4"), "steps"),
        (TEXT.replace(CONCAT, "**more"), "None"),
        (
            TEXT.replace("normal=[", "normal=[__import__('os').system('id'), "),
            "evaluated",
        ),
        (
            TEXT.replace("'skip_connect', 0", "'skip_connect', x").replace(", (", ",\n("),
            "evaluated",
        ),
        (TEXT.replace(CONCAT, "normal_concat=range(a, 6)"), r"range\(a, 6\)"),
        (TEXT.replace(CONCAT, f"normal_concat={'-' * 3000}1"), "(not a genotype|normal_concat = ---)"),
        (
            TEXT.replace(CONCAT, "normal_concat=[3, 4, 5]"),
            r"normal_concat = \[3, 4, 5\]",
        ),
        (TEXT.replace("reduce_concat=range(2, 6)", "reduce_concat=range(2, 7)"), r"range\(2, 7\)"),
        (
            TEXT.replace("('dil_conv_3x3', 2)]", "]"),
            "7 edges",
        ),
        (TEXT.replace("normal=[", "normal=[('skip_connect', 0), "), "9 edges"),
        (TEXT.replace("normal=[(", "normal=[[], ("), "sep_conv_3x3"),
        (TEXT.replace("normal=[", "normal=3, other=["), "other"),
        (TEXT.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', '2')"), "'2'"),
        (TEXT.replace("('dil_conv_3x3', 2)", "'dil_conv_3x3'"), "'dil_conv_3x3'; "),
        (f"Genotype(normal='x', {CONCAT}, reduce=[], reduce_concat=range(2, 6))", "'x'"),
        (
            TEXT.replace("dil_conv_3x3", "conv_9x9"),
            "conv_9x9",
        ),
        (TEXT.replace("dil_conv_3x3", "none"), "'none'"),
        (TEXT.replace("dil_conv_3x3", "noise"), "skip_connect"),
        (TEXT.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 5)"), "5<-5"),
        (TEXT.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', -1)"), "5<--1"),
        (
            TEXT.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 0)"),
            r"\[0, 0\]",
        ),
        ("{", "here: not JSON"),
    ],
)
def test_what_is_no_genotype(text, message):
    with pytest.raises(RunError, match=message) as caught:
        parse_genotype(text, "here")
    assert str(caught.value).startswith("here: ")
    assert "\n" not in str(caught.value)


def test_a_list_for_each_node_with_an_edge_too_few():
    text = f"Genotype({nested(list)})".replace(", ('dil_conv_3x3', 2)", "")
    with pytest.raises(RunError, match=r"\[0\]"):
        parse_genotype(text)


def test_a_string_of_the_benchmark_that_names_no_cell():
    with pytest.raises(SettingsError, match="1 nodes"):
        parse_genotype("|none~0|")


def test_reading_runs_nothing(tmp_path):
    trace = tmp_path / "trace"
    with pytest.raises(RunError):
        parse_genotype(TEXT.replace("range(2, 6)", f"open({str(trace)!r}, 'w')"))
    assert not trace.exists()
