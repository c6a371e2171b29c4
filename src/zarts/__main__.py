"""`python -m zarts` is the command `zarts`; torchrun starts ranks by it."""

from __future__ import annotations

from zarts.runtime.processes import end_with_parent

__all__: list[str] = []

if __name__ == "__main__":
    end_with_parent()  # before all else, which takes seconds
    from zarts.cli import main

    main()
