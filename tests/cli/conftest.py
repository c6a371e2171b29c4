"""Runs that several tests of the command line compare theirs with."""

import pytest

import zarts
from small import LONG


@pytest.fixture(scope="session")
def straight(tmp_path_factory):
    """An uninterrupted search."""
    return zarts.search(out=tmp_path_factory.mktemp("straight") / "run", **LONG)
