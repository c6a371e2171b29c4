"""Latency: its error against theory, the lock between processes, and commands that measure."""

import ast
import itertools
import math
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

import zarts.limits
from onnx_graphs import Graph, chain
from zarts.errors import RunError, SettingsError
from zarts.limits import Latency, latency_by_command, measure_latency
from zarts.limits.latency import _block_means, machine_lock


@pytest.mark.parametrize("count", [7, 15, 31])
def test_the_error_is_that_of_the_median_of_normal_measurements(count):
    draws = np.random.default_rng(count).normal(10, 1, (3000, count))
    found = [Latency.of(row) for row in draws.tolist()]
    medians = np.array([one.ms for one in found])
    squared = np.mean([one.error**2 for one in found])
    assert squared == pytest.approx(medians.var(), rel=0.35)  # the square of a robust estimate is a little too large
    covered = np.mean([abs(one.ms - 10) <= 2 * one.error for one in found])
    assert covered > {7: 0.86, 15: 0.9, 31: 0.92}[count]  # of normal ones with a known deviation .954


def test_what_other_programs_disturb_does_not_count():
    quiet = [2.0, 2.01, 1.99, 2.0, 2.02, 1.98, 2.0, 2.01, 1.99]
    found = Latency.of([*quiet, 9.0, 12.0])
    assert found.ms == pytest.approx(2.0, abs=0.01)
    assert found.error < 0.02
    assert Latency.of([3.5]) == Latency(3.5, 0.0)


def test_limits_and_words():
    assert Latency(1.96, 0.02).within(2.0)
    assert not Latency(1.97, 0.02).within(2.0)
    assert str(Latency(2.3149, 0.0171)) == "2.31 ms ± 0.02"
    assert (str(Latency(0.04213, 0.0002)), str(Latency(153.2, 0.0))) == ("0.0421 ms ± 0.0002", "153 ms")


def test_blocks_are_long_enough():
    """Calls of a pretended clock: the first ones take longer; blocks of 20 ms, of one call if that takes longer."""
    for took, calls in ((1e-3, 20), (0.03e-3, 667), (0.5, 1)):
        clock, done = [0.0], []

        def call(clock=clock, done=done, took=took):
            done.append(1)
            clock[0] += took if len(done) > 3 else 10 * took

        means = [(mean, len(done)) for mean in _block_means(call, 7, 0.02, lambda clock=clock: clock[0])]
        assert [mean for mean, _ in means] == pytest.approx([took] * 7)
        assert [after - before for (_, before), (_, after) in itertools.pairwise(means)] == [calls] * 6


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.UINT8])
def test_more_work_takes_longer(dtype, tmp_path):
    found = {}
    for width, side in ((4, 8), (32, 32)):
        graph = Graph((3, side, side), dtype, batch="batch")
        x = graph.node("Cast", "images", to=TensorProto.FLOAT)
        for _ in range(3):
            x = graph.node("Relu", graph.conv(x, width))
        model = graph.model(graph.classifier(x))
        path = tmp_path / f"{width}.onnx"
        path.write_bytes(model.SerializeToString())
        found[width] = measure_latency(path, blocks=7, block_seconds=0.005)
    assert found[32].ms > 4 * found[4].ms > 0
    assert 0 <= found[32].error < found[32].ms


def test_what_cannot_be_measured():
    for words, error in (({"blocks": 6}, "at least 7"), ({"threads": 0}, "1 thread"), ({"block_seconds": 0.0}, "more")):
        with pytest.raises(SettingsError, match=error):
            measure_latency(chain(), **words)
    with pytest.raises(RunError, match="onnxruntime cannot run it"):
        measure_latency(b"no model")
    graph = Graph((3, 4, 4), TensorProto.DOUBLE)
    with pytest.raises(RunError, match=r"tensor\(double\)"):
        measure_latency(graph.model(graph.node("Cast", "images", to=TensorProto.FLOAT)))


def test_a_missing_package_is_named(monkeypatch):
    for name in ("onnxruntime", "onnx"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SettingsError, match=r"onnxruntime.*zarts\[export\]"):
        measure_latency(b"")
    from zarts.limits import peak_ram

    with pytest.raises(SettingsError, match=r"onnx .*zarts\[export\]"):
        peak_ram(b"")


def test_nothing_imports_the_packages_before_they_are_used():
    for path in Path(zarts.limits.__file__).parent.glob("*.py"):
        top = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert "onnx" not in " ".join(ast.unparse(node) for node in top if "zarts" not in ast.unparse(node)), path


def test_only_one_measures_at_once(tmp_path, monkeypatch):
    """Another process finds the file locked; threads, which lock it anew as processes do, wait for each other."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = tmp_path / "zarts-latency.lock"
    code = f"import fcntl; fcntl.flock(open({str(path)!r}), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    with machine_lock():
        held = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    free = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ("BlockingIOError" in held.stderr, free.returncode) == (True, 0)
    assert path.stat().st_mode & 0o777 == 0o644
    path.chmod(0o444)  # another user's
    spans = []

    def measure():
        for _ in range(5):
            with machine_lock():
                begin = time.monotonic()
                time.sleep(0.005)
                spans.append((begin, time.monotonic()))

    threads = [threading.Thread(target=measure) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(spans) == 15
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(sorted(spans)))


def command(code):
    return f'"{sys.executable}" -c "{code}"'


def test_a_command_measures(tmp_path):
    path = tmp_path / "a model.onnx"
    path.write_bytes(b"12345")
    one = latency_by_command(command("import sys, os; print(os.path.getsize(sys.argv[1]) / 2)"), path)
    assert one == Latency(2.5, 0.0)
    several = latency_by_command(command("print('2.0 2.1\\n2.2')"), path)
    assert several.ms == 2.1
    assert several.error == pytest.approx(math.sqrt(math.pi / 6) * 1.4826 * 0.1 * 3 / 2.2)


@pytest.mark.parametrize(
    ("words", "kind", "match"),
    [
        (command("import sys; sys.exit('no device')"), RunError, "exit code 1: no device"),
        (command("print('2.3 ms')"), RunError, "'2.3 ms'; needs milliseconds"),
        (command("print('nan')"), RunError, "'nan'"),
        (command("print(-1)"), RunError, "'-1'"),
        (command("pass"), RunError, "printed nothing"),
        ("no-such-program-anywhere", SettingsError, "cannot be started"),
        ("'unclosed", SettingsError, "split into words"),
        (" ", SettingsError, "empty"),
    ],
)
def test_commands_that_measure_nothing(words, kind, match, tmp_path):
    with pytest.raises(kind, match=match):
        latency_by_command(words, tmp_path / "model.onnx")


def test_a_command_that_hangs_is_ended_with_what_it_started(tmp_path):
    """It starts a program that holds its output open for longer than the time-out."""
    code = "import subprocess, sys; subprocess.run(['sleep', '30'])"
    begin = time.monotonic()
    with pytest.raises(RunError, match=r"longer than 0\.5 seconds"):
        latency_by_command(command(code), tmp_path / "model.onnx", timeout_seconds=0.5)
    assert time.monotonic() - begin < 10
