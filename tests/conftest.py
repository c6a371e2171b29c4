"""Shape and type checks of every signature are switched on while testing."""

from jaxtyping import install_import_hook

install_import_hook("zarts", "beartype.beartype")

import pytest  # noqa: E402
import torch  # noqa: E402


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)
