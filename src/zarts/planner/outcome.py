"""What a fit ends with: the test of its finalists, the verdict, and the files that are taken home."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from jaxtyping import Bool
from torch import Tensor

from zarts.config import RetrainSettings, dump
from zarts.config.fit import FitSettings
from zarts.data import DataSet
from zarts.errors import SettingsError
from zarts.exports import write_model
from zarts.exports.quantization import best_int8, onnx_answers
from zarts.networks import AnyNetwork
from zarts.planner.candidates import FINAL, Candidates
from zarts.planner.pictures import Pictures
from zarts.planner.records import Candidate, Score
from zarts.planner.training import logits_on
from zarts.runs import BEST, Run
from zarts.runs.afterwards import afterwards
from zarts.runtime.device import choose_device
from zarts.training.error_analysis import write_details
from zarts.training.evaluate import Answers, answers, test_batches
from zarts.training.model_file import ModelCard, load_model, save_model
from zarts.training.result import write_architecture
from zarts.training.temperature import apply_temperature, temperature
from zarts.training.trainer import Callback

__all__ = ["MODEL", "Outcome", "Tested"]

MODEL = "model"
"""Folder of a fit with the files that are taken home."""
_CALIBRATION = 512
"""Training images that ranges of 8-bit activations are chosen on."""
_FORMS = ("safetensors", "onnx")


@dataclass(frozen=True)
class Tested:
    """A trained finalist on the test images.

    Args:
        candidate: the network.
        score: of its training.
        answers: to the test images, in float32.
        int8: whether the answers of its 8-bit file to them are right, one an image; None: there is no such file.
    """

    candidate: Candidate
    score: Score
    answers: Answers
    int8: Bool[Tensor, " n"] | None

    @property
    def int8_accuracy(self) -> float | None:
        """Accuracy of the 8-bit file, in percent; None: there is none."""
        return None if self.int8 is None else 100 * self.int8.double().mean().item()


class Outcome:
    """Writes the files of a fit.

    Args:
        settings: of the fit.
        run: its folder.
        pictures: the images.
        candidates: its networks.
        load: loads the data set at a size, with a way to the test images.
        callback: called with every event.
    """

    def __init__(
        self,
        settings: FitSettings,
        run: Run,
        pictures: Pictures,
        candidates: Candidates,
        load: Callable[[int], DataSet],
        callback: Callback,
    ) -> None:
        self._settings, self._run, self._pictures, self._candidates = settings, run, pictures, candidates
        self._load, self._callback = load, callback
        self._device = choose_device(settings.device)
        self._kept: tuple[int, str] | None = None

    def keep_best(self) -> None:
        """Write the files of the network that is the best so far: what an interrupted fit leaves."""
        best = self._candidates.best_of("found", "random", "hand-made", "yours")
        if best is None:
            return
        length = next(name for name in reversed(self._candidates.lengths) if best in self._candidates.at(name))
        if self._kept == (best.number, length):
            return
        score = min(self._candidates.scores[best.number, length], key=lambda score: score.value)
        self._write(*load_model(self._candidates.file(best, length, score.seed)), _FORMS)
        self._kept = (best.number, length)

    def test(self, finalists: Sequence[Candidate]) -> list[Tested]:
        """The finalists' answers to the test images, which are read now, once: each seed of each."""
        found = []
        for one in finalists:
            images = self._load(one.image_size).test()
            for score in self._candidates.scores[one.number, FINAL]:
                network, card = load_model(self._candidates.file(one, FINAL, score.seed))
                given = answers(network.to(self._device), test_batches(images, card, self._device))
                found.append(Tested(one, score, given, self._int8(one, score, images)))
        return found

    def _int8(self, one: Candidate, score: Score, images: Any) -> Bool[Tensor, " n"] | None:
        """Whether the 8-bit file of a finalist is right; its calibration is chosen on validation images."""
        if not self._settings.int8:
            return None
        file = self._candidates.file(one, FINAL, score.seed)
        folder = file.with_suffix(".files")
        folder.mkdir(exist_ok=True)
        write_model(*load_model(file), "onnx", folder)
        sized = self._pictures[one.image_size]
        calibration = sized.data.train.pixels(sized.train[:: max(1, len(sized.train) // _CALIBRATION)]) / 255
        best_int8(folder / "model.onnx", folder / "model.int8.onnx", calibration, sized.val, sized.val.labels)
        right: Tensor = onnx_answers(folder / "model.int8.onnx", images).predicted == images.labels
        return right

    def deliver(self, tested: Tested, recipe: RetrainSettings, images: Any) -> dict[str, Any]:
        """Write the files of the network that is taken home; facts about them for the result.

        Its logits are divided by a temperature that is chosen on validation images, so that probabilities are usable.

        Args:
            tested: the network that the verdict names.
            recipe: of its training.
            images: the test images at its size.

        Raises:
            SettingsError: the answers of model.onnx are not those of the network.
        """
        one, score = tested.candidate, tested.score
        file = self._candidates.file(one, FINAL, score.seed)
        network, card = load_model(file)
        sized = self._pictures[one.image_size]
        factor = temperature(logits_on(network, card, sized.val, self._device), sized.val.labels)
        apply_temperature(network, factor)
        self._write(network, card, (*_FORMS, "python"))
        folder, files = self._run.path / MODEL, {"model.onnx": "for any runtime of ONNX; images scaled to [0, 1]"}
        if self._settings.int8:
            calibration = sized.data.train.pixels(sized.train[:: max(1, len(sized.train) // _CALIBRATION)]) / 255
            best_int8(folder / "model.onnx", folder / "model.int8.onnx", calibration, sized.val, sized.val.labels)
            files["model.int8.onnx"] = "the same in 8-bit whole numbers"
        right = onnx_answers(folder / "model.onnx", images).predicted
        apart = int((right != tested.answers.predicted).sum())
        if apart > len(right) // 1000 + 1:
            raise SettingsError(
                f"{folder / 'model.onnx'}: answers {apart} of {len(right)} test images differently from the network"
            )
        self._write_run(one, network, card, tested.answers, recipe, images)
        files |= {
            "model.safetensors": "weights, for zarts and safetensors",
            "preprocess.py": "brings an image into the form that the network takes",
            "config.json": "classes, size and normalization of the images",
            "python/model.py": "the network in plain torch",
        }
        return {"temperature": factor, "files": files, "onnx_differs": apart}

    def _write(self, network: AnyNetwork, card: ModelCard, forms: Sequence[str]) -> None:
        """Write a network in some forms into the folder of files that are taken home."""
        folder = self._run.path / MODEL
        for form in forms:
            place = folder / form if form == "python" else folder
            place.mkdir(parents=True, exist_ok=True)
            write_model(network, card, form, place)

    def _write_run(
        self, one: Candidate, network: AnyNetwork, card: ModelCard, found: Answers, recipe: RetrainSettings, images: Any
    ) -> None:
        """Write the delivered network as the run of a training."""
        best = Run(self._run.path / BEST)
        best.path.mkdir(exist_ok=True)
        best.write("config.yaml", yaml.safe_dump({"retrain": dump(recipe)}, sort_keys=False))
        for name in ("split.json", "env.json"):
            shutil.copyfile(self._run.path / name, best.path / name)
        write_architecture(best, one.chain)
        save_model(best.path / "model.safetensors", network, card)
        best.write_json(
            "result.json",
            {
                "command": "retrain",
                "data": recipe.data,
                "chain": one.chain.to_dict(),
                "test_accuracy": found.accuracy,
                "parameters": one.parameters,
                "macs": one.macs,
                "seconds": self._candidates.scores[one.number, FINAL][0].seconds,
            },
        )
        with afterwards("its error analysis is missing", f"zarts evaluate {best.path}", self._callback):
            for folder in (best, self._run):
                write_details(folder, found, test_batches(images, card, self._device), card, images.names)
