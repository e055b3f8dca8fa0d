"""Writes tables to files, complete or not at all: TSV without quoting, CSV by RFC 4180, JSON lines, Parquet, Arrow."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from acceptor.data.reading.column_types import common_schema, fitted
from acceptor.data.reading.unpack import COMPRESSIONS
from acceptor.errors import DataError, UsageError
from acceptor.storage.files import explain_full_disk, explain_write_errors, new_file
from acceptor.text import shell

TEXT = (".tsv", ".csv", ".jsonl")
FORMATS = (*TEXT, ".parquet", ".arrow", ".feather")
WITH_HEADER = (".tsv", ".csv")  # formats whose first line names the columns
_GZIP_LEVEL, _ZSTD_LEVEL = 6, 3  # the tools' own


def form_of(path: Path) -> tuple[str, str]:
    """The format by the file's name, and the compression: empty for none.

    Raises:
        UsageError: It has no known format. Only text is compressed.
    """
    compression = path.suffix if path.suffix in COMPRESSIONS else ""
    form = Path(path.name.removesuffix(compression)).suffix
    if form not in (TEXT if compression else FORMATS):
        raise UsageError(
            f"cannot tell the format of {path}",
            expected=f"a name that ends in {', '.join(FORMATS)}; for text also {' or '.join(COMPRESSIONS)} behind it",
            code="E-USAGE-OUTPUT",
        )
    return form, compression


def check_output(path: Path, *, overwrite: bool) -> None:
    """Refuses an output file that exists or has an unknown format, before any work is done.

    Raises:
        UsageError: It exists, its format is unknown, or its folder does not exist.
    """
    form_of(path)
    check_free(path, overwrite=overwrite)
    if not path.parent.is_dir():
        raise UsageError(f"no folder {path.parent}", next=f"mkdir -p {shell(path.parent)}", code="E-USAGE-OUTPUT")


def check_free(path: Path, *, overwrite: bool) -> None:
    """Refuses a path that exists.

    Raises:
        UsageError: It exists, and ``overwrite`` is False.
    """
    if path.exists() and not overwrite:
        raise UsageError(
            f"{path} exists",
            expected="a path that is free",
            next="choose another, or --overwrite",
            code="E-USAGE-OUTPUT",
        )


FORMULA = "^[=+\\-@\t\r\n＝＋－＠]"
"""Characters that start a formula in spreadsheets (OWASP's list)."""


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """Writes ``frame`` in the format and compression of the path's extension, through a temporary file beside it.

    Args:
        frame: The table.
        path: The output file.

    Raises:
        DataError: A TSV cell would hold a tab or a line break, which TSV without quoting cannot.
        ResourceError: The disk is full, or ``path`` cannot be written.
    """
    refuse_breaks(frame, path)
    form, compression = form_of(path)
    with (
        explain_write_errors(path),
        explain_full_disk(path),
        new_file(path) as scratch,
        packed(scratch, compression) as stream,
    ):
        if form == ".jsonl":  # its cells are values, not JSON
            frame.write_ndjson(stream)
        else:
            write_rows(frame, stream, form)


def refuse_breaks(frame: pl.DataFrame, path: Path) -> None:
    """Refuses a table that the format of ``path`` cannot hold.

    Raises:
        DataError: A TSV cell would hold a tab or a line break.
    """
    form, _ = form_of(path)
    refuse_breaks_in_names(frame.columns, form, path)
    if form == ".tsv" and (rows := rows_with_breaks(frame)):
        cells = frame.row(rows[0], named=True).items()
        column = next(name for name, cell in cells if isinstance(cell, str) and re.search("[\t\n\r]", cell))
        raise break_error(f"column {column}, row {rows[0] + 1}", path)


@contextlib.contextmanager
def packed(path: Path, compression: str) -> Iterator[Any]:
    """A new file to write bytes into, compressed as one member or frame: so the bytes do not depend on the time."""
    with path.open("wb") as file:
        if not compression:
            yield file
        elif compression == ".gz":
            with gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as stream:
                yield stream
        else:
            import zstandard

            packer = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True)
            with packer.stream_writer(file, closefd=False) as stream:
                yield stream


def write_rows(
    frame: pl.DataFrame,
    target: Path | BinaryIO,
    suffix: str,
    *,
    spreadsheet_safe: bool = False,
    header: bool = True,
) -> None:
    """Writes ``frame`` in one of the `FORMATS`.

    Args:
        frame: The table; for TSV one whose text holds no tabs and line breaks, for JSON lines as `write_json_rows`
            takes it.
        target: The output file, or a stream.
        suffix: The format.
        spreadsheet_safe: For CSV: an apostrophe before every text, column names included, that a spreadsheet would
            take for a formula, and quotes around all text. The text then differs from the input; numbers stay numbers.
        header: For TSV and CSV: begin with the columns' names.
    """
    if suffix == ".tsv":
        frame.write_csv(target, separator="\t", quote_style="never", include_header=header)
    elif suffix == ".csv" and spreadsheet_safe:
        _without_formulas(frame).write_csv(target, quote_style="non_numeric", include_header=header)
    elif suffix == ".csv":
        frame.write_csv(target, include_header=header)
    elif suffix == ".jsonl":
        write_json_rows(frame, target)
    elif suffix == ".parquet":
        frame.write_parquet(target)
    else:  # uncompressed, so that it can be mapped into memory; strings in the layout that old readers know
        frame.write_ipc(target, compat_level=pl.CompatLevel.oldest())


def write_json_rows(frame: pl.DataFrame, target: Path | BinaryIO) -> None:
    """Writes a frame of which every cell is JSON already, one object a line."""
    begins = [
        f"{',' if index else '{'}{json.dumps(name, ensure_ascii=False)}:" for index, name in enumerate(frame.columns)
    ]
    parts = [part for begin, name in zip(begins, frame.columns, strict=True) for part in (pl.lit(begin), pl.col(name))]
    frame.select(pl.concat_str([*parts, pl.lit("}")])).write_csv(target, include_header=False, quote_style="never")


@contextlib.contextmanager
def columnar_writer(whole: Path, form: str, parts: Sequence[Path]) -> Iterator[Callable[[Path], None]]:
    """Joins Parquet or Arrow files into one whose types hold the values of all of them.

    Args:
        whole: The output file.
        form: The format of the output and of the parts.
        parts: All files; their schemas are read first.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = common_schema([_schema_of(part, form) for part in parts])
    # An Arrow file has one dictionary for a column, so all values must be known before the first row is written.
    named = [name for name, kind in kinds.items() if kind == pl.Categorical and form != ".parquet"]
    values = {name: _categories(parts, name) for name in named}

    def table_of(frame: pl.DataFrame) -> pa.Table:
        table = fitted(frame, kinds).to_arrow(compat_level=pl.CompatLevel.oldest())
        for name, known in values.items():
            codes = pa.compute.index_in(table[name].cast(pa.large_string()), value_set=known).cast(pa.uint32())
            column = pa.DictionaryArray.from_arrays(codes.combine_chunks(), known)
            table = table.set_column(table.schema.get_field_index(name), name, column)
        return table

    schema = table_of(pl.DataFrame(schema=kinds)).schema
    opened = (
        pq.ParquetWriter(whole, schema, compression="zstd") if form == ".parquet" else pa.ipc.new_file(whole, schema)
    )
    with opened as writer:
        yield lambda part: writer.write_table(table_of(_read_part(part, form)).cast(schema))


def _schema_of(part: Path, form: str) -> Mapping[str, pl.DataType]:
    return pl.read_parquet_schema(part) if form == ".parquet" else pl.read_ipc_schema(part)


def _read_part(part: Path, form: str) -> pl.DataFrame:
    return pl.read_parquet(part) if form == ".parquet" else pl.read_ipc(part)


def _categories(parts: Sequence[Path], name: str) -> Any:
    """All values of a column, in the order of first appearance, as Arrow's."""
    import pyarrow as pa

    found: dict[str, None] = {}
    for part in parts:
        values = pl.read_ipc(part, columns=[name])[name].drop_nulls().unique(maintain_order=True)
        found |= dict.fromkeys(values.to_list())
    return pa.array(list(found), type=pa.large_string())


def _without_formulas(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with an apostrophe before every text that begins like a formula."""
    safe = frame.with_columns(pl.col(pl.String).str.replace(f"({FORMULA})", "'$1"))
    return safe.rename({name: "'" + name for name in frame.columns if re.match(FORMULA, name)})


def rows_with_breaks(frame: pl.DataFrame) -> list[int]:
    """The rows (0-based) with a cell that TSV without quoting cannot hold."""
    broken = [pl.col(name).str.contains("[\t\n\r]") for name, kind in frame.schema.items() if kind == pl.String]
    return frame.select(pl.any_horizontal(broken).arg_true()).to_series().to_list() if broken else []


def refuse_breaks_in_names(names: Iterable[str], suffix: str, path: Path) -> None:
    """Refuses names of columns that make a TSV's header more than one line, or other columns.

    Raises:
        DataError: A name holds a tab or a line break, and the format is TSV.
    """
    broken = next((name for name in names if suffix == ".tsv" and re.search("[\t\n\r]", name)), None)
    if broken is not None:
        raise break_error(f"the column {broken!r}", path)


def break_error(where: str, path: Path) -> DataError:
    """The error for a row that TSV cannot hold."""
    name = path.name.removesuffix(path.suffix if path.suffix in COMPRESSIONS else "")
    return DataError(
        "a cell holds a tab or a line break, which TSV cannot",
        where=where,
        next=f"write another format: -o {shell(Path(name).with_suffix('.jsonl'))}",
        code="E-DATA-TSV",
    )
