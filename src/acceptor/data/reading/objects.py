"""Makes a `Grid` of objects in memory: data frames, a ``datasets.Dataset``, lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from acceptor.data.reading.columnar import named_classes
from acceptor.data.reading.grid import Grid
from acceptor.data.reading.records import grid_of_records
from acceptor.errors import DataError
from acceptor.text import short


def grid_of_object(source: Any) -> Grid:
    """The columns of an object, recognised by the name of its class: no library is imported for that."""
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
        code="E-DATA-TYPE",
    )


def _numbers(rows: Any) -> range:
    return range(1, len(rows) + 1)


def _dataset_column(dataset: Any, name: str) -> list[Any]:
    """A column with class names for class numbers. A column of only -1 belongs to a test split with hidden labels."""
    values = dataset.select_columns([name]).with_format(None)[:][name]
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
                "an item of the list does not fit the first one",
                where=f"list, row {row + 1}",
                expected="all sentences, all (sentence, label), all (sentence, second, label), or all dicts",
                found=short(repr(rows[row])),
                code="E-DATA-TYPE",
            )
    if rows and shapes[0] == ("dict",):
        return grid_of_records(rows, _numbers(rows), "list", "row", "list")
    names = list(shapes[0] or ()) if rows else ["sentence"]
    cells = [[row] for row in rows] if names == ["sentence"] else rows
    columns = [[row[index] for row in cells] for index in range(len(names))]
    return Grid("list", "row", names, columns, _numbers(rows), "list")


def _shape(row: Any) -> tuple[str, ...] | None:
    """The column names of one item of a list; None if it cannot be a row."""
    if isinstance(row, str):
        return ("sentence",)
    if isinstance(row, Mapping):
        return ("dict",)
    if isinstance(row, tuple | list):
        return {2: ("sentence", "label"), 3: ("sentence", "second", "label")}.get(len(row))
    return None
