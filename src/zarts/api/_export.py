"""Export of trained networks: files for other tools, with a model card."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from zarts.api._architecture import model_file
from zarts.errors import SettingsError, did_you_mean
from zarts.exports import FORMATS, CardFacts, compare_logits, model_card, open_model, write_model
from zarts.runs import Run, fit_of, trained_in
from zarts.runs.user_files import use_operations, use_space
from zarts.runtime.io import read_mapping, write_atomically
from zarts.runtime.leftovers import remove_parts, whole_folder
from zarts.runtime.paths import PathLike, path_of
from zarts.training import load_model

__all__ = ["export"]


def export(
    source: PathLike,
    form: str,
    *,
    out: PathLike | None = None,
    operations: PathLike | None = None,
    input: Literal["float", "uint8"] = "float",
) -> list[Path]:
    """Export a trained network: a folder of files for other tools, with a model card.

    Args:
        source: a retraining or fit (its result or its folder), or its `model.safetensors`.
        form: `onnx`, `torchscript`, `safetensors`, `python` or `tflite`.
        out: the folder, new or empty; None: `export/FORM` beside the model.
        operations: the file of user-defined operations, if the run has such; its code is run.
        input: what the file takes: `float`, images scaled to [0, 1], or `uint8`, levels from 0 to 255 (`onnx` only).

    Returns:
        The files; the last one is the model card `README.md`.

    Raises:
        RunError: there is no such model.
        SettingsError: the format is unknown or cannot hold the network, or the folder has files already.
    """
    if form not in FORMATS:
        raise SettingsError(did_you_mean("format", form, FORMATS))
    path = trained_in(path_of(source))
    if path.is_dir():
        run = Run.open(path, "retrain")
        use_space(run)
        use_operations(run, None if operations is None else path_of(operations), lambda text: None)
    elif operations is not None:
        raise SettingsError("--operations belongs to a run: name the folder of the run, or leave it out")
    file = model_file(path)
    network, card = load_model(file)
    folder = file.parent / "export" / form if out is None else path_of(out)
    if folder.is_dir():
        remove_parts(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingsError(f"{folder}: has files already, and nothing is overwritten: choose another --out")
    with whole_folder(folder) as part:
        files = write_model(network, card, form, part, input)
        written = open_model(part if form == "python" else files[0], trust=True)  # written by us just now
        exact = form == "safetensors"  # the network itself; its noise operations would give other logits each time
        difference = 0.0 if exact else compare_logits(network, written, files[0])
        facts = _facts(path if path.is_dir() else None)
        write_atomically(part / "README.md", model_card(network, written, form, files, facts, difference))
    return [folder / name for name in (*(file.name for file in files), "README.md")]


def _facts(run: Path | None) -> CardFacts:
    if run is None:
        return CardFacts()
    searched = read_mapping(run / "searched.yaml")
    fit = fit_of(run)
    return CardFacts(
        result=read_mapping(run / "result.json"),
        settings=read_mapping(run / "config.yaml").get("retrain", {}),
        environment=read_mapping(run / "env.json"),
        searched=searched.get("search", {}),
        command=searched.get("command"),
        fit={} if fit is None else read_mapping(fit / "result.json"),
    )
