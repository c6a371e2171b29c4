"""Random generators seeded by a key, so that the same draws can be repeated without stored state."""

from __future__ import annotations

import hashlib

import torch

__all__ = ["keyed_generator"]


def keyed_generator(*key: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator seeded by a hash of `key`: the same in every process and on every machine.

    Python's own `hash` differs between processes, so the hash is BLAKE2.

    Args:
        key: for example `(seed, "halves")`; another key is another, independent stream.
        device: where the numbers are drawn.
    """
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "little") >> 1)
