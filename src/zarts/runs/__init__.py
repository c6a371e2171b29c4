"""Run folders: settings, events, results and checkpoints, and the user's own files in them.

Outside, use `Run`, which writes and reads all files of a run, and the functions of `new_run` and `user_files`.
"""

from __future__ import annotations

from zarts.runs.fit_dir import BEST, FINALISTS, MODEL, fit_of, is_fit, trained_in
from zarts.runs.run_dir import Run, genotype_file

__all__ = ["BEST", "FINALISTS", "MODEL", "Run", "fit_of", "genotype_file", "is_fit", "trained_in"]
