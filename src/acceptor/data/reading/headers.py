"""Finds the header of delimited text, and its repetitions in joined files."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from acceptor.data.reading.cell_kinds import is_text, like_a_name, looks_like_label, looks_like_labels
from acceptor.data.reading.column_names import COMPANIONS, KNOWN_NAMES, key
from acceptor.data.reading.grid import Grid, Reject
from acceptor.errors import DataError
from acceptor.text import listed, short


def has_header(grid: Grid, roles: Mapping[str, int]) -> bool:
    """Whether the first row of delimited text is a header.

    Args:
        grid: The rows.
        roles: The places of the columns that the caller numbered.
    """
    if len(grid.columns) == 1:
        return _names_sentences(grid.columns[0][0])
    columns = _without_repeats(grid)
    if _are_pandas_numbers(columns):
        return True
    if any(column[0] in column[1:] and looks_like_labels(column) for column in columns):
        return False  # the first row has a label that other rows have
    return _has_known_name(columns, roles) or _looks_like_names(columns, roles.get("label"))


def _names_sentences(cell: str) -> bool:
    """Whether a cell is the name of a column of sentences. ``question`` is, but "Question" may be a sentence."""
    return key(cell) in KNOWN_NAMES["sentence"] and (key(cell) not in COMPANIONS or cell == key(cell))


def _are_pandas_numbers(columns: Sequence[list[str]]) -> bool:
    """Whether the first row is 0, 1, 2, …, which pandas writes for columns without names."""
    numbered = [column[0] for column in columns] == list(map(str, range(len(columns))))
    return numbered and any(is_text(column[1:]) for column in columns)


def _has_known_name(columns: Sequence[list[str]], roles: Mapping[str, int]) -> bool:
    """Whether the first row has a known name: in a column whose role is given, else in any column."""
    texts = {*KNOWN_NAMES["sentence"], *COMPANIONS}
    names = {"sentence": texts, "second": texts, "label": set(KNOWN_NAMES["label"])}
    for role, index in roles.items():
        first, *rest = columns[index]
        if key(first) in names.get(role, ()) and first not in rest:
            return True
    return not roles.keys() & names.keys() and any(key(column[0]) in texts for column in columns)


def _without_repeats(grid: Grid) -> list[list[str]]:
    """The columns without the later rows that equal the first one, which are the headers of joined files."""
    first = [column[0] for column in grid.columns]
    again = {
        row
        for row, cell in enumerate(grid.columns[0])
        if row and cell.removeprefix("\ufeff") == first[0]
        if all(column[row] == cell for column, cell in zip(grid.columns[1:], first[1:], strict=True))
    }
    if not again:
        return grid.columns
    return [[cell for row, cell in enumerate(column) if row not in again] for column in grid.columns]


_NUMBERS = re.compile(r"[0-9.,:/+TZ -]*[0-9][0-9.,:/+TZ -]*")  # numbers, dates, times


def _looks_like_names(columns: Sequence[list[str]], label: int | None) -> bool:
    """Whether all cells of the first row could be names, and one of them differs in kind from the cells below it.

    Args:
        columns: At least two.
        label: The index of the label column, if the caller numbered it.
    """
    named = [column for column in columns if column[0].strip()]
    if len(named) < 2 or not all(like_a_name(column[:1]) for column in named):
        return False
    return any(_differs(column[0], column[1:], is_label=index == label) for index, column in enumerate(columns))


def _differs(first: str, rest: Sequence[str], *, is_label: bool) -> bool:
    """Whether a cell differs from the other cells of its column: labels, numbers, or few values that repeat."""
    if not first.strip() or looks_like_label(first) or first in rest:
        return False
    if looks_like_labels(rest):
        return True
    if len(rest) >= 2 and all(map(_NUMBERS.fullmatch, rest[:100])) and not _NUMBERS.fullmatch(first):
        return True
    if len(rest) < 4:
        return False
    counts = Counter(rest)
    few = 1 < len(counts) <= len(rest) // 2 and not is_text(rest)
    return few or (is_label and len(counts) < 50 and min(counts.values()) > 1)


def lift_header(grid: Grid) -> Grid:
    """The rows after the header, whose cells become the names of the columns.

    Raises:
        DataError: There are no rows after it.
    """
    if len(grid.lines) == 1:
        raise DataError(
            "there are no rows after the header", where=grid.origin, expected="at least one row", code="E-DATA-EMPTY"
        )
    names = [column[0] or f"column{number}" for number, column in enumerate(grid.columns, 1)]
    return replace(grid, names=names, columns=[column[1:] for column in grid.columns], lines=grid.lines[1:])


def without_repeated_headers(grid: Grid, header: Sequence[str], reject: Reject) -> Grid:
    """The grid without repeated headers of joined files.

    These rows repeat the header, with or without a byte order mark; in a file without a header, they begin with one.

    Args:
        grid: Rows of delimited text.
        header: The header's cells as written; empty where there is none.
        reject: Called for each such row.
    """
    first = grid.columns[0]
    if header:
        joints = [row for row, cell in enumerate(first) if cell.removeprefix("\ufeff") == header[0]]
        joints = [row for row in joints if [column[row] for column in grid.columns[1:]] == list(header[1:])]
    else:
        joints = [row for row, cell in enumerate(first) if cell.startswith("\ufeff") and len(cell) > 1]
    if not joints:
        return grid
    path, plain = shlex.quote(grid.origin), grid.origin.lower().endswith((".tsv", ".csv", ".txt"))
    for row in joints:
        line = grid.lines[row]
        command = f"{line}d" if header else r"s/^\xEF\xBB\xBF//"
        error = DataError(
            "a row repeats the header" if header else "a row begins with a byte order mark",
            where=grid.place(row),
            expected="a row of cells",
            found=listed([short(column[row]) for column in grid.columns]),
            cause="files were joined into one",
            next=("remove the line" if header else "remove the mark")
            + (f": sed -i.bak '{command}' {path}" if plain else ""),
            code="E-DATA-ROW",
        )
        reject(line, error)
    drop = set(joints)
    kept = [row for row in range(len(grid.lines)) if row not in drop]
    columns = [[column[row] for row in kept] for column in grid.columns]
    return replace(grid, columns=columns, lines=[grid.lines[row] for row in kept])
