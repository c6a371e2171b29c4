"""Tables of NAS-Bench-201: files, look-up and baselines."""

import bz2
import gzip
import json
import math
import os
import pickle
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch

import zarts
from tables import CONV, SKIP, TEST, write_csv
from zarts.bench import (
    DATA_SETS,
    Column,
    Table,
    convolutions,
    expected_cells,
    find_table,
    largest,
    look_up,
    optimum,
    random_cells,
    read_table,
)
from zarts.cli.lookup import DataSet
from zarts.errors import DataError, SettingsError
from zarts.spaces import Genotype, published
from zarts.spaces.nasbench201 import NASBENCH201, from_string, to_string

POOL = SKIP.replace("skip_connect", "avg_pool_3x3")
NONE = SKIP.replace("skip_connect", "none")
VALID = Column("cifar10", "valid", 12)
ROWS = {
    "index": [0, 1, 2, 7],
    "architecture": [SKIP, CONV, POOL, NONE],
    "cifar10_valid_12": [30.0, 80.0, 40.0, 10.0],
    "cifar10_test_200": [54.3, 93.76, 54.3, 10.0],
    "cifar100_test_200": [15.61, 70.5, "", 1.0],
    "flops": ["a", "b", "c", "d"],
}


@pytest.fixture
def table(tmp_path):
    return read_table(write_csv(tmp_path / "table.csv", ROWS))


class TestLookup:
    def test_accuracy_rank_percentile_and_regret(self, table):
        found = look_up(table, CONV)
        assert (found.index, found.cells, found.architecture) == (1, 4, CONV)
        assert list(found.entries) == [VALID, TEST, Column("cifar100", "test", 200)]
        best = found.entries[TEST]
        assert (best.accuracy, best.rank, best.percentile, best.regret) == (93.76, 1, 100, 0)

    def test_equal_accuracies_share_the_better_rank(self, table):
        for architecture in (SKIP, POOL):
            entry = look_up(table, architecture).entries[TEST]
            assert (entry.rank, entry.regret) == (2, pytest.approx(39.46))
            assert entry.percentile == pytest.approx(100 * 2 / 3)
        assert look_up(table, NONE).entries[TEST].percentile == 0

    def test_what_is_missing_is_left_out_and_not_ranked(self, table):
        column = Column("cifar100", "test", 200)
        assert column not in look_up(table, POOL).entries
        assert look_up(table, NONE).entries[column].rank == 3

    def test_index_is_the_benchmarks_not_the_row(self, table):
        assert look_up(table, 7).architecture == NONE
        with pytest.raises(DataError, match="index 3"):
            look_up(table, 3)

    def test_architecture_that_is_not_there(self, table):
        with pytest.raises(DataError, match="nor_conv_1x1"):
            look_up(table, SKIP.replace("skip_connect", "nor_conv_1x1"))

    def test_plain_data(self, table):
        data = json.loads(json.dumps(look_up(table, 0).to_dict()))
        assert data["entries"]["cifar10_test_200"]["accuracy"] == 54.3
        assert data["architecture"] == SKIP


class TestFromPython:
    @pytest.mark.parametrize("source", [SKIP, 0, "0", from_string(SKIP)])
    def test_what_can_be_looked_up(self, table, source):
        assert zarts.lookup(source, benchmark_table=table).entries[TEST].accuracy == 54.3

    def test_a_file_and_a_run_folder(self, tmp_path, table):
        run = tmp_path / "run"
        zarts.search(out=run, space="nasbench201", method="random", seed=1)
        genotype = Genotype.load(run / "genotype.json")
        path = write_csv(tmp_path / "one.csv", {"architecture": [to_string(genotype)], VALID.name: [60]})
        for source in (run, run / "genotype.json"):
            assert zarts.lookup(source, benchmark_table=path).entries[VALID].accuracy == 60

    def test_other_spaces_are_refused(self, table):
        for source in ("DARTS_V2", published("DARTS_V2")):
            with pytest.raises(SettingsError, match="'darts-zero'"):
                zarts.lookup(source, benchmark_table=table)


class TestRows:
    def test_optimum_is_the_best_of_each_column(self, table):
        mean_stds = optimum(table).mean_stds
        assert mean_stds[TEST] == (93.76, 0)
        assert mean_stds[VALID] == (80, 0)

    def test_random_cells_have_the_moments_of_the_table(self, table, generator):
        row = random_cells(table, generator, draws=20_000)
        values = table.accuracies[TEST]
        assert row.name == "random cell"
        assert row.mean_stds[TEST].mean == pytest.approx(values.mean(), abs=5 * values.std() / math.sqrt(20_000))
        assert row.mean_stds[TEST].std == pytest.approx(values.std(), rel=0.02)

    def test_best_of_k_is_chosen_by_validation(self, table, generator):
        row = random_cells(table, generator, draws=20_000, best_of=3)
        chance = [(r / 4) ** 3 - ((r - 1) / 4) ** 3 for r in (1, 2, 3, 4)]  # of the order NONE, SKIP, POOL, CONV
        expected = np.dot(chance, [10, 54.3, 54.3, 93.76])
        assert row.name == "best of 3 random cells"
        assert row.mean_stds[TEST].mean == pytest.approx(expected, abs=1)

    @pytest.mark.parametrize("best_of", [1, 2, 5])
    def test_expectations_are_what_draws_tend_to(self, tmp_path, generator, best_of):
        """Ties in what is chosen by, which the draws break at random."""
        tied = {**ROWS, "cifar10_valid_12": [30, 80, 30, 80], "cifar10_test_200": [54.3, 93.76, 20, 10]}
        table = read_table(write_csv(tmp_path / "tied.csv", tied))
        exact = expected_cells(table, best_of=best_of)
        drawn = random_cells(table, generator, draws=40_000, best_of=best_of)
        assert exact.name == drawn.name
        for column, spread in exact.mean_stds.items():
            assert drawn.mean_stds[column] == pytest.approx(spread, abs=0.8), column

    def test_expectations_in_closed_form(self, table):
        values = table.accuracies[TEST]
        assert expected_cells(table).mean_stds[TEST] == pytest.approx((values.mean(), values.std()))
        chance = [(r / 4) ** 3 - ((r - 1) / 4) ** 3 for r in (1, 2, 3, 4)]  # of the order NONE, SKIP, POOL, CONV
        expected = np.dot(chance, [10, 54.3, 54.3, 93.76])
        assert expected_cells(table, best_of=3).mean_stds[TEST].mean == pytest.approx(expected)
        assert expected_cells(table).mean_stds[Column("cifar100", "test", 200)].mean == pytest.approx(87.11 / 3)

    def test_plain_choices(self, table, tmp_path):
        assert largest(table).mean_stds[TEST] == (93.76, 0)
        with pytest.raises(DataError, match="nor_conv_1x1"):
            convolutions(table)
        cells = [CONV.replace("3x3", "1x1")]
        for number in range(1, 64):
            parts = CONV.split("nor_conv_3x3")
            kinds = ["nor_conv_3x3" if number >> place & 1 else "nor_conv_1x1" for place in range(6)]
            cells.append("".join(a + b for a, b in zip(parts, [*kinds, ""], strict=True)))
        columns = {"architecture": [*cells, SKIP], TEST.name: [*range(64), 99]}
        found = convolutions(read_table(write_csv(tmp_path / "convolutions.csv", columns))).mean_stds[TEST]
        assert found == pytest.approx((31.5, math.sqrt((64**2 - 1) / 12)))

    def test_same_seed_same_row(self, table):
        rows = [random_cells(table, torch.Generator().manual_seed(s), draws=50, best_of=2) for s in (0, 0, 1)]
        assert rows[0] == rows[1] != rows[2]

    def test_numbers_that_cannot_be(self, table, generator):
        with pytest.raises(SettingsError, match="draws = 1"):
            random_cells(table, generator, draws=1)
        with pytest.raises(DataError, match="cifar10_valid_200"):
            random_cells(table, generator, best_of=2, select=Column("cifar10", "valid", 200))
        with pytest.raises(DataError, match="cifar10_valid_200"):
            expected_cells(table, best_of=2, select=Column("cifar10", "valid", 200))
        with pytest.raises(SettingsError, match="best_of = 0"):
            expected_cells(table, best_of=0)


class TestFiles:
    def same(self, found, table):
        assert (found.indices, found.architectures) == (table.indices, table.architectures)
        assert found.accuracies.keys() == table.accuracies.keys()
        for column, values in table.accuracies.items():
            np.testing.assert_allclose(found.accuracies[column], values)

    def test_times_of_training(self, tmp_path, table):
        timed = read_table(write_csv(tmp_path / "timed.csv", {**ROWS, "cifar10_seconds_12": [1, 2, "", 3.5]}))
        np.testing.assert_allclose(timed.seconds, [1, 2, math.nan, 3.5])
        assert table.seconds is None

    def test_gzip(self, tmp_path, table):
        self.same(read_table(write_csv(tmp_path / "table.csv.gz", ROWS)), table)

    def test_parquet(self, tmp_path, table):
        pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        columns = {**ROWS, "cifar100_test_200": [v or None for v in ROWS["cifar100_test_200"]]}
        parquet.write_table(pa.table(columns), tmp_path / "table.parquet")
        self.same(read_table(tmp_path / "table.parquet"), table)

    @pytest.mark.parametrize(
        ("name", "package"), [("t.parquet", "pyarrow"), ("t.pickle.pbz2", "the package nats-bench")]
    )
    def test_without_the_extra(self, tmp_path, monkeypatch, name, package):
        for module in ("pyarrow", "nats_bench"):
            monkeypatch.setitem(__import__("sys").modules, module, None)
        (tmp_path / name).touch()
        with pytest.raises(DataError, match=rf"{package}.*zarts\[bench\]"):
            read_table(tmp_path / name, trust=True)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"architecture": ["x", CONV, POOL, NONE]}, "'x'"),
            ({"architecture": [SKIP, CONV, SKIP, NONE]}, "skip_connect"),
            ({"index": [0, 1, 1, 2]}, "index 1"),
            ({"cifar10_valid_12": [1, 2, 3, 101]}, "cifar10_valid_12"),
            ({"cifar10_seconds_12": [1, "", 0, 2]}, "cifar10_seconds_12"),
            ({"cifar10_valid_12": [1, 2, 3, "much"]}, "'much'"),
        ],
    )
    def test_rows_that_cannot_be(self, tmp_path, change, message):
        path = write_csv(tmp_path / "table.csv", {**ROWS, **change})
        with pytest.raises(DataError, match=rf"table\.csv: .*{message}"):
            read_table(path)

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("t.csv", b"", "CSV"),
            ("t.csv", b"\xff\xfe", "CSV"),
            ("t.csv", b"architecture,cifar10_valid_12\na,b,c\n", "line 2"),
            ("t.csv", b"a,b\n1,2\n", "accuracies"),
            ("t.csv.gz", b"no gzip", "unpacked"),
            ("t.csv.gz", gzip.compress(b"architecture" * 99, mtime=0)[:30], "unpacked"),
            ("t.parquet", b"no parquet", "parquet"),
            ("t.pth", b"no zip", "NAS-Bench-201|unpickled"),
            ("t.pickle.pbz2", b"no bz2", "NATS-Bench"),
            ("t.txt", b"", r"csv\.gz"),
        ],
    )
    def test_files_that_cannot_be(self, tmp_path, name, content, message):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_table(tmp_path / name, trust=True)


class TestFind:
    def test_a_file_is_itself_and_a_folder_gives_the_first_known_name(self, tmp_path, monkeypatch):
        for name in ("NAS-Bench-201-v1_1-096897.pth", "nasbench201.csv"):
            (tmp_path / name).touch()
        assert find_table(tmp_path / "nasbench201.csv") == tmp_path / "nasbench201.csv"
        assert find_table(tmp_path) == tmp_path / "nasbench201.csv"
        monkeypatch.setenv("ZARTS_DATA", str(tmp_path))
        assert find_table() == tmp_path / "nasbench201.csv"

    def test_what_to_get_and_where_it_goes(self, tmp_path, monkeypatch):
        monkeypatch.delenv("ZARTS_DATA", raising=False)
        with pytest.raises(DataError, match="benchmark_table"):
            find_table()
        with pytest.raises(DataError, match="benchmark_table"):
            find_table(tmp_path / "absent")
        with pytest.raises(DataError, match=r"nasbench201\.csv"):
            find_table(tmp_path)
        monkeypatch.setenv("ZARTS_DATA", str(tmp_path / "absent"))
        with pytest.raises(DataError, match="ZARTS_DATA"):
            find_table()


def results(data_sets, epochs, accuracy):
    """One architecture's results in the benchmarks' own form: two seeds, the last epoch is `accuracy` ± 1."""
    runs = {}
    for data, sets in data_sets.items():
        for seed, shift in ((777, -1), (888, 1)):
            last = {f"{name}@{epochs - 1}": accuracy + shift + place for place, name in enumerate(sets)}
            runs[data, seed] = {
                "name": "infer.tiny",
                "net_state_dict": None,
                "train_acc1es": {epochs - 1: 99.0},
                "train_acc5es": None,
                "train_losses": {epochs - 1: 0.1},
                "train_times": dict.fromkeys(range(epochs), (shift + 2) / epochs),
                "arch_config": {},
                "params": 1.0,
                "flop": 1.0,
                "seed": seed,
                "epochs": epochs,
                "latency": None,
                "eval_names": list(sets),
                "eval_acc1es": last,
                "eval_losses": dict.fromkeys(last, 0.5),
                "eval_times": {},
            }
    seeds = {data: [777, 888] for data in data_sets}
    return {"arch_index": 0, "arch_str": "", "all_results": runs, "dataset_seed": seeds, "clear_net_done": True}


SETS = {
    "cifar10-valid": ["x-valid", "ori-test"],
    "cifar10": ["ori-test"],
    "cifar100": ["x-valid", "x-test"],
    "ImageNet16-120": ["x-valid", "x-test"],
}
ARCHITECTURES = [SKIP, CONV]


def official(short, long):
    infos = {i: {short: results(SETS, 12, 30 + 10 * i), long: results(SETS, 200, 50 + 10 * i)} for i in (0, 1)}
    return {"meta_archs": ARCHITECTURES, "arch2infos": infos, "evaluated_indexes": {0, 1}}


def check_official(table):
    assert table.architectures == tuple(ARCHITECTURES)
    assert list(table.accuracies) == list(Column.every())
    found = look_up(table, CONV).entries
    assert found[Column("cifar10", "valid", 12)].accuracy == 40  # the mean of the seeds
    assert found[Column("cifar10", "test", 200)].accuracy == 60  # of the network trained on all training images
    assert found[Column("cifar100", "test", 200)].accuracy == 61
    assert found[Column("imagenet16-120", "valid", 200)].accuracy == 60
    np.testing.assert_allclose(table.seconds, [2, 2])  # of the runs on half of CIFAR-10, the mean of the seeds


class TestOfficial:
    def pickled(self, path, data):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bz2.compress(pickle.dumps(data)))
        return path

    def test_natsbench_file(self, tmp_path):
        pytest.importorskip("nats_bench")
        path = self.pickled(tmp_path / "NATS-tss-v1_0-3ffb9.pickle.pbz2", official("12", "200"))
        with pytest.raises(DataError, match="trust=True"):
            read_table(find_table(tmp_path))
        check_official(read_table(path, trust=True))

    def test_natsbench_directory(self, tmp_path):
        pytest.importorskip("nats_bench")
        folder, data = tmp_path / "NATS-tss-v1_0-3ffb9-simple", official("12", "200")
        self.pickled(folder / "meta.pickle.pbz2", {**data, "arch2infos": {}})
        for index, info in data["arch2infos"].items():
            self.pickled(folder / f"{index:06d}.pickle.pbz2", info)
        with pytest.raises(DataError, match="unpickled"):
            read_table(folder)
        check_official(read_table(find_table(tmp_path), trust=True))
        (folder / "000001.pickle.pbz2").unlink()
        with pytest.raises(DataError, match="simple"):
            read_table(folder, trust=True)

    def test_nasbench201_file_of_plain_data_needs_no_trust(self, tmp_path):
        torch.save(official("less", "full"), tmp_path / "NAS-Bench-201-v1_1-096897.pth")
        check_official(read_table(find_table(tmp_path)))

    def test_nasbench201_file_with_objects_needs_trust(self, tmp_path):
        path = tmp_path / "NAS-Bench-201-v1_0-e61699.pth"
        torch.save({**official("less", "full"), "configuration": Configuration(1)}, path)
        with pytest.raises(DataError, match="trust=True"):
            read_table(path)
        check_official(read_table(path, trust=True))

    def test_nothing_is_run_without_trust(self, tmp_path):
        for path in (tmp_path / "a.pth", tmp_path / "b.pickle.pbz2"):
            bomb, mark = Bomb(tmp_path / "mark"), tmp_path / "mark"
            torch.save(bomb, path) if path.suffix == ".pth" else self.pickled(path, bomb)
            with pytest.raises(DataError, match="unpickled"):
                read_table(path)
            assert not mark.exists()
            with pytest.raises(DataError, match=r"not a file of|no accuracies of"):
                read_table(path, trust=True)
            assert mark.exists(), "the test would not have noticed"
            mark.unlink()


Configuration = namedtuple("Configuration", "channels")


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_the_command_line_knows_the_same_data_sets():
    assert tuple(DataSet) == DATA_SETS


@pytest.fixture(scope="module")
def real():
    folder = os.environ.get("ZARTS_SHARED")
    if folder is None:
        pytest.skip("ZARTS_SHARED is not set: it names the folder with data/nasbench201.csv.gz")
    return read_table(Path(folder) / "data" / "nasbench201.csv.gz")


class TestRealTable:
    test = tuple(Column(data, "test", 200) for data in DATA_SETS)

    def test_holds_every_cell_of_the_space(self, real):
        assert len(set(real.architectures)) == len(real.indices) == 15_625 == 5 ** len(NASBENCH201.edges)

    def test_known_rows(self, real):
        mean_stds = optimum(real).mean_stds
        assert [round(mean_stds[column].mean, 2) for column in self.test] == [94.37, 73.51, 47.31]
        entries = look_up(real, SKIP).entries
        assert [round(entries[column].accuracy, 2) for column in self.test] == [54.30, 15.61, 16.32]

    def test_random_cells(self, real, generator):
        one, ten = (random_cells(real, generator, best_of=k).mean_stds[TEST] for k in (1, 10))
        assert one.mean == pytest.approx(87.06, abs=1.3)
        assert one.std == pytest.approx(12.9, abs=2.5)
        assert 92.5 < ten.mean < 94
        assert ten.std < 1.5


def test_tables_are_made_by_build(table):
    with pytest.raises(DataError, match="here: no accuracies"):
        Table.build("here", [], [], {})
