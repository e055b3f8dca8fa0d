"""From the bytes of a file to a grid of cells, before any column has a role.

Every reader here is strict: it reads the whole file or raises `DataError`. No row is skipped, no quote is
guessed, no cell is taken for a missing value, and no character is changed.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from acceptor.data.unpack import decode, magic, open_file
from acceptor.errors import DataError


@dataclass(frozen=True)
class Grid:
    """Cells as parsed.

    Attributes:
        origin: The source, in the words of whoever named it.
        unit: What `lines` counts: ``line`` or ``row``.
        names: Column names; None for delimited text, whose first row may or may not be a header.
        columns: The cells of each column: strings in delimited text, anything elsewhere.
        lines: The number of the line each row starts on, 1-based.
    """

    origin: str
    unit: str
    names: list[str] | None
    columns: list[list[Any]]
    lines: Sequence[int]

    def place(self, row: int) -> str:
        """Where ``row`` (0-based) stands, in words."""
        return f"{self.origin}, {self.unit} {self.lines[row]}"


def grid_of_records(records: Sequence[Mapping[str, Any]], lines: Sequence[int], origin: str, unit: str) -> Grid:
    """Lay records out as columns, in the order their keys first appear; a missing key gives None."""
    keys = list(dict.fromkeys(key for record in records for key in record))
    columns = [[record.get(key) for record in records] for key in keys]
    return Grid(origin, unit, [str(key) for key in keys], columns, lines)


def read_file(path: Path, origin: str) -> tuple[Grid, str]:
    """Read a file of any known format.

    Args:
        path: The file.
        origin: The path as the caller gave it, for messages.

    Returns:
        The grid, and the sha256 of the file's bytes as stored.

    Raises:
        DataError: The file is missing, empty, of an unknown format, damaged, or breaks its format's rules.
    """
    form, data, sha256 = open_file(path, origin)
    if form in ("parquet", "arrow"):
        grid = _read_columnar(data, form, origin)
    else:
        text = _trim_end(decode(data, origin))
        grid = {"tsv": _read_tsv, "csv": _read_csv, "jsonl": _read_jsonl}[form](text, origin)
    return grid, sha256


def _trim_end(text: str) -> str:
    """End the text in exactly one line break: blank lines at the end of a file mean nothing."""
    end = len(text)
    while text.endswith(("\n\n", "\n\r\n"), 0, end):
        end -= 2 if text.endswith("\r\n", 0, end) else 1
    return text[:end] if text.endswith("\n", 0, end) else text + "\n"


# ── delimited text ───────────────────────────────────────────────────────────────────────────────────────


def _read_tsv(text: str, origin: str) -> Grid:
    """No quoting at all. Only a line feed ends a line; ``str.splitlines`` would also cut at U+2028."""
    rows = [line.split("\t") for line in text.replace("\r\n", "\n")[:-1].split("\n")]
    return _rectangle(rows, range(1, len(rows) + 1), origin, "a tab or a line break")


def _read_csv(text: str, origin: str) -> Grid:
    """RFC 4180: commas, double quotes, a doubled quote inside quotes, line breaks inside quotes."""
    rows, lines = [], []
    start, line = 0, 1
    while start < len(text):
        end = text.index("\n", start)
        record = text[start:end]
        if '"' in record:
            row, end = _quoted_record(text, start, line, origin)
        else:
            row, end = record.removesuffix("\r").split(","), end + 1
        rows.append(row)
        lines.append(line)
        line += text.count("\n", start, end)
        start = end
    return _rectangle(rows, lines, origin, "an unquoted comma or line break")


# One cell and what ends it. The possessive ++ and *+ keep a long cell from being tried again and again.
_CSV_CELL = re.compile(r'(?:"((?:[^"]++|"")*+)"|([^",\n]*?))(,|\r?\n)')


def _quoted_record(text: str, start: int, line: int, origin: str) -> tuple[list[str], int]:
    """The cells of the record at ``start``, and where the next one starts."""
    cells = []
    position = start
    while True:
        cell = _CSV_CELL.match(text, position)
        if cell is None:
            _refuse_cell(text, start, position, line, origin)
        quoted, plain, end = cell.groups()
        cells.append(plain if quoted is None else quoted.replace('""', '"'))
        position = cell.end()
        if end != ",":
            return cells, position


def _refuse_cell(text: str, start: int, position: int, line: int, origin: str) -> NoReturn:
    """Say what is wrong with the cell at ``position`` of the record that starts at ``start``."""

    def place(offset: int) -> str:
        column = offset - text.rfind("\n", 0, offset)
        return f"line {line + text.count(chr(10), start, offset)}, column {column}"

    if text[position] != '"':
        quote = text.index('"', position)
        raise DataError(
            "a quote stands inside an unquoted cell",
            where=f"{origin}, {place(quote)}",
            found=short(text[position : text.index("\n", quote)]),
            next='quote the whole cell and double the quotes in it ("say ""yes"""), or use .tsv or .jsonl',
        )
    close = re.compile(r'"(?:[^"]++|"")*+"').match(text, position)
    if close is None:
        raise DataError(
            "a quote is opened and never closed",
            where=f"{origin}, {place(position)}",
            found=short(text[position : text.index("\n", position)]),
            next="close the quote, or use .tsv or .jsonl, where a quote is just a character",
        )
    raise DataError(
        "text follows a closing quote",
        where=f"{origin}, {place(close.end())}",
        expected="a comma or the end of the line",
        found=short(text[close.end() : text.index("\n", close.end())]),
        cause=f"the quote was opened at {place(position)}: perhaps there it was never closed",
        next="double each quote that belongs to the text",
    )


def _rectangle(rows: list[list[str]], lines: Sequence[int], origin: str, breaker: str) -> Grid:
    """Turn rows of one width into columns. The width is the most common one, so that the odd row is named."""
    width = Counter(map(len, rows)).most_common(1)[0][0]
    for row, line in zip(rows, lines, strict=True):
        if len(row) != width:
            raise DataError(
                "a row has the wrong number of columns" if row != [""] else "a line is blank",
                where=f"{origin}, line {line}",
                expected=f"{width} columns",
                found=f"{len(row)}: {' | '.join(map(short, row[:8]))}",
                cause=f"{breaker} inside a cell" if row != [""] else None,
            )
    return Grid(origin, "line", None, [list(column) for column in zip(*rows, strict=True)], lines)


def short(cell: str) -> str:
    """A cell as it looks in a message: control characters escaped, long text cut."""
    return repr(cell if len(cell) <= 40 else cell[:40] + "…")


# ── JSON lines ───────────────────────────────────────────────────────────────────────────────────────────


def _read_jsonl(text: str, origin: str) -> Grid:
    lines = text[:-1].split("\n")
    numbers = range(1, len(lines) + 1)
    records = [_json_object(line, f"{origin}, line {number}") for line, number in zip(lines, numbers, strict=True)]
    return grid_of_records(records, numbers, origin, "line")


def _json_object(line: str, where: str) -> dict[str, Any]:
    try:
        record = _JSON.decode(line)
    except json.JSONDecodeError as error:
        cause, record = f"{error.msg} at column {error.colno}", None
    except (ValueError, RecursionError) as error:  # from the two hooks; a huge integer; deep nesting
        cause, record = str(error), None
    else:
        cause = f"a JSON {type(record).__name__}"
    if isinstance(record, dict):
        return record
    raise DataError(
        "a line is not one JSON object",
        where=where,
        expected="{…} on each line",
        found=short(line),
        cause=cause,
    )


def _no_repeated_key(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        repeated = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {repeated!r} appears twice")
    return record


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


_JSON = json.JSONDecoder(object_pairs_hook=_no_repeated_key, parse_constant=_no_constant)


# ── Parquet and Arrow ────────────────────────────────────────────────────────────────────────────────────


def _read_columnar(data: bytes, form: str, origin: str) -> Grid:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if form == "parquet":
            table = pq.ParquetFile(pa.BufferReader(data)).read()
        elif magic(data) == "arrow":
            table = pa.ipc.open_file(data).read_all()
        else:
            table = pa.ipc.open_stream(data).read_all()
            if not data.endswith(b"\xff\xff\xff\xff\0\0\0\0"):  # else one cut between batches looks complete
                raise OSError("the stream does not end with its end-of-stream mark")
        table.validate(full=True)  # invalid UTF-8, and offsets that point out of the file
        columns = [column.to_pylist() for column in table.columns]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"the {form} file is damaged or cut short",
            where=origin,
            cause=str(error),
            next="fetch the file again",
        ) from error
    return Grid(origin, "row", table.column_names, columns, range(1, table.num_rows + 1))
