"""What a file costs on its device, and how much of each limit that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zarts.config import LimitSettings
from zarts.limits.latency import Latency, latency_by_command, measure_latency
from zarts.limits.latency_table import LatencyTable
from zarts.limits.memory import flash, peak_ram
from zarts.limits.onnx_graph import OnnxModel, onnx_bytes, read_graph

__all__ = ["LimitShare", "NetworkCosts", "count_network", "exceeded", "limit_shares", "network_latency"]


@dataclass(frozen=True)
class NetworkCosts:
    """The costs of a network as a file.

    Args:
        parameters: weights and biases, batch norms folded into them.
        macs: multiply-adds of an image.
        ram: bytes of live activations in the best order of operations.
        flash: bytes of weights, biases and scales.
        file: bytes of model.onnx.
        latency: of an image; None: not measured.
    """

    parameters: int
    macs: int
    ram: int
    flash: int
    file: int
    latency: Latency | None = None


@dataclass(frozen=True)
class LimitShare:
    """How much of a limit a network uses.

    Args:
        name: what is limited, in words.
        setting: the limit's name.
        value: of the network; of a latency its median in milliseconds.
        limit: the most that it may be, in the same unit.
        share: of the limit, 1 for all of it; of a latency with two standard errors more.
        found: name and value in words, such as `latency 2.31 ms ± 0.02`.
        allowed: the limit in words, such as `2 ms`.
    """

    name: str
    setting: str
    value: float
    limit: float
    share: float
    found: str
    allowed: str

    @property
    def kept(self) -> bool:
        """Whether the network is within the limit."""
        return self.share <= 1


def count_network(model: OnnxModel, *, int8: bool = False, latency: Latency | None = None) -> NetworkCosts:
    """What is counted from an ONNX file: all but its latency.

    Args:
        model: the float32 file.
        int8: whether RAM and flash are those that it has after it is quantised to 8 bits.
        latency: measured elsewhere, see `network_latency`.

    Raises:
        RunError: no ONNX file, or a shape is not known.
        SettingsError: the package onnx is not installed.
    """
    data = onnx_bytes(model)
    graph = read_graph(model)
    return NetworkCosts(
        parameters=graph.parameters(),
        macs=graph.macs(),
        ram=peak_ram(graph, 1 if int8 else 4),
        flash=flash(graph, int8),
        file=len(data),
        latency=latency,
    )


def network_latency(settings: LimitSettings, path: Path, table: LatencyTable | None = None) -> Latency:
    """The latency of a file as the settings say: by the table, by the command, or measured on this machine.

    Args:
        settings: which of these.
        path: the ONNX file.
        table: that of `latency_table`, if it has been read already.

    Raises:
        RunError: it cannot be measured or looked up: see `LatencyTable.latency`, `latency_by_command`,
            `measure_latency`.
        SettingsError: likewise.
    """
    if settings.latency_table is not None:
        return (table or LatencyTable.read(settings.latency_table)).latency(path)
    if settings.latency_command is not None:
        return latency_by_command(settings.latency_command, path)
    return measure_latency(path, threads=settings.latency_threads)


def limit_shares(settings: LimitSettings, costs: NetworkCosts) -> list[LimitShare]:
    """How much of each limit a network uses, for those limits that are set; a latency must have been measured."""
    counted: Sequence[tuple[str, str, int, Any]] = (
        ("parameters", "max_params", costs.parameters, settings.max_params),
        ("MACs", "max_macs", costs.macs, settings.max_macs),
        ("RAM", "max_ram", costs.ram, settings.max_ram),
        ("flash", "max_flash", costs.flash, settings.max_flash),
        ("file", "max_file", costs.file, settings.max_file),
    )
    shares = []
    for name, key, value, limit in counted:
        if limit is not None:
            unit = "" if key in ("max_params", "max_macs") else " bytes"
            allowed = f"{int(limit):,}{unit}"
            found = f"{name} {value:,}"
            shares.append(LimitShare(name, key, float(value), float(limit), value / limit, found, allowed))
    if settings.max_latency is not None and costs.latency is not None:
        latency, most = costs.latency, settings.max_latency
        words = f"latency {latency}"
        if latency.ms <= most < latency.most:
            words += f" (with two standard errors {latency.most:.4g} ms)"
        shares.append(
            LimitShare("latency", "max_latency", latency.ms, most, latency.most / most, words, f"{most:g} ms")
        )
    return sorted(shares, key=lambda share: _ORDER.index(share.setting))


_ORDER = ("max_params", "max_macs", "max_latency", "max_ram", "max_flash", "max_file")


def exceeded(settings: LimitSettings, costs: NetworkCosts, *, measured: bool = True) -> list[str]:
    """The limits that a network does not keep, each in words, such as `latency 2.31 ms ± 0.02 > 2 ms`.

    Args:
        settings: the limits.
        costs: of the network.
        measured: whether its latency must have been measured where it has a limit; if not, a missing one is let pass.
    """
    texts = [f"{share.found} > {share.allowed}" for share in limit_shares(settings, costs) if not share.kept]
    if measured and settings.max_latency is not None and costs.latency is None:
        texts.append(f"latency has not been measured, and may be at most {settings.max_latency:g} ms")
    return texts
