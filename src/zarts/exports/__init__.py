"""Trained networks as files for other tools: ONNX, TFLite, TorchScript, safetensors, and plain Python.

Write them with `write_model` and read them with `open_model`; a new format is a row in `FORMATS`.
"""

from __future__ import annotations

from zarts.exports.chain_graph import chain_graph
from zarts.exports.formats import FORMATS, write_model
from zarts.exports.inference import OpenedModel, compare_logits, model_in, open_model
from zarts.exports.model_card import CardFacts, model_card
from zarts.exports.onnx_answers import FileAnswers, as_levels, onnx_answers, onnx_input, scaled
from zarts.exports.preprocessing import Pixels, Served
from zarts.exports.quantization import CALIBRATIONS, best_int8, has_vnni, quantize
from zarts.exports.tflite import quantize_tflite

__all__ = [
    "CALIBRATIONS",
    "FORMATS",
    "CardFacts",
    "FileAnswers",
    "OpenedModel",
    "Pixels",
    "Served",
    "as_levels",
    "best_int8",
    "chain_graph",
    "compare_logits",
    "has_vnni",
    "model_card",
    "model_in",
    "onnx_answers",
    "onnx_input",
    "open_model",
    "quantize",
    "quantize_tflite",
    "scaled",
    "write_model",
]
