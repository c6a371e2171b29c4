"""The tables of a comparison as Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from zarts.bench import Column, MeanStd
from zarts.comparison.footnotes import title_of
from zarts.comparison.results import Summary
from zarts.comparison.tables import Section
from zarts.reports.comparison import MORE, column_title, mean_std_text
from zarts.runtime.paths import printable

__all__ = ["to_csv", "to_latex", "to_markdown"]

_DASH = "–"
_Lines = list[list[str]]
"""The texts of a table, a list for each line, the head first."""


def to_markdown(sections: Sequence[Section], notes: Sequence[str]) -> str:
    """The table and the notes below it; of several groups an overview, then a table for each."""
    tables = [_in_markdown(table, name) for name, table in _tables(sections)]
    return "\n\n".join(tables) + "\n\n" + "\n".join(notes) + "\n"


def to_csv(sections: Sequence[Section]) -> str:
    """A line a row, every number in full, a missing one empty. Of several groups, the first columns name the group.

    With hand-made networks, the last column marks their rows.
    """
    columns = list(dict.fromkeys(column for section in sections for column in section.columns))
    names = [f"{column.name}_{part}" for column in columns for part in MeanStd._fields]
    grouped = len(sections) > 1
    marked = ["handmade"] * any(row.handmade for section in sections for row in section.rows)
    lines: list[list[Any]] = [[*["space", "data"] * grouped, "row", "n", *names, *MORE, *marked]]
    for section in sections:
        for row in section.rows:
            numbers = [number for column in columns for number in row.mean_stds.get(column, (None, None))]
            where = [section.group.space, section.group.data] * grouped
            lines.append([*where, row.name, row.n, *numbers, *(getattr(row, key) for key in (*MORE, *marked))])
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([["" if value is None or value != value else value for value in line] for line in lines])
    return file.getvalue()


def to_latex(sections: Sequence[Section], notes: Sequence[str]) -> str:
    r"""A `tabular` that needs no package, the notes as comments; of several groups an overview and one for each."""
    tables = [_in_latex(table, name) for name, table in _tables(sections)]
    return "\n".join([*(f"% {note}" for note in notes), *tables, ""])


def _tables(sections: Sequence[Section]) -> Iterator[tuple[str, _Lines]]:
    """Each table with its title."""
    if len(sections) > 1 and any(section.columns for section in sections):
        yield "", _overview(sections)
    for section in sections:
        more = [key for key in MORE if any(getattr(row, key) is not None for row in section.rows)]
        counts = [row.n for row in section.rows if row.n is not None and row.best is not None]
        head = ["", "n", *map(title_of, section.columns), *(column_title(key, counts) for key in more)]
        yield section.group.title, [head, *(_texts(row, section.columns, more) for row in section.rows)]


def _overview(sections: Sequence[Section]) -> _Lines:
    """Rows down, groups across: mean and standard deviation."""
    across = [(section, column) for section in sections for column in section.columns]
    head = [
        section.group.title if len(section.columns) == 1 else f"{section.group.title}: {title_of(column)}"
        for section, column in across
    ]
    lines = [["", *head]]
    labels = {row.name: row.label for section in sections for row in section.rows}
    for name, label in labels.items():
        texts = []
        for section, column in across:
            row = next((row for row in section.rows if row.name == name), None)
            texts.append(_DASH if row is None else mean_std_text(*row.mean_stds[column], row.n) + _fewer(row, section))
        lines.append([label, *texts])
    return lines


def _fewer(row: Summary, section: Section) -> str:
    return f" ({row.n})" if row.n is not None and row.n < section.seeds else ""


def _in_markdown(table: _Lines, name: str) -> str:
    head, *body = table
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    text = "\n".join("| " + " | ".join(map(printable, line)) + " |" for line in lines)
    return f"## {printable(name)}\n\n{text}" if name else text


def _in_latex(table: _Lines, name: str) -> str:
    head, *body = (" & ".join(map(_escaped, line)) + r" \\" for line in table)
    begin, end = rf"\begin{{tabular}}{{l{'r' * (len(table[0]) - 1)}}}", r"\end{tabular}"
    return "\n".join([*[f"% {printable(name)}"] * bool(name), begin, r"\hline", head, r"\hline", *body, r"\hline", end])


def _texts(row: Summary, columns: Iterable[Column], more: Iterable[str]) -> list[str]:
    return [
        row.label,
        _or_dash(row.n, str),
        *(mean_std_text(*row.mean_stds[column], row.n) for column in columns),
        *(_or_dash(getattr(row, key), MORE[key][1]) for key in more),
    ]


def _or_dash(value: Any, form: Callable[[Any], str]) -> str:
    return _DASH if value is None else form(value)


def _escaped(text: str) -> str:
    text = re.sub(r"([%&_#$])", r"\\\1", printable(text).replace("\\", r"\textbackslash "))
    return text.replace("±", r"$\pm$").replace("×", r"$\times$").replace(_DASH, "--")
