"""The command line: the only code that prints or exits."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run `zarts` with the process's arguments and exit: 0 done, 1 failed, 2 usage, 3 data, 130 interrupted."""
    debug = "--debug" in sys.argv
    sys.argv[1:] = [argument for argument in sys.argv[1:] if argument != "--debug"]
    sys.exit(_run(debug))


def _run(debug: bool) -> int:
    from typer import TyperException

    from zarts.cli.commands import app
    from zarts.errors import ZartsError

    try:
        app(standalone_mode=False)
    except ZartsError as error:
        if debug:
            raise
        return _fail(str(error), error.exit_code)
    except TyperException as error:
        return _fail(error.format_message() if hasattr(error, "format_message") else str(error), 2)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _fail(message: str, code: int) -> int:
    print(f"zarts: {' '.join(message.split())}", file=sys.stderr)
    return code
