"""Tables to files: TSV without quoting, CSV by RFC 4180, JSON lines, Parquet. Whole or not at all."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import polars as pl

from acceptor.errors import DataError, UsageError
from acceptor.files import use_umask

FORMATS = (".tsv", ".csv", ".jsonl", ".parquet")


def check_output(path: Path, *, overwrite: bool) -> None:
    """Refuses an output file that is taken or of an unknown format, before any work is done.

    Raises:
        UsageError: The reason, with the way on.
    """
    if path.suffix not in FORMATS:
        raise UsageError(f"cannot tell the format of {path}", expected="a name that ends in " + ", ".join(FORMATS))
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists", expected="a path that is free", next="choose another, or --overwrite")
    if not path.parent.is_dir():
        raise UsageError(f"no folder {path.parent}", next=f"mkdir -p {path.parent}")


FORMULA = "^[=+\\-@\t\r\n＝＋－＠]"
"""How text begins that a spreadsheet computes, after OWASP's list."""


def write_table(frame: pl.DataFrame, path: Path, *, spreadsheet_safe: bool = False) -> None:
    """Writes ``frame`` in the format of the path's extension, through a temporary file beside it.

    Args:
        frame: The table.
        path: The file to be.
        spreadsheet_safe: For CSV: an apostrophe before every text, column names included, that a spreadsheet would
            take for a formula, and quotes around all text. Not what was read, then; numbers stay numbers.

    Raises:
        DataError: A TSV cell would hold a tab or a line break, which TSV without quoting cannot.
    """
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    os.close(handle)
    try:
        if path.suffix == ".tsv":
            _refuse_breaks(frame, path)
            frame.write_csv(scratch, separator="\t", quote_style="never")
        elif path.suffix == ".csv":
            if spreadsheet_safe:
                _without_formulas(frame).write_csv(scratch, quote_style="non_numeric")
            else:
                frame.write_csv(scratch)
        elif path.suffix == ".jsonl":
            frame.write_ndjson(scratch)
        else:
            frame.write_parquet(scratch)
        use_umask(Path(scratch))
        os.replace(scratch, path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def _without_formulas(frame: pl.DataFrame) -> pl.DataFrame:
    """Every text that begins like a formula behind an apostrophe."""
    safe = frame.with_columns(pl.col(pl.String).str.replace(f"({FORMULA})", "'$1"))
    return safe.rename({name: "'" + name for name in frame.columns if re.match(FORMULA, name)})


def _refuse_breaks(frame: pl.DataFrame, path: Path) -> None:
    for column in frame.select(pl.col(pl.String)).get_columns():
        broken = column.str.contains("[\t\n]").arg_true()
        if len(broken):
            raise DataError(
                "a cell holds a tab or a line break, which TSV cannot",
                where=f"column {column.name}, row {broken[0] + 1}",
                next=f"write another format: -o {path.with_suffix('.jsonl').name}",
            )
