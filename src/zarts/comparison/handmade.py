"""Hand-made networks as rows of a comparison: nothing is searched, and they train like the derived networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zarts.comparison.grid import key_values, short, slug
from zarts.config import OF_CHAINS, SearchSettings
from zarts.errors import SettingsError
from zarts.spaces import handmade

__all__ = ["HandmadeRow", "parse_baselines"]


@dataclass(frozen=True)
class HandmadeRow:
    """A hand-made network with settings of its own.

    Args:
        name: its name in the table: `resnet8 width=0.5`.
        network: a name of `zarts list networks`.
        settings: names and values of its own settings, `width` and `stem_stride`.
    """

    name: str
    network: str
    settings: tuple[tuple[str, Any], ...]

    def folder(self, settings: SearchSettings) -> str:
        """The name of its folder, which no method's row has; the images are those of `settings`."""
        return f"handmade,{slug(self.name)},data={short('data', settings.data)}"


def parse_baselines(texts: str | Sequence[str]) -> list[HandmadeRow]:
    """`resnet8,vgg width=0.5` as rows, or a list of such texts.

    Raises:
        SettingsError: no hand-made network has that name, a row appears twice, or a setting is not one of its own.
    """
    rows = [_row(" ".join(text.split())) for text in (texts.split(",") if isinstance(texts, str) else texts)]
    if len({row.name for row in rows}) < len(rows):
        raise SettingsError(f"baselines = {', '.join(row.name for row in rows)}: a row appears twice")
    return rows


def _row(text: str) -> HandmadeRow:
    network, *words = text.split() or [""]
    try:
        settings = key_values(text, words)
        for key, value in settings.items():
            if key not in OF_CHAINS:
                raise SettingsError(
                    f"row {text!r}: {key} is no setting of a hand-made row, which has {' and '.join(OF_CHAINS)}: set "
                    "it for all rows, by --retrain"
                )
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise SettingsError(f"row {text!r}: {key} = {value}; expected a number")
        handmade(network, **settings)
    except SettingsError as error:
        raise SettingsError(f"baselines: {error}") from None
    return HandmadeRow(text, network, tuple(settings.items()))
