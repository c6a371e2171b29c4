"""The record of a trained network and its architecture, in files of a run folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zarts.data import PythonData
from zarts.networks import AnyNetwork
from zarts.readers import malformed
from zarts.runs import Run
from zarts.spaces import Architecture, Chain, Genotype, architecture_in, cells_of, named
from zarts.training.model_file import load_model

__all__ = ["RetrainRecord", "read_architecture", "read_result", "write_architecture"]


@dataclass(frozen=True)
class RetrainRecord:
    """What a retraining leaves; `zarts.RetrainRecord` adds what can be done next.

    Args:
        architecture: its cells, or the chain.
        test_accuracy: after the last epoch, in percent.
        parameters: number of parameters, without the auxiliary head.
        macs: MACs for one image.
        history: all logged events, in order.
        run: the run folder; the network is its `model.safetensors`.
        seconds: wall time of training and testing, over all resumptions.
        images: the images, if they were given as Python objects: `zarts.evaluate` takes the same ones.
    """

    architecture: Architecture
    test_accuracy: float
    parameters: int
    macs: int
    history: list[dict[str, Any]]
    run: Path
    seconds: float
    images: PythonData | None = field(default=None, repr=False, compare=False)

    @property
    def genotype(self) -> Genotype:
        """The cells.

        Raises:
            SettingsError: the network is a chain and has none.
        """
        return cells_of(self.architecture)

    def load(self) -> AnyNetwork:
        """The trained network, in evaluation mode."""
        return load_model(self.run / "model.safetensors")[0]


def write_architecture(run: Run, architecture: Architecture) -> None:
    """Write `genotype.json` or `chain.json` into a run folder."""
    (key,) = named(architecture)
    run.write(f"{key}.json", architecture.to_json())


def read_architecture(run: Run) -> Architecture:
    """Read what `write_architecture` wrote.

    Raises:
        RunError: the file is not there, or is damaged.
    """
    if (run.path / "chain.json").exists():
        return Chain.load(run.path / "chain.json")
    return Genotype.load(run.path / "genotype.json")


def read_result(run: Run) -> RetrainRecord:
    """The result of a finished run.

    Raises:
        RunError: the result cannot be read.
    """
    where = str(run.path / "result.json")
    result = run.read_json("result.json")
    with malformed(where, "the result of a retraining"):
        return RetrainRecord(
            architecture=architecture_in(result, where),
            test_accuracy=float(result["test_accuracy"]),
            parameters=int(result["parameters"]),
            macs=int(result["macs"]),
            history=run.events(),
            run=run.path,
            seconds=float(result["seconds"]),
        )
