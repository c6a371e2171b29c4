"""Latency of an ONNX file: measured with onnxruntime on this machine, or by a command on any device."""

from __future__ import annotations

import math
import os
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zarts.errors import NotFoundError, RunError, SettingsError
from zarts.limits.onnx_graph import OnnxModel, onnx_bytes

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["Latency", "latency_by_command", "machine_lock", "measure_latency"]

_LEAST_BLOCKS = 7
_WARM_UP_CALLS = 3
_LOCK = "zarts-latency.lock"
_DTYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8}


@dataclass(frozen=True)
class Latency:
    """The time that a network takes for one image.

    Args:
        ms: milliseconds: the median of several measurements.
        error: its standard error in milliseconds; 0 if there was only one measurement.
    """

    ms: float
    error: float = 0.0

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> Latency:
        """The median of measurements, with the standard error that the median of normal ones has.

        It is sqrt(pi / 2) / sqrt(n) times their standard deviation, which is taken from the median of the absolute
        deviations, so that a few measurements that another program has disturbed change neither: 1.4826 times that
        median, and n / (n - 0.8) for few measurements. Two of these errors hold the true median in 87 % of cases with
        7 measurements, in 92 % with 15.

        Args:
            milliseconds: at least one.

        Source: Croux and Rousseeuw, Time-efficient algorithms for two highly robust estimators of scale (1992), for
            the correction of few measurements.
        """
        middle, count = statistics.median(milliseconds), len(milliseconds)
        deviation = statistics.median(abs(value - middle) for value in milliseconds)
        sigma = 1.4826 * deviation * count / (count - 0.8)
        return cls(float(middle), math.sqrt(math.pi / 2 / count) * sigma)

    @property
    def most(self) -> float:
        """What is compared with a limit: two standard errors more than the median, in milliseconds."""
        return self.ms + 2 * self.error

    def within(self, limit_ms: float) -> bool:
        """Whether the latency keeps a limit in milliseconds for sure: also with two standard errors more."""
        return self.most <= limit_ms

    def __str__(self) -> str:
        digits = max(0, 2 - math.floor(math.log10(self.ms))) if self.ms > 0 else 0
        return f"{self.ms:.{digits}f} ms" + (f" ± {self.error:.{digits}f}" if self.error else "")


@contextmanager
def machine_lock() -> Iterator[None]:
    """Inside, no other process on this machine, nor another thread, measures; waits until it is free.

    The system frees the lock of a process that dies. It must not be taken twice.

    Raises:
        RunError: the lock's file, in the folder of temporary files, cannot be opened.
    """
    path = Path(tempfile.gettempdir()) / _LOCK
    try:
        descriptor = _opened(path)
    except OSError as error:
        raise RunError(f"{path}: cannot be opened, to measure latency alone ({error.strerror or error})") from error
    try:
        if sys.platform == "win32":
            while True:
                with suppress(OSError):
                    msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
                    break
                time.sleep(0.02)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    """A descriptor of the lock's file, which may be another user's: then it can only be read."""
    more = getattr(os, "O_NOFOLLOW", 0)
    with suppress(FileNotFoundError):
        return os.open(path, os.O_RDONLY | more)
    with suppress(FileExistsError):  # another process was faster
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | more, 0o644)
        with suppress(OSError, AttributeError):
            os.fchmod(descriptor, 0o644)  # whatever the umask is
        return descriptor
    return os.open(path, os.O_RDONLY | more)


def measure_latency(model: OnnxModel, *, threads: int = 1, blocks: int = 15, block_seconds: float = 0.02) -> Latency:
    """The latency of one image in onnxruntime on this machine, under one lock for the whole machine.

    After a few calls that are not measured, blocks of as many calls as last about `block_seconds` are timed; the
    latency is the median of their means, and its error that of the median (see `Latency.of`). With one thread the clock
    stands still while another program has the processor (but on Windows, whose clock of a thread is too coarse), so
    that a busy machine and an idle one give about the same; with several threads it does not.

    Args:
        model: the ONNX file; its images are float32 or 8-bit.
        threads: of onnxruntime.
        blocks: at least 7.
        block_seconds: above 0; a block has at least one call.

    Raises:
        RunError: onnxruntime cannot run the file.
        SettingsError: onnxruntime is not installed, or a number cannot be used.
    """
    if blocks < _LEAST_BLOCKS or threads < 1 or not block_seconds > 0:
        raise SettingsError(
            f"blocks is {blocks}, threads {threads}, block_seconds {block_seconds}; "
            f"needs at least {_LEAST_BLOCKS} blocks, 1 thread and more than 0 seconds"
        )
    call = _one_image(model, threads)
    clock = time.thread_time if threads == 1 and sys.platform != "win32" else time.perf_counter
    with machine_lock():
        return Latency.of([1e3 * seconds for seconds in _block_means(call, blocks, block_seconds, clock)])


def _block_means(
    call: Callable[[], Any], blocks: int, block_seconds: float, clock: Callable[[], float]
) -> Iterator[float]:
    """The mean seconds of a call, in each block."""
    _seconds(call, _WARM_UP_CALLS, clock)
    calls = 1
    while (took := _seconds(call, calls, clock)) < block_seconds / 4:
        calls *= 2
    calls = max(1, round(calls * block_seconds / took))
    for _ in range(blocks):
        yield _seconds(call, calls, clock) / calls


def _seconds(call: Callable[[], Any], calls: int, clock: Callable[[], float]) -> float:
    begin = clock()
    for _ in range(calls):
        call()
    return clock() - begin


def _one_image(model: OnnxModel, threads: int) -> Callable[[], Any]:
    """A function that runs the network on one random image."""
    try:
        import onnxruntime
    except ImportError:
        raise SettingsError(
            "onnxruntime is not installed, which measures latency: pip install 'zarts[export]'"
        ) from None
    where = str(model) if isinstance(model, Path) else "the ONNX model"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    data = onnx_bytes(model)
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        (images,) = session.get_inputs()
        shape = [1, *images.shape[1:]]
        if images.type not in _DTYPES or not all(isinstance(side, int) for side in shape):
            raise RunError(f"{where}: takes {images.type} of {images.shape}; needs float32 or 8-bit images of one size")
        values = np.random.default_rng(0).random(shape)
        dtype = _DTYPES[images.type]
        feed = {images.name: (values if dtype is np.float32 else 127 * values).astype(dtype)}
        session.run(None, feed)
    except RunError:
        raise
    except Exception as error:  # its errors have no common class
        raise RunError(f"{where}: onnxruntime cannot run it ({str(error).strip().splitlines()[0]})") from error
    return lambda: session.run(None, feed)


def latency_by_command(command: str, path: Path, *, timeout_seconds: float = 600.0) -> Latency:
    """The latency that a command prints for an ONNX file, of a phone or a board, say; run once, under the lock.

    The command may print one number, or several measurements: their median counts, with its error. A single one has
    the error 0, so the command itself should measure often enough.

    Args:
        command: words as in a shell, but no shell runs them; the path is added as the last word. It prints
            milliseconds and nothing else to its standard output.
        path: the ONNX file.
        timeout_seconds: then it is ended, with what it started.

    Raises:
        NotFoundError: there is no such program.
        SettingsError: the command is empty or cannot be read.
        RunError: it fails, takes too long, or prints something else.
    """
    try:
        words = shlex.split(command, posix=sys.platform != "win32")
    except ValueError as error:
        raise SettingsError(f"latency command {command!r}: cannot be split into words ({error})") from None
    if not words:
        raise SettingsError("the latency command is empty: name a program that prints milliseconds")
    with machine_lock():
        code, output, errors = _run([*words, str(path)], command, timeout_seconds)
    if code != 0:
        said = (errors.strip() or output.strip()).splitlines()
        raise RunError(f"latency command {command!r} failed with exit code {code}{f': {said[-1]}' if said else ''}")
    try:
        numbers = [float(word) for word in output.split()]
    except ValueError:
        numbers = []
    if not numbers or not all(0 < number < math.inf for number in numbers):
        printed = " ".join(output.split())
        shown = f"{printed[:80]!r}" if printed else "nothing"
        raise RunError(f"latency command {command!r} printed {shown}; needs milliseconds, such as 2.31, alone")
    return Latency.of(numbers)


def _run(words: Sequence[str], command: str, timeout_seconds: float) -> tuple[int, str, str]:
    """Exit code, output and errors of a program, which is ended with all that it started if it takes too long."""
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        kind = NotFoundError if isinstance(error, FileNotFoundError) else SettingsError
        raise kind(f"latency command {command!r}: {words[0]} cannot be started ({reason})") from error
    try:
        output, errors = process.communicate(timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        raise RunError(f"latency command {command!r} took longer than {timeout_seconds:g} seconds") from None
    finally:
        if process.poll() is None:  # also when the user interrupts
            _end(process)
    return process.returncode, output, errors


def _end(process: subprocess.Popen[str]) -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
