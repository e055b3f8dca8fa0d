"""Any source of labelled sentences as a `Table`: a file, a data frame, a ``datasets.Dataset``, a list.

`formats` reads cells, `columns` finds out which column is which, `checked` turns the cells into checked strings.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from acceptor.data.reading.checked import checked_frame
from acceptor.data.reading.columnar import named_classes
from acceptor.data.reading.columns import name_columns, name_pair_columns, with_paths
from acceptor.data.reading.formats import read_file
from acceptor.data.reading.grid import Grid, short
from acceptor.data.reading.kept import own_names
from acceptor.data.reading.records import grid_of_records
from acceptor.data.table import Table
from acceptor.errors import DataError


def read_table(source: Any, *, columns: Mapping[str, str] | None = None, separator: str | None = None) -> Table:
    """Read all rows of a source, whole and unchanged.

    Args:
        source: A path to .tsv, .txt, .csv, .jsonl, .ndjson, .json, .parquet, .arrow, .feather, .ipc or .xlsx, each
            also with .gz, .zst, .bz2, .xz or .zip; ``-`` for standard input, or a pipe; a pandas or polars data frame;
            a ``datasets.Dataset``; a list of sentences, of (sentence, label), of (sentence, second, label), or of
            dicts.
        columns: Which column has which role, where that cannot be told from the names: role (``sentence``,
            ``second``, ``label``, or the name to keep a column under) to the column's name or its number
            (``"1"`` is the first). A name comes before a number; ``a.b`` is ``b`` in the objects of column ``a``.
        separator: What separates the cells of delimited text, where it is not what the file's name promises.

    Raises:
        DataError: The source cannot be read whole, its columns cannot be told apart, or a row lacks a
            sentence or a label.
    """
    grid, sha256 = _grid_of(source, separator)
    named = name_columns(grid, columns or {})
    own = own_names(with_paths(grid, columns or {}).names, named)
    grid, schema = named.grid, named.schema
    frame, _ = checked_frame(grid)
    if len(frame.columns) < len(grid.columns):
        schema += "; label left out: empty in every row"
    lines = np.asarray(grid.lines, dtype=np.int64)
    return Table(frame, lines, grid.origin, sha256 or _fingerprint(frame), schema, grid.unit, own=own)


def read_pairs(source: Any, *, columns: Mapping[str, str] | None = None, separator: str | None = None) -> Table:
    """Read minimal pairs, as strictly as `read_table`.

    Args:
        source: What `read_table` takes, with the columns of `known.PAIR_NAMES`; a delimited file has
            a header. Or a list of (acceptable, unacceptable).
        columns: Which column has which role, where its name is another one.
        separator: As for `read_table`.

    Returns:
        A table with ``sentence_good`` and ``sentence_bad`` in place of ``sentence``, ``phenomenon`` and ``term`` where
        the source has them, and all other columns.

    Raises:
        DataError: The source cannot be read whole, a side is missing, or empty in some row.
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
        return read_file(Path(origin).expanduser(), origin, separator)
    return grid_of_object(source), ""


# ── objects in memory ────────────────────────────────────────────────────────────────────────────────────


def grid_of_object(source: Any) -> Grid:
    """Lay out an object as columns, known by its class's name: no library is imported to look at it."""
    kind = (type(source).__module__.partition(".")[0], type(source).__name__)
    if kind == ("pandas", "DataFrame"):
        series = [source.iloc[:, index] for index in range(source.shape[1])]
        columns = [
            [None if missing else value for value, missing in zip(one.tolist(), one.isna(), strict=True)]
            for one in series
        ]
        return Grid("DataFrame (pandas)", "row", list(map(str, source.columns)), columns, _numbers(source), "pandas")
    if kind == ("polars", "DataFrame"):
        columns = [one.to_list() for one in source.iter_columns()]
        return Grid("DataFrame (polars)", "row", source.columns, columns, _numbers(source), "polars")
    if kind == ("datasets", "Dataset"):
        columns = [_dataset_column(source, name) for name in source.column_names]
        return Grid("Dataset", "row", source.column_names, columns, _numbers(source), "datasets")
    if isinstance(source, Sequence) and not isinstance(source, bytes | bytearray):
        return _grid_of_list(source)
    raise DataError(
        "this cannot be read as rows",
        expected="a path, a pandas or polars DataFrame, a datasets.Dataset, a list of str, tuple or dict",
        found=f"{kind[0]}.{kind[1]}",
        next="choose one split, such as dataset['train']" if kind[1] == "DatasetDict" else None,
    )


def _numbers(rows: Any) -> range:
    return range(1, len(rows) + 1)


def _dataset_column(dataset: Any, name: str) -> list[Any]:
    """A column with class names for class numbers. All -1 is how a test split says that labels are hidden."""
    values = dataset.with_format(None)[:][name]
    if all(value == -1 for value in values):
        return [None] * len(values)
    feature = dataset.features[name]
    if type(feature).__name__ != "ClassLabel":
        return list(values)
    return named_classes(list(values), feature.names)


def _grid_of_list(rows: Sequence[Any]) -> Grid:
    shapes = [_shape(row) for row in rows]
    for row, shape in enumerate(shapes):
        if shape is None or shape != shapes[0]:
            raise DataError(
                "the list holds an item that does not fit",
                where=f"list, row {row + 1}",
                expected="all sentences, all (sentence, label), all (sentence, second, label), or all dicts",
                found=short(repr(rows[row])),
            )
    if rows and shapes[0] == ("dict",):
        return grid_of_records(rows, _numbers(rows), "list", "row", "list")
    names = list(shapes[0] or ()) if rows else ["sentence"]
    cells = [[row] for row in rows] if names == ["sentence"] else rows
    columns = [[row[index] for row in cells] for index in range(len(names))]
    return Grid("list", "row", names, columns, _numbers(rows), "list")


def _shape(row: Any) -> tuple[str, ...] | None:
    """The column names that one item of a list stands for; None where it cannot be a row."""
    if isinstance(row, str):
        return ("sentence",)
    if isinstance(row, Mapping):
        return ("dict",)
    if isinstance(row, tuple | list):
        return {2: ("sentence", "label"), 3: ("sentence", "second", "label")}.get(len(row))
    return None


def _fingerprint(frame: pl.DataFrame) -> str:
    """The sha256 of the rows of a source that has no bytes of its own."""
    digest = hashlib.sha256(json.dumps(frame.columns).encode())
    for row in frame.iter_rows():
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()
