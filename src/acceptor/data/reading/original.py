"""The columns of an input with their own names and types, for the output.

For TSV and CSV every cell is text. For JSON lines every cell is JSON text already, so that a value of any type stays
the same. For Parquet and Arrow columns have the types of the input; if its parts differ, see `column_types`.
"""

from __future__ import annotations

import base64
import datetime
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from acceptor.data.reading.column_types import typed_series
from acceptor.data.reading.grid import Grid
from acceptor.data.reading.string_columns import text_of

COLUMNAR = (".parquet", ".arrow", ".feather")


def with_source_names(frame: pl.DataFrame, own: Mapping[str, str]) -> pl.DataFrame:
    """The frame with the names that the columns have in their file; one that is taken becomes ``input.NAME``."""
    others = [name for name in frame.columns if name not in own]
    return frame.rename({role: f"input.{name}" if name in others else name for role, name in own.items()}, strict=False)


def original_columns(grid: Grid, frame: pl.DataFrame, lines: Sequence[int], form: str, *, text: bool) -> pl.DataFrame:
    """The columns of ``grid`` in the form that the output's format takes.

    Args:
        grid: Cells in columns that have their final names.
        frame: The same as text, without the rows that cannot be used.
        lines: The lines of the remaining rows.
        form: The output's format, such as ``.tsv``.
        text: Whether the cells are text by nature, as those of TSV and CSV are.
    """
    if form == ".jsonl" and text:
        return as_json_text(frame)
    if text or form not in (".jsonl", *COLUMNAR):
        return frame
    cells, arrow = grid.columns, grid.arrow
    if len(lines) < len(grid.lines):
        rows = np.flatnonzero(np.isin(grid.lines, lines)).tolist()
        cells = [[column[row] for row in rows] for column in cells]
        arrow = None if arrow is None else arrow.take(pa.array(rows, pa.int64()))
    names = grid.names or []
    if form == ".jsonl":
        return pl.DataFrame(
            [
                pl.Series(name, list(map(json_of, column)), dtype=pl.String)
                for name, column in zip(names, cells, strict=True)
            ]
        )
    if arrow is None:
        return pl.DataFrame([typed_series(name, column) for name, column in zip(names, cells, strict=True)])
    return pl.DataFrame([_from_arrow(name, arrow.column(index), cells[index]) for index, name in enumerate(names)])


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────


def as_json_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Every cell as JSON."""
    cells = (pl.struct(pl.col(name).alias("")).struct.json_encode() for name in frame.columns)
    bare = (cell.str.strip_prefix('{"":').str.strip_suffix("}") for cell in cells)
    return frame.select(cell.alias(name) for cell, name in zip(bare, frame.columns, strict=True))


def json_of(cell: Any) -> str:
    """A value as JSON. Types that JSON lacks become text: dates in ISO 8601, bytes in base64. NaN becomes null."""
    if isinstance(cell, float) and not math.isfinite(cell):
        return "null"
    try:
        return json.dumps(cell, ensure_ascii=False, allow_nan=False, default=_plain)
    except (TypeError, ValueError):  # NaN inside, or a key that is not text
        return json.dumps(text_of(cell), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)


# ── Parquet and Arrow ────────────────────────────────────────────────────────────────────────────────────


def _from_arrow(name: str, column: Any, cells: Sequence[Any]) -> pl.Series:
    if hasattr(column.type, "storage_type"):  # an extension's
        column = column.storage
    if _has_polars_type(column.type):
        return pl.Series(name, pl.from_arrow(column))
    return pl.Series(name, [None if cell is None else text_of(cell) for cell in cells], dtype=pl.String)


def _has_polars_type(kind: Any) -> bool:
    """Whether polars has a type for one of Arrow's."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return str(kind.value_type) in ("string", "large_string", "string_view")
    if types.is_nested(kind):
        fields = [kind.field(index).type for index in range(kind.num_fields)]
        plain = fields and not types.is_union(kind) and not any(map(types.is_dictionary, fields))
        return bool(plain) and all(map(_has_polars_type, fields))
    others = (types.is_decimal256, types.is_interval, types.is_run_end_encoded)
    return not hasattr(kind, "storage_type") and not any(is_one(kind) for is_one in others)
