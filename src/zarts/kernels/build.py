"""Compiling the kernels for the machine at hand, once, with the compiler that is there."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

__all__ = ["compiled", "why_not"]

_SOURCE = Path(__file__).with_name("cell.cpp")
_FLAGS = ("-std=c++17", "-O3", "-shared", "-fPIC", "-pthread", "-Wno-psabi")
_TUNED = ("-march=native", "-mcpu=native", "-O3")  # the first that the compiler knows


def compiled() -> ctypes.CDLL | None:
    """The kernels; None where they cannot be had, see `why_not`."""
    return _load()[0]


def why_not() -> str:
    """Why there are no native kernels here, and what would help; empty if there are."""
    return _load()[1]


@lru_cache(maxsize=1)
def _load() -> tuple[ctypes.CDLL | None, str]:
    """The library and the reason why there is none; one of them is empty."""
    compiler = next(filter(None, map(shutil.which, (os.environ.get("CXX", ""), "c++", "g++", "clang++"))), None)
    if compiler is None:
        return None, "there is no C++ compiler: install g++ or clang++"
    try:
        version = subprocess.run([compiler, "--version"], capture_output=True, check=True).stdout
        key = hashlib.blake2b(
            b"\0".join([_SOURCE.read_bytes(), version, _processor(), " ".join(_FLAGS).encode()]), digest_size=10
        ).hexdigest()
        path = _folder() / f"cell-{key}.so"
        if not path.exists():
            _compile(compiler, path)
        library = ctypes.CDLL(str(path))
    except subprocess.CalledProcessError as error:
        return None, f"{compiler} cannot compile {_SOURCE.name}: {error.stderr.decode(errors='replace').strip()[:300]}"
    except OSError as error:
        return None, f"the native kernels cannot be kept or loaded: {error}"
    for name in ("zarts_cell_float32", "zarts_cell_float64"):
        function = getattr(library, name)
        function.argtypes, function.restype = (ctypes.c_void_p, ctypes.c_int64), ctypes.c_int64
    return library, ""


def _compile(compiler: str, path: Path) -> None:
    """Into a file of another name first, so that processes that start together do not meet."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        target = Path(folder) / "cell.so"
        for tuned in _TUNED:
            command = [compiler, *_FLAGS, tuned, str(_SOURCE), "-o", str(target)]
            result = subprocess.run(command, capture_output=True, check=False)
            if result.returncode == 0:
                break
        result.check_returncode()
        target.replace(path)


def _folder() -> Path:
    """Where compiled files are kept: the user's cache."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zarts" / "kernels"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _processor() -> bytes:
    """What tells one processor from another, for a cache that machines share."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.platform().encode()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    return repr({key.strip(): value for key, value in facts.items() if key.strip() in _FACTS}).encode()


_FACTS = ("model name", "flags", "Features", "CPU part")
