"""What the command line says of itself: the pages of help, the lists, and what a typo was meant to be."""

import json
import os
import re
import shlex
import subprocess
import sys
from importlib import metadata

import pytest
from typer.main import get_command

from small import ZARTS
from zarts.cli.commands import app
from zarts.cli.guides import GUIDES
from zarts.config import RetrainSettings, SearchSettings, preset_names
from zarts.config.fit import FitSettings
from zarts.methods import AXES, METHODS
from zarts.runtime.columns import folded, two_columns
from zarts.spaces import SPACES, published_sources

COMMANDS = get_command(app).commands
SETTINGS = {"search": SearchSettings, "retrain": RetrainSettings, "fit": FitSettings, "compare": SearchSettings}
SCREEN_AND_A_HALF = 36


def entries(page):
    """The options of a page of `--help-all`: the line that names each, and its text."""
    found = re.split(r"^  (?=-)", page, flags=re.M)[1:]
    split = (re.match(r"(.*?(?:\n        +\S.*)*)\n(      \S(?:.|\n)*?)(?:\n\n|\Z)", f"{one}\n\n") for one in found)
    return {re.search(r"--[a-z0-9-]+", one[1])[0]: (one[1], " ".join(one[2].split())) for one in split}


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("name", COMMANDS)
def test_no_name_and_no_default_is_cut(command, monkeypatch, name, width):
    monkeypatch.setenv("COLUMNS", str(width))
    code, short, err = command(name, "-h")
    assert (code, err) == (0, "")
    assert command(name, "--help") == (code, short, err)
    code, whole, err = command(name, "--help-all")
    assert (code, err) == (0, "")
    for page in (short, whole):
        assert page.startswith(f"Usage: zarts {name} ")
        assert max(map(len, page.splitlines())) <= width
        assert not re.search(r"\w…", page)
        assert all("\n".join(folded(one, width, "  ", "      ").splitlines()) in page for one in GUIDES[name].examples)
    if width == 80:
        assert len(short.splitlines()) <= SCREEN_AND_A_HALF
    shown = entries(whole)
    flags = [flag for one in COMMANDS[name].params for flag in (*one.opts, *one.secondary_opts) if flag[:2] == "--"]
    assert all(re.search(rf"(?<![\w-]){flag}(?![\w-])", whole) for flag in flags)
    for one in COMMANDS[name].params:
        if one.param_type_name == "option" and type(one.default) in (int, float, str):
            assert shown[one.opts[0]][1].endswith(f"[default: {one.default}]"), one.name
    for key, field in SETTINGS[name].model_fields.items() if name in SETTINGS else ():
        flag = f"--{key.replace('_', '-')}"
        if flag not in flags or (name, key) == ("fit", "data"):  # its --data goes on with another fit
            continue
        _, text = shown[flag]
        assert re.search(r"\[default: .+\]$|\(.*default: .+\)", text), key
        if type(field.default) in (int, float, str) and key not in (*AXES, "time", "max_file"):
            assert text.endswith(f"[default: {field.default}]"), key


def test_defaults_read_as_one_types_them(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    fit, search = entries(command("fit", "--help-all")[1]), entries(command("search", "--help-all")[1])
    assert fit["--time"][1].endswith("[default: 30m]")
    assert fit["--max-file"][1].endswith("[default: 1MB]")
    assert fit["--int8"][0] == "--int8, --no-int8"
    assert fit["--search"][1].endswith("[default: yes]")
    assert search["--method"][1].endswith("[default: zarts]")
    assert search["--select"][1].endswith("[default: the method's own]")
    assert entries(command("retrain", "--help-all")[1])["--schedule"][0].split("\n") == [
        "--schedule cosine|linear|linear-tail|exponential|", "        trapezoid|one-cycle",
    ]  # fmt: skip


def test_the_usual_options_exist_and_a_new_setting_is_on_the_long_page_alone():
    assert GUIDES.keys() == COMMANDS.keys()
    for name, guide in GUIDES.items():
        known = {one.name.rstrip("_") for one in COMMANDS[name].params}
        assert {one.rstrip("_") for one in guide.usual} <= known
        assert not guide.usual or len(guide.usual) <= 12 < len(known)
        for example in guide.examples:
            zarts, used, *words = shlex.split(example)
            assert (zarts, used) == ("zarts", name)
            flags = {flag for one in COMMANDS[name].params for flag in one.opts}
            assert {word for word in words if word.startswith("-")} <= flags


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_zarts_alone_says_what_one_can_do(command, monkeypatch, words):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = command(*words)
    assert (code, err) == (0, "")
    examples = re.findall(r"\$ zarts (\w+) ", out)
    assert examples == ["fit", "search", "compare"], "the three things, before the commands"
    assert out.index("$ zarts compare") < out.index("Find a network:")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= SCREEN_AND_A_HALF
    for name in COMMANDS:
        assert sum(line.startswith(f"  {name} ") for line in lines) == 1, "one line each, none left out"


def test_the_version(command):
    assert command("--version") == (0, f"zarts {metadata.version('zarts')}\n", "")


def test_the_shell_completes_commands_and_options():
    """As bash asks; by the script that --show-completion prints and --install-completion installs."""
    for words, offered in (
        ("search --eigen", ["--eigenvalue-every", "--eigenvalue-growth", "--eigenvalue-after"]),
        ("search --method zarts-", ["zarts-mgs", "zarts-rs", "zarts-gld"]),
        ("fit --optimizer n", ["nevergrad"]),
        ("search --preset qu", ["quick"]),
    ):
        asked = {
            "_ZARTS_COMPLETE": "complete_bash",
            "COMP_CWORD": str(len(words.split())),
            "COMP_WORDS": f"zarts {words}",
        }
        done = subprocess.run(ZARTS, env={**os.environ, **asked}, capture_output=True, text=True, check=True)
        assert done.stdout.split() == offered, words
    asked = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    words = [*ZARTS, "--show-completion", "bash"]
    done = subprocess.run(words, env={**os.environ, **asked}, capture_output=True, text=True, check=True)
    assert "_ZARTS_COMPLETE=complete_bash" in done.stdout


@pytest.mark.parametrize(
    ("kind", "names"),
    [("methods", METHODS), ("spaces", SPACES), ("presets", preset_names()), ("genotypes", published_sources())],
)
def test_lists_are_readable_at_80_columns(command, monkeypatch, kind, names):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = command("list", kind)
    assert (code, err) == (0, "")
    listed = out.partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in listed if line[:1] != " "] == [*names]
    assert max(map(len, out.splitlines())) <= 80
    records = json.loads(command("list", kind, "--json")[1])
    assert [record[kind[:-1]] for record in records] == [*names]
    assert all(" ".join(record["what"].split()) in " ".join(out.split()) for record in records)
    more = command("list", kind, "-v")[1]
    assert kind == "presets" or len(more.splitlines()) > len(out.splitlines())


def test_the_recommended_method_is_marked_and_is_the_default(command):
    _, out, _ = command("list", "methods")
    assert re.findall(r"^(\S+) \*", out, re.M) == ["zarts"] == [SearchSettings.model_fields["method"].default]
    assert "Wang et al., DARTS-PT (ICLR 2021)" in out
    assert "arch optimizer" not in out
    records = json.loads(command("list", "methods", "--json")[1])
    assert [one["method"] for one in records if one["recommended"]] == ["zarts"]
    assert records[0]["arch_optimizer"] == "mgs"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("serch", r"unknown command 'serch': did you mean 'search'\?"),
        ("FIT", r"did you mean 'fit'\?"),
        ("xyz", r"unknown command 'xyz': `zarts --help` lists the commands"),
        (".", r"did you mean `zarts fit \.`\?"),
        ("--versoin", "did you mean --version"),
        ("search --epoch 3", r"unknown option --epoch: did you mean --epochs\?"),
        ("search -epochs 3", "unknown option -epochs: did you mean --epochs"),
        ("search --max_params 3", "did you mean --max-params"),
        ("search --no-flop", "did you mean --no-flip"),
        ("predict a b --tops 3", r"did you mean --top\? `zarts predict --help-all`"),
        ("fit --epochs 3", r"--epochs is no option of `zarts fit` but of `zarts search`"),
        ("search --alpha-lr 3", "--alpha-lr of zarts 0.1.0 is called --arch-learning-rate"),
        ("search --epochs", "--epochs needs a value"),
        ("search images", r"'images' is one word too many: did you mean `--data images`\?"),
        ("fit a b", "'b' is one word too many: see `zarts fit --help`"),
        ("predict model", "IMAGES is missing: see `zarts predict --help`"),
        ("export run", "--format is missing: one of onnx, "),
        ("export run --format onx", r"--format: 'onx' is not one of .*: did you mean 'onnx'\?"),
        ("list method", r"KIND: 'method' is not one of .*: did you mean 'methods'\?"),
        ("latency-table --latency-threads 0", "--latency-threads: should be greater than"),
        ("lookup 0 --data-set cifar", r"--data-set: .*did you mean 'cifar10'\?"),
        ("search --method zart", r"unknown method 'zart': did you mean 'zarts'\? `zarts list methods` lists them"),
        ("search --method xyz", "unknown method 'xyz': `zarts list methods` lists them"),
        ("search --preset xyz", "unknown preset 'xyz': `zarts list presets` lists them"),
        ("search --set xyz=1", "unknown setting 'xyz': `zarts search --help-all` lists them"),
        ("retrain DARTS_V2 --set xyz=1", "unknown setting 'xyz': `zarts retrain --help-all` lists them"),
        ("fit images --set tiem=1", "did you mean 'time'"),
        ("fit images --max-ram big", "max_ram = 'big' .*: should be a size such as 64KB"),
        ("search --memory-limit big", "should be a size such as 64KB, 1MB or 8GiB or 'auto' or 'none'"),
        ("search --epochs three", "should be a whole number"),
        ("search --data digits --device toaster --out never", "there is no such kind: cpu, cuda, cuda:1, mps"),
    ],
)
def test_what_was_meant(command, tmp_path, monkeypatch, words, message):
    """One line, exit code 2, no words of pydantic's, and no long list of names."""
    monkeypatch.chdir(tmp_path)
    code, out, err = command(*words.split())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert re.search(message, err), err
    assert "Value error" not in err
    assert len(err) < 250
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_not_there_is_said_before_torch_is_imported():
    """Every command that begins with a run or a model."""
    words = [
        "search --resume none",
        "retrain --resume none",
        "fit --resume none",
        "evaluate none",
        "predict none a.png",
    ]
    words += [
        "export none --format onnx",
        "diagnose none",
        "landscape none",
        "report none",
        "search --config none.yaml",
    ]
    code = f"""
import sys, zarts.cli
for words in {words}:
    sys.argv = ["zarts", *words.split()]
    try:
        zarts.cli.main()
    except SystemExit as end:
        print(end.code, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "3 False\n" * len(words), done.stderr
    assert done.stderr.count("none") == len(words)


@pytest.mark.parametrize(
    "words",
    [
        "draw none.json", "genotype none/x", "lookup none.json", "draw none", "retrain none.json",
        "retrain --from none", "retrain DARTS_V2 --weights-from none.safetensors", "retrain resnet8 --config none.yaml",
        "retrain DARTS_V2 --data none/x", "fit none", "fit --data-dir . none/x", "fit digits --plan none.yaml",
        "fit digits --latency-table none.json", "search --space none.yaml", "search --operations none.py",
        "search --criterion none.py:f", "search --data none", "search --data digits --config none.yaml",
        "compare --methods darts --seeds 1 --data none/x", "compare --methods darts --seeds 1 --config none.yaml",
        "lookup 0 --benchmark-table none.csv", "search --space nasbench201 --benchmark-table none",
    ],
)  # fmt: skip
def test_a_path_that_is_not_there_ends_with_3(command, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    code, out, err = command(*words.split())
    assert (code, out) == (3, "")
    assert re.search(r"zarts: .*none", err)
    assert list(tmp_path.iterdir()) == []


def test_columns():
    """Choices break behind their bars, words nowhere, and what belongs together stays in one line."""
    assert folded("--a one|two|three", 12, "", "  ") == "--a one|two|\n  three"
    assert folded("a bb [x:\u00a01]", 6, "", " ") == "a bb\n [x: 1]"
    assert folded("longer-than-this", 6) == "longer-than-this"
    assert two_columns([("a", "b c d e"), ("long-name", "x\ny")], 9, most=3) == (
        "  a  b c\n     d e\n  long-name\n     x\n     y"
    )
