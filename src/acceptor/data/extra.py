"""Adds labelled rows of other sources to a training split: they are trained on, and never held out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from acceptor.data.table import Split, Table
from acceptor.errors import DataError


def listed_sources(extra: Any) -> list[Any]:
    """The sources of more rows, given as one source (which may be a list of rows) or as a list of sources."""
    if not isinstance(extra, list | tuple) or any(isinstance(one, tuple | Mapping) for one in extra):
        return [extra]
    return list(extra)


def is_cola(source: Any) -> bool:
    """True for the name of the corpus whose files may be in a folder that is given."""
    return isinstance(source, str) and source == "cola"


def refuse_own_rows(splits: Iterable[Split], added: Iterable[Split]) -> None:
    """Refuses a file as more rows that is a split already: rows of validation or test would be trained on.

    Raises:
        DataError: A file is there twice.
    """
    files = {split.table.sha256: split.name for split in splits}
    for split in added:
        if split.table.sha256 in files:
            raise DataError(
                f"the extra rows are those of the {files[split.table.sha256]} split",
                where=split.table.origin,
                expected="other labelled rows to train on",
                next="leave --extra out",
                code="E-DATA-SPLIT",
            )


def with_extra(train: Split, added: Sequence[Split]) -> Split:
    """The training split with all rows of other splits of the same labels behind its own; `Split.own` is without them.

    Of the added rows only texts and labels are kept: their other columns would mix with those of the same name.
    """
    if not added:
        return train
    own, tables = train.table, [split.table for split in added]
    roles = [name for name in ("sentence", "second", "label") if name in own.frame.columns]
    frame = pl.concat([own.frame, *(table.frame.select(roles) for table in tables)], how="diagonal")
    table = replace(
        own,
        frame=frame,
        lines=np.concatenate([own.lines, *(table.lines for table in tables)]),
        sha256=hashlib.sha256(json.dumps([own.sha256, *(table.sha256 for table in tables)]).encode()).hexdigest(),
        original=None,
        extra=pl.concat([pl.Series([None] * len(own), dtype=pl.String), *map(_places, tables)]),
    )
    return Split(
        train.name, table, train.labels, np.concatenate([train.gold, *(one.gold for one in added)]), train.written
    )


def _places(table: Table) -> pl.Series:
    """The place of every row."""
    start = f"{table.origin}, {table.unit} "
    return pl.select(pl.format("{}{}", pl.lit(start), pl.Series(table.lines))).to_series()
