"""Hooks of mkdocs: pages that are made from code, README as the first page, links to files outside of `docs/`.

A link such as `../src/zarts/errors.py` works where the repository is browsed. In the site it leads to a page with the
text of that file.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
sys.path.insert(0, str(ROOT))

from docs.tools.reference import PAGES  # noqa: E402 (mkdocs loads this file by its path)

_LINK = re.compile(r"(\]\()([^()\s]+)(\))")
_FENCE = re.compile(r"(^```.*?^```[^\S\n]*$)", re.M | re.S)
_LANGUAGES = {".py": "python", ".cpp": "cpp", ".hpp": "cpp", ".yaml": "yaml", ".json": "json", ".toml": "toml"}


def _target(link: str, folder: Path) -> tuple[Path, str] | None:
    """The file or folder of the repository that a link leads to, and its anchor; None: elsewhere, or nothing."""
    name, hash_, anchor = link.partition("#")
    if not name or re.match(r"[a-z]+:", name):
        return None
    path = Path(os.path.normpath(folder / name))
    if path.is_dir() and (path / "README.md").exists():
        path = path / "README.md"
    return (path, hash_ + anchor) if path.is_file() and path.is_relative_to(ROOT) else None


def _uri(path: Path) -> str:
    """The place in the site of a file of the repository."""
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    inside = path.relative_to(ROOT).as_posix()
    if inside == "README.md":
        return "index.md"
    return inside if inside == "CONTRIBUTING.md" else f"source/{inside.removesuffix('.md')}.md"


def _relinked(text: str, folder: Path, uri: str) -> str:
    """The text with the links of a file in `folder` as those of the page `uri`; code keeps its own."""

    def link(match: re.Match[str]) -> str:
        found = _target(match[2], folder)
        if found is None:
            return match[0]
        relative = os.path.relpath(_uri(found[0]), Path(uri).parent or ".")
        return f"{match[1]}{Path(relative).as_posix()}{found[1]}{match[3]}"

    parts = _FENCE.split(text)
    return "".join(part if part.startswith("```") else _LINK.sub(link, part) for part in parts)


def _linked(text: str, folder: Path) -> Iterator[Path]:
    """The files outside of `docs/` that a text links to."""
    for part in _FENCE.split(text):
        if not part.startswith("```"):
            found = (_target(match[2], folder) for match in _LINK.finditer(part))
            yield from (one[0] for one in found if one and not one[0].is_relative_to(DOCS))


def _page(path: Path) -> str:
    """The page of a file outside of `docs/`."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return _relinked(text, path.parent, _uri(path))
    name, language = path.relative_to(ROOT).as_posix(), _LANGUAGES.get(path.suffix, "text")
    return f"---\nsearch:\n  exclude: true\n---\n\n# {name}\n\n~~~~{language}\n{text.rstrip()}\n~~~~\n"


def on_files(files: Files, config: Any) -> Files:
    """Add the pages made from code, README as `index.md`, and the files that pages link to."""
    for uri, make in PAGES.items():
        files.append(File.generated(config, uri, content=make()))
    waiting, made = [ROOT / "README.md", ROOT / "examples" / "README.md"], set[Path]()
    for file in files.documentation_pages():
        if file.abs_src_path and Path(file.abs_src_path).is_relative_to(DOCS):
            path = Path(file.abs_src_path)
            waiting += _linked(path.read_text(encoding="utf-8"), path.parent)
    while waiting:
        path = waiting.pop()
        if path not in made:
            made.add(path)
            files.append(File.generated(config, _uri(path), content=_page(path)))
            if path.suffix == ".md":
                waiting += _linked(path.read_text(encoding="utf-8"), path.parent)
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Links of a page in `docs/` that lead out of it."""
    path = Path(page.file.abs_src_path or "")
    return _relinked(markdown, path.parent, page.file.src_uri) if path.is_relative_to(DOCS) else markdown
