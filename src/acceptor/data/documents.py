"""Splits documents into sentences, with the start and end of each. `sentencex` finds them, by rules, offline.

Its rules treat everything between two quotation marks or brackets as one sentence, so text after an unclosed mark may
become one sentence; and on text without line breaks its time grows with the square of the length. So a long
document is split in windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.data.frames import renames_of_taken
from acceptor.data.reading.original import as_json_text
from acceptor.data.reading.stream import RejectedRow
from acceptor.data.table import Table
from acceptor.errors import DataError, UsageError, check_installed, nearest

LANGUAGES = (
    *("am", "ar", "bg", "bn", "ca", "da", "de", "el", "en", "es", "fi", "fr", "gu", "hi", "hy", "it"),
    *("ja", "kk", "kn", "ml", "mr", "my", "nl", "pa", "pl", "pt", "ru", "sk", "ta", "te", "uk"),
)
"""The languages of which `sentencex` knows more than the sentence marks: abbreviations, names of months."""
DOCUMENTS_TEXT = 1 << 20  # characters of documents that are split and judged together: about a chunk of sentences
PLACE = ("document", "start", "end")
"""The columns that say where a sentence comes from."""
_WINDOW = 10_000  # characters that the splitter gets at once
_UNSURE = 200  # characters at the end of a window where a boundary may depend on the text after it


def check_splitter(language: str) -> str:
    """Checks that the language has rules and that the splitter is installed.

    Returns:
        The splitter's version: other versions may split at other places.

    Raises:
        UsageError: There are no rules for the language, or the splitter is not installed.
    """
    if language not in LANGUAGES:
        near = nearest(language, LANGUAGES)
        raise UsageError(
            f"there are no rules for sentences of the language {language!r}",
            where="--split-sentences",
            expected=", ".join(LANGUAGES),
            next=(f"did you mean {near}? " if near else "") + "en knows the sentence marks of all scripts",
            code="E-USAGE-OPTION",
        )
    check_installed("sentencex")
    return version("sentencex")


def spans(text: str, language: str) -> Iterator[tuple[int, int]]:
    """Where the sentences of a text begin and end, in characters, half-open; without the white space around them.

    Every character that is not white space is in exactly one of them.

    Args:
        text: The document.
        language: One of `LANGUAGES`.
    """
    from sentencex import segment

    return _spans(text, lambda window: segment(language, window))


def _spans(text: str, segment: Callable[[str], Sequence[str]]) -> Iterator[tuple[int, int]]:
    start, size = 0, _WINDOW
    while start < len(text):
        window = text[start : start + size]
        sure = len(window) if start + size >= len(text) else size - _UNSURE
        position = 0
        for piece in segment(window):
            if not window.startswith(piece, position):
                raise DataError(
                    "the splitter changed the text: a fault in sentencex",
                    found=repr(piece[:40]),
                    code="E-DATA-SPLITTER",
                )
            if position + len(piece) > sure:
                break
            if inner := piece.strip():
                begin = start + position + len(piece) - len(piece.lstrip())
                yield begin, begin + len(inner)
            position += len(piece)
        if sure == len(window) and position < sure:
            raise DataError(
                "the splitter left out text: a fault in sentencex",
                found=repr(window[position:][:40]),
                code="E-DATA-SPLITTER",
            )
        start += position
        size = _WINDOW if position else 2 * size


def sentence_tables(
    pieces: Sequence[tuple[Table, list[RejectedRow]]], before: int, language: str, form: str = ".tsv"
) -> list[Table]:
    """Turns tables of documents into tables of sentences.

    Args:
        pieces: Consecutive documents that can be read, and the rejected ones among them.
        before: Number of documents before them.
        language: One of `LANGUAGES`.
        form: The format of the output that they were read for.

    Returns:
        A row for each sentence: the document's columns, its text replaced by the sentence; ``document``, the number of
        the document among all, from 1; ``start`` and ``end``, see `spans`. A row's line is its document's.

    Raises:
        UsageError: They are pairs.
        DataError: A column would get a name that another one has: see `renames_of_taken`.
    """
    tables = []
    for table, faults in pieces:
        lines = np.sort(np.concatenate([table.lines, [int(fault[table.unit]) for fault in faults]]).astype(np.int64))
        tables.append(_sentences(table, before + 1 + np.searchsorted(lines, table.lines), language, form))
        before += len(lines)
    return tables


def columns_of_sentences(columns: Sequence[str]) -> list[str]:
    """The columns of sentences, from those of documents: see `sentence_tables`."""
    names = renames_of_taken(columns, PLACE)
    return [*(names.get(name, name) for name in columns), *PLACE]


def _sentences(table: Table, numbers: npt.NDArray[np.int64], language: str, form: str) -> Table:
    if "second" in table.frame.columns:
        raise UsageError(
            "pairs are not cut into sentences",
            where=table.origin,
            next="give the second text another name: --columns other=NAME",
            code="E-USAGE-PAIRS",
        )
    rows: list[int] = []
    starts: list[int] = []
    ends: list[int] = []
    sentences: list[str] = []
    for row, text in enumerate(table.frame["sentence"].to_list()):
        try:
            found = list(spans(text, language))
        except DataError as error:
            error.add("where", table.place(row))
            raise
        rows += [row] * len(found)
        starts += [start for start, _ in found]
        ends += [end for _, end in found]
        sentences += [text[start:end] for start, end in found]
    index = np.array(rows, dtype=np.int64)
    places = numbers[index], np.array(starts, dtype=np.int64), np.array(ends, dtype=np.int64)
    added = pl.DataFrame([pl.Series(name, values) for name, values in zip(PLACE, places, strict=True)])
    cut = pl.DataFrame([pl.Series("sentence", sentences, dtype=pl.String)])
    frame = _beside_places(table.frame, index, cut, added)
    original = table.original
    if original is not None and form == ".jsonl":
        original = _beside_places(original, index, as_json_text(cut), as_json_text(added))
    elif original is not None:
        original = _beside_places(original, index, cut, added)
    return replace(table, frame=frame, lines=table.lines[index], original=original)


def _beside_places(
    frame: pl.DataFrame, rows: npt.NDArray[np.int64], cut: pl.DataFrame, places: pl.DataFrame
) -> pl.DataFrame:
    """The documents' columns, with a row for each sentence; the sentence replaces the document's text."""
    names = renames_of_taken(frame.columns, places.columns)
    columns = [cut["sentence"] if one.name == "sentence" else one.gather(rows) for one in frame]
    return pl.DataFrame([*(one.alias(names.get(one.name, one.name)) for one in columns), *places])
