"""Checksums of what a run keeps, by which a flipped bit is found before use."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zarts.errors import RunError
from zarts.runtime.io import read_mapping

__all__ = ["DIGITS", "check_code", "code_checksums", "digest", "with_checksum", "without_checksum"]

DIGITS = 64
"""Of a checksum, in hexadecimal."""
_FORMAT = 2
"""Of a mapping with a checksum; those of zarts 0.1.0 have neither."""
_CODE = ("criterion.py", "objective.py", "operations.py")
"""Copies of the user's code in a run folder."""


def digest(content: bytes) -> str:
    """The checksum of bytes: BLAKE2b, in hexadecimal digits."""
    return hashlib.blake2b(content, digest_size=DIGITS // 2).hexdigest()


def with_checksum(data: Mapping[str, Any]) -> dict[str, Any]:
    """Plain data with its checksum, under the key `checksum`; what `without_checksum` reads."""
    content = {"format": _FORMAT, **data}
    return {**content, "checksum": _of(content)}


def without_checksum(data: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Plain data of a file, whose checksum is that of its content, or that has none.

    Raises:
        RunError: the content is not what was written.
    """
    content = {key: value for key, value in data.items() if key != "checksum"}
    if ("format" in data or "checksum" in data) and data.get("checksum") != _of(content):
        raise RunError(
            f"{file}: damaged, or edited: its checksum is not that of its content; if you meant to edit it, remove its "
            "lines `format` and `checksum`"
        )
    content.pop("format", None)
    return content


def code_checksums(run: Path) -> dict[str, dict[str, str]]:
    """What `env.json` keeps of the copies of the user's code in a run folder: `code`, each file's checksum, if any."""
    found = {name: digest((run / name).read_bytes()) for name in _CODE if (run / name).exists()}
    return {"code": found} if found else {}


def check_code(file: Path) -> None:
    """Check that the copy of a file of code is what the run began with; runs of zarts 0.1.0 have no checksum of it.

    Raises:
        RunError: it is not.
    """
    known = read_mapping(file.parent / "env.json").get("code")
    if isinstance(known, Mapping) and known.get(file.name, "") not in ("", digest(file.read_bytes())):
        raise RunError(
            f"{file}: damaged, or edited: not the code that the run began with; put a copy of that in its place"
        )


def _of(content: Mapping[str, Any]) -> str:
    return digest(json.dumps(content, sort_keys=True).encode())
