"""zarts: neural networks for your own images, found by zero-order optimisation.

Use the names in `__all__`; subpackages are rooms with names of their own.

import zarts
result = zarts.fit("path/to/images", time="30m")
print(result)  # the verdict: which network to take, and whether it is better than a hand-made one
result.predict("photo.jpg")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = [
    "FitResult",
    "Genotype",
    "ImageParts",
    "Prediction",
    "RetrainResult",
    "SearchResult",
    "ZartsError",
    "callbacks",
    "compare",
    "create_model",
    "diagnose",
    "draw",
    "errors",
    "evaluate",
    "examine",
    "export",
    "fit",
    "landscape",
    "list_genotypes",
    "list_methods",
    "list_networks",
    "list_presets",
    "list_spaces",
    "load_model",
    "load_result",
    "lookup",
    "predict",
    "register_operation",
    "report",
    "retrain",
    "search",
    "to_logger",
    "zo",
]

from zarts.errors import ZartsError

if TYPE_CHECKING:
    from zarts import callbacks, errors, zo
    from zarts.api import (
        FitResult,
        Prediction,
        RetrainResult,
        SearchResult,
        create_model,
        diagnose,
        draw,
        evaluate,
        examine,
        export,
        fit,
        landscape,
        list_genotypes,
        list_methods,
        list_networks,
        list_presets,
        list_spaces,
        load_model,
        load_result,
        lookup,
        predict,
        report,
        retrain,
        search,
    )
    from zarts.callbacks import to_logger
    from zarts.comparison import compare
    from zarts.data import ImageParts
    from zarts.networks import register_operation
    from zarts.spaces import Genotype

    __version__: str

_ELSEWHERE = {
    "Genotype": "zarts.spaces",
    "ImageParts": "zarts.data",
    "compare": "zarts.comparison",
    "register_operation": "zarts.networks",
    "to_logger": "zarts.callbacks",
}
"""Home of each public name that is not in `zarts.api`."""

_MODULES = ("callbacks", "errors", "zo")


def __getattr__(name: str) -> Any:
    """Import torch and the rest only when a name is first used: the command line stays quick."""
    import importlib

    if name == "__version__":
        from importlib.metadata import version

        return version("zarts")
    if name in _MODULES:
        return importlib.import_module(f"zarts.{name}")
    if name in __all__:
        return getattr(importlib.import_module(_ELSEWHERE.get(name, "zarts.api")), name)
    raise AttributeError(f"module 'zarts' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names and nothing else."""
    return sorted([*__all__, "__version__"])
