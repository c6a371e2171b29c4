"""Limits as people write them."""

import json

import pytest
from pydantic import ValidationError

from zarts.cli.options import _parameter
from zarts.config import LimitSettings, search_settings
from zarts.config.limits import conflicts_of_limits
from zarts.errors import SettingsError

WRITTEN = {
    "max_params": {
        100000: 100_000,
        "100_000": 100_000,
        "100k": 100_000,
        "1.5M": 1_500_000,
        "2 G": 2 * 10**9,
        "1e5": 10**5,
    },
    "max_latency": {"2ms": 2.0, "500us": 0.5, "500 µs": 0.5, "0.01s": 10.0, "2.5MS": 2.5, "1e-05s": 0.01},
    "max_ram": {64000: 64_000, "64KB": 64_000, "64KiB": 65_536, "1.5MB": 1_500_000, "512": 512},
}
WRONG = {
    "max_params": (0, "0", "1.5", 1.5, "1.2345k", "-3", "10km", "", True, "1e99", "nan", [1], float("inf")),
    "max_latency": (2, 2.0, "2", "2m", "0ms", "-1ms", "ms", "nanms", "infs", "1e99s", "2 hours"),
    "max_ram": (0, -5, "0KB", "64 bananas", "inf"),
}


@pytest.mark.parametrize(
    ("key", "text", "value"), [(k, t, v) for k, forms in WRITTEN.items() for t, v in forms.items()]
)
def test_units(key, text, value):
    settings = LimitSettings(**{key: text})
    assert settings.model_dump(include={key}) != {key: None}
    written = json.loads(settings.model_dump_json())
    assert LimitSettings(**written) == settings == LimitSettings(**{key: written[key]})
    assert {**dict(settings)}[key] == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(("key", "text"), [(key, text) for key, texts in WRONG.items() for text in texts])
def test_what_is_no_limit(key, text):
    with pytest.raises(ValidationError, match=key):
        LimitSettings(**{key: text})


def test_a_time_without_a_unit_is_told_to_have_one():
    with pytest.raises(ValidationError, match="unit, such as 2ms"):
        LimitSettings(max_latency=2)


def test_searches_take_the_same_words():
    assert search_settings({"space": "s2", "max_params": "1.5M", "max_macs": "2G"}).max_params == 1_500_000
    with pytest.raises(SettingsError, match=r"max_params = .many.*100k"):
        search_settings({"space": "s2", "max_params": "many"})


def test_help_says_what_to_write():
    shown = {
        name: _parameter(name, field, field.annotation).default.metavar
        for name, field in LimitSettings.model_fields.items()
    }
    assert (shown["max_params"], shown["max_latency"], shown["max_file"]) == ("NUMBER", "TIME", "SIZE")


def test_defaults_and_conflicts(tmp_path):
    plain = LimitSettings()
    assert {key for key, value in plain if value is not None} == {"max_file", "int8", "latency_threads"}
    assert plain.max_file == 1_000_000
    assert list(conflicts_of_limits(plain)) == []
    both = LimitSettings(latency_table=tmp_path / "t", latency_command="c", latency_threads=2)
    assert len(list(conflicts_of_limits(both))) == 2
