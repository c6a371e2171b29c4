"""`python -m zarts` is the command `zarts`; torchrun starts ranks by it."""

from __future__ import annotations

from zarts.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
