"""User-defined operations, registered by a Python file."""

from __future__ import annotations

import importlib.util
import math
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from zarts.errors import SettingsError
from zarts.networks.init import seeded
from zarts.networks.operations import OPERATIONS

__all__ = ["load_operations", "register_operation"]

CustomBuild = Callable[[int, int, bool], nn.Module]

_BUILT_IN = frozenset({*OPERATIONS, "nor_conv_1x1", "nor_conv_3x3"})


def register_operation(name: str) -> Callable[[CustomBuild], CustomBuild]:
    """Register a user-defined operation for user-defined spaces: a decorator of the function that builds it.

    The function takes the number of channels, the stride (1 or 2) and `affine`: whether batch norms scale and shift
    (not in the supernet). It returns a module that maps features `(batch, channels, height, width)` to as many
    channels, of the same size at stride 1 and of half of it, rounded up, at stride 2. To register a name again
    replaces its operation.

    Args:
        name: of the operation; not that of a built-in one.

    Raises:
        SettingsError: the name is that of a built-in operation.
    """
    if name in _BUILT_IN:
        raise SettingsError(f"operation {name!r} is built in: choose another name")

    def register(build: CustomBuild) -> CustomBuild:
        OPERATIONS[name] = lambda channels, stride, affine, generator: build(channels, stride, affine)
        return build

    return register


def load_operations(path: Path) -> list[str]:
    """Run a Python file that registers operations, and return their names.

    Raises:
        SettingsError: the file is missing, fails or registers nothing; or an operation fails or makes features of the
            wrong shape.
    """
    before = dict(OPERATIONS)
    spec = importlib.util.spec_from_file_location(f"zarts_operations_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SettingsError(f"{path}: no Python file with operations")
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1].lineno
        raise SettingsError(f"{path}, line {line}: {type(error).__name__}: {error}") from error
    names = [name for name, build in OPERATIONS.items() if before.get(name) is not build]
    if not names:
        raise SettingsError(f"{path}: registers no operation: decorate a function with @zarts.register_operation(name)")
    for name in names:
        _check(name, path)
    return names


def _check(name: str, path: Path) -> None:
    for stride, side in ((1, 8), (1, 7), (2, 8), (2, 7)):
        expected = (2, 4, math.ceil(side / stride), math.ceil(side / stride))
        try:
            with seeded(0), torch.no_grad():
                got = tuple(OPERATIONS[name](4, stride, False, None)(torch.randn(2, 4, side, side)).shape)
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise SettingsError(
                f"{path}: operation {name!r} fails at stride {stride}, side {side} ({reason})"
            ) from error
        if got != expected:
            raise SettingsError(
                f"{path}: operation {name!r} makes features {got} of (2, 4, {side}, {side}) at stride {stride}; "
                f"needs {expected}"
            )
