"""The device of a run, and the number of threads on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from zarts.errors import SettingsError

__all__ = ["choose_device", "torch_threads"]


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` is CUDA if available, else Apple's MPS, else the CPU.

    Raises:
        SettingsError: this machine has no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise SettingsError(f"device {name!r} cannot be used ({reason}): take --device auto or --device cpu") from None
    return device


@contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """Inside, torch computes with `threads` threads; None changes nothing."""
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
