"""Rows that are judged and written: which of them can be, and what stands beside them then."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.data.documents import DOCUMENTS_TEXT
from acceptor.data.frames import side_by_side
from acceptor.data.reading.original import as_json_text
from acceptor.data.reading.stream import CHUNK_TEXT, RejectedRow
from acceptor.data.table import Table
from acceptor.data.writing.write import break_error, rows_with_breaks
from acceptor.errors import DataError
from acceptor.judging.judge import Judge
from acceptor.judging.where import condition
from acceptor.model.coverage import drop_rows

LONGEST_SENTENCE = 1_000_000  # bytes; what is longer is no sentence, and takes seconds to tokenise

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What is written.

    Attributes:
        columns: Which input column has which role, as for `read_table`.
        where: Condition on the verdict columns; rows that do not meet it are left out.
        all_scores: Also each label's probability and logit.
        spreadsheet_safe: As for `write_table`.
        split: Take texts as documents in this language, and judge each of their sentences.
        separator: What separates the cells of delimited text, as for `read_table`.
    """

    columns: Mapping[str, str] | None = None
    where: str | None = None
    all_scores: bool = False
    spreadsheet_safe: bool = False
    split: str | None = None
    separator: str | None = None

    @property
    def text(self) -> int:
        """About how many characters make a chunk, however few rows that are."""
        return DOCUMENTS_TEXT if self.split else CHUNK_TEXT


def condition_of(settings: Settings, judge: Judge) -> pl.Expr | None:
    """The condition on this judge's verdict columns, where there is one.

    Raises:
        UsageError: It cannot be used.
    """
    nothing = judge.columns(np.zeros((0, len(judge.labels)), dtype=np.float32))
    return condition(settings.where, nothing.schema) if settings.where else None


def with_verdicts(
    frame: pl.DataFrame,
    logits: npt.NDArray[np.float32],
    judge: Judge,
    settings: Settings,
    kept: pl.Expr | None,
    form: str,
) -> pl.DataFrame:
    """The rows that ``kept`` keeps, with their verdict columns beside them; ``logits`` has shape (rows, labels)."""
    verdicts = judge.columns(logits)
    shown = verdicts if settings.all_scores else verdicts.select("verdict", "probability", "margin")
    shown = as_json_text(shown) if form == ".jsonl" else shown
    annotated = side_by_side(frame, shown)
    return annotated if kept is None else annotated.filter(verdicts.select(kept).to_series())


def warn_of_breaks(tables: Sequence[Table], suffix: str) -> None:
    """Says at once that rows will be set aside for a format that cannot hold them, and which one can."""
    broken = sum(len(rows_with_breaks(table.frame)) for table in tables) if suffix == ".tsv" else 0
    if broken:
        rows = sum(map(len, tables))
        logger.warning(
            "%d of the first %d rows hold a tab or a line break, which TSV cannot: they are set aside; "
            ".csv, .jsonl and .parquet hold them: -o OUT.jsonl",
            broken,
            rows,
        )


def usable(table: Table, suffix: str, rejected: list[RejectedRow]) -> Table:
    """The rows that can be judged and written; the others are told to ``rejected``."""
    faults: dict[int, DataError] = {}
    for name in table.frame.columns:
        if name in ("sentence", "second"):
            for row in (table.frame[name].str.len_bytes() > LONGEST_SENTENCE).arg_true():
                error = DataError(f"a {name} is longer than {LONGEST_SENTENCE:,} bytes", where=table.place(row))
                faults.setdefault(row, error)
    if suffix == ".tsv":
        for row in rows_with_breaks(table.frame):
            faults.setdefault(row, break_error(table.place(row), Path("OUT")))
    return drop_rows(table, faults, rejected)
