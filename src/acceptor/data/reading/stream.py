"""Reads a file of any known format as `Table`s of bounded size: the rules of `read_table`, as a stream.

A row group of Parquet, a batch of Arrow, a workbook and a JSON array are read whole.

`read_table` finds the number of columns, the header and the role of each column from all rows, a `TableStream` from the
first ones. Every later row must fit them.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from acceptor.data.reading.columnar import columnar_grids
from acceptor.data.reading.columns import name_columns, source_names, with_paths
from acceptor.data.reading.decode import text_blocks
from acceptor.data.reading.grid import Grid, Reject, Rows, refuse
from acceptor.data.reading.headers import without_repeated_headers
from acceptor.data.reading.original import original_columns
from acceptor.data.reading.parse import declared_separator, lay_out, read_rows
from acceptor.data.reading.pipes import standard_input
from acceptor.data.reading.string_columns import checked_frame
from acceptor.data.reading.unpack import STDIN, Source, open_source
from acceptor.data.reading.workbook import workbook_grid
from acceptor.data.table import Table
from acceptor.errors import DataError, ResourceError

CHUNK = 16_384  # rows: enough to sort by length, little memory
CHUNK_TEXT = 32 << 20  # characters after which a chunk ends, however few rows it has


class TableStream:
    """Reads one file part by part; the constructor opens it, the context manager closes it.

    `parts` gives the parsed rows, `table` checks them. `table` must get the first part first.

    Attributes:
        origin: The path as given.
        size: Bytes of the file as stored; 0 if that is not known.
    """

    def __init__(
        self,
        path: str,
        *,
        columns: Mapping[str, str] | None = None,
        separator: str | None = None,
        rows: int | None = None,
        text: int | None = None,
        file: BinaryIO | None = None,
        form: str = ".tsv",
        stopped: threading.Event | None = None,
    ) -> None:
        """Opens the file.

        Args:
            path: The file, or ``-`` for standard input, which holds tab-separated lines.
            columns: As for `read_table`.
            separator: As for `read_table`.
            rows: The most that a part may have; `CHUNK` by default.
            text: About how many characters a part may have; `CHUNK_TEXT` by default.
            file: Its stored bytes, if they are not at ``path``.
            form: The format of the output that tables are made for: see `Table.original`.
            stopped: Ends the wait for standard input, as its end would; for a thread that no signal reaches.

        Raises:
            DataError: The file is missing, empty, of an unknown format, or not what its name says.
        """
        if path == STDIN:
            self._source = Source(standard_input(stopped), 0, "tsv", None, "standard input")
        else:
            self._source = open_source(Path(path), path, file)
        self.origin, self.size = self._source.origin, self._source.size
        self._separator = separator
        self._columns, self._rows, self._characters = columns or {}, rows or CHUNK, text or CHUNK_TEXT
        self._form = form
        self._given = self._read = 0  # rows: in the parts so far, and in the bytes that have been read
        self._first: Grid | None = None  # names and number of columns as parsed, without cells

    def __enter__(self) -> TableStream:
        return self

    def __exit__(self, *_: object) -> None:
        self._source.file.close()

    @property
    def has_types(self) -> bool:
        """True if the file itself says the types of its columns."""
        return self._source.form in ("parquet", "arrow")

    @property
    def position(self) -> int:
        """About how many of the stored bytes the parts so far take; 0 if that is not known."""
        if not self.size or not self._read:
            return 0
        read = self.size if self._source.form == "parquet" else self._source.file.tell()
        return read * self._given // self._read

    def parts(self) -> Iterator[Rows | Grid]:
        """Consecutive rows, at most ``rows`` of them at a time; the first part includes the header, if there is one.

        Raises:
            DataError: The file is damaged, or breaks its format's rules, so that it cannot be read further.
        """
        parts = self._sheet() if self._source.form == "xlsx" else self._grids() if self.has_types else self._text()
        for part in parts:
            self._given += len(part.lines)
            yield part

    def table(self, part: Rows | Grid, reject: Reject = refuse) -> Table:
        """The rows of a part as `read_table` gives them.

        Args:
            part: From `parts`.
            reject: Called for every row that breaks the rules; it is left out. By default it raises the error.

        Raises:
            DataError: The roles of the columns are not clear; or a row breaks the rules.
        """
        grid = part if isinstance(part, Grid) else self._laid_out(part, reject)
        if self._first is None:
            self._first = replace(grid, columns=[[] for _ in grid.columns], lines=[], arrow=None)
            named = name_columns(grid, self._columns, reject)
            self._source_names = source_names(with_paths(grid, self._columns).names, named)
            grid, self._schema, self._header = named.grid, named.schema, named.header
            self._names = grid.names or []
        else:
            if grid.names is None:
                grid = without_repeated_headers(grid, self._header, reject)
            grid = replace(with_paths(grid, self._columns, check=False), names=self._names)
        # The label is copied to the output without a check, like any other column.
        frame, lines = checked_frame(grid, without_label=False, reject=reject)
        original = original_columns(grid, frame, lines, self._form, text=self._source.form in ("tsv", "csv", "xlsx"))
        numbers = np.asarray(lines, dtype=np.int64)
        return Table(frame, numbers, self.origin, "", self._schema, grid.unit, original, self._source_names)

    def _laid_out(self, part: Rows, reject: Reject) -> Grid:
        form, like = self._source.form, self._first
        return lay_out(part, form, self.origin, separator=self._separator, like=like, reject=reject)

    def _text(self) -> Iterator[Rows]:
        """Parts with the requested number of rows, or fewer if they are long."""
        text = 0

        def counted(blocks: Iterator[str]) -> Iterator[str]:
            nonlocal text
            for block in blocks:
                text += len(block)
                yield block

        pending, form = Rows([], []), self._source.form
        texts = counted(text_blocks(self._source.pieces(), self.origin))
        blocks, self._separator = declared_separator(texts, form, self._separator)
        for more in read_rows(blocks, form, self.origin, self._separator):
            self._read += len(more)
            pending = Rows(pending.rows + more.rows, pending.lines + more.lines, more.unit)
            # A long part ends early, but not with the header alone: the characters may be those of an unfinished row.
            while len(pending) >= self._rows or (text >= self._characters and len(pending) > 1):
                yield pending.part(0, self._rows)
                pending, text = pending.part(self._rows, len(pending)), 0
        if len(pending):
            yield pending

    def _sheet(self) -> Iterator[Grid]:
        """Parts of a workbook, which is read whole: a sheet has at most a million rows."""
        whole = workbook_grid(b"".join(self._source.pieces()), self.origin)
        self._read = len(whole.lines)
        for start in range(0, len(whole.lines), self._rows):
            columns = [column[start : start + self._rows] for column in whole.columns]
            yield replace(whole, columns=columns, lines=whole.lines[start : start + self._rows])

    def _grids(self) -> Iterator[Grid]:
        if self._source.compression is None:
            yield from self._columnar(self._source.file)
            return
        with tempfile.TemporaryFile() as unpacked:  # both formats have to be read from their end
            for piece in self._source.pieces():
                try:
                    unpacked.write(piece)
                    unpacked.flush()
                except OSError as error:
                    raise ResourceError(
                        "the disk has no room to unpack the file",
                        where=f"{self.origin}, in {tempfile.gettempdir()}",
                        cause=str(error),
                        next="free some, or name another place: TMPDIR=PATH",
                        code="E-RESOURCE-DISK",
                    ) from error
            yield from self._columnar(unpacked)

    def _columnar(self, source: BinaryIO) -> Iterator[Grid]:
        def count(rows: int) -> None:
            self._read += rows

        return columnar_grids(source, self._source.form, self.origin, self._rows, self._characters, count)


# ── files to chunks ──────────────────────────────────────────────────────────────────────────────────────


RejectedRow = dict[str, str | int]
"""A row that cannot be used: ``file``, ``line`` or ``row``, ``code``, ``problem`` and the error's other fields."""


def rejected_row(table: TableStream | Table, unit: str, line: int, error: DataError, **place: int) -> RejectedRow:
    """The error of one row as plain data; ``place`` gives the position in the row."""
    return {
        "file": table.origin,
        unit: line,
        **place,
        "code": error.code,
        "problem": error.problem,
        **error.details,
    }


@dataclass(frozen=True)
class Piece:
    """Consecutive rows of one file; parsed, and only the first ones of a file checked."""

    stream: TableStream
    part: Rows | Grid
    ready: tuple[Table, list[RejectedRow]] | None = None

    def __len__(self) -> int:
        return len(self.ready[0]) + len(self.ready[1]) if self.ready else len(self.part.lines)

    def characters(self) -> int:
        """Number of characters of its text."""
        if isinstance(self.part, Grid):
            return sum(len(cell) for column in self.part.columns for cell in column if isinstance(cell, str))
        return sum(len(row) if isinstance(row, str) else sum(map(len, row)) for row in self.part.rows)

    def read(self) -> tuple[Table, list[RejectedRow]]:
        """The rows that can be used, and the rejected ones."""
        if self.ready:
            return self.ready
        unit = self.part.unit
        rejected: list[RejectedRow] = []
        table = self.stream.table(
            self.part, lambda line, error: rejected.append(rejected_row(self.stream, unit, line, error))
        )
        return table, sorted(rejected, key=lambda row: int(row[unit]))


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of one or several files, at most `CHUNK`; parsed, but not checked yet.

    Attributes:
        number: Its place among all chunks, from 0.
        rows: How many rows it has, unusable ones included.
        position: About how many stored bytes of all files its rows and those before them take.
        first: The first file's table: its columns, with their order and names, are the output's.
    """

    number: int
    rows: int
    position: int
    first: Table
    _pieces: list[Piece]

    def pieces(self) -> list[tuple[Table, list[RejectedRow]]]:
        """By file: the rows that can be used, and the rejected ones."""
        return [piece.read() for piece in self._pieces]

    def read(self) -> tuple[list[Table], list[RejectedRow]]:
        """The rows that can be used, and the rejected ones."""
        found = self.pieces()
        return [table for table, _ in found], [fault for _, faults in found for fault in faults]


def chunks(
    files: Sequence[str],
    *,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
    text: int | None = None,
    form: str = ".tsv",
    stopped: threading.Event | None = None,
) -> Iterator[Chunk]:
    """All rows of the files, in order. Small files share a chunk.

    Args:
        files: From `input_files`.
        columns: As for `read_table`.
        separator: As for `read_table`.
        text: About how many characters a chunk may have; `CHUNK_TEXT` by default.
        form: The format of the output.
        stopped: As for `TableStream`.

    Raises:
        DataError: A file cannot be read further, or has other columns than the first one.
    """
    pending: list[Piece] = []
    head: Table | None = None
    rows = characters = number = before = reached = 0
    for path in files:
        with TableStream(path, columns=columns, separator=separator, text=text, form=form, stopped=stopped) as stream:
            first = True
            for part in stream.parts():
                piece = Piece(stream, part)
                if first:
                    piece, first = Piece(stream, part, piece.read()), False
                    table = piece.read()[0]
                    if head is None:
                        head = replace(table, frame=table.frame.clear(), lines=table.lines[:0], original=None)
                    check_columns(table, head.frame.columns, head.source_names)
                more = piece.characters() if len(piece) < CHUNK else 0  # else it shares its chunk with none
                if (
                    pending
                    and head is not None
                    and (rows + len(piece) > CHUNK or characters + more > (text or CHUNK_TEXT))
                ):
                    yield Chunk(number, rows, reached, head, pending)
                    pending, rows, characters, number = [], 0, 0, number + 1
                pending.append(piece)
                reached = before + stream.position
                rows, characters = rows + len(piece), characters + more
        before += stream.size
    if pending and head is not None:  # always, if something is pending
        yield Chunk(number, rows, before, head, pending)


def check_columns(table: Table, names: Sequence[str], own: Mapping[str, str]) -> None:
    """Checks that a file has the columns of the first one.

    Args:
        table: Rows of the file.
        names: The first file's columns.
        own: Its own names of those with a role: see `Table.source_names`.

    Raises:
        DataError: They differ.
    """
    found = table.frame.columns
    if set(found) != set(names):
        raise DataError(
            "a file has other columns than the first one",
            where=table.origin,
            expected=_as_written(names, own),
            found=_as_written(found, table.source_names),
            next="judge files with other columns by another command",
            code="E-DATA-COLUMN",
        )


def _as_written(names: Sequence[str], own: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ← {own[name]}" if name in own else name for name in names)
