"""The base class of callbacks, and several callbacks as one function of an event."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from zarts.errors import SettingsError
from zarts.runtime.signals import StopEarly

__all__ = ["OF_EPOCH", "Callback", "Callbacks", "Follower", "StopEarly"]

Event = Mapping[str, Any]

OF_EPOCH = ("weight_epoch", "train_epoch", "genotype", "cost", "eigenvalue")
"""Events that report on a whole epoch; `on_epoch` gets their numbers together."""


class Callback:
    """Follows a search or a retraining; override what you need. On several ranks only the first one calls it.

    An event is a mapping: its kind under `event`, then numbers and texts, as in the run's `metrics.jsonl`.
    """

    def on_step(self, event: Event) -> None:
        """Called after each weight step.

        Args:
            event: `epoch`, `epochs`, `step` and `steps` count from 1; `train_loss` and `train_accuracy` (percent) are
                means over the epoch so far.
        """

    def on_epoch(self, event: Event) -> None:
        """Called at the end of each epoch, before the checkpoint is written.

        Args:
            event: `epoch` and `epochs` count from 1; `train_loss`, `train_accuracy` (percent), `learning_rate`,
                `seconds`. A search adds what its derived cells are: `parameterless` and `skip`, a number for each cell
                type, and `alphas`. A retraining adds `test_accuracy` (percent) in epochs that test.
        """

    def on_end(self, result: Any) -> None:
        """Called once when the run is finished, with its result; not after an interruption or an error."""

    def on_event(self, event: Event) -> None:
        """Called with every event, before the methods above: all that is logged, `step`, `epoch`, `note`, and `doing`.

        `doing` names the phase of the work that begins.
        """

    def stop(self, reason: str = "a callback asked to stop") -> NoReturn:
        """End the run after this epoch, with the result of this epoch.

        The run is then finished like any other: its selection derives the genotype from the state of this epoch, or
        the network of this epoch is tested and saved. Its log has an event `stopped` with the reason. Resuming it
        only returns its result.

        Args:
            reason: for the log, in a few words.

        Raises:
            StopEarly: always; a plain function of an event raises it itself.
        """
        raise StopEarly(reason)


Follower = Callback | Callable[[Event], None]
"""What `callbacks=[...]` takes: an object, or a function that is called with every event."""


class Callbacks:
    """Several callbacks, called as one function of an event. If one of them asks to stop, the others still hear it."""

    def __init__(self, followers: Iterable[Follower]) -> None:
        self._all = [_callback_of(follower) for follower in followers]
        self._epoch: dict[str, Any] = {}

    @property
    def of_steps(self) -> bool:
        """Whether one of them follows weight steps, which are not logged."""
        return any(type(one).on_step is not Callback.on_step for one in self._all)

    def __call__(self, event: Event) -> None:
        """Call all with an event.

        Raises:
            StopEarly: one of them asks to stop.
        """
        kind = event["event"]
        if kind in OF_EPOCH:
            self._epoch.update(event)
        stop: StopEarly | None = None
        for one in self._all:
            try:
                one.on_event(event)
                if kind == "step":
                    one.on_step(event)
                elif kind == "epoch":
                    one.on_epoch({**self._epoch, **event})
            except StopEarly as asked:
                stop = asked
        if kind == "epoch":
            self._epoch = {}
        if stop is not None:
            raise stop

    def end(self, result: Any) -> None:
        """Call `on_end` of all."""
        for one in self._all:
            one.on_end(result)


class _Function(Callback):
    def __init__(self, function: Callable[[Event], None]) -> None:
        self.on_event = function  # type: ignore[method-assign, assignment]


def _callback_of(follower: Follower) -> Callback:
    """The callback; one that calls a plain function with every event.

    Raises:
        SettingsError: it is neither.
    """
    if isinstance(follower, Callback):
        return follower
    if isinstance(follower, type) or not callable(follower):
        raise SettingsError(
            f"callbacks: {follower!r} is neither a zarts.callbacks.Callback nor a function of an event: give an object"
        )
    return _Function(follower)
