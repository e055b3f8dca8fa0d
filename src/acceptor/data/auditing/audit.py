"""`audit`: sizes, balance, lengths and a sample of a split, before anything is trained on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from acceptor.data.table import Split
from acceptor.data.word_counts import word_counts
from acceptor.errors import checked_types

SAMPLE_ROWS = 10
SAMPLE_SEED = 2018


@dataclass(frozen=True, eq=False, repr=False)
class Audit:
    """Facts about one split.

    Attributes:
        name: The split's role.
        origin: Where it was read from, and its ``sha256``.
        schema: How its columns were recognised.
        rows: Number of examples.
        columns: Column names, in order.
        balance: Examples per label, empty without labels.
        sources: The same for each value of the column ``source``, largest first; empty without one, and without labels.
        words: Quantiles of the number of words (see `acceptor.data.word_counts`): min, median, mean, 99 %, max.
        characters: The same for characters.
        sample: Ten random rows with their line numbers, in the file's order.
    """

    name: str
    origin: str
    sha256: str
    schema: str
    rows: int
    columns: tuple[str, ...]
    balance: dict[str, int]
    sources: dict[str, dict[str, int]]
    words: dict[str, float]
    characters: dict[str, float]
    sample: pl.DataFrame

    def __repr__(self) -> str:
        return f"Audit({self.name}: {self.rows} rows × {len(self.columns)} columns from {self.origin})"

    def to_dict(self) -> dict[str, object]:
        """All fields; the sample as a list of rows."""
        return {**vars(self), "columns": list(self.columns), "sample": self.sample.to_dicts()}


@checked_types
def audit(split: Split) -> Audit:
    """Measures one split: shape, columns, balance, lengths; and takes ten rows to read. Extra rows do not count."""
    split = split.own
    frame = split.table.frame
    rng = np.random.default_rng(SAMPLE_SEED)
    chosen = np.sort(rng.choice(len(split), size=min(SAMPLE_ROWS, len(split)), replace=False))
    sample = frame[chosen].insert_column(0, pl.Series("line", split.table.lines[chosen]))
    return Audit(
        name=split.name,
        origin=split.table.origin,
        sha256=split.table.sha256,
        schema=split.table.schema,
        rows=len(split),
        columns=tuple(frame.columns),
        balance=split.balance(),
        sources=_balance_by_source(split),
        words=_quantiles(word_counts(frame["sentence"])),
        characters=_quantiles(frame["sentence"].str.len_chars()),
        sample=sample,
    )


def _balance_by_source(split: Split) -> dict[str, dict[str, int]]:
    frame = split.table.frame
    if split.label_ids is None or "source" not in frame.columns:
        return {}
    counts = pl.DataFrame({"source": frame["source"], "label": split.label_ids}).group_by("source", "label").len()
    sources: dict[str, dict[str, int]] = {}
    for source, label, count in counts.iter_rows():
        sources.setdefault(source, dict.fromkeys(split.labels, 0))[split.labels[label]] = count
    return dict(sorted(sources.items(), key=lambda item: (-sum(item[1].values()), item[0])))


def _quantiles(counts: pl.Series) -> dict[str, float]:
    values = counts.to_numpy()
    return {
        "min": float(values.min()),
        "median": float(np.median(values)),
        "mean": round(float(values.mean()), 2),
        "99 %": float(np.quantile(values, 0.99)),
        "max": float(values.max()),
    }
