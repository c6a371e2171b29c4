"""The parts of a search, made from settings in the order in which they can refuse them."""

from __future__ import annotations

from zarts.config import SearchSettings, UserFunction, dump, resumable
from zarts.errors import SettingsError
from zarts.limits import Costs
from zarts.methods import GRADIENT
from zarts.runs import Run
from zarts.runtime.device import choose_device
from zarts.runtime.distributed import Ranks
from zarts.runtime.precision import Passes
from zarts.searcher.halves import Halves
from zarts.searcher.phases import Phases, start_arch_optimizer
from zarts.searcher.relaxation import SearchRelaxation
from zarts.searcher.searcher import Searcher
from zarts.searcher.supernets import Supernets
from zarts.spaces import get_space
from zarts.training.criterion import criterion_of, objective_of
from zarts.training.setup import load_images
from zarts.training.trainer import Callback, Trainer

__all__ = ["build_searcher"]


def build_searcher(settings: SearchSettings, folder: Run, callback: Callback, ranks: Ranks) -> Searcher:
    """Build a search.

    Args:
        settings: the settings.
        folder: the run folder.
        callback: called with every event.
        ranks: the processes that share the candidates.

    Raises:
        DataError: the images cannot be used.
        SettingsError: the settings do not go together, or do not fit the images or the device.
    """
    space, device = get_space(settings.space), choose_device(settings.device)
    draws = "noise" in space.operations or settings.drop_path > 0 or max(settings.skip_dropout) > 0
    passes = Passes(settings, device, draws=draws)
    phases = Phases(settings, space)
    relaxation = SearchRelaxation(settings, phases)
    arch_optimizer = start_arch_optimizer(settings, phases, device)
    data = load_images(settings, folder, device, callback, ranks)
    criterion = criterion_of(settings.criterion, data.train.labels, len(data.classes), device)
    objective = objective_of(settings.objective, len(data.classes), device)
    if isinstance(settings.objective, UserFunction) and objective is not None and not objective.differentiable:
        _check_no_gradient_needed(settings, objective.name)
    costs = Costs(settings, space, data)
    images = Halves(settings, data, device)
    supernets = Supernets(settings, space, data, device, callback, ranks)
    identity = {key: value for key, value in dump(settings).items() if key not in (*resumable(SearchSettings), "data")}
    trainer = Trainer(
        folder,
        "search",
        identity,
        epochs=settings.epochs,
        steps=len(images.train),
        device=device,
        callback=callback,
        ranks=ranks,
    )
    return Searcher(
        settings,
        folder,
        trainer=trainer,
        images=images,
        phases=phases,
        relaxation=relaxation,
        arch_optimizer=arch_optimizer,
        supernets=supernets,
        passes=passes,
        criterion=criterion,
        objective=objective,
        costs=costs,
        ranks=ranks,
    )


def _check_no_gradient_needed(settings: SearchSettings, name: str) -> None:
    """Refuse an objective without a gradient where the method follows it.

    Raises:
        SettingsError: the method does.
    """
    if settings.arch_optimizer in GRADIENT:
        raise SettingsError(
            f"objective = {name} with arch_optimizer = {settings.arch_optimizer}: method {settings.method!r} follows "
            "the gradient of the objective, and what the function returns has none: take a zero-order method "
            "(zarts-mgs, zarts-rs, zarts-gld), or compute it from the logits by differentiable functions"
        )
