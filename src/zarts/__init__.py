"""zarts: neural architectures for your own images, found by zero-order optimisation.

Use the names in `__all__`; subpackages are rooms with names of their own.

import zarts
result = zarts.search(data="path/to/images", method="zarts-mgs")
trained = zarts.retrain(result)
trained.test_accuracy
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = [
    "Genotype",
    "ImageParts",
    "ZartsError",
    "compare",
    "create_model",
    "diagnose",
    "evaluate",
    "export",
    "landscape",
    "load_model",
    "lookup",
    "predict",
    "register_operation",
    "retrain",
    "search",
    "to_logger",
]

from zarts.errors import ZartsError

if TYPE_CHECKING:
    from zarts.api import (
        diagnose,
        evaluate,
        export,
        landscape,
        lookup,
        predict,
        retrain,
        search,
    )
    from zarts.callbacks import to_logger
    from zarts.comparison import compare
    from zarts.data import ImageParts
    from zarts.networks import create_model, register_operation
    from zarts.spaces import Genotype
    from zarts.training import load_model

_HOMES = {
    "Genotype": "zarts.spaces",
    "ImageParts": "zarts.data",
    "compare": "zarts.comparison",
    "create_model": "zarts.networks",
    "diagnose": "zarts.api",
    "evaluate": "zarts.api",
    "export": "zarts.api",
    "landscape": "zarts.api",
    "load_model": "zarts.training.model_file",
    "lookup": "zarts.api",
    "predict": "zarts.api",
    "register_operation": "zarts.networks",
    "retrain": "zarts.api",
    "search": "zarts.api",
    "to_logger": "zarts.callbacks",
}


def __getattr__(name: str) -> Any:
    """Import torch and the rest only when a name is first used: the command line stays quick."""
    import importlib

    if name == "callbacks":
        return importlib.import_module("zarts.callbacks")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'zarts' has no attribute {name!r}")
