"""The result of a fit, read from its folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zarts import api
from zarts.callbacks import Callbacks, progress
from zarts.data import PythonData
from zarts.errors import RunError
from zarts.networks import AnyNetwork
from zarts.readers import malformed
from zarts.reports import result_html
from zarts.runs import BEST, MODEL, Run
from zarts.runtime.paths import printable
from zarts.training.model_file import load_model

__all__ = ["FitResult"]


@dataclass(frozen=True)
class FitResult:
    """The result of a fit.

    It stands for its folder wherever a path is asked for. `print(result)` begins with the verdict.

    Attributes:
        verdict: one sentence: which network to take, and whether it was shown to be better.
        candidates: all networks that were tried, a mapping each: what `pandas.DataFrame` takes.
        run: the folder.
        facts: all of `result.json`.
        images: the images, if they were given as Python objects: `evaluate` takes the same ones.
    """

    verdict: str
    candidates: list[dict[str, Any]]
    run: Path
    facts: dict[str, Any]
    images: PythonData | None = field(default=None, compare=False)

    @staticmethod
    def read(run: Path, images: PythonData | None = None) -> FitResult:
        """The result of a finished fit.

        Raises:
            RunError: it has not finished, or its result is damaged.
        """
        if not Run.open(run, "fit").finished:
            raise RunError(f"{run}: the fit has not finished{Run(run).resume_hint('fit')}")
        facts = Run(run).read_json("result.json")
        with malformed(run / "result.json", "the result of a fit"):
            return FitResult(facts["verdict"], facts["candidates"], run, facts, images)

    @property
    def network(self) -> AnyNetwork:
        """The delivered network, trained, in evaluation mode."""
        return load_model(self.run / BEST / "model.safetensors")[0]

    @property
    def test_accuracy(self) -> float:
        """Of the delivered network, in percent."""
        accuracy: float = self.facts["test_accuracy"]
        return accuracy

    def predict(self, images: Any, **options: Any) -> list[api.Prediction]:
        """Predict the classes of images; see `zarts.predict`."""
        return api.predict(self, images, **options)

    def evaluate(self, data: Any = None, **options: Any) -> float:
        """Test accuracy, in percent, on `data` or on the test images of the fit; see `zarts.evaluate`."""
        return api.evaluate(self, data, **options)

    def export(self, form: str, **options: Any) -> list[Path]:
        """Write the network for other tools; the files. See `zarts.export`; ONNX is in the folder `model` already."""
        return api.export(self, form, **options)

    def pick(self, number: int, *, quiet: bool = False, **options: Any) -> FitResult:
        """Train another of the candidates to the end, and compare it with the delivered network; the result with it.

        Args:
            number: of the candidate.
            quiet: print nothing.
            options: `objective`, if the fit had a user-defined one, whose file is run.

        Raises:
            ZartsError: there is no such network, or it was trained to the end already.
        """
        return api.pick(self, number, Callbacks([progress(quiet=quiet)]), **options)

    def train_on(self, data: Any, *, quiet: bool = False, **options: Any) -> api.MoreImages:
        """Train the delivered network on with more images, and say whether it is better than before.

        Args:
            data: all images, the old ones among them or not; see `zarts.search`.
            quiet: print nothing.
            options: `time`, in seconds or as `10m`, by default that of a final training; `out`, the folder.

        Raises:
            ZartsError: the images cannot be used, or have other classes.
        """
        return api.train_on(self, data, Callbacks([progress(quiet=quiet)]), **options)

    def report(self) -> Path:
        """Write `report.html` again; the file."""
        return api.report(self.run)

    def lines(self) -> list[str]:
        """The verdict, more sentences about it, and where the files are."""
        details: list[str] = self.facts.get("details", [])
        return [self.verdict, *details, f"files: {self.run / MODEL}; report: {self.run / 'report.html'}"]

    def __fspath__(self) -> str:
        return str(self.run)

    def _repr_html_(self) -> str:
        return result_html(self.lines(), None)

    def __str__(self) -> str:
        return "\n".join(map(printable, self.lines()))

    def __repr__(self) -> str:
        return f"FitResult({str(self.run)!r})"
