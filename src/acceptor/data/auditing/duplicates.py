"""Rows with the same text, exactly or after normalisation. The two texts of a pair are one unit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.data.table import Split

BETWEEN = "\0"  # separates the two texts of a pair; no text that was read holds it

NORMALISATION = (
    "Unicode NFKC, lower case, typographic quotes made straight, control and invisible characters left out, "
    "one space between words and punctuation marks"
)
"""What `normalised` does, in words."""


def units(split: Split) -> pl.Series:
    """Each row's text as read, strings of shape (N,): the sentence, or both texts of a pair with `BETWEEN` between."""
    return _joined(split, lambda texts: texts)


def normalised_units(split: Split) -> pl.Series:
    """`units` with every text `normalised`."""
    return _joined(split, normalised)


def normalised(texts: pl.Series) -> pl.Series:
    """The texts by the rule `NORMALISATION`; a text that would become empty stays as it is."""
    found = (
        texts.str.normalize("NFKC")
        .str.to_lowercase()
        .str.replace_all("[‘’]", "'")
        .str.replace_all("[“”]", '"')
        .str.replace_all(r"[[\p{Cc}\p{Cf}]--[\s]]", "")
        .str.replace_all(r"([^\w\s])", " $1 ")
        .str.replace_all(r"\s+", " ")
        .str.strip_chars()
    )
    return pl.select(pl.when(found == "").then(texts).otherwise(found)).to_series()


def fingerprints(split: Split) -> npt.NDArray[np.uint64]:
    """A 64-bit hash (BLAKE2b) of each row's normalised text, uint64, shape (N,); the same on every machine."""
    hashes = (hashlib.blake2b(text.encode(), digest_size=8).digest() for text in normalised_units(split))
    return np.frombuffer(b"".join(hashes), dtype="<u8").astype(np.uint64)


def first_rows(keys: pl.Series) -> npt.NDArray[np.int64]:
    """For each row the first row with the same key, int64, shape (N,); its own number if it is the first."""
    frame = pl.DataFrame({"key": keys}).with_row_index("row")
    return frame.select(pl.col("row").min().over("key")).to_series().to_numpy().astype(np.int64)


def rows_in(keys: pl.Series, others: pl.Series) -> npt.NDArray[np.int64]:
    """For each key its first row in ``others``, int64, shape (N,); -1 if there is none."""
    first = pl.DataFrame({"key": others}).with_row_index("row").unique("key", keep="first")
    found = pl.DataFrame({"key": keys}).join(first, on="key", how="left", maintain_order="left")["row"]
    return found.cast(pl.Int64).fill_null(-1).to_numpy()


def _joined(split: Split, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    frame = split.table.frame
    texts = change(frame["sentence"])
    if "second" not in frame.columns:
        return texts
    return texts + BETWEEN + change(frame["second"])
