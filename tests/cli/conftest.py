"""Runs that several tests of the command line compare theirs with."""

import pytest
from jaxtyping import config

import zarts
from small import LONG


@pytest.fixture(scope="session")
def straight(tmp_path_factory):
    """An uninterrupted search."""
    config.update("jaxtyping_disable", True)  # as those that it is compared with
    try:
        return zarts.search(out=tmp_path_factory.mktemp("straight") / "run", **LONG)
    finally:
        config.update("jaxtyping_disable", False)
