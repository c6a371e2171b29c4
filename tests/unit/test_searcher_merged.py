"""Merged convolutions in a search: what goes with them, and what is refused."""

import pytest
import torch

import zarts
from small import small
from zarts.config import dump, search_settings
from zarts.errors import SettingsError
from zarts.spaces import get_space

pytestmark = pytest.mark.usefixtures("no_pictures", "unchecked")


@pytest.mark.parametrize(
    ("method", "axes"),
    [
        ("mergenas", {"select": "perturbation"}),
        ("mergenas", {"relaxation": "gumbel-soft", "weight_relaxation": "path"}),
        ("mergenas", {"weight_relaxation": "adversarial"}),
        ("merge-zarts", {"arch_optimizer": "rs"}),
        ("merge-zarts", {"arch_optimizer": "gld", "relaxation": "gumbel"}),
        ("rsps", {"supernet": "merged"}),
    ],
)
def test_what_goes_with_them(tmp_path, method, axes):
    result = zarts.search(out=tmp_path / "run", **small(method, space="s3", **axes))
    get_space("s3").check(result.genotype)
    assert all(torch.isfinite(alpha).all() for alpha in result.alphas.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "mergenas", "edge_normalization": True}, "edge_normalization = True"),
        (
            {"method": "mergenas", "relaxation": "gumbel"},
            "supernet = merged",
        ),
        ({"method": "merge-zarts", "relaxation": "path"}, "relaxation = path"),
        ({"method": "mergenas", "space": "nasbench201"}, "supernet = merged"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(SettingsError, match=message):
        search_settings(options)


def test_the_methods_are_darts_and_zarts_on_another_supernet():
    for method, other, more in (("mergenas", "darts", {"warmup_epochs": 10}), ("merge-zarts", "zarts-mgs", {})):
        settings = dump(search_settings({"method": method}))
        assert settings == {**dump(search_settings({"method": other})), "method": method, "supernet": "merged", **more}
