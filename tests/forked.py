"""`zarts` in processes that are forked from one that has imported everything: without seconds of imports in each."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

_PRELOADED = ["zarts.api._search", "zarts.api._retrain", "zarts.cli.commands", "sklearn.datasets"]


class Forked:
    """`zarts WORDS` in a process of its own, with the part of `subprocess.Popen` that tests use.

    Args:
        words: of the command.
        script: a file of Python code that runs instead.
    """

    def __init__(self, *words: object, script: Path | None = None) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_PRELOADED)
        self._folder = Path(mkdtemp(prefix="zarts-forked-"))
        for name in ("1", "2"):
            (self._folder / name).touch()
        argv = ["zarts", *map(str, words), "--quiet"]
        self._process = context.Process(target=_run, args=(argv, script, dict(os.environ), self._folder), daemon=True)
        self._process.start()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code, negative after a signal; None: it runs."""
        return self._process.exitcode

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = 60) -> tuple[str, str]:
        """Standard output and standard error after its end."""
        self._process.join(timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired("zarts", timeout)
        return (self._folder / "1").read_text(), (self._folder / "2").read_text()


def _run(argv: list[str], script: Path | None, environment: dict[str, str], folder: Path) -> None:
    import torch

    from zarts.cli import main

    os.environ.clear()
    os.environ.update({**environment, "OMP_NUM_THREADS": "1", "COLUMNS": "200"})
    torch.set_num_threads(1)
    for number in (1, 2):
        os.dup2(os.open(folder / str(number), os.O_WRONLY), number)
    if script is not None:
        runpy.run_path(str(script), run_name="__main__")
    else:
        sys.argv = argv
        main()
