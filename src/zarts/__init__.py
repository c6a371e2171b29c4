"""zarts: neural architectures for your own images, found by zero-order optimisation.

import zarts
result = zarts.search(data="path/to/images", method="zarts-mgs")
trained = zarts.retrain(result)
trained.test_accuracy
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = [
    "Genotype",
    "ZartsError",
]

from zarts.errors import ZartsError

if TYPE_CHECKING:
    from zarts.spaces import Genotype

_HOMES = {
    "Genotype": "zarts.spaces",
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
    "resume_retrain": "zarts.api",
    "resume_search": "zarts.api",
    "retrain": "zarts.api",
    "search": "zarts.api",
    "to_logger": "zarts.api.callbacks",
}


def __getattr__(name: str) -> Any:
    """Import torch and the rest only when a name is first used: the command line stays quick."""
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'zarts' has no attribute {name!r}")
