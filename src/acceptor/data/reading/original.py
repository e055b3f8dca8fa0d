"""The columns of an input as its output holds them: under their own names, in their own types where a format has types.

In TSV and CSV everything is text. For JSON lines every cell is JSON text already, so that a value of any kind stays
what it was, row by row. In Parquet and Arrow columns have the types of the input; where parts of an input differ in
the type of a column, the narrowest type that holds all of it is taken, and text where there is none.
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
from acceptor.data.reading.columns import Named
from acceptor.data.reading.grid import Grid
from acceptor.data.reading.string_columns import text_of

COLUMNAR = (".parquet", ".arrow", ".feather")
ROLES = ("sentence", "second", "label")


def source_names(names: Sequence[str] | None, named: Named) -> dict[str, str]:
    """What the columns that got a role are called in their file, by role; empty for a file without names.

    Args:
        names: The columns' names as parsed; None for delimited text.
        named: From `name_columns`.
    """
    if names is None and named.header:
        names = [name or f"column{number}" for number, name in enumerate(named.header, 1)]
    new = named.grid.names or []
    own = {role: name for role, name in zip(new, names or new, strict=True) if role in ROLES and role != name}
    kept = [name for name in new if name not in own]
    return own if len({*kept, *own.values()}) == len(new) else {}


def with_source_names(frame: pl.DataFrame, own: Mapping[str, str]) -> pl.DataFrame:
    """The frame with the names that the columns have in their file; one that is taken becomes ``input.NAME``."""
    others = [name for name in frame.columns if name not in own]
    return frame.rename({role: f"input.{name}" if name in others else name for role, name in own.items()}, strict=False)


def original_columns(grid: Grid, frame: pl.DataFrame, lines: Sequence[int], form: str, *, text: bool) -> pl.DataFrame:
    """The columns of ``grid`` as the output's format holds them.

    Args:
        grid: Cells in columns that have their final names.
        frame: The same as text, without the rows that cannot be used.
        lines: The lines of the rows that are left.
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
    """A value as JSON. What JSON has no kind for is text: dates by ISO 8601, bytes in base64; NaN is null."""
    if isinstance(cell, float) and not math.isfinite(cell):
        return "null"
    try:
        return json.dumps(cell, ensure_ascii=False, allow_nan=False, default=_plain)
    except (TypeError, ValueError):  # NaN within, or a key that is no text
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
    if _is_kept(column.type):
        return pl.Series(name, pl.from_arrow(column))
    return pl.Series(name, [None if cell is None else text_of(cell) for cell in cells], dtype=pl.String)


def _is_kept(kind: Any) -> bool:
    """Whether polars has a type for one of Arrow's."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return str(kind.value_type) in ("string", "large_string", "string_view")
    if types.is_nested(kind):
        fields = [kind.field(index).type for index in range(kind.num_fields)]
        plain = fields and not types.is_union(kind) and not any(map(types.is_dictionary, fields))
        return bool(plain) and all(map(_is_kept, fields))
    odd = (types.is_decimal256, types.is_interval, types.is_run_end_encoded)
    return not hasattr(kind, "storage_type") and not any(is_one(kind) for is_one in odd)
