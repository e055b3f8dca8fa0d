"""Types of columns in Parquet and Arrow: the narrowest that holds all values, and values in a given type."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from acceptor.data.reading.string_columns import text_of
from acceptor.errors import DataError

_INT64 = range(-(1 << 63), 1 << 63)


def joined(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Concatenates frames with the same columns, in types that hold all values."""
    schema = common_schema([frame.schema for frame in frames])
    return pl.concat([fitted(frame, schema) for frame in frames])


def common_schema(schemas: Sequence[Mapping[str, pl.DataType]]) -> dict[str, pl.DataType]:
    """For each column a type that holds the values of all."""
    return {name: functools.reduce(_wider, [schema[name] for schema in schemas]) for name in schemas[0]}


def fitted(frame: pl.DataFrame, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The columns of ``schema`` in its types, which are those of `common_schema`."""
    return pl.DataFrame([_fitted(frame[name], kind) for name, kind in schema.items()])


def fitted_strictly(frame: pl.DataFrame, schema: Mapping[str, pl.DataType], where: str) -> pl.DataFrame:
    """Like `fitted`, for types that were chosen before these values were read.

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
                next="write JSON lines, which hold values of all types, or judge these files by another command",
                code="E-DATA-TYPE",
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
    """The narrowest type that holds the values of both; text if there is none."""
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


def typed_series(name: str, cells: Sequence[Any]) -> pl.Series:
    """Values of JSON in the narrowest type that holds them all; text if there is none."""
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
    """False for a struct without fields: Parquet has no such type."""
    if isinstance(kind, pl.Struct):
        return bool(kind.fields) and all(_can_be_written(field.dtype) for field in kind.fields)
    return _can_be_written(kind.inner) if isinstance(kind, pl.List) else True
