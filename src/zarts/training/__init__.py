"""The loop of all jobs, dry runs and memory checks; training, testing and saving a derived network.

Outside, use the names in `__all__`; searches also use `trainer`, `setup`, `memory_check`, `metrics` and `dry_run`.
"""

from __future__ import annotations

from zarts.training.error_analysis import error_details
from zarts.training.evaluate import Answers, accuracy, answers, test_batches
from zarts.training.model_file import ModelCard, load_model, save_model
from zarts.training.result import RetrainRecord, read_architecture, read_result, write_architecture
from zarts.training.retrain import retrain
from zarts.training.temperature import apply_temperature, temperature
from zarts.training.warm_start import START, Start

__all__ = [
    "START",
    "Answers",
    "ModelCard",
    "RetrainRecord",
    "Start",
    "accuracy",
    "answers",
    "apply_temperature",
    "error_details",
    "load_model",
    "read_architecture",
    "read_result",
    "retrain",
    "save_model",
    "temperature",
    "test_batches",
    "write_architecture",
]
