"""Raw text for training without labels: read, and checked against the corpus that it prepares for."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.data.auditing.duplicates import normalised, rows_in
from acceptor.data.reading.read import read_table
from acceptor.data.table import Data, Table
from acceptor.errors import DataError, UsageError
from acceptor.storage.files import user_path

FEWEST = 200  # sentences
SAMPLE = 1_000  # sentences from which the script is read


@dataclass(frozen=True, eq=False)
class RawText:
    """Sentences without labels.

    Attributes:
        sentences: Each once, in the order of the files.
        sha256: The digests of the files, by path as given.
    """

    sentences: list[str]
    sha256: dict[str, str]

    def __repr__(self) -> str:
        return f"RawText({len(self.sentences):,} sentences from {', '.join(self.sha256)})"


def listed_paths(paths: str | Path | Sequence[str | Path], expected: str) -> list[Path]:
    """One path or several, as a list.

    Raises:
        UsageError: There is none, or something else; ``expected`` says what was wanted.
    """
    several = [paths] if isinstance(paths, str | Path) else paths
    if not isinstance(several, Sequence) or not several or not all(isinstance(one, str | Path) for one in several):
        raise UsageError("a path is missing", expected=expected, found=repr(paths)[:80], code="E-USAGE-OPTION")
    return [user_path(one) for one in several]


def read_raw_text(files: str | Path | Sequence[str | Path], data: Data) -> RawText:
    """Reads files of sentences, one a line or in a column of sentences, for training before or beside ``data``.

    Args:
        files: One or more files in any format of `load_data`; labels are ignored.
        data: The corpus whose validation and test sentences the text must not contain.

    Raises:
        UsageError: No file was given, or the corpus has pairs of sentences.
        DataError: A file cannot be read; the text has fewer than `FEWEST` sentences or is in another script than the
            corpus; or it contains sentences of the validation or test split.
    """
    paths = listed_paths(files, "one or more files of natural sentences")
    if data.train.seconds is not None:
        raise UsageError(
            "raw text is for corpora of single sentences",
            found=f"pairs in {data.train.table.origin}",
            next="train without it",
            code="E-USAGE-PAIRS",
        )
    tables = [read_table(path) for path in paths]
    for table in tables:
        _refuse_held_out(table, data)
    sentences = list(dict.fromkeys(text for table in tables for text in table.frame["sentence"].to_list()))
    origins = ", ".join(table.origin for table in tables)
    if len(sentences) < FEWEST:
        raise DataError(
            "the raw text is too short",
            where=origins,
            expected=f"{FEWEST} different sentences at least, one a line; ten thousand are worth the time",
            found=f"{len(sentences)}",
            next="give more text; or train without it: leave out --warmup-text, or --text of acceptor distil",
            code="E-DATA-SPLIT",
        )
    ours, theirs = _script(data.train.sentences[:SAMPLE]), _script(sentences[:: len(sentences) // SAMPLE + 1])
    if ours != theirs:
        raise DataError(
            "the raw text is in another script than the corpus",
            where=origins,
            expected=f"{ours}, as {data.train.table.origin}",
            found=theirs,
            next="give text in the corpus' language",
            code="E-DATA-TEXT",
        )
    return RawText(sentences, {table.origin: table.sha256 for table in tables})


def in_held_out(sentences: Sequence[str], data: Data) -> npt.NDArray[np.bool_]:
    """Which sentences the validation or test split has, too, normalised, shape (N,): corruptions can be such."""
    held_out = [split.table.frame["sentence"] for split in data.splits[1:]]
    texts = pl.concat([pl.Series("sentence", [], dtype=pl.String), *held_out])
    found = rows_in(normalised(pl.Series(sentences, dtype=pl.String)), normalised(texts)) >= 0
    return np.asarray(found)


def _refuse_held_out(table: Table, data: Data) -> None:
    """Refuses a text with sentences of the validation or test split: their scores would be too good."""
    texts = normalised(table.frame["sentence"])
    for split in (data.validation, data.test):
        if split is None:
            continue
        held_out = normalised(split.table.frame["sentence"])
        rows = (pl.Series(rows_in(texts, held_out)) >= 0).arg_true().to_list()
        if rows:
            raise DataError(
                f"the raw text contains sentences of the {split.name} split",
                where=table.origin,
                expected=f"no sentence of {split.table.origin}, compared without case and punctuation marks' spaces",
                found=table.listed_lines(rows),
                cause="scores on sentences that were trained on are too good",
                next="remove these lines",
                code="E-DATA-SPLIT",
            )


def _script(sentences: Iterable[str]) -> str:
    """The script of most letters, such as LATIN or CJK, after the Unicode names of the characters."""
    letters = Counter(character for text in sentences for character in text if character.isalpha())
    scripts: Counter[str] = Counter()
    for character, count in letters.items():
        script = unicodedata.name(character, "UNKNOWN").split()[0]
        scripts["CJK" if script in ("HIRAGANA", "KATAKANA") else script] += count  # Japanese mixes them
    return max(scripts, key=lambda name: scripts[name]) if scripts else "no letters"
