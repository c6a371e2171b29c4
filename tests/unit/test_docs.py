"""The documentation: its scripts, its commands, its reference. `make docs-test` runs the code of all pages."""

import re
import shlex

import pytest

import zarts
from docs.tools import paste, reference
from docs.tools.blocks import DOCS, ROOT, Block, blocks, pages, zarts_commands
from docs.tools.check import EXAMPLES, unknown_options
from zarts.config import RetrainSettings, SearchSettings
from zarts.config.fit import FitSettings


def block(text, comment="", language=""):
    return Block(ROOT / "page.md", 1, language, text, comment)


def test_every_command_of_the_docs_is_one_that_the_command_line_takes():
    found = [one for page in pages() for one in blocks(page)]
    assert sum(len(list(zarts_commands(one))) for one in found) > 100
    assert [line for one in found for line in unknown_options(one)] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("zarts fit a --time 2m   # a comment", ["fit a --time 2m"]),
        ("$ zarts search --data x \\\n  --epochs 3 | tail", ["search --data x --epochs 3"]),
        ("A=1 zarts list methods\nzarts: failed\nother zarts fit", ["list methods"]),
    ],
)
def test_commands_of_a_block(text, words):
    assert [shlex.join(one) for one in zarts_commands(block(text))] == words


def test_a_wrong_option_is_found():
    (line,) = unknown_options(block("zarts fit images --tme 3m"))
    assert "--tme" in line
    assert "page.md:1" in line
    assert "no such command" in unknown_options(block("zarts fitt images"))[0]


def test_a_block_runs_with_replacements(tmp_path):
    text = '<!-- run with: "30m" => "20s"; path => digits -->\n```\nzarts fit path --time "30m"\n```\n'
    page = tmp_path / "one.md"
    page.write_text(text)
    (one,) = blocks(page)
    assert one.runs
    assert one.code == 'zarts fit digits --time "20s"\n'
    assert not block("1 / 0", "not run: why", "python").runs
    assert block("1", "", "python").runs


def test_outputs_are_pasted_and_compared_by_shape():
    page = "Before.\n<!-- output: say 3 -->\nold\n<!-- end -->\nAfter.\n"
    new = paste.pasted(page, lambda command: f"{command}: 12.5 s  \n")
    assert "```text\n$ say 3\nsay 3: 12.5 s\n```" in new
    assert new.startswith("Before.")
    assert new.endswith("After.\n")
    again = paste.pasted(new, lambda command: f"{command}: 7 s")
    other = paste.pasted(new, lambda command: f"{command}: 7 seconds")
    assert paste.shape(new) == paste.shape(again) != paste.shape(other)


def test_the_reference_has_every_setting_command_and_public_name():
    settings, commands, api = reference.settings_page(), reference.commands_page(), reference.api_page()
    for part, model in (("fit", FitSettings), ("search", SearchSettings), ("retrain", RetrainSettings)):
        text = settings.partition(f"## Settings of zarts {part}\n")[2].partition("\n## ")[0]
        listed = re.findall(r"^\| `(\w+)` \|", text, re.M)
        assert sorted(listed) == sorted(model.model_fields)
    names = re.findall(r"^## zarts (\S+)$", commands, re.M)
    assert names == list(reference.commands())
    assert "| `3` | `DataError`" in commands
    texts = [page.read_text("utf-8") for page in DOCS.rglob("*.md")]
    assert [name for name in zarts.__all__ if not any(re.search(rf"\b{name}\b", text) for text in texts)] == []
    documented = {line.rpartition(".")[2] for line in re.findall(r"^::: (\S+)$", api, re.M)}
    assert {*zarts.__all__} <= documented


def test_every_page_is_in_the_navigation():
    nav = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2]
    listed = re.findall(r": (\S+\.md)$", nav, re.M)
    made = {"index.md", "source/examples/README.md", *reference.PAGES}
    assert sorted(listed) == sorted({*made, *(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))})


def test_examples_are_short_and_listed():
    files = sorted((ROOT / "examples").glob("*.py"))
    text = (ROOT / "examples" / "README.md").read_text("utf-8")
    assert len(files) == 10
    assert {*EXAMPLES} < {path.name for path in files}
    for path in files:
        lines = path.read_text("utf-8").splitlines()
        assert f"]({path.name})" in text
        assert len(lines) <= 60, path
        compile("\n".join(lines), str(path), "exec")
