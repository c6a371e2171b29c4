"""Run folders: settings, events, results and checkpoints, and the user's own files in them.

Outside, use `Run`, which writes and reads all files of a run, and the functions of `new_run` and `user_files`.
"""

from __future__ import annotations

from zarts.runs.run_dir import BEST, Run, genotype_file, trained_in

__all__ = ["BEST", "Run", "genotype_file", "trained_in"]
