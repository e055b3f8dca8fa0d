"""Reads Parquet and Arrow files as grids of bounded size; uses class names that `datasets` writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from acceptor.data.reading.grid import Grid
from acceptor.data.reading.unpack import magic
from acceptor.errors import DataError


def columnar_grids(
    source: Any,
    form: str,
    origin: str,
    rows: int = 1 << 16,
    text: int | None = None,
    on_rows: Callable[[int], None] = lambda _: None,
) -> Iterator[Grid]:
    """A Parquet or Arrow file in grids of at most ``rows`` rows.

    Args:
        source: Its bytes, or an open file.
        form: parquet or arrow.
        origin: The path as the caller gave it, for messages.
        rows: The most that a grid may have.
        text: About how many bytes a grid may have.
        on_rows: Gets the number of rows of each batch that has been read; of a Parquet file, of all of them at once,
            since its bytes are read in any order.

    Raises:
        DataError: The file is damaged or cut short, or has no rows.
    """
    import pyarrow as pa

    done = 0
    try:
        for batch in _batches(source, form, rows, on_rows):
            batch.validate(full=True)  # invalid UTF-8, and offsets that point out of the file
            size = rows if text is None else max(1, min(rows, batch.num_rows * text // max(1, batch.nbytes)))
            for start in range(0, batch.num_rows, size):
                part = batch.slice(start, size)
                lines = range(done + 1, done + part.num_rows + 1)
                done += part.num_rows
                columns = list(map(_cells, part.columns))
                for index, names in class_names(part.schema).items():
                    columns[index] = named_classes(columns[index], names)
                yield Grid(origin, "row", part.schema.names, columns, lines, form.capitalize(), part)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"the {form} file is damaged or cut short",
            where=origin,
            cause=str(error),
            next="fetch the file again",
            code="E-DATA-DAMAGED",
        ) from error
    if not done:
        raise DataError("there are no rows", where=origin, expected="at least one row", code="E-DATA-EMPTY")


def _cells(column: Any) -> list[Any]:
    """A column's cells as Python's values; as text where Python has none, such as a date in the year 200,000."""
    import pyarrow as pa

    try:
        return list(column.to_pylist())
    except (OverflowError, ValueError):
        return list(column.cast(pa.string()).to_pylist())


def class_names(schema: Any) -> dict[int, list[str]]:
    """The class names of the columns that hold class numbers, by the column's index.

    ``datasets`` keeps its features as JSON in the schema's metadata, in Parquet and in Arrow files.
    """
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        found = {name: feature["names"] for name, feature in features.items() if feature.get("_type") == "ClassLabel"}
    except (KeyError, ValueError, TypeError, AttributeError):  # none, or of another program
        return {}
    return {
        schema.names.index(name): names
        for name, names in found.items()
        if schema.names.count(name) == 1 and isinstance(names, list) and all(isinstance(one, str) for one in names)
    }


def named_classes(numbers: list[Any], names: list[str]) -> list[Any]:
    """The classes' names for their numbers; None for a number below 0, which means no label."""
    return [
        None if number is None or number < 0 else names[number] if number < len(names) else number for number in numbers
    ]


def _batches(source: Any, form: str, rows: int, on_rows: Callable[[int], None]) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pa.BufferReader(source) if isinstance(source, bytes) else pa.PythonFile(source, mode="r")
    size = file.size()
    if form == "parquet":
        table = pq.ParquetFile(file)
        on_rows(table.metadata.num_rows)
        yield from table.iter_batches(batch_size=rows)
        return
    if magic(file.read_at(8, 0)) == "arrow":
        reader = pa.ipc.open_file(file)
        batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
    else:
        if size < 8 or file.read_at(8, size - 8) != b"\xff\xff\xff\xff\0\0\0\0":
            raise OSError("the stream does not end with its end-of-stream mark")  # it would look complete
        file.seek(0)
        batches = iter(pa.ipc.open_stream(file))
    for batch in batches:
        on_rows(batch.num_rows)
        yield batch
