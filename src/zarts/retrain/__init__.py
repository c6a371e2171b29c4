"""Training, testing and keeping a found network."""

from __future__ import annotations

from zarts.retrain.evaluate import accuracy, test_batches
from zarts.retrain.model import ModelCard, load_model, save_model
from zarts.retrain.train import RetrainResult, retrain

__all__ = ["ModelCard", "RetrainResult", "accuracy", "load_model", "retrain", "save_model", "test_batches"]
