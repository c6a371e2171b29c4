"""What comes after the training of a run, and must not cost it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from zarts.errors import Interrupted, RunError, ZartsError, shortened

__all__ = ["afterwards", "on_the_way"]


@contextmanager
def afterwards(what: str, command: str, tell: Callable[[Mapping[str, Any]], None] | None) -> Iterator[None]:
    """Inside, something is made of a result that is safe already: a failure becomes a warning of one line.

    Args:
        what: what is missing then, with its verb: `the report is missing`.
        command: the command that makes it again, or shows it.
        tell: called with the event `warning`.

    Raises:
        Interrupted: Ctrl-C; the message says the same.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted: the result is safe, but {what}: `{command}` makes up for it") from None
    except Exception as error:  # whatever drawing raises, the training was not in vain
        if tell is not None:
            text = f"the result is safe, but {what} ({_reason(error)}): `{command}` makes up for it"
            tell({"event": "warning", "text": text})


@contextmanager
def on_the_way(what: str, command: str) -> Iterator[None]:
    """Inside, a trained network is tested and written: what another library raises (memory, say) is one line.

    Args:
        what: what was not done then: `the network was not tested`.
        command: the command that tries again.

    Raises:
        RunError: something failed; errors of zarts stay as they are.
    """
    try:
        yield
    except ZartsError:
        raise
    except Exception as error:
        raise RunError(f"{what} ({_reason(error)}); what was saved is whole: `{command}` tries again") from error


def _reason(error: Exception) -> str:
    """The class of an error and its text, if it has one, in one line."""
    return shortened(f"{type(error).__name__}: {error}".removesuffix(": "))
