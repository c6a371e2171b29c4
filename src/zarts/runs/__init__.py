"""Run folders: settings, events, results and checkpoints, and the user's own files in them.

Outside, use `Run`; whatever a run leaves behind is written and read through it.
"""

from __future__ import annotations

from zarts.runs.run_dir import Run, genotype_file

__all__ = ["Run", "genotype_file"]
