"""A search that is interrupted, and goes on where it was.

python examples/resume_run.py
"""

import os
import signal

import zarts
from zarts.callbacks import Callback


class CtrlC(Callback):
    """Presses Ctrl-C after an epoch, as you or a cluster may."""

    def on_epoch(self, event):
        if event["epoch"] == 2:
            os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    small = {"preset": "quick", "epochs": 4, "channels": 2, "cells": 3, "subset": 96, "method": "darts", "quiet": True}
    try:
        zarts.search("digits", out="runs/interrupted", callbacks=[CtrlC()], **small)
    except KeyboardInterrupt as error:
        print(error)  # where it is saved, and how to go on
    resumed = zarts.search(resume="runs/interrupted", quiet=True)
    straight = zarts.search("digits", out="runs/straight", **small)
    print("the same cell as without an interruption:", resumed.genotype == straight.genotype)
    assert resumed.genotype == straight.genotype
