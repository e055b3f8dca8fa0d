"""Reads any source of labelled sentences as a `Table`: a file, a data frame, a ``datasets.Dataset``, a list.

`parse` and `objects` make a `Grid` of cells, `columns` finds the role of each column, `string_columns` makes checked
strings of the cells.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from acceptor.data.reading.columns import name_columns, name_pair_columns, source_names, with_paths
from acceptor.data.reading.grid import Grid
from acceptor.data.reading.objects import grid_of_object
from acceptor.data.reading.parse import read_file
from acceptor.data.reading.string_columns import checked_frame
from acceptor.data.table import Table
from acceptor.storage.files import user_path


@dataclass(frozen=True)
class Reading:
    """How the tables of a corpus are read: the arguments of `read_table` that are the same for all of them."""

    columns: Mapping[str, str] | None = None
    separator: str | None = None

    def table(self, source: Any) -> Table:
        """`read_table`."""
        return read_table(source, columns=self.columns, separator=self.separator)

    def pairs(self, source: Any) -> Table:
        """`read_pairs`."""
        return read_pairs(source, columns=self.columns, separator=self.separator)


def read_table(source: Any, *, columns: Mapping[str, str] | None = None, separator: str | None = None) -> Table:
    """Reads all rows of a source, complete and unchanged.

    Args:
        source: A path to .tsv, .txt, .csv, .jsonl, .ndjson, .json, .parquet, .arrow, .feather, .ipc or .xlsx, each
            also with .gz, .zst, .bz2, .xz or .zip; ``-`` for standard input, or a pipe; a pandas or polars data frame;
            a ``datasets.Dataset``; a list of sentences, of (sentence, label), of (sentence, second, label), or of
            dicts.
        columns: Which column has which role, if the names do not show it: role (``sentence``,
            ``second``, ``label``, or the name to keep a column under) to the column's name or its number
            (``"1"`` is the first). A name comes before a number; ``a.b`` is ``b`` in the objects of column ``a``.
        separator: The separator of delimited text, if it is not the usual one of the file's format.

    Raises:
        DataError: The source cannot be read completely, the roles of its columns are not clear, or a row lacks a
            sentence or a label.
    """
    grid, sha256 = _grid_of(source, separator)
    return _table_of(grid, sha256, columns or {})


def read_arguments(sentences: list[str]) -> Table:
    """Sentences from a command line; errors name the number of the argument.

    Raises:
        DataError: A sentence is blank, or cannot be written as UTF-8.
    """
    numbers = range(1, len(sentences) + 1)
    return _table_of(Grid("command line", "argument", ["sentence"], [sentences], numbers, "arguments"), "", {})


def _table_of(grid: Grid, sha256: str, columns: Mapping[str, str]) -> Table:
    named = name_columns(grid, columns)
    own = source_names(with_paths(grid, columns).names, named)
    grid, schema = named.grid, named.schema
    frame, _ = checked_frame(grid)
    if len(frame.columns) < len(grid.columns):
        schema += "; label left out: empty in every row"
    lines = np.asarray(grid.lines, dtype=np.int64)
    return Table(frame, lines, grid.origin, sha256 or _fingerprint(frame), schema, grid.unit, source_names=own)


def read_pairs(source: Any, *, columns: Mapping[str, str] | None = None, separator: str | None = None) -> Table:
    """Reads minimal pairs, as strictly as `read_table`.

    Args:
        source: What `read_table` takes, with the columns of `column_names.PAIR_NAMES`; a delimited file has
            a header. Or a list of (acceptable, unacceptable).
        columns: Which column has which role, if it has another name.
        separator: As for `read_table`.

    Returns:
        A table with ``sentence_good`` and ``sentence_bad`` in place of ``sentence``, ``phenomenon`` and ``term`` if
        the source has them, and all other columns.

    Raises:
        DataError: The source cannot be read completely, a side is missing, or a side is empty in some row.
    """
    if isinstance(source, list | tuple) and all(isinstance(row, tuple) and len(row) <= 2 for row in source):
        source = [dict(zip(("sentence_good", "sentence_bad"), row, strict=False)) for row in source]
    grid, sha256 = _grid_of(source, separator)
    grid = name_pair_columns(grid, columns or {})
    frame, _ = checked_frame(grid, needed=("sentence_good", "sentence_bad", "phenomenon"))
    lines = np.asarray(grid.lines, dtype=np.int64)
    return Table(frame, lines, grid.origin, sha256 or _fingerprint(frame), "minimal pairs", grid.unit)


def _grid_of(source: Any, separator: str | None) -> tuple[Grid, str]:
    """The cells of a source, and the sha256 of a file's bytes."""
    if isinstance(source, str | os.PathLike):
        origin = os.fsdecode(source)
        return read_file(user_path(origin), origin, separator)
    return grid_of_object(source), ""


def _fingerprint(frame: pl.DataFrame) -> str:
    """The sha256 of the rows of an object in memory."""
    digest = hashlib.sha256(json.dumps(frame.columns).encode())
    for row in frame.iter_rows():
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()
