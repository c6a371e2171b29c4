"""What a rank does by itself: its share, its answer to the others, what it refuses."""

import pytest
import torch

import zarts
from small import SMALL
from zarts.api._ranks import joined, ranks_here
from zarts.config import SearchSettings, search_settings
from zarts.errors import Interrupted, RankError, SettingsError
from zarts.methods import METHODS, ZERO_ORDER
from zarts.runtime.distributed import Ranks


class Fabric:
    """Stands in for rank 0 of two, the other of which adds `other` to every sum."""

    global_rank, local_rank, world_size = 0, 0, 2

    def __init__(self, other=0.0):
        self.other = other

    def all_reduce(self, tensor, reduce_op):
        if isinstance(self.other, Exception):
            raise self.other
        return tensor + self.other


def test_every_candidate_has_one_rank():
    shares = []
    for rank in range(3):
        Fabric.global_rank, Fabric.world_size = rank, 3
        shares += Ranks(Fabric()).share(8)
    Fabric.global_rank, Fabric.world_size = 0, 2
    assert sorted(shares) == list(range(8))
    assert list(Ranks().share(3)) == [0, 1, 2]


def test_alone_nothing_is_sent():
    ranks, tensor = Ranks(), torch.ones(2)
    assert (ranks.lead, ranks.count) == (True, 1)
    assert ranks.all_reduce(tensor) is tensor
    assert ranks.broadcast("x") == "x"
    with pytest.raises(Interrupted, match=r"^mine$"), ranks.together():
        raise Interrupted("mine")


def test_all_stop_when_another_is_asked_to():
    with Ranks(Fabric(other=0.0)).together():
        pass
    with pytest.raises(Interrupted, match=r"^interrupted$"), Ranks(Fabric(other=1.0)).together():
        pass


def test_another_rank_is_gone():
    words = "[/src/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:1234. This is typically\nGLHF!"
    with pytest.raises(RankError, match=r"127\.0\.0\.1"):
        Ranks(Fabric(other=RuntimeError(words))).all_reduce(torch.ones(1))


@pytest.mark.parametrize(
    ("threads", "settings", "ranks"),
    [
        (1, {}, 1),
        (2, {}, 2),
        (4, {"samples": 6}, 3),  # three ranks need two rounds, and so would four
        (64, {"samples": 4}, 4),
        (8, {"threads": 4}, 2),
        (8, {"channels": 16, "batch_size": 64}, 1),  # a large network
        (8, {"method": "darts"}, 1),
        (8, {"method": "setn"}, 1),
        (8, {"ablation": "uniform"}, 1),
        (8, {"method": "enas"}, 7),  # 20 cells in three rounds
        (8, {"method": "random"}, 1),
        (1, {"devices": 3}, 3),
    ],
)
def test_ranks_on_a_processor(threads, settings, ranks):
    network = {"channels": 4, "batch_size": 32} if settings.get("method") != "random" else {}
    torch.set_num_threads(threads)
    assert ranks_here(search_settings({"method": "zarts-mgs", **network, **settings})) == ranks


def test_more_ranks_than_candidates():
    with pytest.raises(SettingsError, match="at most 8"):
        ranks_here(SearchSettings(arch_optimizer="mgs", devices=9))
    assert ranks_here(SearchSettings(arch_optimizer="rs", samples=4, devices=8)) == 8  # both ends of four directions


@pytest.mark.parametrize(
    "method", [name for name, method in METHODS.items() if method.arch_optimizer not in (*ZERO_ORDER, "reinforce")]
)
def test_no_candidates_to_share(monkeypatch, method):
    with pytest.raises(SettingsError, match="devices"):
        search_settings({"method": method, "devices": 2})
    torchrun(monkeypatch, 2)
    with pytest.raises(SettingsError, match="at most 1"):
        zarts.search(method=method)


def torchrun(monkeypatch, count, **other):
    facts = {
        "TORCHELASTIC_RUN_ID": "x",
        "WORLD_SIZE": count,
        "LOCAL_WORLD_SIZE": count,
        "GROUP_WORLD_SIZE": 1,
        "RANK": 0,
        "LOCAL_RANK": 0,
    }
    for name, value in {**facts, **other}.items():
        monkeypatch.setenv(name, str(value))


def test_devices_that_do_not_suffice(monkeypatch):
    torchrun(monkeypatch, 2)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(SettingsError, match="2 GPUs"), joined(SearchSettings(arch_optimizer="mgs")):
        pass
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("zarts.api._ranks.choose_device", lambda name: torch.device("mps"))
    with pytest.raises(SettingsError, match="'auto'"), joined(SearchSettings(arch_optimizer="mgs")):
        pass


def test_machines_that_differ(monkeypatch):
    torchrun(monkeypatch, 3, LOCAL_WORLD_SIZE=2, GROUP_WORLD_SIZE=2)
    with pytest.raises(SettingsError, match="2 machines"):
        zarts.search(**{**SMALL, "samples": 4})


def test_torchrun_and_the_setting_disagree(monkeypatch, command, searched):
    torchrun(monkeypatch, 2)
    for words in (["--method", "zarts-mgs", "--devices", "4"], ["--resume", searched.run, "--devices", "1"]):
        code, out, err = command("search", *words)
        assert (code, out) == (2, "")
        assert "torchrun" in err


def test_a_comparison_is_one_process(monkeypatch, tmp_path):
    torchrun(monkeypatch, 2)
    with pytest.raises(SettingsError, match="torchrun"):
        zarts.compare("random", seeds=1, out=tmp_path / "out")


def test_more_ranks_than_images_of_a_batch(monkeypatch, searched):
    torchrun(monkeypatch, 9)
    with pytest.raises(SettingsError, match="at most 4"):
        zarts.retrain(searched.run, batch_size=16, micro_batches=2)
