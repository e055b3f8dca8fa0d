"""What of the texts an encoder cannot read: unknown characters, special tokens typed by hand. Told, or refused."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.data.documents import PLACE
from acceptor.data.reading.stream import Fault, fault_of
from acceptor.data.table import Split, Table
from acceptor.errors import DataError
from acceptor.model.encode import Encoded, marked
from acceptor.model.tokenizer import reading

SHOWN = 5  # lines that a warning names
TOO_MUCH = 0.5  # share of train that an encoder may not know
UNKNOWN, UNREAD = 1, 2  # flags of a text: of which the encoder does not know a part; of which it knows nothing

logger = logging.getLogger(__name__)


def flags_of(encoded: Encoded) -> npt.NDArray[np.uint8]:
    """`UNKNOWN` and `UNREAD` of each input, uint8, shape (N,)."""
    return (encoded.with_unknown * UNKNOWN | encoded.unread * UNREAD).astype(np.uint8)


def unread_error(where: str, text: str) -> DataError:
    """Why an input that is `Encoded.unread` cannot be judged."""
    return DataError(
        "the encoder's vocabulary knows nothing of a text",
        where=where,
        expected="a word, or a part of one, that it knows",
        found=repr(text)[:60],
        cause="emoji, a script that the encoder was not made for, or characters that it drops",
        next="leave such rows out; or train with an encoder that knows them, such as a multilingual one",
    )


def refuse_unread(encoded: Encoded, sentences: Sequence[str], place: Callable[[int], str]) -> None:
    """Refuses inputs of which the vocabulary knows nothing.

    Raises:
        DataError: The first of them.
    """
    unread = np.flatnonzero(encoded.unread)
    if len(unread):
        error = unread_error(place(int(unread[0])), sentences[unread[0]])
        if len(unread) > 1:
            error.add("found", f"{error.details['found']}; {len(unread) - 1} more are like it")
        raise error


def warn_of_texts(tokenizer: Any, encoded: Encoded, split: Split) -> None:
    """Tells of rows that an encoder cannot read, and of special tokens in them."""
    unread = np.flatnonzero(encoded.unread)
    if len(unread):
        logger.warning(
            "%s: the encoder's vocabulary knows nothing of %d of %d texts: %s",
            split.name, len(unread), len(split), _lines(split.table, unread),
        )  # fmt: skip
    warn_of_marks(tokenizer, split.table)


def warn_of_unknown(unknown: npt.NDArray[np.bool_], table: Table) -> None:
    """Warns of rows of which the encoder does not know a part: ``unknown``, shape (rows,)."""
    rows = np.flatnonzero(unknown)
    if len(rows):
        logger.warning(
            "the encoder's vocabulary does not know all of %d of %d texts: %s",
            len(rows), len(table), _lines(table, rows),
        )  # fmt: skip


def warn_of_marks(tokenizer: Any, table: Table) -> bool:
    """Tells of ``[CLS]``, ``</s>`` and the like in the texts; True where there are any."""
    texts = [table.frame[name].to_list() for name in ("sentence", "second") if name in table.frame.columns]
    rows = marked(tokenizer, *texts)
    if len(rows):
        logger.warning(
            "special tokens such as %s are typed into %d of %d texts: %s; the tokenizer adds its own, and reads these "
            "as text: leave them out",
            " ".join(reading(tokenizer).marks[:2]), len(rows), len(table), _lines(table, rows),
        )  # fmt: skip
    return bool(len(rows))


def refuse_strangers(train: Encoded, encoder: str, split: Split) -> None:
    """Refuses to train where the encoder does not know the script.

    Raises:
        DataError: It knows nothing of most texts, or does not know most of their tokens.
    """
    unread, unknown = float(train.unread.mean()), train.unknown_share()
    if max(unread, unknown) <= TOO_MUCH:
        return
    raise DataError(
        f"the vocabulary of {encoder} does not cover this text",
        where=_lines(split.table, np.flatnonzero(train.with_unknown)),
        expected=f"an encoder that knows {1 - TOO_MUCH:.0%} of the tokens at least",
        found=f"{unknown:.0%} of the tokens are unknown to it; of {unread:.0%} of the texts it knows nothing",
        cause="an encoder of another language or script",
        next="take one of the language, or a multilingual one: --encoder FacebookAI/xlm-roberta-base",
    )


def _lines(table: Table, rows: npt.NDArray[np.int64]) -> str:
    """Where the rows stand, the first of them."""
    shown = ", ".join(str(table.lines[row]) for row in rows[:SHOWN])
    return f"{table.origin}, {table.unit}{'s' if len(rows) > 1 else ''} {shown}" + (", …" if len(rows) > SHOWN else "")


def legible(table: Table, flags: npt.NDArray[np.uint8], rejected: list[Fault]) -> Table:
    """The rows of which the encoder knows something; the others are told to ``rejected``."""
    unread, texts = np.flatnonzero(flags & UNREAD).tolist(), table.frame["sentence"]
    return without(table, {row: unread_error(table.place(row), texts[row]) for row in unread}, rejected)


def without(table: Table, faults: Mapping[int, DataError], rejected: list[Fault]) -> Table:
    """The table without faulty rows, which are told to ``rejected``."""
    if not faults:
        return table
    for row, error in faults.items():
        place = {name: table.frame[name][row] for name in PLACE if table.frame.schema.get(name) == pl.Int64}
        rejected.append(fault_of(table, table.unit, int(table.lines[row]), error, **place))
    kept = np.setdiff1d(np.arange(len(table)), list(faults))
    return table.take(kept)
