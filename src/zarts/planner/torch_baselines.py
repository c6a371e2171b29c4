"""Networks in torch that the user has named as baselines: trained for as long as the finalists of a fit."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from zarts.config import RetrainSettings
from zarts.data import Images
from zarts.errors import SettingsError, ZartsError
from zarts.networks import seeded
from zarts.planner.evidence import Answers, compared_words, paired_difference_of_trainings
from zarts.planner.pictures import Sized
from zarts.planner.records import Candidate
from zarts.runs.checkpoint import load_checkpoint
from zarts.runs.checksum import digest
from zarts.runs.user_functions import run_code
from zarts.runtime.device import choose_device, torch_threads
from zarts.runtime.distributed import Ranks
from zarts.runtime.paths import existing
from zarts.runtime.precision import Passes
from zarts.spaces import handmade
from zarts.training.evaluate import answers, test_batches
from zarts.training.model_file import ModelCard
from zarts.training.network_training import NetworkTraining

__all__ = ["TorchBaseline", "torch_names"]

_TIMM = "timm:"
_TIMED = 2
"""Steps that tell how long one takes, after a first one."""
_ANSWERED = 0.5
"""Of the time of a step for an image, that answering one takes."""


def torch_names(texts: str | None, *, code: bool = False) -> list[str]:
    """The networks in torch among the baselines, as the user has named them.

    Args:
        texts: the setting.
        code: only those whose Python code is a file of the user.
    """
    named = [] if texts is None else [text.strip() for text in texts.split(",")]
    python = [text for text in named if ".py:" in text or text.endswith(".py")]
    return [text for text in named if text in python or (text.startswith(_TIMM) and not code)]


@dataclass(frozen=True)
class TorchBaseline:
    """Code that makes a network of the user.

    Args:
        name: as the user has given it: `mine.py:make`, or `timm:resnet18`.
        image_size: pixels a side, of the images that it is trained on.
        checksum: of the Python file; empty for a network of timm.
        parameters: number of weights.
        step_seconds: of a step of its training.
    """

    name: str
    image_size: int
    checksum: str
    parameters: int
    step_seconds: float

    @staticmethod
    def open(name: str, images: Sized, recipe: RetrainSettings) -> TorchBaseline:
        """Make the network of a name and take a few steps, so that what does not work is found before the fit.

        Args:
            name: as the user has given it.
            images: that it is trained on.
            recipe: of its training.

        Raises:
            NotFoundError: there is no such file.
            SettingsError: its code fails, or what it makes does not classify such images.
        """
        if name.endswith(".py"):
            raise SettingsError(
                f"baselines: {name}: name the function or class in it that makes the network, as {name}:make"
            )
        file = _file(name)
        content = b"" if file is None else existing(file, "Python file (baselines)").read_bytes()
        fresh = TorchBaseline(name, images.data.image_size, "" if file is None else digest(content), 0, 0.0)
        recipe = recipe.model_copy(update={"precision": "32-true", "layout": "channels-last", "kernels": "torch"})
        device = choose_device(recipe.device)
        with _named(name), torch_threads(1), seeded(recipe.seed):
            core = NetworkTraining(recipe, fresh.card(images), images.data, images.train, Ranks(), device)
            batch = core.batch(0, 0.0)
            logits = core.network(batch[0])
            wanted = (len(batch[0]), len(images.data.classes))
            if not isinstance(logits, Tensor) or tuple(logits.shape) != wanted:
                found = "×".join(map(str, logits.shape)) if isinstance(logits, Tensor) else type(logits).__name__
                raise SettingsError(f"gives {found} for {wanted[0]} images; needs {wanted[0]}×{wanted[1]} logits")
            passes, begun = Passes(recipe, device, draws=True), 0.0
            for step in range(1 + _TIMED):
                begun = time.perf_counter() if step <= 1 else begun
                core.step(passes, step, *batch)
        seconds = (time.perf_counter() - begun) / _TIMED
        parameters = sum(weight.numel() for weight in core.network.parameters())
        return replace(fresh, parameters=parameters, step_seconds=max(1e-6, seconds))

    @staticmethod
    def read(data: Sequence[Mapping[str, Any]]) -> list[TorchBaseline]:
        """What `to_dict` gave, of each."""
        return [TorchBaseline(**each) for each in data]

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    def make(self, classes: int, channels: int) -> nn.Module:
        """The network, with the weights that its code gives it.

        Raises:
            SettingsError: its code fails, has changed, or makes something else.
        """
        with _named(self.name):
            network = self._maker(channels)(classes)
            if not isinstance(network, nn.Module):
                raise SettingsError(f"makes a {type(network).__name__}; needs a torch.nn.Module")
        return network

    def _maker(self, channels: int) -> Callable[[int], Any]:
        file = _file(self.name)
        if file is None:
            try:
                timm = importlib.import_module("timm")
            except ImportError:
                raise SettingsError("timm is not installed: pip install timm") from None
            name = self.name.removeprefix(_TIMM)
            return lambda classes: timm.create_model(name, num_classes=classes, in_chans=channels)
        if digest(existing(file, "Python file (baselines)").read_bytes()) != self.checksum:
            raise SettingsError("has changed since the fit began: begin a new fit with another --out")
        _, names = run_code(file.resolve())
        attribute = self.name.rpartition(":")[2]
        if not callable(names.get(attribute)):
            raise SettingsError(f"there is no function or class {attribute!r} in it")
        maker: Callable[[int], Any] = names[attribute]
        return maker

    def card(self, images: Sized) -> ModelCard:
        """The card by which the network is built and its images are prepared."""
        data = images.data
        form = data.classes, data.image_size, data.mean, data.std
        return _Card(handmade("resnet8"), 0, 0, "", *form, bits=data.bits, baseline=self)  # no chain describes it

    def candidate(self, number: int) -> Candidate:
        """Its place among the networks of a fit, which count from 1 on: this one has a negative number."""
        return Candidate(number, self.name, "yours", handmade("resnet8"), self.image_size, parameters=self.parameters)

    def finish(self, images: int, batch_size: int) -> float:
        """Seconds of answering so many images, about."""
        return _ANSWERED * images * self.step_seconds / batch_size

    def right(self, file: Path, images: Images, sized: Sized, device: torch.device) -> Bool[Tensor, " n"]:
        """Whether its answers to images are right, with the trained weights of a file."""
        card = self.card(sized)
        network = card.build().to(device)
        network.load_state_dict(load_checkpoint(file, device)["network"])
        found = answers(network, test_batches(images, card, device))
        return (found.predicted == found.labels).cpu()

    def compared(self, other: str, pairs: Sequence[tuple[Answers, Answers]]) -> tuple[str, Mapping[str, Any]]:
        """What came of it beside another network, in words and in numbers.

        Args:
            other: name of the other network.
            pairs: for each seed whether the answers of that one and of this one are right; empty: it diverged.
        """
        facts = {"name": self.name, "parameters": self.parameters}
        if not pairs:
            return f"Your {self.name} was not trained to the end: it diverged, or there was no time.", facts
        own = [float(torch.as_tensor(mine).double().mean()) for _, mine in pairs]
        accuracy, difference = 100 * sum(own) / len(own), paired_difference_of_trainings(pairs)
        text = (
            f"Your {self.name} ({self.parameters:,} parameters), trained for as long, is right on {accuracy:.1f} % of "
            f"the same test images; {compared_words(other, difference)}."
        )
        return text, {**facts, "test_accuracy": accuracy, "difference": difference._asdict()}


@dataclass(frozen=True, kw_only=True)
class _Card(ModelCard):
    """The card of a network that only its code describes."""

    baseline: TorchBaseline

    def build(self, *, auxiliary: bool = False, **options: Any) -> Any:
        """The network; see `TorchBaseline.make`."""
        return self.baseline.make(len(self.classes), len(self.mean))

    def most_weights(self) -> int:
        """Its parameters, as far as they are known."""
        return self.baseline.parameters


def _file(name: str) -> Path | None:
    return None if name.startswith(_TIMM) else Path(name.rpartition(":")[0])


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Inside, whatever the code of a baseline raises is an error that names it."""
    try:
        yield
    except ZartsError as error:
        text = str(error)
        raise SettingsError(text if text.startswith("baselines: ") else f"baselines: {name}: {text}") from error
    except Exception as error:
        words = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise SettingsError(f"baselines: {name}: {type(error).__name__}: {words}") from error
