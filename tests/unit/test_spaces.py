import json
import math
import os
import pickle
from collections import Counter

import pytest
import torch

from zarts.errors import RunError, SettingsError
from zarts.spaces import SPACES, Choice, Genotype, Space, get_space, published, published_sources
from zarts.spaces.nasbench201 import NASBENCH201, from_string, to_string

DARTS = SPACES["darts"]


def uniform(space):
    return {kind: torch.zeros(shape) for kind, shape in space.shapes.items()}


def changed(genotype, kind, node, choices):
    nodes = list(genotype.cells[kind])
    nodes[node] = tuple(Choice(*choice) for choice in choices)
    return Genotype(genotype.space, {**genotype.cells, kind: tuple(nodes)})


class TestSpace:
    @pytest.mark.parametrize(
        ("name", "dimension"),
        [("darts", 196), ("darts-zero", 224), ("s1", 56), ("s2", 56), ("s3", 84), ("s4", 56), ("nasbench201", 30)],
    )
    def test_dimension_of_alpha_is_the_published_one(self, name, dimension):
        assert get_space(name).dimension == dimension

    def test_edges_are_ordered_by_target_then_source(self):
        assert DARTS.edges[:5] == ((2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
        assert len(DARTS.edges) == 14
        assert DARTS.edges[-1] == (5, 4)

    def test_split_is_a_view_in_the_order_of_shapes(self):
        flat = torch.arange(196.0)
        parts = DARTS.split(flat)
        assert list(parts) == ["normal", "reduce"]
        assert parts["reduce"][0, 0] == 98
        parts["normal"][0, 1] = -1
        assert flat[1] == -1

    def test_split_refuses_another_length(self):
        with pytest.raises(SettingsError, match=r"\(195,\)"):
            DARTS.split(torch.zeros(195))

    def test_unequal_candidates_are_refused(self):
        with pytest.raises(SettingsError, match="14 edges"):
            Space("x", {"normal": (("none",),) * 13 + (("none", "noise"),)}, "nowhere")

    def test_unknown_space_names_the_nearest(self):
        with pytest.raises(SettingsError, match="'darts'"):
            get_space("dart")

    @pytest.mark.parametrize(
        ("kind", "edge", "ops"),
        [
            ("normal", (2, 0), ("skip_connect", "dil_conv_3x3")),
            ("normal", (4, 0), ("max_pool_3x3", "skip_connect")),
            ("normal", (5, 4), ("dil_conv_3x3", "dil_conv_5x5")),
            ("reduce", (2, 1), ("max_pool_3x3", "dil_conv_3x3")),
            ("reduce", (4, 1), ("max_pool_3x3", "sep_conv_3x3")),
            ("reduce", (4, 2), ("skip_connect", "dil_conv_3x3")),
        ],
    )
    def test_table_of_s1(self, kind, edge, ops):
        s1 = get_space("s1")
        assert s1.candidates[kind][s1.edges.index(edge)] == ops


class TestDerive:
    def test_keeps_the_two_strongest_edges_strongest_first(self):
        weights = uniform(DARTS)
        weights["normal"][DARTS.edges.index((4, 3)), 3] = 0.9
        weights["normal"][DARTS.edges.index((4, 1)), 4] = 0.5
        cell = DARTS.derive(weights).cells["normal"]
        assert cell[2] == (Choice("sep_conv_3x3", 3), Choice("sep_conv_5x5", 1))

    def test_equal_strengths_keep_the_lower_index(self):
        for cell in DARTS.derive(uniform(DARTS)).cells.values():
            assert cell == ((Choice("max_pool_3x3", 0), Choice("max_pool_3x3", 1)),) * 4

    def test_none_counts_neither_for_the_edge_nor_for_the_operation(self):
        space = get_space("s3")
        weights = uniform(space)
        for matrix in weights.values():
            matrix[:, 0] = 100.0
            matrix[space.edges.index((5, 2)), 1] = 2.0
            matrix[space.edges.index((5, 4)), 2] = 3.0
        cell = space.derive(weights).cells["reduce"]
        assert cell[3] == (Choice("sep_conv_3x3", 4), Choice("skip_connect", 2))
        assert all(choice.op != "none" for node in cell for choice in node)

    @pytest.mark.parametrize("name", sorted(SPACES))
    def test_what_is_derived_belongs_to_the_space(self, name, generator):
        space = get_space(name)
        space.check(space.derive(space.split(torch.randn(space.dimension, generator=generator))))


class TestRandom:
    @pytest.mark.parametrize("name", sorted(SPACES))
    def test_belongs_to_the_space(self, name, generator):
        space = get_space(name)
        for _ in range(20):
            space.check(space.random(generator))

    def test_same_seed_same_genotype_and_global_state_untouched(self):
        before = torch.get_rng_state()
        first, second = (DARTS.random(torch.Generator().manual_seed(3)) for _ in range(2))
        assert first == second
        assert hash(first) == hash(second)
        assert first != DARTS.random(torch.Generator().manual_seed(4))
        assert torch.equal(before, torch.get_rng_state())

    def test_inputs_and_operations_are_uniform(self, generator):
        draws = 600
        pairs, ops = Counter(), Counter()
        for _ in range(draws):
            node = SPACES["darts-zero"].random(generator).cells["normal"][2]  # has inputs 0 to 3
            pairs[tuple(choice.source for choice in node)] += 1
            ops.update(choice.op for choice in node)
        for counts, total, kinds in ((pairs, draws, 6), (ops, 2 * draws, 7)):
            expected = total / kinds
            assert len(counts) == kinds
            assert all(abs(count - expected) < 4.5 * math.sqrt(expected) for count in counts.values())


class TestCheck:
    genotype = published("DARTS_V2")
    space = SPACES["darts-zero"]

    def test_other_space(self):
        with pytest.raises(RunError, match="'darts-zero'"):
            DARTS.check(self.genotype)

    def test_other_cells(self):
        other = Genotype("darts-zero", {"normal": self.genotype.cells["normal"]})
        with pytest.raises(RunError, match=r"\['normal'\]"):
            self.space.check(other)

    def test_other_number_of_nodes(self):
        cells = {kind: nodes[:3] for kind, nodes in self.genotype.cells.items()}
        with pytest.raises(RunError, match="3 nodes"):
            self.space.check(Genotype("darts-zero", cells), where="file")

    @pytest.mark.parametrize("choices", [[("skip_connect", 0)] * 2, [("skip_connect", 0)]])
    def test_inputs_must_be_two_different(self, choices):
        with pytest.raises(RunError, match=r"inputs \[0"):
            self.space.check(changed(self.genotype, "reduce", 1, choices))

    @pytest.mark.parametrize("op", ["none", "conv_7x7"])
    def test_operation_that_is_not_in_the_space(self, op):
        with pytest.raises(RunError, match=f"'{op}' on edge 2<-1"):
            self.space.check(changed(self.genotype, "normal", 0, [("skip_connect", 0), (op, 1)]))

    def test_edge_that_is_not_in_the_space(self):
        with pytest.raises(RunError, match="2<-2"):
            self.space.check(changed(self.genotype, "normal", 0, [("skip_connect", 0), ("skip_connect", 2)]))


class TestGenotype:
    genotype = published("PDARTS")

    def test_json_round_trip(self, tmp_path):
        assert Genotype.from_json(self.genotype.to_json()) == self.genotype
        assert Genotype.from_dict(json.loads(json.dumps(self.genotype.to_dict()))) == self.genotype
        path = tmp_path / "genotype.json"
        path.write_text(self.genotype.to_json(), encoding="utf-8")
        assert Genotype.load(path) == self.genotype

    def test_json_is_that_of_to_dict_with_a_line_a_node(self):
        text = self.genotype.to_json()
        assert json.loads(text) == json.loads(json.dumps(self.genotype.to_dict()))
        assert '      [["skip_connect", 0], ["dil_conv_3x3", 1]],' in text.splitlines()

    def test_pickle_and_hash(self):
        copy = pickle.loads(pickle.dumps(self.genotype))  # noqa: S301
        assert copy == self.genotype
        assert len({copy, self.genotype}) == 1

    def test_is_frozen(self):
        with pytest.raises(TypeError):
            self.genotype.cells["normal"] = ()

    def test_count(self):
        assert self.genotype.count("normal", frozenset({"skip_connect"})) == 2
        assert self.genotype.count("reduce", frozenset({"skip_connect"})) == 0

    def test_other_format(self):
        with pytest.raises(RunError, match="format 7"):
            Genotype.from_dict({"format": 7}, where="here")

    @pytest.mark.parametrize(
        "data",
        [
            [],
            None,
            {"format": 1},
            {"format": 1, "space": "darts"},
            {"format": 1, "space": "darts", "cells": "none"},
            {"format": 1, "space": ["darts"], "cells": {}},
        ],
    )
    def test_other_form(self, data):
        with pytest.raises(RunError, match="expected the keys"):
            Genotype.from_dict(data)

    def test_no_json(self):
        with pytest.raises(RunError, match="genotype: not JSON"):
            Genotype.from_json("{")

    def test_no_file(self, tmp_path):
        with pytest.raises(RunError, match=r"absent\.json"):
            Genotype.load(tmp_path / "absent.json")

    def test_no_text(self, tmp_path):
        (tmp_path / "image.json").write_bytes(b"\xff\xfe\xff")
        with pytest.raises(RunError, match=r"image\.json"):
            Genotype.load(str(tmp_path / "image.json"))


class TestNasBench201:
    text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|"

    def test_one_cell_of_one_input_with_six_edges(self):
        assert NASBENCH201.edges == ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
        assert NASBENCH201.shapes == {"normal": (6, 5)}

    def test_string_and_json_both_ways(self):
        genotype = from_string(self.text)
        assert genotype.cells["normal"][1] == (Choice("none", 0), Choice("skip_connect", 1))
        assert to_string(genotype) == self.text
        assert to_string(Genotype.from_json(genotype.to_json())) == self.text

    def test_order_within_a_node_does_not_matter(self):
        other = "|nor_conv_3x3~0|+|skip_connect~1|none~0|+|nor_conv_1x1~2|avg_pool_3x3~0|none~1|"
        assert from_string(other) == from_string(self.text)

    def test_derives_the_strongest_operation_of_each_edge_none_among_them(self):
        weights = torch.zeros(6, 5)
        for edge, op in enumerate((3, 0, 1, 4, 0, 2)):
            weights[edge, op] = 1
        assert to_string(NASBENCH201.derive({"normal": weights})) == self.text

    def test_random_cells_are_uniform(self, generator):
        draws = [NASBENCH201.random(generator).cells["normal"] for _ in range(500)]
        for node, edge in ((0, 0), (1, 1), (2, 2)):
            counts = Counter(cell[node][edge].op for cell in draws)
            assert len(counts) == 5
            assert all(abs(count - 100) < 4.5 * math.sqrt(100) for count in counts.values())

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "architecture ''"),
            ("|none~0|+none~0|none~1|", "expected the form"),
            ("|none~0|", "1 nodes"),
            (text.replace("nor_conv_3x3", "sep_conv_3x3"), "'sep_conv_3x3'"),
            (text.replace("none~0", "none~1"), r"\[1, 1\]"),
        ],
    )
    def test_strings_that_cannot_be(self, text, message):
        with pytest.raises(SettingsError, match=message):
            from_string(text)

    def test_other_genotypes_have_no_string(self):
        with pytest.raises(RunError, match="'darts-zero'"):
            to_string(published("DARTS_V2"))


class TestPublished:
    def test_each_belongs_to_its_space_and_has_a_source(self):
        sources = published_sources()
        sdarts = {
            f"sdarts/{d}_s{s}_{h}" for d in ("c10", "c100", "svhn") for s in "1234" for h in ("rs", "adv", "pcdarts")
        }
        assert set(sources) == {
            *("DARTS_V1", "DARTS_V2", "PC_DARTS_cifar", "PC_DARTS_image", "PDARTS"),
            *("sdarts/c10_s0_rs", "sdarts/c10_s0_adv"),
            *sdarts,
        }
        assert all(published(name).space == name.split("_")[1] for name in sdarts)
        for name, source in sources.items():
            get_space(published(name).space).check(published(name), where=name)
            assert "github.com/" in source

    def test_unknown_name(self):
        with pytest.raises(SettingsError, match="'PDARTS'"):
            published("PDART")

    def test_cells_are_those_of_the_shared_file(self):
        folder = os.environ.get("ZARTS_SHARED")
        if folder is None:
            pytest.skip("ZARTS_SHARED is not set: it names the folder with data/genotypes.json")
        with open(f"{folder}/data/genotypes.json", encoding="utf-8") as file:  # noqa: PTH123
            records = {record["name"]: record for record in json.load(file)}
        assert set(published_sources()) == set(records)
        for name in published_sources():
            for kind, nodes in published(name).cells.items():
                assert [list(choice) for node in nodes for choice in node] == records[name][kind]
