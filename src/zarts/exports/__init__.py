"""Trained networks as files for other tools: ONNX, TorchScript, safetensors, and plain Python.

Write them with `write_model` and read them with `open_model`; a new format is a row in `FORMATS`.
"""

from __future__ import annotations

from zarts.exports.formats import FORMATS, write_model
from zarts.exports.inference import OpenedModel, compare_logits, model_in, open_model
from zarts.exports.model_card import CardFacts, model_card
from zarts.exports.preprocessing import Served

__all__ = [
    "FORMATS",
    "CardFacts",
    "OpenedModel",
    "Served",
    "compare_logits",
    "model_card",
    "model_in",
    "open_model",
    "write_model",
]
