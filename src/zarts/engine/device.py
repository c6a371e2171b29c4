"""Where a run computes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch

from zarts.errors import KernelError, SettingsError
from zarts.kernels import prepare

__all__ = ["choose_device", "native_kernels", "torch_threads"]


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` is CUDA where there is one, else Apple's MPS, else the CPU.

    Raises:
        SettingsError: there is no such device here.
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
        raise SettingsError(f"device {name!r} cannot be used ({reason}): take --device auto or cpu") from None
    return device


def native_kernels(
    choice: str, device: torch.device, skeleton: str, channels: Iterable[int], note: Callable[[str], None]
) -> bool:
    """Whether a supernet uses the native kernels, which are compiled here.

    Args:
        choice: `auto`, `native` or `torch`.
        device: where it computes.
        skeleton: of its space.
        channels: numbers of channels of its nodes.
        note: told why `auto` goes without them on a CPU.

    Raises:
        SettingsError: `native`, and they cannot be had.
    """
    if choice == "torch" or (choice == "auto" and device.type != "cpu"):
        return False
    try:
        if device.type != "cpu":
            raise KernelError(f"the native kernels are for the CPU, not for {device.type!r}")
        prepare(torch.float32, [number for number in channels if choice == "native" or number % 4 == 0], skeleton)
    except KernelError as error:
        if choice == "native":
            raise SettingsError(f"kernels: {error}; or take --kernels torch") from None
        note(f"{error}; torch's own kernels do the work, several times slower")
        return False
    return True


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
