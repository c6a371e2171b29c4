"""Where searches run: what is refused, and tasks on a Ray cluster of this process."""

import os
import threading
import time

import pytest
import torch

import zarts
from trainings import digits, task
from zarts.comparison.engines import ENGINES, Resources, get_engine
from zarts.errors import Interrupted, RunError, SettingsError
from zarts.planner.ray_workers import RayWorkers
from zarts.planner.records import Schedule
from zarts.planner.workers import Workers

pytestmark = pytest.mark.usefixtures("unchecked")


def test_engines():
    assert {name: get_engine(name) for name in ENGINES} == ENGINES
    with pytest.raises(SettingsError, match="'ray'"):
        zarts.compare("random", 1, engine="rai", space="s1")


def test_without_the_extra(monkeypatch):
    monkeypatch.setattr("zarts.comparison.engines.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"zarts\[ray\]"):
        get_engine("ray")


def test_resources(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert [Resources(None, threads).here() for threads in (1, 3, 16)] == [8, 2, 1]
    assert Resources(5, 3).here() == 5


def test_nobody_listens(monkeypatch):
    """Said at once; Ray itself would wait for minutes."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(RunError, match="RAY_ADDRESS"):
        get_engine("ray")(print, ["a"], Resources(), lambda task, error: None)


def test_nothing_is_started_for_nothing(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    get_engine("ray")(print, [], Resources(), lambda task, error: None)


@pytest.fixture(scope="module")
def cluster():
    """Two processors and what is said to be a GPU."""
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(address="local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
class TestRay:
    """Tasks are texts of Python, done by `exec`."""

    def outcomes(self, tasks, resources):
        heard = {}
        get_engine("ray")(exec, tasks, resources, heard.__setitem__)
        assert list(heard.keys() ^ set(tasks)) == []
        return [heard[task] for task in tasks]

    def test_what_is_raised_there_is_told_here(self):
        """One task at a time: a second worker would import torch, too."""
        none, ours, other = self.outcomes(
            ["1 + 1", "from zarts.errors import DataError; raise DataError('no images')", "1 / 0"], Resources(jobs=1)
        )
        assert none is None
        assert (type(ours).__name__, str(ours)) == ("DataError", "no images")
        assert isinstance(other, ZeroDivisionError)

    @pytest.mark.long
    def test_what_dies_again_and_again_takes_nothing_with_it(self, tmp_path):
        file = tmp_path / "times"
        dies = f"open({str(file)!r}, 'a').write('x'); import os; os.kill(os.getpid(), 9)"
        lost, fine = self.outcomes([dies, "1 + 1"], Resources())
        assert isinstance(lost, RunError)
        assert "killed" in str(lost)
        assert fine is None
        assert len(file.read_text()) == 4, "three times more, Ray's default"

    def test_jobs(self, tmp_path):
        """One at a time, although there is room for two: nobody else is there while it waits."""
        task = (
            "import os, time; file = os.open({0!r}, os.O_CREAT | os.O_EXCL); time.sleep(0.2); os.unlink({0!r})  # {1}"
        )
        texts = [task.format(str(tmp_path / "here"), number) for number in range(4)]
        assert self.outcomes(texts, Resources(jobs=1)) == [None] * 4

    @pytest.mark.parametrize("gpus", [False, pytest.param(True, marks=pytest.mark.long)])
    def test_a_gpu_for_those_that_use_one(self, gpus):
        task = f"import ray; assert len(ray.get_gpu_ids()) == {int(gpus)}"
        assert self.outcomes([task], Resources(gpus=gpus)) == [None]

    def test_a_fit_trains_there_as_in_this_process(self, tmp_path):
        """The process of the cluster is killed while it trains: another one does, to the same bits."""
        import ray

        pictures, fixed = digits(), Schedule(3, 12, 5, {5: 12})
        tasks = [task(tmp_path, name, repeats=fixed, seed=number) for number, name in enumerate("ab")]
        with Workers(pictures, 1, bool) as here:
            alone = {one.length: found.logits for one, found in here.train(tasks)}
        with pytest.raises(RunError, match="idle processors"):
            RayWorkers(pictures, 3, bool, gpu=False)
        with RayWorkers(pictures, 1, bool, gpu=False) as workers:
            workers.start([8])
            with pytest.raises(RunError, match="does not see"):
                list(workers.train([task(tmp_path / "none", "c")]))
            first = workers._actors[0]
            threading.Timer(0.1, ray.kill, [first]).start()
            found = {one.length: found.logits for one, found in workers.train(tasks)}
            assert first not in workers._actors
            again = workers._actors[0]
            workers.start([8])
            assert workers._actors == [again]
        assert all(torch.equal(found[name], alone[name]) for name in "ab")
        assert workers._actors == []

    @pytest.mark.long
    def test_a_process_that_is_lost_keeps_no_other_one_from_its_training(self, tmp_path):
        """One of two is killed in a long training: the other one goes on, and the new one trains the rest."""
        import ray

        with RayWorkers(digits(), 2, bool, gpu=False) as workers:
            workers.start([8, 8])
            first = workers._actors[-1]  # which the first task goes to
            threading.Timer(2.0, ray.kill, [first]).start()
            tasks = [task(tmp_path, "a", 8.0), task(tmp_path, "b", 20.0)]
            begun = time.monotonic()
            found = [one.length for one, _ in workers.train(tasks)]
            assert sorted(found) == ["a", "b"]
            assert time.monotonic() - begun < 60
            assert first not in workers._actors
            assert len(workers._actors) == 2

    def test_a_fit_stops_there_when_asked(self, tmp_path):
        asked = []
        with RayWorkers(digits(), 1, lambda: bool(asked), gpu=False) as workers:
            workers.start([8])
            threading.Timer(1.0, asked.append, [1]).start()
            begun = time.monotonic()
            with pytest.raises(Interrupted):
                list(workers.train([task(tmp_path, "a", 600.0)]))
            assert time.monotonic() - begun < 15

    def test_the_cluster_stays(self):
        import ray

        assert ray.is_initialized()
        assert "RAY_task_oom_retries" not in os.environ
