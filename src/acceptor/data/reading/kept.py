"""The columns of an input as its output holds them: under their own names, in their own types where a format has types.

In TSV and CSV everything is text. For JSON lines every cell is JSON text already, so that a value of any kind stays
what it was, row by row. In Parquet and Arrow columns have the types of the input; where parts of an input differ in
the type of a column, the narrowest type that holds all of it is taken, and text where there is none.
"""

from __future__ import annotations

import base64
import datetime
import functools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import polars as pl
import pyarrow as pa

from acceptor.data.reading.checked import text_of
from acceptor.data.reading.columns import Named
from acceptor.data.reading.grid import Grid
from acceptor.errors import DataError

COLUMNAR = (".parquet", ".arrow", ".feather")
ROLES = ("sentence", "second", "label")
_INT64 = range(-(1 << 63), 1 << 63)


def own_names(names: Sequence[str] | None, named: Named) -> dict[str, str]:
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


def renamed(frame: pl.DataFrame, own: Mapping[str, str]) -> pl.DataFrame:
    """The frame with the names that the columns have in their file; one that is taken becomes ``input.NAME``."""
    others = [name for name in frame.columns if name not in own]
    return frame.rename({role: f"input.{name}" if name in others else name for role, name in own.items()}, strict=False)


def kept_columns(grid: Grid, frame: pl.DataFrame, lines: Sequence[int], form: str, *, text: bool) -> pl.DataFrame:
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
        return pl.DataFrame([_typed(name, column) for name, column in zip(names, cells, strict=True)])
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


def write_json_rows(frame: pl.DataFrame, target: Path | BinaryIO) -> None:
    """Writes a frame of which every cell is JSON already, one object a line."""
    begins = [
        f"{',' if index else '{'}{json.dumps(name, ensure_ascii=False)}:" for index, name in enumerate(frame.columns)
    ]
    parts = [part for begin, name in zip(begins, frame.columns, strict=True) for part in (pl.lit(begin), pl.col(name))]
    frame.select(pl.concat_str([*parts, pl.lit("}")])).write_csv(target, include_header=False, quote_style="never")


# ── Parquet and Arrow ────────────────────────────────────────────────────────────────────────────────────


def joined(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The rows of frames that have the same columns, in types that hold all of them."""
    schema = common_schema([frame.schema for frame in frames])
    return pl.concat([fitted(frame, schema) for frame in frames])


def common_schema(schemas: Sequence[Mapping[str, pl.DataType]]) -> dict[str, pl.DataType]:
    """For each column a type that holds the values of all."""
    return {name: functools.reduce(_wider, [schema[name] for schema in schemas]) for name in schemas[0]}


def fitted(frame: pl.DataFrame, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The columns of ``schema`` in its types, which are those of `common_schema`."""
    return pl.DataFrame([_fitted(frame[name], kind) for name, kind in schema.items()])


def fitted_strictly(frame: pl.DataFrame, schema: Mapping[str, pl.DataType], where: str) -> pl.DataFrame:
    """As `fitted`, to types that somebody else chose.

    Raises:
        DataError: A column has values that its type cannot hold.
    """
    for name, kind in schema.items():
        if kind != pl.String and _wider(kind, frame.schema[name]) != kind:
            raise DataError(
                f"the column {name} has another type than in the first file",
                where=where,
                expected=str(kind),
                found=str(frame.schema[name]),
                next="write JSON lines, which hold values of all types, or judge these files by a command of their own",
            )
    return fitted(frame, schema)


def _fitted(column: pl.Series, kind: pl.DataType) -> pl.Series:
    if column.dtype == kind:
        return column
    if column.dtype == pl.Null or (column.dtype.is_numeric() and kind.is_numeric()):
        return column.cast(kind)
    return pl.Series(column.name, [_fit(value, kind) for value in column.to_list()], dtype=kind)


def _fit(value: Any, kind: Any) -> Any:
    if value is None:
        return None
    if kind == pl.String:
        return value if isinstance(value, str) else text_of(value)
    if isinstance(kind, pl.List):
        return [_fit(item, kind.inner) for item in value]
    if isinstance(kind, pl.Struct):
        return {field.name: _fit(value.get(field.name), field.dtype) for field in kind.fields}
    return float(value) if kind == pl.Float64 else value


def _wider(one: Any, other: Any) -> Any:
    """The narrowest type that holds the values of both; text where there is none."""
    if one == other or other == pl.Null:
        return one
    if one == pl.Null:
        return other
    if isinstance(one, pl.List) and isinstance(other, pl.List):
        return pl.List(_wider(one.inner, other.inner))
    if isinstance(one, pl.Struct) and isinstance(other, pl.Struct):
        fields = {field.name: field.dtype for field in one.fields}
        for field in other.fields:
            fields[field.name] = _wider(fields.get(field.name, pl.Null()), field.dtype)
        return pl.Struct(fields)
    if one.is_numeric() and other.is_numeric():
        pair = [pl.DataFrame({"": pl.Series([], dtype=kind)}) for kind in (one, other)]
        return pl.concat(pair, how="vertical_relaxed").dtypes[0]
    return pl.String()


def _typed(name: str, cells: Sequence[Any]) -> pl.Series:
    """Values of JSON in the narrowest type that holds them all; text where there is none."""
    kinds = set(map(type, cells)) - {type(None)}
    if kinds & {list, dict} or (int in kinds and not all(cell in _INT64 for cell in cells if type(cell) is int)):
        kind: Any = functools.reduce(_wider, map(_kind_of, cells), pl.Null())
    else:
        kind = functools.reduce(_wider, (_KINDS[one]() for one in kinds), pl.Null())
    kind = kind if _can_be_written(kind) else pl.String()
    return pl.Series(name, [_fit(cell, kind) for cell in cells], dtype=kind)


_KINDS: dict[type, Any] = {str: pl.String, bool: pl.Boolean, int: pl.Int64, float: pl.Float64, type(None): pl.Null}


def _kind_of(value: Any) -> Any:
    if isinstance(value, list):
        return pl.List(functools.reduce(_wider, map(_kind_of, value), pl.Null()))
    if isinstance(value, dict):
        return pl.Struct({key: _kind_of(item) for key, item in value.items()})
    if type(value) is int and value not in _INT64:
        return pl.String()
    return _KINDS[type(value)]()


def _can_be_written(kind: Any) -> bool:
    """False for a struct without fields, which Parquet has not."""
    if isinstance(kind, pl.Struct):
        return bool(kind.fields) and all(_can_be_written(field.dtype) for field in kind.fields)
    return _can_be_written(kind.inner) if isinstance(kind, pl.List) else True


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
