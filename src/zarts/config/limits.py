"""Settings of the limits that a delivered file keeps, and of how its latency is measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ByteSize

from zarts.config.base import Settings, setting
from zarts.config.types import Bytes, Count, Milliseconds, Processes

__all__ = ["LimitSettings", "conflicts_of_limits"]


class LimitSettings(Settings):
    """Limits of the file that is delivered; without a value there is no such limit. See docs/limits.md."""

    max_params: Count | None = setting(
        None,
        "the file has at most so many weights and biases, batch norms folded into them: 100k, 1.5M",
        panel="Limits",
    )
    max_macs: Count | None = setting(None, "at most so many MACs an image: 10M", panel="Limits")
    max_latency: Milliseconds | None = setting(
        None, "one image takes at most so long, with its unit: 2ms, 500us; see --latency-threads", panel="Limits"
    )
    max_ram: Bytes | None = setting(
        None,
        "at most so many bytes of live activations in the best order of operations, without the runtime's own memory: "
        "64KB is 64,000 bytes, 64KiB 65,536; 1 byte a value with --int8, else 4",
        panel="Limits",
    )
    max_flash: Bytes | None = setting(
        None, "at most so many bytes of weights, biases and scales: 1 byte a weight with --int8, else 4", panel="Limits"
    )
    max_file: Bytes | None = setting(ByteSize(10**6), "model.onnx has at most so many bytes", panel="Limits")
    int8: bool = setting(
        False, "also write model.int8.onnx, quantised to 8 bits, and keep RAM and flash of that", panel="Limits"
    )
    latency_threads: Processes = setting(
        1, "threads of onnxruntime while latency is measured on this machine, one image at a time", panel="Limits", ge=1
    )
    latency_table: Path | None = setting(
        None,
        "take latency from this table of a device, which `zarts latency-table` made, and measure none",
        panel="Limits",
    )
    latency_command: str | None = setting(
        None,
        "take latency from this command: it gets the path of an ONNX file as its last word, and prints milliseconds",
        panel="Limits",
    )


def conflicts_of_limits(settings: LimitSettings) -> Iterator[str]:
    """Settings that do not go together, a message each."""
    if settings.latency_table is not None and settings.latency_command is not None:
        yield "latency_table and latency_command both say what latency is: leave one out"
    if settings.latency_threads > 1 and (settings.latency_table is not None or settings.latency_command is not None):
        yield (
            f"latency_threads = {settings.latency_threads} has no effect beside latency_table or latency_command, "
            "which choose the threads themselves: leave it out"
        )
