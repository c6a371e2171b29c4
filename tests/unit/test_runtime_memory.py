"""What is free: told from made-up files of the system."""

import pytest
import torch

from zarts.runtime.measure import free_bytes
from zarts.runtime.system_memory import free_memory

GB = 1 << 30
MEMINFO = f"MemTotal: {64 * GB // 1024} kB\nMemFree: 1024 kB\nMemAvailable: {20 * GB // 1024} kB\n"


@pytest.fixture
def system(tmp_path):
    """Writes files below a root in the place of `/`."""

    def write(files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(str(text))
        return tmp_path

    return write


def version_2(folder, most, used, cache=0):
    path = f"sys/fs/cgroup/{folder}/"
    return {
        path + "memory.max": f"{most}\n",
        path + "memory.current": f"{used}\n",
        path + "memory.stat": f"anon {used - cache}\ninactive_file {cache}\nactive_file 7\n",
    }


def version_1(folder, most, used, cache=0):
    path = f"sys/fs/cgroup/memory/{folder}/"
    return {
        path + "memory.limit_in_bytes": f"{most}\n",
        path + "memory.usage_in_bytes": f"{used}\n",
        path + "memory.stat": f"inactive_file 3\ntotal_inactive_file {cache}\n",
    }


def test_without_groups_it_is_what_the_system_has(system):
    assert free_memory(system({"proc/meminfo": MEMINFO})) == 20 * GB
    groups = {"proc/self/cgroup": "0::/none\n1:name=systemd:/\n"}
    assert free_memory(system({"proc/meminfo": MEMINFO, **groups})) == 20 * GB


def test_nobody_says(tmp_path):
    assert free_memory(tmp_path) is None


@pytest.mark.parametrize(
    ("groups", "files", "free"),
    [
        ("0::/user/job", version_2("user/job", 8 * GB, 3 * GB), 5 * GB),
        ("0::/user/job", version_2("user/job", 8 * GB, 3 * GB, cache=2 * GB), 7 * GB),
        ("0::/user/job", version_2("user/job", "max", 3 * GB), 20 * GB),
        ("0::/user/job", version_2("user/job", 100 * GB, 3 * GB), 20 * GB),
        ("0::/user/job", version_2("user/job", 2 * GB, 3 * GB), 0),
        ("0::/user/job", {**version_2("user/job", "max", GB), **version_2("user", 4 * GB, GB)}, 3 * GB),
        ("0::/outside/of/the/container", version_2("", 4 * GB, GB), 3 * GB),
        ("5:cpu:/job\n4:memory:/job", version_1("job", 8 * GB, 3 * GB, cache=GB), 6 * GB),
        ("4:cpu,memory:/docker/1f", version_1("", 4 * GB, GB), 3 * GB),
        ("4:memory:/job", version_1("job", 0x7FFFFFFFFFFFF000, GB), 20 * GB),
        ("5:cpu:/job", version_1("job", 4 * GB, GB), 20 * GB),
    ],
)
def test_a_control_group_may_leave_less(system, groups, files, free):
    assert free_memory(system({"proc/meminfo": MEMINFO, "proc/self/cgroup": groups + "\n", **files})) == free


def test_by_device(monkeypatch):
    monkeypatch.setattr("zarts.runtime.measure.free_memory", lambda: 5)
    assert free_bytes(torch.device("cpu")) == 5
    assert free_bytes(torch.device("mps")) is None
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (7, 9))
    monkeypatch.setattr("torch.cuda.memory_reserved", lambda device: 4)
    monkeypatch.setattr("torch.cuda.memory_allocated", lambda device: 1)
    assert free_bytes(torch.device("cuda")) == 10
