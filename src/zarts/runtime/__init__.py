"""Device, precision, ranks, signals, memory, seeds and files: what every run needs of the machine.

Import from its modules; this page imports none of them, so that `io` stays free of torch.
"""

from __future__ import annotations

__all__ = []
