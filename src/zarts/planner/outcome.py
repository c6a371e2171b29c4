"""What a fit ends with: the test of its finalists, and the files that are taken home."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jaxtyping import Bool
from torch import Tensor

from zarts.config import RetrainSettings, dump
from zarts.config.fit import FitSettings
from zarts.data import DataSet, Images
from zarts.exports import (
    CardFacts,
    OpenedModel,
    best_int8,
    compare_logits,
    model_card,
    onnx_answers,
    open_model,
    quantize_tflite,
    write_model,
)
from zarts.networks import AnyNetwork
from zarts.planner.candidates import WORK, Candidates
from zarts.planner.onnx_baselines import OnnxBaseline
from zarts.planner.pictures import Pictures, Sized
from zarts.planner.records import FINAL, Candidate, Score
from zarts.planner.training import logits_on
from zarts.runs import BEST, FINALISTS, MODEL, Run
from zarts.runs.afterwards import afterwards
from zarts.runtime.device import choose_device
from zarts.runtime.io import read_mapping, write_atomically
from zarts.runtime.leftovers import temporary_folder
from zarts.training.error_analysis import write_details
from zarts.training.evaluate import Answers, answers, test_batches
from zarts.training.model_file import ModelCard, load_model, save_model
from zarts.training.result import write_architecture
from zarts.training.temperature import apply_temperature, temperature
from zarts.training.trainer import Callback

__all__ = ["Outcome", "Tested"]

_CALIBRATION = 512
"""Training images that ranges of 8-bit activations are chosen on."""
_FORMS = ("safetensors", "onnx")
_TAKES = {"float": "images scaled to [0, 1]", "uint8": "images with levels from 0 to 255"}


@dataclass(frozen=True)
class Tested:
    """A trained finalist on the test images.

    Args:
        candidate: the network.
        score: of its training.
        file: the trained network, in the folder `finalists`; its logits are divided by its temperature.
        temperature: chosen on validation images, so that probabilities are usable.
        answers: to the test images, in float32.
        int8: whether the answers of its 8-bit file to them are right, one an image; None: there is no such file.
        int8_method: how that file's ranges of activations were chosen; empty: there is none.
    """

    candidate: Candidate
    score: Score
    file: Path
    temperature: float
    answers: Answers
    int8: Bool[Tensor, " n"] | None
    int8_method: str = ""

    @property
    def right(self) -> Bool[Tensor, " n"]:
        """Whether the answers of the file that is delivered to the test images are right, one an image."""
        return self.answers.predicted == self.answers.labels if self.int8 is None else self.int8

    @property
    def int8_accuracy(self) -> float | None:
        """Accuracy of the 8-bit file, in percent; None: there is none."""
        return None if self.int8 is None else 100 * self.int8.double().mean().item()


class Outcome:
    """Tests the finalists of a fit and writes its files.

    Args:
        settings: of the fit.
        run: its folder.
        pictures: the images.
        candidates: its networks.
        load: loads the data set at a size, with a way to the test images.
        callback: called with every event.
        place: where files are taken home from; None: the folder of the fit.
    """

    def __init__(
        self,
        settings: FitSettings,
        run: Run,
        pictures: Pictures,
        candidates: Candidates,
        load: Callable[[int], DataSet],
        callback: Callback,
        place: Path | None = None,
    ) -> None:
        self._settings, self._run, self._pictures, self._candidates = settings, run, pictures, candidates
        self._load, self._callback, self._device = load, callback, choose_device(settings.device)
        self._kept: tuple[int, str] | None = None
        self._test_images: dict[int, Images] = {}
        self._place = run.path if place is None else place
        self.baselines: list[OnnxBaseline] = []
        """Files of the user that are tested too."""
        self.folder = self._place / MODEL
        """Of the files that are taken home."""

    def keep_best(self) -> None:
        """Write the files of the network that is the best so far: what an interrupted fit leaves."""
        best = self._candidates.best_so_far()
        if best is None:
            return
        length = next(name for name in reversed(self._candidates.lengths) if best in self._candidates.at(name))
        if self._kept == (best.number, length):
            return
        score = min(self._candidates.scores[best.number, length], key=lambda score: score.value)
        self._write(*load_model(self._candidates.file(best, length, score.seed)), _FORMS)
        self._kept = (best.number, length)

    # --- the test ---

    def test(self, finalists: Sequence[Candidate]) -> list[Tested]:
        """The finalists' answers to the test images, which are read now, once: each seed of each. Their files stay."""
        (self._run.path / FINALISTS).mkdir(exist_ok=True)
        found = []
        for one in finalists:
            images = self.test_images(one.image_size)
            found += [self._tested(one, score, images) for score in self._candidates.scores[one.number, FINAL]]
        return found

    def test_images(self, size: int) -> Images:
        """The test images at a size, read once."""
        if size not in self._test_images:
            self._test_images[size] = self._load(size).test()
        return self._test_images[size]

    def _tested(self, one: Candidate, score: Score, images: Any) -> Tested:
        network, card = load_model(self._candidates.file(one, score.length, score.seed))
        sized, factor = self._pictures[one.image_size], 1.0
        network.to(self._device)
        logits = logits_on(network, card, sized.val, self._device)
        if bool(logits.isfinite().all()):  # else it diverged, and is not taken home
            factor = temperature(logits, sized.val.labels)
        apply_temperature(network, factor)
        found = answers(network, test_batches(images, card, self._device))
        file = self.finalist(one.number, score.seed)
        save_model(file, network, card)
        if not self._settings.int8:
            return Tested(one, score, file, factor, found, None)
        out = file.with_suffix(".int8.onnx")
        with temporary_folder() as folder:
            write_model(network.cpu(), card, "onnx", folder, self._settings.input)
            _, method = best_int8(
                folder / "model.onnx", out, self._calibration(sized), sized.val, sized.val.labels.cpu()
            )
        right = onnx_answers(out, images).predicted == images.labels.cpu()
        return Tested(one, score, file, factor, found, right, method)

    def finalist(self, number: int, seed: int) -> Path:
        """The file of a final training."""
        return self._run.path / FINALISTS / f"{number}-{seed}.safetensors"

    def right(self, number: int, seed: int) -> Bool[Tensor, " n"]:
        """Whether the answers of a finalist's delivered file to the test images are right, one an image."""
        network, card = load_model(self.finalist(number, seed))
        images = self.test_images(card.image_size)
        if self._settings.int8:
            eight = self.finalist(number, seed).with_suffix(".int8.onnx")
            return onnx_answers(eight, images).predicted == images.labels.cpu()
        network.to(self._device)
        found = answers(network, test_batches(images, card, self._device))
        return found.predicted == found.labels

    def _calibration(self, sized: Sized) -> Tensor:
        """Training images in the form that model.onnx takes."""
        pixels: Tensor = _some_of(sized)
        return pixels if self._settings.input == "uint8" else pixels / 255

    # --- the files ---

    def deliver(self, tested: Tested, recipe: RetrainSettings, images: Any) -> dict[str, Any]:
        """Write the files of the network that is taken home; facts about them for the result.

        Args:
            tested: the network that the verdict names.
            recipe: of its training.
            images: the test images at its size.

        Raises:
            RunError, SettingsError: a file cannot be written or run.
        """
        network, card = load_model(tested.file)
        self._write(network, card, (*_FORMS, "python"))
        onnx_file = self.folder / "model.onnx"
        files = {"model.onnx": f"for any runtime of ONNX; takes {_TAKES[self._settings.input]}"}
        apart = int((onnx_answers(onnx_file, images).predicted != tested.answers.predicted).sum())
        facts: dict[str, Any] = {"temperature": tested.temperature, "onnx_differs": apart}
        if tested.int8 is not None:
            shutil.copyfile(tested.file.with_suffix(".int8.onnx"), self.folder / "model.int8.onnx")
            files["model.int8.onnx"] = "the same in 8-bit whole numbers"
        self._write_run(tested, network, card, recipe, images)
        if self._settings.tflite:
            with afterwards("model.tflite is missing", f"zarts export {self._quoted} --format tflite", self._callback):
                facts["tflite"] = self._write_tflite(network, card, images)
                files |= facts["tflite"].pop("files")
        files |= {
            "model.safetensors": "weights, for zarts and safetensors",
            "preprocess.py": "brings an image into the form that the network takes",
            "config.json": "classes, size and normalization of the images",
            "python/model.py": "the network in plain torch",
            "README.md": "the model card: what the network is, how good, and how it is used",
        }
        return {**facts, "files": files}

    @property
    def _quoted(self) -> str:
        return shlex.quote(str(self._run.path))

    def _write(self, network: AnyNetwork, card: ModelCard, forms: Sequence[str]) -> None:
        """Write a network in some forms into the folder of files that are taken home."""
        for form in forms:
            place = self.folder / form if form == "python" else self.folder
            place.mkdir(parents=True, exist_ok=True)
            write_model(network, card, form, place, self._settings.input if form == "onnx" else "float")

    def _write_tflite(self, network: AnyNetwork, card: ModelCard, images: Any) -> dict[str, Any]:
        """Write model.tflite, in 8 bits too; accuracies of both in percent, on the test images, in LiteRT.

        Raises:
            RunError, SettingsError: it cannot be written, or its logits are not those of the network.
        """
        file, out = self.folder / "model.tflite", self.folder / "model.int8.tflite"
        write_model(network, card, "tflite", self.folder)
        compare_logits(network, open_model(file), file)
        facts: dict[str, Any] = {"accuracy": _accuracy(open_model(file), images)}
        facts["files"] = {"model.tflite": "for LiteRT; takes an image scaled to [0, 1], channels last"}
        if self._settings.int8:
            quantize_tflite(file, out, _some_of(self._pictures[card.image_size]))
            facts["int8_accuracy"] = _accuracy(open_model(out), images)
            facts["files"]["model.int8.tflite"] = "for microcontrollers: all in 8-bit whole numbers"
        return facts

    def write_card(self, result: Mapping[str, Any]) -> None:
        """Write the model card, `README.md`.

        Args:
            result: of the fit, complete.

        Raises:
            RunError: the logits of model.onnx are not those of the network.
        """
        network, _ = load_model(self.folder / "model.safetensors")
        file, best = self.folder / "model.onnx", self._place / BEST
        written = open_model(file)
        facts = CardFacts(
            result=read_mapping(best / "result.json"),
            settings=read_mapping(best / "config.yaml")["retrain"],
            environment=read_mapping(best / "env.json"),
            fit=result,
        )
        files = [self.folder / name for name in result["files"]]
        text = model_card(network, written, "onnx", files, facts, compare_logits(network, written, file))
        write_atomically(self.folder / "README.md", text)

    def remove_work(self) -> None:
        """Delete what trainings have left: a finished fit needs none of it."""
        shutil.rmtree(self._run.path / WORK, ignore_errors=True)

    def _write_run(
        self, tested: Tested, network: AnyNetwork, card: ModelCard, recipe: RetrainSettings, images: Any
    ) -> None:
        """Write the delivered network as the run of a training."""
        best, one = Run(self._place / BEST), tested.candidate
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
                "test_accuracy": tested.answers.accuracy,
                "parameters": one.parameters,
                "macs": one.macs,
                "seconds": tested.score.seconds,
                "seed": tested.score.seed,
            },
        )
        with afterwards("its error analysis is missing", f"zarts evaluate {self._quoted}", self._callback):
            for folder in (best, Run(self._place)):
                write_details(folder, tested.answers, test_batches(images, card, self._device), card, images.names)


def _some_of(sized: Sized) -> Tensor:
    """Levels of some of the training images, drawn evenly."""
    pixels: Tensor = sized.data.train.pixels(sized.train[:: max(1, len(sized.train) // _CALIBRATION)])
    return pixels


def _accuracy(model: OpenedModel, images: Any) -> float:
    """Accuracy of a file on the CPU, in percent."""
    return answers(model.module, test_batches(images, model.card.unnormalized(), choose_device("cpu"))).accuracy
