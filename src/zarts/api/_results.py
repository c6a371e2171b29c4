"""Results of searches and retrainings: what is done next is a method, and printing takes three lines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from zarts import api
from zarts.analysis import Diagnosis, Landscape
from zarts.api._fit_result import FitResult
from zarts.bench import Lookup
from zarts.errors import RunError
from zarts.reports import result_html
from zarts.runs import Run
from zarts.runtime.io import read_mapping
from zarts.runtime.paths import PathLike, path_of, printable
from zarts.searcher import SearchRecord
from zarts.searcher.result import counts
from zarts.searcher.result import read_result as read_search
from zarts.spaces import Chain, Genotype
from zarts.training import RetrainRecord
from zarts.training.result import read_result as read_retrain

__all__ = ["RetrainResult", "SearchResult", "load_result"]


class _Result(ABC):
    """What both results share: a path that is the run folder, three lines of text, cells in a notebook."""

    genotype: Genotype
    run: Path

    @abstractmethod
    def _lines(self) -> tuple[str, str, str]:
        """What it is, where it is, and its figures."""

    def report(self) -> Path:
        """Write `report.html` into the run folder again; the file."""
        return api.report(self)

    def draw(self, out: PathLike | None = None, **options: Any) -> list[Path]:
        """Draw the cells into `out`, or the run folder's `cells`; see `zarts.draw`."""
        return api.draw(self, self.run / "cells" if out is None else out, **options)

    def __fspath__(self) -> str:
        return str(self.run)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.run)!r}, space={self.genotype.space!r})"

    def _cells(self) -> Genotype | None:
        """The cells that a notebook shows, if there are some."""
        return self.genotype

    def __str__(self) -> str:
        return "\n".join(map(printable, self._lines()))

    def _repr_html_(self) -> str:
        return result_html(self._lines(), self._cells())


class SearchResult(_Result, SearchRecord):
    """The result of a search.

    It stands for its run folder wherever a path is asked for: `os.fspath(result)` is the folder. `print(result)` says
    in three lines what it is, where it is, and its figures; a notebook shows the cells.

    Attributes:
        genotype: the genotype that the selection derived or, after early stopping, that of the chosen epoch.
        alphas: cell type to the final alpha `(edges, ops)`; empty for method `random`.
        history: all logged events, in order.
        run: the run folder.
        seconds: wall time of all steps, over all resumptions.
        betas: cell type to the final entries of the edges `(edges,)`; empty where edges have no weights of their own.
        images: the images, if they were given as Python objects: `retrain` takes the same ones.
    """

    @classmethod
    def of(cls, record: SearchRecord) -> SearchResult:
        """The result with the fields of a record."""
        return cls(**vars(record))

    def retrain(self, **options: Any) -> RetrainResult:
        """Train the derived network and test it: `zarts.retrain` of this search, with the same options."""
        return api.retrain(self, **options)

    def diagnose(self, **options: Any) -> Diagnosis:
        """Measure signal and noise of the candidates' losses: `zarts.diagnose` of this search."""
        return api.diagnose(self, **options)

    def landscape(self, **options: Any) -> Landscape:
        """Map the validation loss around alpha: `zarts.landscape` of this search."""
        return api.landscape(self, **options)

    def lookup(self, **options: Any) -> Lookup:
        """Look up the true accuracies of a cell of space `nasbench201`: `zarts.lookup` of this search."""
        return api.lookup(self, **options)

    def _lines(self) -> tuple[str, str, str]:
        settings = _settings(self.run, "search")
        method = f" by {settings['method']}" if "method" in settings else ""
        what = f"search{method} in space {self.genotype.space}{_of(settings)}"
        cells = (
            f"{kind} cell: {sum(map(len, self.genotype.cells[kind]))} operations, {number} parameterless"
            for kind, number in counts(self.genotype)["parameterless"].items()
        )
        return what, str(self.run), "; ".join([*cells, f"{self.seconds:.0f} s"])


class RetrainResult(_Result, RetrainRecord):
    """The result of training a network.

    It stands for its run folder wherever a path is asked for, prints in three lines, and shows its cells in a
    notebook, as `SearchResult` does.

    Attributes:
        architecture: its cells, a `zarts.Genotype`, or its chain.
        genotype: its cells; a chain has none.
        test_accuracy: after the last epoch, in percent.
        parameters: number of parameters, without the auxiliary head.
        macs: MACs for one image.
        history: all logged events, in order.
        run: the run folder; the network is its `model.safetensors`.
        seconds: wall time of training and testing, over all resumptions.
        images: the images, if they were given as Python objects: `evaluate` takes the same ones.
    """

    def __repr__(self) -> str:
        chain = self.architecture if isinstance(self.architecture, Chain) else None
        return super().__repr__() if chain is None else f"RetrainResult({str(self.run)!r}, chain={chain.name!r})"

    def _cells(self) -> Genotype | None:
        return None if isinstance(self.architecture, Chain) else self.architecture

    def _network(self) -> str:
        if isinstance(self.architecture, Chain):
            return f"hand-made network {self.architecture.name}"
        return f"network of a genotype in space {self.architecture.space}"

    @classmethod
    def of(cls, record: RetrainRecord) -> RetrainResult:
        """The result with the fields of a record."""
        return cls(**vars(record))

    def evaluate(self, data: Any = None, **options: Any) -> float:
        """Test accuracy, in percent, on `data` or on the run's own test images; see `zarts.evaluate`."""
        return api.evaluate(self, data, **options)

    def predict(self, images: Any, **options: Any) -> list[api.Prediction]:
        """Predict the classes of images; see `zarts.predict`."""
        return api.predict(self, images, **options)

    def export(self, form: str, **options: Any) -> list[Path]:
        """Write the network for other tools, for example as `onnx`; the files. See `zarts.export`."""
        return api.export(self, form, **options)

    def _lines(self) -> tuple[str, str, str]:
        settings = _settings(self.run, "retrain")
        what = f"{self._network()}{_of(settings)}"
        size = f"{self.parameters:,} parameters, {self.macs:,} MACs"
        return what, str(self.run), f"test accuracy {self.test_accuracy:.2f} %; {size}; {self.seconds:.0f} s"


def load_result(run: PathLike) -> SearchResult | RetrainResult | FitResult:
    """The result of a finished search, retraining or fit, from its run folder.

    Args:
        run: the folder, or a result, which is read again.

    Raises:
        RunError: it is no such folder, or the run has not finished.
    """
    folder = path_of(run)
    config = read_mapping(folder / "config.yaml")
    if "fit" in config:
        return FitResult.read(folder)
    command = "retrain" if "retrain" in config else "search"
    if not Run.open(folder, command).finished:
        raise RunError(f"{folder}: the {command} has not finished{Run(folder).resume_hint(command)}")
    if command == "retrain":
        return RetrainResult.of(read_retrain(Run(folder)))
    return SearchResult.of(read_search(api.searched_settings(folder), Run(folder)))


def _settings(run: Path, command: str) -> Mapping[str, Any]:
    """The settings in a run folder; empty if it is gone or damaged, because printing must not fail."""
    with suppress(RunError):
        found = read_mapping(run / "config.yaml").get(command)
        return found if isinstance(found, Mapping) else {}
    return {}


def _of(settings: Mapping[str, Any]) -> str:
    """The images, epochs and seed, as far as they are known."""
    known = [str(settings["data"])] if "data" in settings else []
    known += [f"{settings['epochs']} epochs"] if settings.get("epochs") else []
    known += [f"seed {settings['seed']}"] if "seed" in settings else []
    return f": {', '.join(known)}" if known else ""
