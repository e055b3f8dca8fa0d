"""Refuses, or warns of, texts that a judge cannot read whole: unknown or special tokens, or too many of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.data.documents import PLACE
from acceptor.data.reading.stream import RejectedRow, rejected_row
from acceptor.data.table import Split, Table
from acceptor.errors import DataError
from acceptor.model.encode import Encoded, rows_with_special_tokens
from acceptor.model.tokenizer import tokenizer_info

MAX_UNKNOWN = 0.5  # share of unknown tokens, or of texts without any known one, in train
SOME_UNKNOWN = 1  # flags of a text: some of its tokens are unknown
ALL_UNKNOWN = 2  # all of them
TRUNCATED = 4  # it was longer than the judge's longest input

logger = logging.getLogger(__name__)


def flags_of(encoded: Encoded) -> npt.NDArray[np.uint8]:
    """`SOME_UNKNOWN`, `ALL_UNKNOWN` and `TRUNCATED` of each input, uint8, shape (N,)."""
    unknown = encoded.has_unknown * SOME_UNKNOWN | encoded.all_unknown * ALL_UNKNOWN
    return (unknown | encoded.truncated * TRUNCATED).astype(np.uint8)


def counts_of(flags: npt.NDArray[np.uint8]) -> dict[str, int]:
    """Of the inputs that can be judged, how many are only partly known and how many were truncated, by `Tally`'s names.

    Args:
        flags: `flags_of` N inputs, shape (N,).
    """
    judged = flags[flags & ALL_UNKNOWN == 0]
    return {"unknown": int((judged & SOME_UNKNOWN > 0).sum()), "truncated": int((judged & TRUNCATED > 0).sum())}


def unknown_text_error(where: str, text: str) -> DataError:
    """The error for an input that is `Encoded.all_unknown`."""
    return DataError(
        "no token of a text is in the encoder's vocabulary",
        where=where,
        expected="at least one known word piece",
        found=repr(text)[:60],
        cause="emoji, a script that the encoder was not trained on, or characters that its tokenizer drops",
        next="remove such rows; or train with an encoder that covers them, such as a multilingual one",
        code="E-DATA-VOCABULARY",
    )


def check_known(encoded: Encoded, sentences: Sequence[str], place: Callable[[int], str]) -> None:
    """Refuses inputs without any known token.

    Raises:
        DataError: There are some; it tells of the first one.
    """
    all_unknown = np.flatnonzero(encoded.all_unknown)
    if len(all_unknown):
        error = unknown_text_error(place(int(all_unknown[0])), sentences[all_unknown[0]])
        error.positions = all_unknown.tolist()
        if len(all_unknown) > 1:
            error.add("found", f"{error.details['found']}; {len(all_unknown) - 1} more such texts")
        raise error


def warn_of_unknown_texts(tokenizer: Any, encoded: Encoded, split: Split) -> None:
    """Warns of rows without any known token, and of special tokens in the text."""
    all_unknown = np.flatnonzero(encoded.all_unknown)
    if len(all_unknown):
        logger.warning(
            "%s: no token of %d of %d texts is in the encoder's vocabulary: %s",
            split.name, len(all_unknown), len(split), split.table.places(all_unknown),
        )  # fmt: skip
    warn_of_special_tokens(tokenizer, split.table)


def warn_of_unknown(has_unknown: npt.NDArray[np.bool_], table: Table) -> None:
    """Warns of rows with unknown tokens, those where ``has_unknown``, shape (rows,), is True."""
    rows = np.flatnonzero(has_unknown)
    if len(rows):
        logger.warning(
            "some tokens of %d of %d texts are not in the encoder's vocabulary: %s",
            len(rows), len(table), table.places(rows),
        )  # fmt: skip


def warn_of_truncated(truncated: npt.NDArray[np.bool_], max_length: int | None, place: Callable[[int], str]) -> None:
    """Warns of texts whose ends were not read, those where ``truncated``, shape (N,), is True.

    Args:
        truncated: Which texts.
        max_length: The judge's longest input, in tokens; None if it is not known.
        place: Gives the place of a text.
    """
    rows = np.flatnonzero(truncated)
    if len(rows):
        logger.warning(
            "%d of %d texts are longer than the judge reads%s, so their ends are not judged: %s%s",
            len(rows), len(truncated), f" ({max_length} tokens)" if max_length else "",
            place(int(rows[0])), ", …" if len(rows) > 1 else "",
        )  # fmt: skip


def warn_of_special_tokens(tokenizer: Any, table: Table) -> bool:
    """Warns of ``[CLS]``, ``</s>`` and the like in the texts; True if there are any."""
    texts = [table.frame[name].to_list() for name in ("sentence", "second") if name in table.frame.columns]
    rows = rows_with_special_tokens(tokenizer, *texts)
    if len(rows):
        logger.warning(
            "special tokens such as %s are typed into %d of %d texts: %s; the tokenizer adds its own, and reads these "
            "as text: leave them out",
            " ".join(tokenizer_info(tokenizer).special_tokens[:2]), len(rows), len(table), table.places(rows),
        )  # fmt: skip
    return bool(len(rows))


def check_coverage(encoded: Encoded, encoder: str, split: Split) -> None:
    """Refuses to train or to score on a split that the vocabulary of the encoder does not cover.

    Raises:
        DataError: More than half of the texts have no known token, or more than half of the tokens are unknown.
    """
    all_unknown, unknown = float(encoded.all_unknown.mean()), encoded.unknown_share()
    if max(all_unknown, unknown) <= MAX_UNKNOWN:
        return
    raise DataError(
        f"the vocabulary of {encoder} does not cover this text",
        where=split.table.places(np.flatnonzero(encoded.has_unknown)),
        expected=f"at least {1 - MAX_UNKNOWN:.0%} known tokens",
        found=f"{unknown:.0%} of the tokens are unknown; {all_unknown:.0%} of the texts have no known token",
        cause="an encoder of another language or script",
        next="use an encoder of that language, or a multilingual one: --encoder FacebookAI/xlm-roberta-base",
        code="E-DATA-VOCABULARY",
    )


def drop_unknown_rows(table: Table, flags: npt.NDArray[np.uint8], rejected: list[RejectedRow]) -> Table:
    """The rows with a known token; the others are appended to ``rejected``."""
    all_unknown, texts = np.flatnonzero(flags & ALL_UNKNOWN).tolist(), table.frame["sentence"]
    return drop_rows(table, {row: unknown_text_error(table.place(row), texts[row]) for row in all_unknown}, rejected)


def drop_rows(table: Table, faults: Mapping[int, DataError], rejected: list[RejectedRow]) -> Table:
    """The table without faulty rows, which are appended to ``rejected``."""
    if not faults:
        return table
    for row, error in faults.items():
        place = {name: table.frame[name][row] for name in PLACE if table.frame.schema.get(name) == pl.Int64}
        rejected.append(rejected_row(table, table.unit, int(table.lines[row]), error, **place))
    kept = np.setdiff1d(np.arange(len(table)), list(faults))
    return table.take(kept)
