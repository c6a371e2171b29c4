"""Runs that several tests of the command line compare theirs with."""

import pytest
from jaxtyping import config

import zarts
from small import LONG


@pytest.fixture(scope="session")
def straight(tmp_path_factory):
    """An uninterrupted search, without pictures."""
    config.update("jaxtyping_disable", True)  # as those that it is compared with
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("zarts.api._new_search.draw_run", lambda *words: None)
            return zarts.search(out=tmp_path_factory.mktemp("straight") / "run", **LONG)
    finally:
        config.update("jaxtyping_disable", False)
