"""What is known of a landscape, kept in the run's folder while it is being made and when it is done."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zarts.analysis.loss_surface import number_of
from zarts.errors import RunError
from zarts.runs import Run

__all__ = ["LandscapeCache"]

_WHOLE, _PART = "landscape.json", "landscape.part.json"
_EVERY_SECONDS = 20.0


class LandscapeCache:
    """`landscape.json`, and `landscape.part.json` until that is whole.

    Args:
        run: the folder.
        identity: the state of the search that the landscape is of.
        options: what it is made with.
        again: whether files of another state, of other options or a whole one may be replaced.

    Raises:
        RunError: there is one of another state or with other options, or one that cannot be read.
    """

    def __init__(self, run: Run, identity: Mapping[str, Any], options: Mapping[str, Any], *, again: bool) -> None:
        self._run, self._ties = run, {"identity": dict(identity), "options": dict(options)}
        self.losses: dict[int, list[float]] = {steps: [] for steps in options["inner_steps"]}
        """Of the points judged so far, by inner steps."""
        self.whole: dict[str, Any] | None = None
        """The content of `landscape.json`, if it is this one."""
        self._before, self._start = 0.0, time.perf_counter()
        self._written = self._start
        if not self._go_on(again) and not again:
            self.whole = self._read(_WHOLE)

    @property
    def part(self) -> Path:
        """The file that holds what is known until all is."""
        return self._run.path / _PART

    @property
    def seconds(self) -> float:
        """Wall time until now, that of earlier attempts included."""
        return self._before + time.perf_counter() - self._start

    def write_now_and_then(self) -> None:
        """Write down what is known, if that was last done some time ago."""
        if time.perf_counter() - self._written >= _EVERY_SECONDS:
            self.write()

    def write(self) -> None:
        """Write down what is known.

        Raises:
            RunError: it cannot be written.
        """
        losses = {str(steps): known for steps, known in self.losses.items()}
        self._run.write_json(_PART, {**self._ties, "losses": losses, "seconds": self.seconds})
        self._written = time.perf_counter()

    def finish(self, landscape: Mapping[str, Any]) -> None:
        """Write the whole landscape, and take the part away.

        Raises:
            RunError: it cannot be written.
        """
        self._run.write_json(_WHOLE, {**landscape, **self._ties})
        self._run.remove(_PART)

    def _go_on(self, again: bool) -> bool:
        """Whether there is a part to go on from."""
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
        try:
            losses = {steps: [number_of(loss) for loss in part["losses"][str(steps)]] for steps in self.losses}
            return losses, float(part["seconds"])
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{self.part}: not a part of a landscape: add --again to start anew") from error

    def _read(self, name: str) -> dict[str, Any] | None:
        """The file, if it is there and of this landscape."""
        path = self._run.path / name
        if not path.exists():
            return None
        try:
            data = self._run.read_json(name)
        except RunError as error:
            raise RunError(f"{error}; add --again to start anew") from None
        if not isinstance(data, dict) or not all(isinstance(data.get(tie), dict) for tie in self._ties):
            raise RunError(f"{path}: not a landscape of this version of zarts: add --again to replace it")
        if data["identity"] != self._ties["identity"]:
            raise RunError(f"{path}: is of another run, or of another state of this one: add --again to replace it")
        for key, value in self._ties["options"].items():
            if data["options"].get(key) != value:
                then = data["options"].get(key)
                raise RunError(
                    f"{path}: was made with {key} = {_words(then)}, now it is {_words(value)}: give the "
                    "same options to go on or to draw it again, or add --again to replace it"
                )
        return data


def _words(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
