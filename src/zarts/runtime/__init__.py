"""Device, precision, ranks, signals, memory, seeds and files: what every run needs of the machine.

Outside, import from its modules; this file imports none of them, so that `io` needs no torch.
"""

from __future__ import annotations

__all__ = []
