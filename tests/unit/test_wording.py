"""Messages: options on the command line, arguments in Python."""

import ast
import inspect
import pickle
import re

import pytest
from test_structure import FILES, part

import zarts
from zarts.config import LimitSettings, RetrainSettings, SearchSettings
from zarts.errors import Interrupted, SettingsError, ZartsError
from zarts.methods import AXES
from zarts.wording import in_python, options_in_messages

ELSEWHERE = {"again", "every"}
"""Parameters of `landscape`, among its options, and of `draw`."""
COMMANDS = ("run_dir.py", "_ranks.py", "claim.py", "new_run.py")
"""Files whose messages name the command by a variable."""


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ("take --warmup-epochs 3", "take warmup_epochs=3"),
        ("take --warmup-epochs below 3", "take warmup_epochs below 3"),
        ("leave --compile out, or take --precision 32-true", 'leave compile out, or take precision="32-true"'),
        ("take --learning-rate 1e-3.", "take learning_rate=1e-3."),
        ("or take --supernet mixed --no-edge-normalization", 'or take supernet="mixed", edge_normalization=False'),
        ("go on with `zarts search --resume 'my runs/a'`", 'go on with `zarts.search(resume="my runs/a")`'),
        ("`zarts retrain RUN --epochs 5` trains", '`zarts.retrain("RUN", epochs=5)` trains'),
        ("run `torchrun --standalone SCRIPT`", "run `torchrun --standalone SCRIPT`"),
        ("name it with --operations '/a b/c.py'", 'name it with operations="/a b/c.py"'),
        ("`zarts search --help-all` lists them", "`help(zarts.search)` lists them"),
        ("choose another --out, or wait", "choose another out=..., or wait"),
        ("grad_clip = 0 (options): more", "grad_clip = 0 (arguments): more"),
        ("a - b -- c, 3-4, --, /x--y/z.png", "a - b -- c, 3-4, --, /x--y/z.png"),
    ],
)
def test_translation(options, arguments):
    assert in_python(options) == arguments
    assert in_python(arguments) == arguments, "twice is once"


def messages():
    """Every text of the sources that has an option, but docstrings and colours of CSS; what is put in reads `7`."""
    for path in FILES:
        if part(path) in ("cli", "wording", "kernels") or path.name == "_launched.py":
            continue
        tree = ast.parse(path.read_text())
        skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                skipped |= {id(value) for value in node.values}
                text = "".join(value.value if isinstance(value, ast.Constant) else "7" for value in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
                text = node.value
            else:
                continue
            if re.search(r"(?<!\()--[a-z]", text):
                yield f"{path.name}:{node.lineno}", text


MESSAGES = dict(messages())


def known():
    names = {*SearchSettings.model_fields, *RetrainSettings.model_fields, *LimitSettings.model_fields, *ELSEWHERE}
    functions = [value for name in zarts.__all__ if inspect.isfunction(value := getattr(zarts, name))]
    return names.union(*(inspect.signature(function).parameters for function in functions))


@pytest.mark.parametrize("where", MESSAGES)
def test_every_message_of_the_sources_speaks_of_arguments(where):
    text = MESSAGES[where]
    translated = in_python(text)
    names = {name.replace("-", "_") for name in re.findall(r"(?<!\S)--([a-z0-9-]+)", text)}
    names -= {"format", "no_retrain", "help_all"}
    arguments = {name.removeprefix("no_") if name.startswith("no_") else name for name in names}
    if where.split(":")[0] in COMMANDS and "`" in text:
        translated = in_python(text.replace("zarts 7", "zarts search").replace("zarts {}", "zarts search"))
    assert "--" not in translated
    assert arguments <= known()
    for name, value in re.findall(r"\b(\w+)=\"([a-z0-9-]+)\"", translated):
        field = SearchSettings.model_fields.get(name) or RetrainSettings.model_fields.get(name)
        words = list(
            AXES.get(name, re.findall(r"'([a-z0-9-]+)'", str(field and field.annotation).partition("Literal")[2]))
        )
        assert not words or value in words, "the value of a setting, not a word of the sentence"


def copied(error):
    """As another process sends it."""
    return pickle.loads(pickle.dumps(error))  # noqa: S301


def test_the_same_error_reads_differently_for_the_command_line():
    error = SettingsError("take --epochs 3")
    assert str(error) == str(copied(error)) == "take epochs=3"
    with options_in_messages():
        assert str(error) == "take --epochs 3"
    assert str(error) == "take epochs=3"


def test_an_error_of_the_command_line_has_options(command, tmp_path):
    words = ["--method", "darts", "--warmup-epochs", "2", "--epochs", "2", "--out", tmp_path / "run"]
    assert "--warmup-epochs below 2" in command("search", *words)[2]
    with pytest.raises(SettingsError, match="warmup_epochs below 2"):
        zarts.search(method="darts", warmup_epochs=2, epochs=2, out=tmp_path / "run")


def test_an_interruption_is_no_error():
    assert issubclass(Interrupted, KeyboardInterrupt)
    assert not issubclass(Interrupted, Exception)
    assert not issubclass(Interrupted, ZartsError)
    assert str(copied(Interrupted("`zarts search --resume RUN`"))) == '`zarts.search(resume="RUN")`'
