"""Adds labelled rows of other sources to a training split: they are trained on, and never held out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from acceptor.data.auditing.duplicates import fingerprints
from acceptor.data.table import Data, Source, Split, option
from acceptor.errors import DataError

logger = logging.getLogger(__name__)


def listed_sources(extra: Any) -> list[Any]:
    """The sources of more rows, given as one source (which may be a list of rows), as a list of sources, or as None."""
    if extra is None:
        return []
    if not isinstance(extra, list | tuple) or any(map(_is_row, extra)):
        return [extra]
    return list(extra)


def _is_row(one: Any) -> bool:
    return isinstance(one, tuple | Mapping) or (isinstance(one, list) and bool(one) and isinstance(one[0], str))


def is_cola(source: Any) -> bool:
    """True for the name of CoLA, the one corpus whose files may be in a folder that is given."""
    return isinstance(source, str) and source == "cola"


def refuse_mixed_tasks(splits: Sequence[Split]) -> None:
    """Refuses pairs beside single sentences.

    Raises:
        DataError: Some splits hold pairs and others do not.
    """
    if len({split.seconds is None for split in splits}) > 1:
        pairs = [split.name for split in splits if split.seconds is not None]
        raise DataError(
            "some splits hold pairs and others single sentences",
            where=", ".join(split.table.origin for split in splits),
            found=f"pairs in {', '.join(pairs)}",
            next=f"name the columns that all share: {option(splits[0].table.origin, 'columns', {'sentence': 'NAME'})}",
            code="E-DATA-PAIRS",
        )


def refuse_twice(splits: Iterable[Split], added: Iterable[Split]) -> None:
    """Refuses more rows that are there already, as a split or as others of the added rows.

    Raises:
        DataError: A file is there twice.
    """
    files = {split.table.sha256: f"those of the {split.name} split" for split in splits}
    for split in added:
        if split.table.sha256 in files:
            raise DataError(
                f"the extra rows are {files[split.table.sha256]}",
                where=split.table.origin,
                expected="other labelled rows to train on",
                next="leave that one out",
                code="E-DATA-SPLIT",
            )
        files[split.table.sha256] = f"those of {split.table.origin} again"


def with_extra(train: Split, added: Sequence[Split]) -> Split:
    """The training split with all rows of other splits of the same labels behind its own; `Split.own` is without them.

    Of the added rows only texts and labels are kept: other columns of the same name may mean something else.
    """
    if not added:
        return train
    for number, split in enumerate(added):
        _warn_of_known_texts(split, [train, *added[:number]])
    own, tables = train.table, [split.table for split in added]
    roles = [name for name in ("sentence", "second", "label") if name in own.frame.columns]
    others = [pl.lit("").alias(name) for name in own.frame.columns if name not in roles]
    frames = [table.frame.select(*roles, *others).select(own.frame.columns) for table in tables]
    table = replace(
        own,
        frame=pl.concat([own.frame, *frames]),
        lines=np.concatenate([own.lines, *(table.lines for table in tables)]),
        original=None,
        added=tuple(Source(table.origin, table.unit, table.sha256, table.schema, len(table)) for table in tables),
        source_ids=np.repeat(np.arange(len(tables) + 1, dtype=np.int32), [len(own), *map(len, tables)]),
    )
    label_ids = np.concatenate([train.gold, *(split.gold for split in added)])
    return Split(train.name, table, train.labels, label_ids, train.written)


def _warn_of_known_texts(split: Split, before: Sequence[Split]) -> None:
    """Warns of rows whose text is in train already, with another label or with the same one."""
    known, labels = np.concatenate([fingerprints(one) for one in before]), np.concatenate([one.gold for one in before])
    found = fingerprints(split)
    contradicts, repeats = np.zeros(len(split), dtype=bool), np.zeros(len(split), dtype=bool)
    for label in range(len(split.labels)):
        of_label = split.gold == label
        repeats[of_label] = np.isin(found[of_label], known[labels == label])
        contradicts[of_label] = np.isin(found[of_label], known[labels != label])
    for rows, what in (
        (np.flatnonzero(contradicts), "in train already, with another label"),
        (np.flatnonzero(repeats & ~contradicts), "in train already, and now twice"),
    ):
        if len(rows):
            logger.warning("%s %s: %s", _counted(len(rows)), what, split.table.places(rows))


def _counted(rows: int) -> str:
    return f"{rows:,} extra row{'' if rows == 1 else 's'}"


def without_held_out(data: Data) -> Data:
    """The data without those added rows whose text validation or test has: their scores would be too good."""
    table, held_out = data.train.table, [split for split in (data.validation, data.test) if split is not None]
    if table.source_ids is None or not held_out:
        return data
    known = np.isin(fingerprints(data.train), np.concatenate([fingerprints(split) for split in held_out]))
    rows = np.flatnonzero(known & (table.source_ids > 0))
    if not len(rows):
        return data
    logger.warning("%s left out, also in validation or test: %s", _counted(len(rows)), table.places(rows))
    return replace(data, train=data.train.take(np.setdiff1d(np.arange(len(table)), rows), "train"))
