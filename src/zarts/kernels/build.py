"""Compilation of the kernels, once for each machine, number of channels and type of numbers."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from itertools import product
from pathlib import Path

import torch

from zarts.errors import KernelError

__all__ = ["KERNELS", "Kernel", "compiled", "is_compiled", "prepare", "processor"]

Kernel = Callable[[ctypes.Array[ctypes.c_int64], int], int]
"""The function that a source of this folder exports, such as `zarts_cell` of cell.cpp."""

KERNELS = {"darts": ("cell", "projection"), "nasbench201": ("nasbench201",)}
"""Skeleton of a supernet to the sources that its cells need."""

_HOUR = 3600.0
_SOURCES = Path(__file__).parent
_FLAGS = ("-std=c++17", "-O3", "-shared", "-fPIC", "-pthread", "-Wno-psabi")
_TUNED = ("-march=native", "-mcpu=native", "-O3")  # the first that the compiler knows
_OPTIONS = {
    torch.float32: ("-DZARTS_REAL=float",),
    torch.float64: ("-DZARTS_REAL=double",),
    torch.bfloat16: ("-DZARTS_REAL=float", "-DZARTS_BFLOAT16=1"),  # known to chain.cpp alone
}
"""Of the compiler, for features of a type."""
_FACTS = ("model name", "flags", "Features", "CPU part")  # of /proc/cpuinfo, on x86 and on ARM


def prepare(
    dtype: torch.dtype,
    channels: Iterable[int],
    skeleton: str = "darts",
    compiling: Callable[[], None] = lambda: None,
) -> None:
    """Compile the kernels that will be needed, in parallel.

    Args:
        dtype: of the features.
        channels: numbers of channels; the kernels need multiples of 4.
        skeleton: of the supernet.
        compiling: called first if there are any that have not been compiled on this machine before.

    Raises:
        KernelError: the kernels cannot be compiled here; the message says why.
    """
    _compiler()
    needed = list(product([dtype], set(channels), KERNELS[skeleton]))
    if odd := sorted(number for number in set(channels) if number % 4):
        raise KernelError(f"the native kernels need multiples of 4 channels, not {odd[0]}")
    if not all(is_compiled(*arguments) for arguments in needed):
        compiling()
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda arguments: compiled(*arguments), needed))


def is_compiled(dtype: torch.dtype, channels: int, name: str) -> bool:
    """Whether a kernel, see `compiled`, has been compiled on this machine before.

    Raises:
        KernelError: there is no compiler.
    """
    return _file(dtype, channels, name)[1].exists()


@lru_cache(maxsize=64)
def compiled(dtype: torch.dtype, channels: int, name: str = "cell") -> Kernel:
    """The kernel for features of that type with so many channels.

    Compiling takes a few seconds; the result is kept in the user's cache folder.

    Args:
        dtype: `float32` or `float64`; of the kernel for chains also `bfloat16`.
        channels: a multiple of 4.
        name: of the source file and, behind `zarts_`, of the function.

    Raises:
        KernelError: there is no compiler, it fails, or the result cannot be kept or loaded.
    """
    command, path = _file(dtype, channels, name)
    try:
        if not path.exists():
            _compile(command, path)
        function = ctypes.CDLL(str(path))[f"zarts_{name}"]
    except OSError as error:
        raise KernelError(f"the native kernels cannot be kept or loaded: {error}") from None
    function.argtypes, function.restype = (ctypes.c_void_p, ctypes.c_int64), ctypes.c_int64
    kernel: Kernel = function
    return kernel


def _file(dtype: torch.dtype, channels: int, name: str) -> tuple[list[str], Path]:
    """The command that compiles a kernel, but for its last words, and where the result is kept."""
    compiler, version = _compiler()
    options = [*_OPTIONS[dtype], f"-DZARTS_CHANNELS={channels}"]
    parts = [sources(name), version, processor(), repr([*_FLAGS, *options]).encode()]
    path = _folder() / f"{name}-{hashlib.blake2b(b'|'.join(parts), digest_size=10).hexdigest()}.so"
    return [compiler, *_FLAGS, *options, str(_SOURCES / f"{name}.cpp")], path


def sources(name: str = "*") -> bytes:
    """The text of a kernel, or of all, with the headers."""
    return b"|".join(
        path.read_bytes() for path in (*sorted(_SOURCES.glob(f"{name}.cpp")), *sorted(_SOURCES.glob("*.hpp")))
    )


@lru_cache(maxsize=1)
def _compiler() -> tuple[str, bytes]:
    """The compiler and its text about its version."""
    for name in (os.environ.get("CXX", ""), "c++", "g++", "clang++"):
        if path := shutil.which(name):
            return path, subprocess.run([path, "--version"], capture_output=True, check=False).stdout
    raise KernelError("there is no C++ compiler: install g++ or clang++")


def _compile(command: list[str], path: Path) -> None:
    """Compile into a temporary file first, so that processes that start together do not collide."""
    for left in path.parent.glob("tmp*"):  # by processes that were killed
        with suppress(OSError):  # of a process that has ended just now
            if time.time() - left.stat().st_mtime > _HOUR:
                shutil.rmtree(left)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        target = Path(folder) / path.name
        for tuned in _TUNED:
            result = subprocess.run([*command, tuned, "-o", str(target)], capture_output=True, text=True, check=False)
            if result.returncode == 0:
                target.replace(path)
                return
    raise KernelError(f"{command[0]} cannot compile the native kernels: {result.stderr.strip()[:300]}")


def _folder() -> Path:
    """Where compiled files are kept.

    Raises:
        KernelError: it cannot be made.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zarts" / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KernelError(f"the native kernels cannot be kept: {error}") from None
    return folder


def processor() -> bytes:
    """Facts that tell processors apart, for a cache that machines share."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.platform().encode()
    facts = {key.strip(): value for key, _, value in (line.partition(":") for line in lines)}
    return repr([facts.get(key) for key in _FACTS]).encode()
