"""The code of docs/python.md runs from top to bottom."""

import re
from pathlib import Path

import pytest

import zarts

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


@pytest.mark.usefixtures("unchecked", "no_pictures")
def test_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S))
    assert len(blocks) > 5
    names: dict[str, object] = {}
    for block in blocks:
        line = block.string[: block.start(1)].count("\n")  # so that a traceback names the line of the page
        exec(compile("\n" * line + block[1], str(PAGE), "exec"), names)  # noqa: S102 (our own page)
    assert "search by zarts-mgs in space s2: digits, 2 epochs, seed 0\n" in capsys.readouterr().out


def test_every_public_name_is_in_the_docs():
    texts = [path.read_text("utf-8") for path in PAGE.parent.rglob("*.md")]
    assert [name for name in zarts.__all__ if not any(re.search(rf"\b{name}\b", text) for text in texts)] == []
