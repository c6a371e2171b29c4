"""Whatever a file or option holds: a value or one line, within limits of time, depth, size and length."""

import os
import re
import tarfile
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ByteSize, ValidationError

import zarts
from benchmarks.faults.inputs import fault_of
from benchmarks.faults.mutations import KINDS, TOKENS, Edit, mutated
from benchmarks.faults.seeds import write_runs
from benchmarks.faults.targets import Target, of_files, of_runs, of_texts
from zarts.api._architecture import architecture_of
from zarts.api._fit_session import begun_settings
from zarts.bench import read_table
from zarts.config import RetrainSettings, SearchSettings, search_settings
from zarts.config.fit import FitSettings
from zarts.data.builtin import load_cifar10
from zarts.data.csv_list import _rows
from zarts.data.idx import _read
from zarts.data.image_io import read_image
from zarts.data.npz import arrays_in
from zarts.data.safe_pickle import read_pickled
from zarts.errors import DataError, FileError, RunError, SettingsError, did_you_mean, shorten, shortened
from zarts.readers import gunzip, malformed, parse_json, parse_yaml, read_bytes, read_json, read_text
from zarts.runs import Run
from zarts.spaces.custom import read_space
from zarts.training import load_model

CORPUS = Path(__file__).parents[1] / "corpus"
READERS = {
    "settings": lambda path: search_settings({}, config=path),
    "space": read_space,
    "architecture": architecture_of,
    "json": lambda path: read_json(path),
    "csv": _rows,
    "table": read_table,
    "idx": lambda path: _read(path, 3),
    "npz": arrays_in,
    "pickle": read_pickled,
    "model": load_model,
    "image": lambda path: read_image(path, 8),
}
EXAMPLES = int(os.environ.get("ZARTS_EXAMPLES", "4"))
"""Mutations of each kind of input; `make faults` has 500."""
MUTATED = {**of_texts(), **of_files()}
EDITS = st.lists(
    st.builds(
        Edit,
        st.sampled_from(KINDS),
        st.floats(0, 1),
        st.sampled_from((0.0, 0.01, 0.3)),
        st.integers(0, len(TOKENS) - 1),
    ),
    min_size=1,
    max_size=3,
)


def outcome(use, path):
    return fault_of(Target(b"", lambda folder, content: use(path)), path.read_bytes())


def repeated(folder, content):
    raise SettingsError(content.decode())


def endless(folder, content):
    while True:
        pass


@pytest.mark.parametrize(
    ("use", "name"),
    [
        (lambda folder, content: {}["a"], "KeyError"),
        (lambda folder, content: (folder / "faults-payload").touch(), "payload"),
        (repeated, "repeats the input"),
        (endless, "more than 0.2 s"),
    ],
)
def test_faults_are_seen(monkeypatch, use, name):
    monkeypatch.setattr("benchmarks.faults.inputs._SECONDS", 0.2)
    found, detail = fault_of(Target(b"", use), b"a b " * 60)
    assert found == "fault"
    assert name in detail
    assert fault_of(Target(b"", lambda folder, content: 1), b"")[0] == "read"


@pytest.mark.parametrize("kind", READERS)
def test_what_once_failed_is_refused_in_one_line(kind):
    files = sorted((CORPUS / kind).iterdir())
    assert files
    found = {path.name: outcome(READERS[kind], path) for path in files}
    assert {name: one for name, one in found.items() if one[0] not in ("exit 2", "exit 3")} == {}
    for name, (_, message) in found.items():
        assert re.search(rf"{name}|setting|= ", message), message


def test_every_folder_of_the_corpus_has_its_reader():
    assert {path.name for path in CORPUS.iterdir()} == set(READERS)


@pytest.mark.parametrize("name", MUTATED)
def test_every_mutation_is_read_or_refused_in_one_line(name):
    check_mutations(name, MUTATED[name])


def check_mutations(name, target):
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(EDITS)
    def check(edits):
        found, detail = fault_of(target, mutated(target.content, edits))
        assert found != "fault", f"{name}: {detail}"

    check()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_runs(folder)
    return folder


@pytest.mark.long  # `make faults` draws more
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("part", range(4))
def test_every_mutation_of_a_run_is_read_or_refused_in_one_line(runs, part):
    """Checkpoints, events, settings, results, models and exported files."""
    for name, target in [*of_runs(runs).items()][part::4]:
        check_mutations(name, target)


def parts_of(hint):
    return {hint, *(part for inner in get_args(hint) for part in parts_of(inner))} if get_args(hint) else {hint}


@pytest.mark.parametrize("kind", [SearchSettings, RetrainSettings, FitSettings])
def test_every_number_has_an_upper_bound(kind):
    """Also those of lists, which have one of their length."""
    numbers = set()
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if {int, float, ByteSize} & set(parts_of(hint)) and name in kind.model_fields:
            numbers.add(name)
            for value in (10**30, [1] * 3000):
                with pytest.raises(ValidationError):
                    kind(**{name: value})
    assert len(numbers) > 15


@pytest.mark.parametrize(
    "settings",
    [
        {"channels": 10**30},
        {"epochs": 10**400},
        {"threads": 10**9},
        {"learning_rate": 10**400},
        {"max_params": 10**400},
        {"memory_limit": "9" * 400 + "GB"},
        {"samples": 10**5000},
        {"phase_operations": (1,) * 3000},
        {"weight_decay": 1e300},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_numbers_beyond_all_use_are_refused_at_once(settings):
    (key,) = settings
    with pytest.raises(SettingsError, match=key) as raised:
        search_settings(settings)
    assert len(str(raised.value)) < 600


def test_text_within_limits():
    """The deepest list, the longest number and the last repetition by aliases that are read, and one more of each."""
    assert parse_json("[" * 51 + "]" * 51, "x") == parse_yaml("[" * 51 + "]" * 51, "x")
    assert parse_json("9" * 60, "x") == parse_yaml("9" * 60, "x") == 10**60 - 1
    thrice = f"a: &a {'y' * 30000}\nb: [*a, *a, 2]"
    assert len(parse_yaml(thrice, "x")["b"]) == 3
    for text in ("[" * 52 + "]" * 52, "9" * 61):
        with pytest.raises(FileError, match="x: not JSON"):
            parse_json(text, "x")
        with pytest.raises(SettingsError, match="x: not YAML"):
            parse_yaml(text, "x", SettingsError)
    with pytest.raises(FileError, match="longer"):
        parse_yaml(thrice.replace("2", "*a, *a"), "x")
    assert parse_yaml("b: &c [1]\nd: *c\ne: {<<: {f: 2.5}}", "x") == {"b": [1], "d": [1], "e": {"f": 2.5}}


def test_files_within_limits(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"\xef\xbb\xbfcaf\xc3\xa9")
    assert read_text(file) == "café"
    assert read_bytes(file, most=8) == file.read_bytes()
    for path, most in ((file, 7), ("/dev/zero", 5000)):
        with pytest.raises(FileError, match=f"more than {most:,} bytes"):
            read_bytes(path, most=most)
    with pytest.raises(DataError, match="no such file"):
        read_bytes(tmp_path / "none", DataError)
    with pytest.raises(FileError, match="read"):
        read_text(tmp_path)
    with pytest.raises(FileError, match="UTF-8"):
        read_text(CORPUS / "settings" / "latin.yaml")
    assert len(gunzip((CORPUS / "idx" / "bomb.gz").read_bytes(), "x", DataError, most=100)) == 101


def test_plain_data_of_another_form_is_one_error():
    for use in (lambda: {}["a"], lambda: int("x"), lambda: [][0], lambda: 1 / 0, lambda: None.x, lambda: int(1e999)):
        with (
            pytest.raises(RunError, match=r"x: not a thing .*: do this") as raised,
            malformed("x", "a thing", RunError, ": do this"),
        ):
            use()
        assert type(raised.value) is RunError
    with pytest.raises(SettingsError, match="own"), malformed("x", "a thing"):
        raise SettingsError("own")


@pytest.mark.parametrize(
    "message",
    ["{}", "unknown '{}'", 'x "{}" y', "[{}]", "{{{}}}", "a: {}\nb"],
    ids=["word", "quotes", "double quotes", "list", "mapping", "lines"],
)
def test_messages_repeat_little_of_their_input(message):
    """Words of the message stay, and its end, which says the way out."""
    own = "s " * 3000 if "'" in message or '"' in message or "[" in message or "{{" in message else "s" * 3000
    found = shortened(message.format(own) + ": leave it out")
    assert found.endswith(": leave it out")
    assert len(found) < 250
    assert "\n" not in found
    assert shortened("a 'short' [one] of 'few'  words") == "a 'short' [one] of 'few'  words"
    assert len(shorten("x" * 201)) < 200 == len(shorten("x" * 200))
    assert len(did_you_mean("space", "q" * 10**6, ["darts"])) < 300


@pytest.mark.parametrize(
    ("words", "name"),
    [
        *(
            (["search", "--config", CORPUS / "settings" / file], file)
            for file in ("date.yaml", "deep.yaml", "tagged.yaml")
        ),
        (["search", "--set", "epochs=0x_"], "epochs"),
        (["search", "--grid", "a=1"], "grid"),
        (["search", "--method", "s" * 5000], "method"),
        (["search", "--out", "a\0b", "--print-config", "--config", "a\0b"], "null"),
        (["search", "--config", "~no-such-user/x"], "no-such-user"),
        (["retrain", '{"format": 1, "space": "darts"}', "--print-config"], "cells"),
        (["retrain", "{" * 5000, "--print-config"], "JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[1][:20],
)
def test_the_command_line_says_one_line(command, words, name):
    """Case 18 of the inputs that 0.1.0 failed on."""
    code, out, err = command(*words)
    assert (code in (2, 3), out, err.count("\n")) == (True, "", 1)
    assert re.search(name, err)
    assert len(err) < 1000


def test_a_genotype_written_out_in_json_is_one(command):
    text = (CORPUS.parent / "runs_of_0_1_0" / "retrain" / "genotype.json").read_text()
    assert command("retrain", text, "--print-config")[0] == 0


def test_a_command_in_the_folder_of_a_fit_is_not_run_unasked(tmp_path):
    """A stranger's folder may name any command; the same one, given again, is the user's."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text(f"fit:\n  data: digits\n  latency_command: touch {tmp_path}/ran\n")
    for others in ({}, {"latency_command": "true"}):
        with pytest.raises(SettingsError, match="not run unasked: read it, and add latency_command="):
            zarts.fit(resume=run, quiet=True, **others)
    assert begun_settings(Run(run), {"latency_command": f"touch {tmp_path}/ran"}).data == "digits"
    assert not (tmp_path / "ran").exists()


def test_an_archive_that_is_not_the_published_one_is_not_unpacked(tmp_path, monkeypatch):
    """Its files would leave the folder; nothing is unpacked before the checksum is right."""
    place = tmp_path / "data"
    place.mkdir()
    with tarfile.open(place / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../outside"))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **options: (_ for _ in ()).throw(OSError("no network")))
    with pytest.raises(DataError, match=r"cifar-10-python\.tar\.gz"):
        load_cifar10(place)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
