"""Finds the minimal pairs of a split, whose sentences are trained on together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.data.table import Split

PAIR = "pair"  # the column, as in the starter corpus
TOGETHER = "minimal pairs"  # the derived value of a training whose minimal pairs share a batch


def pair_numbers(split: Split) -> npt.NDArray[np.int64] | None:
    """For each row of a minimal pair the number of the pair's first row, for other rows their own; shape (N,).

    The two rows of a pair, and no others, share a value in the column ``pair``, and have different labels. None if
    there are no such rows.
    """
    frame = split.table.frame
    if PAIR not in frame.columns:
        return None
    rows = pl.DataFrame({"pair": frame[PAIR].cast(pl.String), "label": split.gold}).with_row_index("row")
    alike = rows.filter(pl.col("pair") != "").group_by("pair").agg("row", pl.col("label").n_unique().alias("labels"))
    found = alike.filter((pl.col("row").list.len() == 2) & (pl.col("labels") == 2))["row"].to_list()
    if not found:
        return None
    first, second = np.array(found).T
    numbers = np.arange(len(rows))
    numbers[second] = first
    return numbers


def count_pairs(split: Split) -> int:
    """The number of minimal pairs of a split."""
    numbers = pair_numbers(split)
    return 0 if numbers is None else len(numbers) - len(np.unique(numbers))
