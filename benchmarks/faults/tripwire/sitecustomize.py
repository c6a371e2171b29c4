"""Kills a Python process just before its n-th change of a folder; n = 0: counts them. Python imports it by itself."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

_FOLDER, _NUMBER = os.environ.get("TRIP_FOLDER", ""), int(os.environ.get("TRIP_NUMBER", "0"))
_KINDS = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.truncate"}
_FIRST = os.environ.setdefault("TRIP_PID", str(os.getpid())) if _FOLDER else "0"
_changes = 0


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    global _changes
    writes = event in _KINDS or (
        event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    )
    if writes and str(arguments[0]).startswith(_FOLDER):
        _changes += 1
        if _changes == _NUMBER:
            if "TRIP_FIRST" in os.environ:
                os.kill(int(_FIRST), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)


def _tell() -> None:
    if _changes:
        (Path(tempfile.gettempdir()) / f"changes-{os.getpid()}").write_text(str(_changes), encoding="utf-8")


if _FOLDER:
    sys.addaudithook(_hook)
    if _NUMBER == 0:
        atexit.register(_tell)
