"""From the bytes of a file to a grid of cells, before any column has a role.

Every reader here is strict: it reads the whole file or raises `DataError`. No row is skipped, no quote is
guessed, no cell is taken for a missing value, and no character is changed. A row that breaks the rules is
handed to `reject`: reading a file whole that raises; reading a corpus (`stream`) sets the row aside.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from acceptor.data.unpack import LONGEST_LINE, magic, open_file, text_blocks
from acceptor.errors import DataError

Reject = Callable[[int, DataError], None]
"""Hears of a row that cannot be read: the number of its line, and what is wrong with it."""


def refuse(line: int, error: DataError) -> None:
    """The `Reject` of strict reading: the first row that cannot be read ends it."""
    raise error


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of a delimited file as lists of cells; of JSON lines as text.

    Attributes:
        rows: One item a row.
        lines: The number of the line each row starts on, 1-based.
    """

    rows: list[Any]
    lines: list[int]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Grid:
    """Cells as parsed.

    Attributes:
        origin: The source, in the words of whoever named it.
        unit: What `lines` counts: ``line`` or ``row``.
        names: Column names; None for delimited text, whose first row may or may not be a header.
        columns: The cells of each column: strings in delimited text, anything elsewhere.
        lines: The number of the line each row starts on, 1-based.
        arrow: The same columns as Arrow's record batch, where they came as one.
    """

    origin: str
    unit: str
    names: list[str] | None
    columns: list[list[Any]]
    lines: Sequence[int]
    arrow: Any = None

    def place(self, row: int) -> str:
        """Where ``row`` (0-based) stands, in words."""
        return f"{self.origin}, {self.unit} {self.lines[row]}"


def grid_of_records(
    records: Sequence[Mapping[str, Any]],
    lines: Sequence[int],
    origin: str,
    unit: str,
    *,
    keys: Sequence[str] | None = None,
) -> Grid:
    """Lay records out as columns: ``keys``, by default in the order they first appear; a missing one gives None."""
    keys = list(dict.fromkeys(key for record in records for key in record)) if keys is None else keys
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
        grids = list(columnar_grids(data, form, origin))
        columns = [[cell for part in parts for cell in part] for parts in zip(*(g.columns for g in grids), strict=True)]
        return Grid(origin, "row", grids[0].names, columns, range(1, sum(len(g.lines) for g in grids) + 1)), sha256
    rows, lines = [], []
    for part in read_rows(["".join(text_blocks([data], origin))], form, origin):
        rows += part.rows
        lines += part.lines
    return lay_out(Rows(rows, lines), form, origin), sha256


def read_rows(blocks: Iterable[str], form: str, origin: str) -> Iterator[Rows]:
    """The rows of a text file (tsv, csv or jsonl) from its text in blocks of whole lines.

    Raises:
        DataError: A quote in a CSV is out of place, so that it is not known where the next row begins.
    """
    line, rest = 1, ""
    for block in blocks:
        text = rest + block
        if form == "csv":
            rows, rest = _csv_rows(text, line, origin)
        else:
            rows, rest = _line_rows(text, line, form), ""
        line += text.count("\n", 0, len(text) - len(rest))
        yield rows
    if rest:
        _refuse_record(rest, 0, line, origin)


def lay_out(rows: Rows, form: str, origin: str, *, like: Grid | None = None, reject: Reject = refuse) -> Grid:
    """The columns of rows of a text file.

    Args:
        rows: From `read_rows`, one at least.
        form: tsv, csv or jsonl.
        origin: The path as the caller gave it, for messages.
        like: An earlier grid of this file, whose columns these rows must have.
        reject: Hears of rows that have other columns, or are no JSON objects.
    """
    if form != "jsonl":
        return _rectangle(rows, form, origin, like, reject)
    records, lines = [], []
    for text, line in zip(rows.rows, rows.lines, strict=True):
        try:
            record = _json_object(text, f"{origin}, line {line}")
            if like and not record.keys() <= set(like.names or []):
                raise _new_key(record, like, f"{origin}, line {line}")
        except DataError as error:
            reject(line, error)
        else:
            records.append(record)
            lines.append(line)
    return grid_of_records(records, lines, origin, "line", keys=like.names if like else None)


# ── delimited text ───────────────────────────────────────────────────────────────────────────────────────


def _line_rows(text: str, line: int, form: str) -> Rows:
    """No quoting at all. Only a line feed ends a line; ``str.splitlines`` would also cut at U+2028."""
    if not text:
        return Rows([], [])
    if form == "jsonl":
        rows: list[Any] = text[:-1].split("\n")
    else:
        rows = [line.split("\t") for line in text.replace("\r\n", "\n")[:-1].split("\n")]
    return Rows(rows, list(range(line, line + len(rows))))


def _csv_rows(text: str, line: int, origin: str) -> tuple[Rows, str]:
    """RFC 4180: commas, double quotes, a doubled quote inside quotes, line breaks inside quotes.

    Returns:
        The rows, and the text from a record on whose last quote is still open.
    """
    rows, lines = [], []
    start = 0
    while start < len(text):
        end = text.index("\n", start)
        record = text[start:end]
        if '"' in record:
            row, end = _quoted_record(text, start, line, origin)
            if not row:
                break
        else:
            row, end = record.removesuffix("\r").split(","), end + 1
        rows.append(row)
        lines.append(line)
        line += text.count("\n", start, end)
        start = end
    return Rows(rows, lines), text[start:]


# One cell and what ends it. The possessive ++ and *+ keep a long cell from being tried again and again.
_CSV_CELL = re.compile(r'(?:"((?:[^"]++|"")*+)"|([^",\n]*?))(,|\r?\n)')


_OPEN_QUOTE = re.compile(r'"(?:[^"]++|"")*+\Z')


def _quoted_record(text: str, start: int, line: int, origin: str) -> tuple[list[str], int]:
    """The cells of the record at ``start``, and where the next one starts; no cells where a quote is still open."""
    cells = []
    position = start
    while True:
        cell = _CSV_CELL.match(text, position)
        if cell is None:
            if len(text) - start <= LONGEST_LINE and _OPEN_QUOTE.match(text, position):
                return [], start
            _refuse_record(text, start, line, origin)
        quoted, plain, end = cell.groups()
        cells.append(plain if quoted is None else quoted.replace('""', '"'))
        position = cell.end()
        if end != ",":
            return cells, position


def _refuse_record(text: str, start: int, line: int, origin: str) -> NoReturn:
    """Say what is wrong with the first faulty cell of the record at ``start``."""
    position = start
    while cell := _CSV_CELL.match(text, position):
        position = cell.end()

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


_BREAKERS = {"tsv": "a tab or a line break", "csv": "an unquoted comma or line break"}


def _rectangle(rows: Rows, form: str, origin: str, like: Grid | None, reject: Reject) -> Grid:
    """Turn rows of one width into columns. The width is the most common one, so that the odd row is named."""
    width = len(like.columns) if like else Counter(map(len, rows.rows)).most_common(1)[0][0]
    odd = [index for index, row in enumerate(rows.rows) if len(row) != width]
    for index in odd:
        row = rows.rows[index]
        error = DataError(
            "a row has the wrong number of columns" if row != [""] else "a line is blank",
            where=f"{origin}, line {rows.lines[index]}",
            expected=f"{width} columns",
            found=f"{len(row)}: {' | '.join(map(short, row[:8]))}",
            cause=f"{_BREAKERS[form]} inside a cell" if row != [""] else None,
        )
        if index == 0 and not like:
            raise error  # perhaps the header: nothing is known of any row without it
        reject(rows.lines[index], error)
    kept, lines = rows.rows, rows.lines
    if odd:
        drop = set(odd)
        kept = [row for index, row in enumerate(kept) if index not in drop]
        lines = [line for index, line in enumerate(lines) if index not in drop]
    columns = [list(column) for column in zip(*kept, strict=True)] or [[] for _ in range(width)]
    return Grid(origin, "line", None, columns, lines)


def short(cell: str) -> str:
    """A cell as it looks in a message: control characters escaped, long text cut."""
    return repr(cell if len(cell) <= 40 else cell[:40] + "…")


# ── JSON lines ───────────────────────────────────────────────────────────────────────────────────────────


def _new_key(record: Mapping[str, Any], like: Grid, where: str) -> DataError:
    known = like.names or []
    return DataError(
        "a line has a key that the first rows of the file do not have",
        where=where,
        expected=f"no key but {', '.join(known)}",
        found=", ".join(short(key) for key in record if key not in known),
    )


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


def columnar_grids(source: Any, form: str, origin: str, rows: int = 1 << 16, text: int | None = None) -> Iterator[Grid]:
    """A Parquet or Arrow file in grids of at most ``rows`` rows.

    Args:
        source: Its bytes, or an open file.
        form: parquet or arrow.
        origin: The path as the caller gave it, for messages.
        rows: The most that a grid may have.
        text: The bytes that a grid may have about, however few rows that are.

    Raises:
        DataError: The file is damaged or cut short, or has no rows.
    """
    import pyarrow as pa

    done = 0
    try:
        for batch in _batches(source, form, rows):
            batch.validate(full=True)  # invalid UTF-8, and offsets that point out of the file
            size = rows if text is None else max(1, min(rows, batch.num_rows * text // max(1, batch.nbytes)))
            for start in range(0, batch.num_rows, size):
                part = batch.slice(start, size)
                lines = range(done + 1, done + part.num_rows + 1)
                done += part.num_rows
                columns = [column.to_pylist() for column in part.columns]
                yield Grid(origin, "row", part.schema.names, columns, lines, part)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"the {form} file is damaged or cut short",
            where=origin,
            cause=str(error),
            next="fetch the file again",
        ) from error
    if not done:
        raise DataError("there are no rows", where=origin, expected="at least one row")


def _batches(source: Any, form: str, rows: int) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pa.BufferReader(source) if isinstance(source, bytes) else pa.PythonFile(source, mode="r")
    size = file.size()
    if form == "parquet":
        yield from pq.ParquetFile(file).iter_batches(batch_size=rows)
    elif magic(file.read_at(8, 0)) == "arrow":
        reader = pa.ipc.open_file(file)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)
    else:
        if size < 8 or file.read_at(8, size - 8) != b"\xff\xff\xff\xff\0\0\0\0":
            raise OSError("the stream does not end with its end-of-stream mark")  # it would look complete
        file.seek(0)
        yield from pa.ipc.open_stream(file)
