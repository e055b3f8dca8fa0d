"""Delimited text: rows and cells by the rules of TSV or of RFC 4180, and the detection of another separator.

TSV has no quoting at all. With any other separator, a cell may be quoted as in RFC 4180.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from acceptor.data.reading.cell_kinds import looks_like_labels
from acceptor.data.reading.column_names import KNOWN_NAMES, key
from acceptor.data.reading.decode import LONGEST_LINE, filtered, renamed
from acceptor.data.reading.grid import Grid, Reject, Rows
from acceptor.errors import DataError
from acceptor.text import short

SEPARATORS = {"\t": "tab", ";": "';'", ",": "','", "|": "'|'"}
"""Separators of cells, and how each is written after ``--separator``."""
_SAMPLE = 1000  # lines that are searched for another separator


class Dialect(NamedTuple):
    """How the cells of a line are separated.

    Attributes:
        separator: One character.
        quoted: Whether a cell may be in double quotes.
    """

    separator: str
    quoted: bool


def dialect_of(form: str, separator: str | None) -> Dialect:
    """The dialect of a file called .tsv or .csv whose separator is the usual one (None) or another one."""
    if separator is None:
        return Dialect("\t", False) if form == "tsv" else Dialect(",", True)
    return Dialect(separator, quoted=form == "csv" or separator != "\t")


def line_rows(text: str, line: int, separator: str) -> Rows:
    """Splits lines without quoting. Only a line feed ends a line; ``str.splitlines`` would also split at U+2028."""
    if not text:
        return Rows([], [])
    rows = [line.split(separator) for line in text.replace("\r\n", "\n")[:-1].split("\n")]
    return Rows(rows, list(range(line, line + len(rows))))


def quoted_rows(text: str, line: int, origin: str, separator: str) -> tuple[Rows, str]:
    """Splits by RFC 4180: separators, double quotes, a doubled quote inside quotes, line breaks inside quotes.

    Returns:
        The rows, and the rest of the text, starting at the record with an open quote.
    """
    rows, lines = [], []
    start = 0
    while start < len(text):
        end = text.index("\n", start)
        record = text[start:end]
        if '"' in record:
            row, end = _quoted_record(text, start, line, origin, separator)
            if not row:
                break
        else:
            row, end = record.removesuffix("\r").split(separator), end + 1
        rows.append(row)
        lines.append(line)
        line += text.count("\n", start, end)
        start = end
    return Rows(rows, lines), text[start:]


@functools.cache
def _cell(separator: str) -> re.Pattern[str]:
    """One cell and what ends it. The possessive ++ and *+ prevent backtracking in a long cell."""
    by = re.escape(separator)
    return re.compile(rf'(?:"((?:[^"]++|"")*+)"|([^"{by}\n]*?))({by}|\r?\n)')


_OPEN_QUOTE = re.compile(r'"(?:[^"]++|"")*+\Z')


def _quoted_record(text: str, start: int, line: int, origin: str, separator: str) -> tuple[list[str], int]:
    """The cells of the record at ``start``, and where the next one starts; no cells if a quote is still open."""
    cells = []
    position = start
    while True:
        cell = _cell(separator).match(text, position)
        if cell is None:
            if len(text) - start <= LONGEST_LINE and _OPEN_QUOTE.match(text, position):
                return [], start
            refuse_record(text, start, line, origin, separator)
        quoted, plain, end = cell.groups()
        cells.append(plain if quoted is None else quoted.replace('""', '"'))
        position = cell.end()
        if end != separator:
            return cells, position


def refuse_record(text: str, start: int, line: int, origin: str, separator: str) -> NoReturn:
    """Raises the error of the first faulty cell of the record at ``start``."""
    position = start
    while cell := _cell(separator).match(text, position):
        position = cell.end()

    def place(offset: int) -> str:
        column = offset - text.rfind("\n", 0, offset)
        return f"line {line + text.count(chr(10), start, offset)}, column {column}"

    if text[position] != '"':
        quote = text.index('"', position)
        raise DataError(
            "a quote is inside an unquoted cell",
            where=f"{origin}, {place(quote)}",
            found=short(text[position : text.index("\n", quote)]),
            next='quote the whole cell and double the quotes in it ("say ""yes"""), or use .tsv or .jsonl',
            code="E-DATA-QUOTES",
        )
    close = re.compile(r'"(?:[^"]++|"")*+"').match(text, position)
    if close is None:
        raise DataError(
            "a quote is opened and never closed",
            where=f"{origin}, {place(position)}",
            found=short(text[position : text.index("\n", position)]),
            next="close the quote, or use .tsv or .jsonl, where a quote is just a character",
            code="E-DATA-QUOTES",
        )
    raise DataError(
        "text follows a closing quote",
        where=f"{origin}, {place(close.end())}",
        expected=f"{'a comma' if separator == ',' else repr(separator)} or the end of the line",
        found=short(text[close.end() : text.index("\n", close.end())]),
        cause=f"the quote was opened at {place(position)}: perhaps there it was never closed",
        next=f"--separator {SEPARATORS[text[close.end()]]}, if that is what separates cells"
        if text[close.end()] in SEPARATORS
        else "double each quote that belongs to the text",
        code="E-DATA-QUOTES",
    )


def rectangle(rows: Rows, dialect: Dialect, origin: str, like: Grid | None, reject: Reject) -> Grid:
    """Turns rows into columns. Rows that do not have the most common number of cells are reported.

    Args:
        rows: At least one.
        dialect: How they were read.
        origin: The path as the caller gave it, for messages.
        like: An earlier grid of this file, whose columns these rows must have.
        reject: Called for rows that have another width.
    """
    width = len(like.columns) if like else Counter(map(len, rows.rows)).most_common(1)[0][0]
    wrong = [index for index, row in enumerate(rows.rows) if len(row) != width]
    other = _other_separator(rows, dialect) if wrong else None
    for index in wrong:
        error = _row_error(rows, index, width, dialect, origin, other)
        if index == 0 and not like:
            raise error  # perhaps the header, without which no row can be read
        reject(rows.lines[index], error)
    kept, lines = rows.rows, rows.lines
    if wrong:
        drop = set(wrong)
        kept = [row for index, row in enumerate(kept) if index not in drop]
        lines = [line for index, line in enumerate(lines) if index not in drop]
    columns = [list(column) for column in zip(*kept, strict=True)] or [[] for _ in range(width)]
    return Grid(origin, "line", None, columns, lines, _form(dialect))


def _form(dialect: Dialect) -> str:
    if not dialect.quoted:
        return "TSV" if dialect.separator == "\t" else f"lines cut at {dialect.separator!r}"
    return "CSV" if dialect.separator == "," else f"CSV cut at {SEPARATORS.get(dialect.separator, dialect.separator)}"


def _row_error(rows: Rows, index: int, width: int, dialect: Dialect, origin: str, other: str | None) -> DataError:
    row = rows.rows[index]
    if row == [""]:
        return DataError(
            "a line is blank",
            where=f"{origin}, line {rows.lines[index]}",
            expected=f"{width} columns",
            code="E-DATA-ROW",
        )
    name = "a tab" if dialect.separator == "\t" else "a comma" if dialect.separator == "," else repr(dialect.separator)
    return DataError(
        "a row has the wrong number of columns",
        where=f"{origin}, line {rows.lines[index]}",
        expected=f"{width} columns",
        found=f"{len(row)}: {' | '.join(map(short, row[:8]))}",
        cause=f"{'an unquoted ' + name.removeprefix('a ') if dialect.quoted else name} or a line break inside a cell"
        if other is None
        else f"the cells are separated by {SEPARATORS[other]}",
        next=None if other is None else f"--separator {SEPARATORS[other]}",
        code="E-DATA-ROW",
    )


# ── another separator ─────────────────────────────────────────────────────────────


def check_separator(rows: Rows, dialect: Dialect, origin: str) -> None:
    """Refuses lines of one cell each if another character seems to separate cells.

    Raises:
        DataError: Another separator fits; the error names it.
    """
    some = rows.rows[:_SAMPLE]
    if (
        not dialect.quoted
        and len(some) > 1
        and any(
            all(len(cell) > 1 and cell[0] == cell[-1] == quote for row in some for cell in row) for quote in ("'", '"')
        )
    ):
        raise DataError(
            "every cell is in quotes, which TSV does not have",
            where=f"{origin}, line {rows.lines[0]}",
            found=short(some[0][0]),
            cause="written as CSV, with tabs between cells",
            next=f"{renamed(origin, '.csv')}, and --separator tab",
            code="E-DATA-QUOTES",
        )
    if Counter(map(len, some)).most_common(1)[0][0] != 1:
        return
    if re.match(r'\{\s*"', some[0][0]) and some[0][0].rstrip().endswith("}"):
        raise DataError(
            "every line is a JSON object",
            where=f"{origin}, line {rows.lines[0]}",
            found=short(some[0][0]),
            next=f"name it after what it holds: {renamed(origin, '.jsonl')}",
            code="E-DATA-FORMAT",
        )
    other = _other_separator(rows, dialect)
    if other is None:
        return
    raise DataError(
        f"every line is one cell, and {SEPARATORS[other]} seems to separate cells",
        where=f"{origin}, line {rows.lines[0]}",
        expected=f"cells separated by {SEPARATORS.get(dialect.separator, repr(dialect.separator))}",
        found=short(rows.rows[0][0]),
        cause="a spreadsheet or another program wrote this separator",
        next=f"--separator {SEPARATORS[other]}; or, where each line is one sentence: "
        f"--separator {SEPARATORS[dialect.separator] if dialect.separator in SEPARATORS else repr(dialect.separator)}",
        code="E-DATA-SEPARATOR",
    )


def likely_separator(text: str) -> str | None:
    """The probable separator of lines without tabs; None if there is none."""
    head = "\n".join(text.split("\n", _SAMPLE)[:_SAMPLE]).rstrip("\n") + "\n"
    rows = line_rows(head, 1, "\t")
    several = any(len(row) > 1 for row in rows.rows)
    return None if several or not rows.rows else _other_separator(rows, Dialect("\t", False))


def _other_separator(rows: Rows, dialect: Dialect) -> str | None:
    """Another separator that makes a table of the first lines; None if there is none.

    A line of prose has commas, too. So an equal number in every line is not enough: there must be a header with a known
    name, or a column of labels, or the separator is a tab or is never followed by a blank.
    """
    lines = [dialect.separator.join(row) for row in rows.rows[:_SAMPLE]]
    for separator in SEPARATORS:
        if separator == dialect.separator:
            continue
        cells = [_cut(line, separator) for line in lines]
        width = len(cells[0])
        if width < 2 or any(len(row) != width for row in cells):
            continue
        known = {name for names in KNOWN_NAMES.values() for name in names}
        columns = list(zip(*cells, strict=True))
        has_header = any(key(column[0]) in known for column in columns)
        has_labels = any(
            len(set(column)) > 1 and looks_like_labels([cell.strip() for cell in column]) for column in columns
        )
        spaced = any(separator + " " in line for line in lines)
        if has_header or has_labels or separator == "\t" or (len(lines) > 2 and not spaced):
            return separator
    return None


def _cut(line: str, separator: str) -> Sequence[str]:
    """The cells of one line, roughly: a separator within double quotes is text."""
    if '"' not in line:
        return line.split(separator)
    by = re.escape(separator)
    return re.findall(rf'(?:^|{by})("(?:[^"]|"")*"|[^{by}]*)', line)


def check_line_breaks(rows: Rows, origin: str) -> None:
    """Refuses a file that is one line with carriage returns in it.

    Raises:
        DataError: It is one; the error gives the command that makes line feeds of them.
    """
    if len(rows) > 1 or not rows.rows:
        return
    text = rows.rows[0] if isinstance(rows.rows[0], str) else "\t".join(rows.rows[0])
    lines = text.strip("\r").split("\r")
    has_header = {key(cell) for cell in lines[0].split("\t")} & set(KNOWN_NAMES["sentence"])
    if len(lines) < (2 if has_header else 3):
        return
    raise DataError(
        "the file is one line with carriage returns in it",
        where=f"{origin}, line {rows.lines[0]}",
        expected="lines that end in a line feed, with or without a carriage return before it",
        found=short(text),
        cause="saved with the line breaks of old Macs",
        next=filtered(origin, "tr '\\r' '\\n'", "with-line-feeds"),
        code="E-DATA-FORMAT",
    )
