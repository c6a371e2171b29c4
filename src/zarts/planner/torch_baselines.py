"""Networks in torch that the user has named as baselines: trained for as long as the finalists of a fit."""

from __future__ import annotations

import importlib
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from zarts.config import RetrainSettings
from zarts.data import Images
from zarts.errors import DataError, DivergedError, Interrupted, SettingsError, ZartsError
from zarts.networks import seeded, set_layout
from zarts.planner.baselines import TIMM, python_file
from zarts.planner.evidence import Answers, compared_words, paired_difference_of_trainings
from zarts.planner.pictures import Sized
from zarts.planner.records import Candidate
from zarts.runs.checkpoint import load_checkpoint
from zarts.runs.user_functions import run_code
from zarts.runtime.device import choose_device, torch_threads
from zarts.runtime.distributed import Ranks
from zarts.runtime.io import WriteError
from zarts.runtime.paths import path_of
from zarts.runtime.precision import Passes
from zarts.spaces import handmade
from zarts.training.evaluate import answers, test_batches
from zarts.training.model_file import ModelCard
from zarts.training.network_training import NetworkTraining

__all__ = ["TorchBaseline"]

_TIMED = 2
"""Steps that tell how long one takes, after a first one."""
_SLOWEST = 1e-3
"""Of the time of a fit that a step may take."""
_ANSWERED, _MOST_ANSWERED = 0.5, 0.1
"""Of the time of a step for an image, that answering one takes; of the time of a fit, that answering all may take."""
_EQUAL = 0.95
"""Of the seconds of the network beside it that a training has at least, where the two are compared."""


@dataclass(frozen=True)
class TorchBaseline:
    """Code that makes a network of the user.

    Args:
        name: as the user has given it: `mine.py:make`, or `timm:resnet18`.
        source: the text of the Python file; for a network of timm its version.
        image_size: pixels a side, of the images that it is trained on.
        layout: in which it trains, see `set_layout`: the first one of both that it works in.
        parameters: number of weights.
        step_seconds: of a step of its training.
    """

    name: str
    source: str
    image_size: int
    layout: str = "channels-last"
    parameters: int = 0
    step_seconds: float = 0.0

    @staticmethod
    def open(name: str, images: Sized, recipe: RetrainSettings, of: float) -> TorchBaseline:
        """Make the network of a name and take a few steps, so that what does not work is found before the fit.

        Args:
            name: as the user has given it.
            images: that it is trained on.
            recipe: of its training.
            of: seconds of the fit.

        Raises:
            SettingsError: its code fails, what it makes does not classify such images, or is too slow.
        """
        with _named(name):
            fresh = TorchBaseline(name, _source(name), images.data.image_size)
            try:
                found = fresh._tried(images, recipe, of)
            except DivergedError as error:
                raise SettingsError("its first step gives numbers that are not finite") from error
            except RuntimeError:  # of torch: code may need features that lie in memory as torch has them
                found = replace(fresh, layout="nchw")._tried(images, recipe, of)
            seconds = found.finish(images, recipe)
            if seconds > _MOST_ANSWERED * of:
                raise _slow(f"answering the test images would take {seconds:.0f} s", seconds / _MOST_ANSWERED)
        return found

    def _tried(self, images: Sized, recipe: RetrainSettings, of: float) -> TorchBaseline:
        """This one with what a few steps tell; weights do not change in them."""
        recipe = self.recipe(recipe).model_copy(update={"precision": "32-true"})
        device = choose_device(recipe.device)
        with torch_threads(1), _own_draws(recipe.seed, device):
            core = NetworkTraining(recipe, self.card(images), images.data, images.train, Ranks(), device)
            core.rate = 0.0
            batch, wanted = core.batch(0, 0.0), len(images.data.classes)
            self.make(wanted, batch[0].shape[1])  # each training makes it anew
            begun = time.perf_counter()
            for count in (len(batch[0]), 1):
                core.network.eval()
                logits = core.network(batch[0][:count])
                if not isinstance(logits, Tensor) or tuple(logits.shape) != (count, wanted):
                    found = "×".join(map(str, logits.shape)) if isinstance(logits, Tensor) else type(logits).__name__
                    raise SettingsError(f"gives {found} for {count} images; needs {count}×{wanted} logits")
            core.network.train()
            passes, seconds = Passes(recipe, device, draws=True), time.perf_counter() - begun
            for step in range(1 + _TIMED):
                if seconds > _SLOWEST * of:
                    raise _slow(f"a step takes {seconds:.1f} s", seconds / _SLOWEST)
                begun = time.perf_counter() if step <= 1 else begun
                core.step(passes, step, *batch)
                seconds = (time.perf_counter() - begun) / max(1, step)
        parameters = sum(weight.numel() for weight in core.network.parameters())
        return replace(self, parameters=parameters, step_seconds=max(1e-6, seconds))

    @staticmethod
    def read(data: Sequence[Mapping[str, Any]]) -> list[TorchBaseline]:
        """Plain data of each, see `dataclasses.asdict`."""
        found = [TorchBaseline(**each) for each in data]
        return [replace(one, parameters=int(one.parameters), step_seconds=float(one.step_seconds)) for one in found]

    def check(self) -> None:
        """Refuse code that has changed since the fit began.

        Raises:
            NotFoundError: there is no such file any more.
            SettingsError: it has changed, or timm is another version.
        """
        now = _source(self.name)
        if now != self.source:
            of_timm = f"timm is {now} now: pip install timm=={self.source}"
            again = of_timm if self.name.startswith(TIMM) else "it is in plan.yaml as it was"
            raise SettingsError(f"baselines: {self.name} has changed since the fit began: {again}")

    def make(self, classes: int, channels: int) -> nn.Module:
        """The network, with the weights that its code gives it.

        Raises:
            SettingsError: its code fails, or makes something else.
        """
        with _named(self.name):
            network = self._maker(channels)(classes)
            if not isinstance(network, nn.Module):
                raise SettingsError(f"makes a {type(network).__name__}; needs a torch.nn.Module")
        if self.layout == "nchw":
            network.register_forward_pre_hook(_plain)
        return network

    def _maker(self, channels: int) -> Callable[[int], Any]:
        if self.name.startswith(TIMM):
            name = self.name.removeprefix(TIMM)
            return lambda classes: _timm().create_model(name, num_classes=classes, in_chans=channels)
        name, _, attribute = self.name.rpartition(":")
        file = path_of(name).absolute()
        if str(file.parent) not in sys.path:  # the file may import what is beside it
            sys.path.append(str(file.parent))
        _, names = run_code(file, self.source)
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
        """Its place beside the networks of a fit."""
        return Candidate(number, self.name, "yours", handmade("resnet8"), self.image_size, parameters=self.parameters)

    def recipe(self, of: RetrainSettings) -> RetrainSettings:
        """The recipe of its trainings."""
        return of.model_copy(update={"kernels": "torch", "layout": self.layout})

    def finish(self, images: Sized, recipe: RetrainSettings) -> float:
        """Seconds of answering the validation images once and the test images for each of three seeds, about."""
        count = len(images.val) + 3 * images.data.counts.get("test", 0)
        return _ANSWERED * count * self.step_seconds / recipe.batch_size

    @contextmanager
    def training(self, seed: int, device: torch.device) -> Iterator[None]:
        """Inside, its layers draw from a seed, and whatever its code raises counts as a training that diverged."""
        try:
            with _named(self.name), _own_draws(seed, device):
                yield
        except SettingsError as error:
            raise DivergedError(str(error)) from error

    def right(self, file: Path, images: Images, sized: Sized, device: torch.device) -> Bool[Tensor, " n"]:
        """Whether its answers to images are right, with the trained weights of a file.

        Raises:
            SettingsError: its code fails.
        """
        card = self.card(sized)
        with _named(self.name), _own_draws(0, device):
            network = card.build().to(device)
            set_layout(network, self.layout)
            network.load_state_dict(load_checkpoint(file, device)["network"])
            found = answers(network, test_batches(images, card, device))
        return (found.predicted == found.labels).cpu()

    def compared(
        self, other: str, pairs: Sequence[tuple[Answers, Answers]], share: float
    ) -> tuple[str, Mapping[str, Any]]:
        """What came of it beside another network, in words and in numbers.

        Args:
            other: name of the other network.
            pairs: for each seed whether the answers of that one and of this one are right; empty: it has none.
            share: of the other one's seconds that its shortest training had.
        """
        facts = {"name": self.name, "parameters": self.parameters}
        if not pairs:
            return f"Your {self.name} was not trained to the end.", facts
        own = [float(torch.as_tensor(mine).double().mean()) for _, mine in pairs]
        accuracy, difference = 100 * sum(own) / len(own), paired_difference_of_trainings(pairs)
        facts |= {"test_accuracy": accuracy, "share": share}
        text = f"Your {self.name} ({self.parameters:,} parameters), trained for "
        if share < _EQUAL:
            text += f"{100 * share:.0f} % of that time, is right on {accuracy:.1f} %: too short to be compared."
            return text, facts
        text += f"as long, is right on {accuracy:.1f} % of the same test images; {compared_words(other, difference)}."
        return text, {**facts, "difference": difference._asdict()}


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


def _source(name: str) -> str:
    """The text of the Python file of a name as it is now, or the version of timm."""
    if name.startswith(TIMM):
        return str(_timm().__version__)
    try:
        return python_file(name).read_bytes().decode()
    except UnicodeDecodeError as error:
        raise SettingsError(f"baselines: {name}: UnicodeDecodeError: {error}") from error


def _timm() -> Any:
    try:
        return importlib.import_module("timm")
    except ImportError:
        raise SettingsError("timm is not installed: pip install timm") from None


@contextmanager
def _own_draws(seed: int, device: torch.device) -> Iterator[None]:
    """Inside, torch draws from a seed, on this device too, for layers of the user do."""
    with seeded(seed):
        if device.type != "cuda":
            yield
            return
        with torch.random.fork_rng(devices=[device]):
            torch.cuda.manual_seed(seed)
            yield


def _plain(network: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(each.contiguous() for each in inputs)


def _slow(what: str, seconds: float) -> SettingsError:
    return SettingsError(f"{what}: take --time {math.ceil(seconds / 60)}m or more, or leave it out")


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Inside, whatever the code of a baseline raises is an error that names it."""
    try:
        yield
    except (Interrupted, DivergedError, WriteError, DataError, BrokenPipeError):  # none of its own
        raise
    except ZartsError as error:
        text = str(error)
        raise SettingsError(text if text.startswith("baselines: ") else f"baselines: {name}: {text}") from error
    except (Exception, SystemExit) as error:
        words = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise SettingsError(f"baselines: {name}: {type(error).__name__}: {words}") from error
