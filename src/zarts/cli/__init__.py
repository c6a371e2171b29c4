"""The command line `zarts`: one thin file a command; only here lines are printed and the process exits.

Outside, use `main` alone; the rest is reached through the commands.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback

from zarts.cli.distributed import begin_command, is_local_rank_zero
from zarts.runtime.paths import printable, replace_unencodable
from zarts.runtime.signals import asked_by, interruptible
from zarts.wording import options_in_messages

__all__ = ["main"]


def main() -> None:
    """Run `zarts` with the process's arguments and exit: 0 done, 1 failed, 2 usage, 3 data, 130 Ctrl-C, 143 SIGTERM.

    3 is for images and for paths that do not exist, whatever they are of.
    """
    replace_unencodable()
    _let_threads_sleep()
    begin_command()
    argv = [word for word in sys.argv[1:] if word != "--debug"]
    try:
        with interruptible(), options_in_messages():
            code = _run(argv, debug="--debug" in sys.argv)
    except KeyboardInterrupt:  # while the last lines were printed
        code = 130
    sys.exit(143 if code == 130 and asked_by() == signal.SIGTERM else code)


def _let_threads_sleep() -> None:
    """Let threads of torch sleep while they wait for each other, unless the user has set how they wait.

    By default they spin for up to milliseconds in a loop, of which a step has hundreds: where other programs want the
    processors, that is most of the time. OpenMP reads the variables when torch is first imported, which is later.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & {*os.environ}:
        os.environ["OMP_WAIT_POLICY"] = "passive"


def _run(argv: list[str], *, debug: bool) -> int:
    from typer import TyperException

    from zarts.cli.commands import app
    from zarts.errors import ZartsError
    from zarts.runtime.system_memory import keep_freed_memory

    keep_freed_memory()
    try:
        code = app(argv, standalone_mode=False, prog_name="zarts")
    except ZartsError as error:
        if debug:
            traceback.print_exc()
        return _fail(str(error), error.exit_code)
    except TyperException as error:
        return _fail(error.format_message() if hasattr(error, "format_message") else str(error), 2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if debug or error.filename is None:
            raise
        return _fail(f"{error.filename}: {error.strerror}", 3 if isinstance(error, FileNotFoundError) else 1)
    except Exception as error:
        if "RANK" in os.environ:
            error.add_note(f"on rank {os.environ['RANK']}")
        raise
    if code == 130:  # typer returns this for a KeyboardInterrupt
        return _fail("interrupted", 130)
    return int(code or 0)


def _fail(message: str, code: int) -> int:
    if is_local_rank_zero():
        print(f"zarts: {printable(' '.join(message.split()))}", file=sys.stderr)
    return code
