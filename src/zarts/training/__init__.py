"""Training, testing and keeping a found network."""

from __future__ import annotations

from zarts.training.evaluate import accuracy, test_batches
from zarts.training.model import ModelCard, load_model, save_model
from zarts.training.start import START, Start
from zarts.training.train import RetrainResult, retrain

__all__ = [
    "START",
    "ModelCard",
    "RetrainResult",
    "Start",
    "accuracy",
    "load_model",
    "retrain",
    "save_model",
    "test_batches",
]
