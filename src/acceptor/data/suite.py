"""Loads suites of minimal pairs: by name, from a file, a folder of files, or objects in memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from acceptor.data.corpora import corpus_tables
from acceptor.data.frames import renames_of_taken
from acceptor.data.reading.input_files import readable
from acceptor.data.reading.read import Reading
from acceptor.data.reading.unpack import FORMATS, READ_COMPRESSIONS
from acceptor.data.table import Table
from acceptor.errors import DataError, UsageError, nearest
from acceptor.storage.files import user_path

PLAIN_PAIRS = Path(__file__).parent / "plain_pairs.tsv"
NAMED = ("starter", "plain")


@dataclass(frozen=True, eq=False)
class Suite:
    """Minimal pairs of one or more files.

    Attributes:
        frame: One row a pair: ``file``, ``line``, ``phenomenon``, ``sentence_good``, ``sentence_bad``, ``term`` if
            it is known, and all other columns as read.
        files: Origin to sha256.
    """

    frame: pl.DataFrame
    files: dict[str, str]

    def __len__(self) -> int:
        return self.frame.height

    def place(self, row: int) -> str:
        """File and line of ``row`` (0-based); the row's number if there are no lines."""
        return f"{self.frame['file'][row]}:{self.frame['line'][row]}"


def load_suite(source: Any, *, columns: Mapping[str, str] | None = None, separator: str | None = None) -> Suite:
    """Reads a suite of minimal pairs.

    Args:
        source: ``starter`` (its test split), ``plain`` (twenty pairs of everyday sentences that no corpus here has),
            a folder, or anything that `read_pairs` takes. All files of a known format
            in a folder are read. If a file names no phenomenon, the file's name is used, as for BLiMP's
            files.
        columns: Role (``sentence_good``, ``sentence_bad``, ``phenomenon``, ``term``) to column name or number.
        separator: As for `read_pairs`.

    Raises:
        DataError: There are no pairs, or a file is not what it must be.
        UsageError: Columns were named for a named suite.
    """
    reading = Reading(columns, separator)
    if isinstance(source, str) and source in NAMED:
        if columns:
            raise UsageError(
                f"the columns of the suite {source!r} are known", next="leave --columns out", code="E-USAGE-CONFLICT"
            )
        tables = [_starter() if source == "starter" else reading.pairs(PLAIN_PAIRS)]
    elif isinstance(source, str) and not os.path.exists(user_path(source)) and (match := nearest(source, NAMED)):
        raise DataError(
            f"there is no suite or file {source!r}; did you mean {match!r}?",
            expected=f"{', '.join(NAMED)}, a file of pairs, or a folder of files",
            code="E-DATA-MISSING",
        )
    elif isinstance(source, str | Path) and os.path.isdir(user_path(source)):
        tables = list(map(reading.pairs, _files(user_path(source))))
    else:
        source = user_path(source) if isinstance(source, str) else source
        tables = [reading.pairs(source)]
    frame = pl.concat(map(_frame, tables), how="diagonal")
    return Suite(frame, {table.origin: table.sha256 for table in tables})


def _files(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and readable(path.name))
    if not files:
        raise DataError(
            "no files of pairs in this folder",
            where=str(folder),
            expected=f"files ending in {' '.join(FORMATS)}, each also with {', '.join(READ_COMPRESSIONS)}",
            found=", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "an empty folder",
            code="E-DATA-MISSING",
        )
    return files


def _frame(table: Table) -> pl.DataFrame:
    """The pairs with file, line and phenomenon in front; an input column of the same name becomes ``input.NAME``."""
    frame = table.frame.rename(renames_of_taken(table.frame.columns, ("file", "line")))
    about = {"file": [table.origin] * len(table), "line": table.lines}
    if "phenomenon" not in frame.columns:
        about["phenomenon"] = [Path(table.origin).name.split(".")[0]] * len(table)
    return pl.concat([pl.DataFrame(about), frame], how="horizontal")


def _starter() -> Table:
    """The pairs of the starter corpus' test split: its words were not seen in training."""
    table = corpus_tables("starter")["test"]
    rows = table.frame.with_columns(line=pl.Series(table.lines))
    good = rows.filter(pl.col("label") == "acceptable").rename({"sentence": "sentence_good"})
    bad = rows.filter(pl.col("label") == "unacceptable").select("pair", sentence_bad="sentence")
    joined = good.join(bad, on="pair", maintain_order="left", validate="1:1")
    frame = joined.select("phenomenon", "sentence_good", "sentence_bad", "pair")
    lines = np.asarray(joined["line"], dtype=np.int64)
    return Table(frame, lines, table.origin, table.sha256, "minimal pairs", table.unit)
