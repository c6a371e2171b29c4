"""Cache of a landscape in the run folder: its evaluated points, and later the whole landscape."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zarts.analysis.loss_surface import number_of
from zarts.errors import RunError
from zarts.readers import malformed
from zarts.runs import Run

__all__ = ["LandscapeCache"]

_WHOLE, _PART = "landscape.json", "landscape.part.json"
_EVERY_SECONDS = 20.0


class LandscapeCache:
    """The file `landscape.json`, and `landscape.part.json` until that is complete.

    Args:
        run: the run folder.
        identity: the state of the search.
        options: the options of the landscape.
        again: whether to replace a complete landscape, or files of another state or with other options.

    Raises:
        RunError: a file is of another state or with other options, or cannot be read.
    """

    def __init__(self, run: Run, identity: Mapping[str, Any], options: Mapping[str, Any], *, again: bool) -> None:
        self._run, self._key = run, {"identity": dict(identity), "options": dict(options)}
        self.losses: dict[int, list[float]] = {steps: [] for steps in options["inner_steps"]}
        """Losses of the points evaluated so far, by inner steps."""
        self.whole: dict[str, Any] | None = None
        """The content of `landscape.json`, if it is complete and of this state and these options."""
        self._before, self._start = 0.0, time.perf_counter()
        self._written = self._start
        if not self._resume(again) and not again:
            self.whole = self._read(_WHOLE)

    @property
    def part(self) -> Path:
        """The file of the evaluated points, until the landscape is complete."""
        return self._run.path / _PART

    @property
    def seconds(self) -> float:
        """Wall time until now, including earlier attempts."""
        return self._before + time.perf_counter() - self._start

    def write_now_and_then(self) -> None:
        """Write the evaluated points, if the last write was some time ago."""
        if time.perf_counter() - self._written >= _EVERY_SECONDS:
            self.write()

    def write(self) -> None:
        """Write the evaluated points.

        Raises:
            RunError: the file cannot be written.
        """
        losses = {str(steps): known for steps, known in self.losses.items()}
        self._run.write_json(_PART, {**self._key, "losses": losses, "seconds": self.seconds})
        self._written = time.perf_counter()

    def finish(self, landscape: Mapping[str, Any]) -> None:
        """Write the complete landscape, and remove the part.

        Raises:
            RunError: the file cannot be written.
        """
        self._run.write_json(_WHOLE, {**landscape, **self._key})
        self._run.remove(_PART)

    def _resume(self, again: bool) -> bool:
        """Read the part; whether there is one."""
        try:
            part = self._read(_PART)
            if part is None:
                return False
            self.losses, self._before = self._content(part)
        except RunError:
            if again:
                return False
            raise
        return True

    def _content(self, part: Mapping[str, Any]) -> tuple[dict[int, list[float]], float]:
        """Losses and seconds of a part."""
        with malformed(self.part, "a part of a landscape", way_out=": add --again to start over"):
            losses = {steps: [number_of(loss) for loss in part["losses"][str(steps)]] for steps in self.losses}
            return losses, float(part["seconds"])

    def _read(self, name: str) -> dict[str, Any] | None:
        """The content of a file of this landscape; None if it does not exist."""
        path = self._run.path / name
        if not path.exists():
            return None
        try:
            data = self._run.read_json(name)
        except RunError as error:
            raise RunError(f"{error}; add --again to start over") from None
        if not isinstance(data, dict) or not all(isinstance(data.get(part), dict) for part in self._key):
            raise RunError(f"{path}: not a landscape of this version of zarts: add --again to replace it")
        if data["identity"] != self._key["identity"]:
            raise RunError(f"{path}: of another run, or of another state of this run: add --again to replace it")
        for key, value in self._key["options"].items():
            if data["options"].get(key) != value:
                then = data["options"].get(key)
                raise RunError(
                    f"{path}: made with {key} = {_words(then)}, not {_words(value)}: repeat the options to resume or "
                    "draw it, or add --again to replace it"
                )
        return data


def _words(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
