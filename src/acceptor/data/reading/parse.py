"""Parses the bytes of a file to a grid of cells, before any column has a role.

Every reader here is strict: it reads the whole file or raises `DataError`. No row is skipped, no quote is
guessed, no cell becomes a missing value, and no character is changed. `reject` is called
for a row that breaks the rules: it raises in `read_table`; in a `stream` it collects the row.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from acceptor.data.reading.columnar import columnar_grids
from acceptor.data.reading.decode import text_blocks
from acceptor.data.reading.delimited import (
    check_line_breaks,
    check_separator,
    dialect_of,
    likely_separator,
    line_rows,
    quoted_rows,
    rectangle,
    refuse_record,
)
from acceptor.data.reading.grid import Grid, Reject, Rows, refuse
from acceptor.data.reading.records import json_lines, json_rows, record_grid
from acceptor.data.reading.unpack import STDIN, is_stream, open_file
from acceptor.data.reading.workbook import workbook_grid


def read_file(path: Path, origin: str, separator: str | None = None) -> tuple[Grid, str]:
    """Reads a file of any known format.

    Args:
        path: The file.
        origin: The path as the caller gave it, for messages.
        separator: The separator of delimited text, if it is not the usual one of the file's format.

    Returns:
        The grid, and the sha256 of the file's bytes as stored.

    Raises:
        DataError: The file is missing, empty, of an unknown format, damaged, or breaks its format's rules.
    """
    form, data, sha256 = open_file(path, origin)
    named, origin = origin, "standard input" if origin == STDIN else origin
    if form == "xlsx":
        return workbook_grid(data, origin), sha256
    if form in ("parquet", "arrow"):
        grids = list(columnar_grids(data, form, origin))
        columns = [[cell for part in parts for cell in part] for parts in zip(*(g.columns for g in grids), strict=True)]
        lines = range(1, sum(len(g.lines) for g in grids) + 1)
        return Grid(origin, "row", grids[0].names, columns, lines, grids[0].form), sha256
    text = "".join(text_blocks([data], origin))
    if form == "tsv" and separator is None and is_stream(path, named):  # its name gives no format
        separator = likely_separator(text)
    blocks, separator = declared_separator([text], form, separator)
    parts = list(read_rows(blocks, form, origin, separator))
    rows = Rows(
        [row for one in parts for row in one.rows], [line for one in parts for line in one.lines], parts[0].unit
    )
    return lay_out(rows, form, origin, separator=separator), sha256


_DECLARED = re.compile("sep=(.)\r?\n")


def declared_separator(blocks: Iterable[str], form: str, separator: str | None) -> tuple[Iterator[str], str | None]:
    """The same text, and the separator that its first line may declare: ``sep=;``, as spreadsheets write it."""
    following = iter(blocks)
    first = next(following, "")
    declared = _DECLARED.match(first) if form in ("tsv", "csv") else None
    return itertools.chain([first], following), separator or (declared[1] if declared else None)


def read_rows(blocks: Iterable[str], form: str, origin: str, separator: str | None = None) -> Iterator[Rows]:
    """The rows of a text file (tsv, csv, jsonl or json) from its text in blocks of whole lines.

    A first line that declares the separator is not a row: see `declared_separator`.

    Raises:
        DataError: A quote in a CSV is out of place, so that it is not known where the next row begins.
    """
    if form == "json":
        yield json_rows("".join(blocks), origin)
        return
    dialect = dialect_of(form, separator)
    line, rest = 1, ""
    for block in blocks:
        text = rest + block
        if line == 1 and form != "jsonl" and (declared := _DECLARED.match(text)):
            text, line = text[declared.end() :], 2
        if form == "jsonl":
            rows, rest = json_lines(text, line), ""
        elif dialect.quoted:
            rows, rest = quoted_rows(text, line, origin, dialect.separator)
        else:
            rows, rest = line_rows(text, line, dialect.separator), ""
        line += text.count("\n", 0, len(text) - len(rest))
        yield rows
    if rest:
        refuse_record(rest, 0, line, origin, dialect.separator)


def lay_out(
    rows: Rows,
    form: str,
    origin: str,
    *,
    separator: str | None = None,
    like: Grid | None = None,
    reject: Reject = refuse,
) -> Grid:
    """Turns rows of a text file into columns.

    Args:
        rows: From `read_rows`, at least one.
        form: tsv, csv, jsonl or json.
        origin: The path as the caller gave it, for messages.
        separator: As for `read_rows`.
        like: An earlier grid of this file, whose columns these rows must have.
        reject: Called for rows that have other columns, or are not JSON objects.

    Raises:
        DataError: The file has other line breaks, or another separator, than expected.
    """
    if like is None and rows.unit == "line":
        check_line_breaks(rows, origin)
    if form in ("jsonl", "json"):
        return record_grid(rows, origin, like, reject)
    dialect = dialect_of(form, separator)
    if like is None and separator is None:
        check_separator(rows, dialect, origin)
    return rectangle(rows, dialect, origin, like, reject)
