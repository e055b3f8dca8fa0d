"""Rows of `predict`: checks which can be judged and written, and adds the verdict columns."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import polars as pl

from acceptor.data.documents import DOCUMENTS_TEXT
from acceptor.data.frames import side_by_side
from acceptor.data.reading.original import as_json_text, with_source_names
from acceptor.data.reading.stream import CHUNK_TEXT, RejectedRow
from acceptor.data.table import Table, texts_of
from acceptor.data.writing.write import break_error, rows_with_breaks
from acceptor.errors import DataError
from acceptor.judging.decision import Logits
from acceptor.judging.dedup import LogitsCache
from acceptor.judging.judge import Judge
from acceptor.judging.where import condition
from acceptor.model.coverage import (
    SOME_UNKNOWN,
    TRUNCATED,
    drop_rows,
    warn_of_special_tokens,
    warn_of_truncated,
    warn_of_unknown,
)
from acceptor.progress import meter

LONGEST_SENTENCE = 1_000_000  # bytes; longer texts are rejected: they take seconds to tokenise

logger = logging.getLogger(__name__)


class Reading(TypedDict):
    """How rows are read: keyword arguments of `read_table` and `chunks`."""

    columns: Mapping[str, str] | None
    separator: str | None


@dataclass(frozen=True)
class PredictSettings:
    """The settings of `predict`.

    Attributes:
        columns: Which input column has which role, as for `read_table`.
        where: Condition on the verdict columns; rows that do not meet it are left out.
        all_scores: Also each label's probability and logit.
        spreadsheet_safe: As for `write_rows`.
        split_language: Texts are documents in this language: judge each of their sentences.
        separator: What separates the cells of delimited text, as for `read_table`.
    """

    columns: Mapping[str, str] | None = None
    where: str | None = None
    all_scores: bool = False
    spreadsheet_safe: bool = False
    split_language: str | None = None
    separator: str | None = None

    @property
    def reading(self) -> Reading:
        """How the rows are read."""
        return {"columns": self.columns, "separator": self.separator}

    @property
    def text(self) -> int:
        """The most characters of a chunk, approximately, however few rows it then has."""
        return CHUNK_TEXT if self.split_language is None else DOCUMENTS_TEXT

    def to_dict(self, suffix: str) -> dict[str, object]:
        """Everything that determines an output in the format ``suffix``, as JSON."""
        content = asdict(self) | {"columns": dict(self.columns or {}), "format": suffix}
        content["split"] = content.pop("split_language")
        return content


def condition_of(settings: PredictSettings, judge: Judge) -> pl.Expr | None:
    """The condition on this judge's verdict columns; None if there is none.

    Raises:
        UsageError: It cannot be used.
    """
    no_rows = judge.columns(np.zeros((0, len(judge.labels)), dtype=np.float32))
    return None if settings.where is None else condition(settings.where, no_rows.schema, judge.labels)


def with_verdicts(
    frame: pl.DataFrame,
    logits: Logits,
    judge: Judge,
    settings: PredictSettings,
    kept: pl.Expr | None,
    form: str,
) -> pl.DataFrame:
    """The rows that meet the condition ``kept``, with their verdict columns; ``logits`` has shape (rows, labels)."""
    every = judge.columns(logits)
    shown = every if settings.all_scores else every[:, :3]
    whole = side_by_side(frame, as_json_text(shown) if form == ".jsonl" else shown, taken=every.columns)
    return whole if kept is None else whole.filter(every.select(kept).to_series())


def judged_table(judge: Judge, table: Table, *, all_scores: bool = False) -> pl.DataFrame:
    """A whole table with the columns that `predict` writes, under the names that they have in their file.

    Raises:
        DataError: A row cannot be judged: see `Judge.encode`.
    """
    for error in _too_long(table).values():
        error.add("next", "judge the other rows: acceptor predict … -o FILE; or cut it into sentences")
        raise error
    warn_of_special_tokens(judge.tokenizer, table)
    cache = LogitsCache(judge)
    inputs = cache.encode(*texts_of(table.frame), place=table.place)
    warn_of_unknown(inputs.flags & SOME_UNKNOWN > 0, table)
    warn_of_truncated(inputs.flags & TRUNCATED > 0, judge.max_length, table.place)
    with meter("judging", len(inputs.new), "sentences") as bar:
        cache.add(inputs, lambda rows: bar.advance(len(rows)))
    columns = judge.columns(cache.logits(inputs.slots), all_scores=all_scores)
    return side_by_side(with_source_names(table.frame, table.source_names), columns, taken=judge.column_names)


def warn_of_breaks(tables: Sequence[Table], suffix: str) -> None:
    """Warns early of rows that will be rejected, since TSV cannot hold them, and names formats that can."""
    broken = sum(len(rows_with_breaks(table.frame)) for table in tables) if suffix == ".tsv" else 0
    if broken:
        rows = sum(map(len, tables))
        logger.warning(
            "%d of the first %d rows hold a tab or a line break, which TSV cannot: they are rejected; "
            ".csv, .jsonl and .parquet hold them: -o OUT.jsonl",
            broken,
            rows,
        )


def usable(table: Table, suffix: str, rejected: list[RejectedRow]) -> Table:
    """The rows that can be judged and written; the others are added to ``rejected``."""
    faults = _too_long(table)
    if suffix == ".tsv":
        for row in rows_with_breaks(table.frame):
            faults.setdefault(row, break_error(table.place(row), Path("OUT")))
    return drop_rows(table, faults, rejected)


def _too_long(table: Table) -> dict[int, DataError]:
    """The errors of rows that would take too long to tokenise, by row."""
    faults: dict[int, DataError] = {}
    for name in table.frame.columns:
        if name in ("sentence", "second"):
            for row in (table.frame[name].str.len_bytes() > LONGEST_SENTENCE).arg_true():
                error = DataError(
                    f"a {name} is longer than {LONGEST_SENTENCE:,} bytes", where=table.place(row), code="E-DATA-ROW"
                )
                faults.setdefault(row, error)
    return faults
