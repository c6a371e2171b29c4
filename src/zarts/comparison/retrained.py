"""Scorer for spaces without a table: it trains every derived and every hand-made network from scratch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from typing_extensions import override

from zarts.api import HANDED_DOWN, resume_retrain, retrained_settings, retraining_of, start_retrain
from zarts.bench import Column
from zarts.comparison.footnotes import many_seeds
from zarts.comparison.grid import Group, Row
from zarts.comparison.handmade import HandmadeRow
from zarts.comparison.history import test_accuracies
from zarts.comparison.results import Summary, TrialResult, trial_result
from zarts.comparison.scorer import Picture, Scorer, collapse
from zarts.comparison.trials import Trial, check_begun
from zarts.config import OF_CELLS, RetrainSettings, dump, resumable_values, retrain_settings
from zarts.errors import SettingsError
from zarts.readers import malformed
from zarts.runs.claim import is_free
from zarts.runs.new_run import anchored
from zarts.runtime.io import read_mapping
from zarts.spaces import HANDMADE

__all__ = ["RetrainedScorer"]


class RetrainedScorer(Scorer):
    """Trains the derived network of a trial from scratch, in the folder `seedK-retrained` beside the search.

    A hand-made network has the images of a search, and the same settings except those of networks of cells.

    Args:
        options: settings of all retrainings; seed and threads are by default those of the search.
        rows: the rows of the comparison.
        preset: name of a preset.
        config: a YAML file with settings.

    Raises:
        SettingsError: invalid settings.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        rows: Sequence[Row],
        *,
        preset: str | None,
        config: Path | None,
    ) -> None:
        self._options, self._preset, self._config = dict(options), preset, config
        self._settings = retrain_settings(options, preset=preset, config=config)
        time = self._settings.time
        epochs = self._settings.epochs if time is None else f"{time:g}s"
        self._columns = {row.group: Column(self._tested_on(row), "test", epochs) for row in rows}
        self._picture = collapse(rows)

    @override
    def columns(self, group: Group) -> list[Column]:
        return [self._columns[group]]

    def _tested_on(self, row: Row) -> str:
        """The images of its retrainings: those of the search, unless the settings name others."""
        searched = row.settings.data
        data = retrain_settings(
            self._options, preset=self._preset, config=self._config, inherited={"data": searched}
        ).data
        return row.group.data if data == searched else Path(data).name

    @override
    def check(self, trials: Sequence[Trial]) -> None:
        """Refuse retrainings that were begun with other settings, and settings that no hand-made network can have.

        Raises:
            SettingsError: there are such.
        """
        for trial in trials:
            folder = trial.trained
            if trial.handmade is not None:
                self._of(trial)
            if trial.searched and (folder / "config.yaml").exists():
                check_begun(folder, retrained_settings(folder), self._of(trial))

    @override
    def prepare(self, trial: Trial) -> None:
        """Train the network, or resume its training."""
        folder = trial.trained
        if not is_free(folder):
            resume_retrain(folder, **resumable_values(self._of(trial)))
            return
        source = trial.folder if trial.handmade is None else HANDMADE[trial.handmade.network].chain
        start_retrain(source, self._of(trial), folder, None)

    @override
    def ready(self, trial: Trial) -> bool:
        return (trial.trained / "result.json").exists()

    def _of(self, trial: Trial) -> RetrainSettings:
        """The settings of one retraining."""
        searched = trial.settings
        own = {"seed": trial.seed, "threads": searched.threads or 1, **self._options}
        if trial.handmade is not None:
            return anchored(self._of_handmade(trial, trial.handmade, own))
        if searched.operations is not None:
            own["operations"] = searched.operations
        _, settings = retraining_of(trial.folder, own, preset=self._preset, config=self._config)
        return anchored(settings)

    def _of_handmade(self, trial: Trial, row: HandmadeRow, options: Mapping[str, Any]) -> RetrainSettings:
        kept = {key: value for key, value in options.items() if key not in OF_CELLS}
        handed = {key: getattr(trial.settings, key) for key in HANDED_DOWN}
        settings = retrain_settings(
            {**kept, **dict(row.settings)}, preset=self._preset, config=self._config, inherited=handed, handmade=True
        )
        if settings.weights_from is not None:
            raise SettingsError(
                f"baselines: {row.name} has no weights to start from, and weights_from = {settings.weights_from}: "
                "leave one of them out"
            )
        return settings

    @override
    def score(self, trial: Trial) -> TrialResult:
        """What the search found, and the test accuracy of its network after the last epoch of training.

        Raises:
            RunError: a file of one of the runs cannot be read.
        """
        found = trial_result(trial)
        file = trial.trained / "result.json"
        trained = read_mapping(file)
        with malformed(file, "the result of a retraining"):
            return replace(
                found,
                accuracies={self.columns(trial.group)[0]: float(trained["test_accuracy"])},
                parameters=int(trained["parameters"]),
                retrain_seconds=float(trained["seconds"]),
                curves={**found.curves, "test_accuracy": test_accuracies(trial.trained)},
            )

    @override
    def notes(self, trials: Sequence[Trial], longest: float) -> list[str]:
        s = self._settings
        length = f"{s.epochs} epochs" if s.time is None else f"{s.time:g} seconds"
        notes = [
            f"Test accuracy in %, last epoch, of networks of {s.cells} cells and {s.channels} channels trained for "
            f"{length}: mean ± standard deviation, n of {many_seeds(trials)}"
            f"{'' if 'seed' in self._options else ', each retrained with the seed of its search'}. worst, best of n: "
            "the lowest and the highest of the n, by the test accuracy itself; the more seeds, the higher a best. "
            "time: of a search; retraining: of its network. parameterless: pools and skips in the normal "
            "cell."
        ]
        if any(trial.handmade is not None for trial in trials):
            notes.append(
                "(hand-made): a published network at the width of its row, that no search has found; it is trained "
                "with the same settings, seeds and images as the others, apart from what only networks of cells have "
                f"({', '.join(OF_CELLS)})."
            )
        drawn = {trial.group for trial in trials if trial.handmade is None and trial.settings.method == "random"}
        without = dict.fromkeys(trial.group for trial in trials if trial.group not in drawn)
        if without:
            of = f" of {'; '.join(group.title for group in without)}" if drawn else ""
            notes.append(f"There is no random baseline among the rows{of}: `--methods random,...` adds it.")
        return notes

    @override
    def picture(self, baselines: Sequence[Summary]) -> Picture:
        return self._picture

    @override
    def facts(self) -> dict[str, Any]:
        return {"retraining": dump(self._settings)}
