"""Read the files of a run folder, and write files whole or not at all."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from zarts.errors import RunError

__all__ = ["read_events", "read_mapping", "write_whole"]


def read_events(path: str | Path) -> list[dict[str, Any]]:
    """The events of a run, one JSON object a line, in the order in which they were written.

    A last line without its end is left out: the run was killed while it wrote, or is writing now.

    Args:
        path: a `metrics.jsonl`.

    Raises:
        RunError: the file cannot be read, or a line before the last one is no JSON object.
    """
    lines = _read_text(Path(path)).split("\n")
    events = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                break
            raise RunError(
                f"{path}, line {number}: not JSON ({error}); the file was damaged, remove that line to read the rest"
            ) from error
        if not isinstance(event, dict):
            raise RunError(f"{path}, line {number}: expected a JSON object, got {type(event).__name__}")
        events.append(event)
    return events


def read_mapping(path: Path) -> dict[str, Any]:
    """A JSON or YAML file that holds one mapping; empty where there is no such file.

    Raises:
        RunError: the file is there, but cannot be read as a mapping.
    """
    if not path.exists():
        return {}
    text = _read_text(path)
    try:
        data = yaml.safe_load(text) if path.suffix == ".yaml" else json.loads(text)
    except (yaml.YAMLError, json.JSONDecodeError) as error:
        detail = " ".join(str(error).split())
        raise RunError(f"{path}: not {path.suffix[1:].upper()} ({detail})") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise RunError(f"{path}: expected a mapping, got {type(data).__name__}")
    return {str(key): value for key, value in data.items()}


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a reader finds the old one or the new one, never a part.

    Raises:
        RunError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise RunError(f"{path}: cannot write ({error})") from error


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise RunError(f"{path}: cannot read ({error})") from error
