"""``predictions.parquet``: a run's verdicts, one row per scored example."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.runs.record import damaged
from acceptor.storage.files import new_file

PREDICTIONS_FILE = "predictions.parquet"
COLUMNS = {"sentence": pl.String, "split": pl.String, "line": pl.Int64, "gold": pl.String, "verdict": pl.String}
"""The columns that every file has. It also has all columns of the data, probabilities and logits."""


def read_predictions(folder: Path, split: str | None = None) -> pl.DataFrame:
    """Reads a run's verdicts.

    Args:
        folder: The run folder.
        split: ``validation`` or ``test``: only the rows of that split.

    Raises:
        RunError: The file is missing or is not Parquet; or one of `COLUMNS` is missing or has another type.
    """
    path = folder / PREDICTIONS_FILE
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise damaged(path, str(error).split("\n")[0][:300]) from error
    for name, kind in COLUMNS.items():
        if frame.schema.get(name) != kind:
            found = frame.schema.get(name, "no such column")
            raise damaged(path, f"{name}: must be a column of type {kind}, not {found}")
    return frame if split is None else frame.filter(pl.col("split") == split)


def label_ids(names: pl.Series, labels: Sequence[str]) -> npt.NDArray[np.int64]:
    """The label ids, shape (N,), of a column of label names: ``gold`` or ``verdict``.

    Raises:
        KeyError: A name is none of ``labels``.
    """
    ids = {label: index for index, label in enumerate(labels)}
    return np.array([ids[name] for name in names.to_list()], dtype=np.int64)


def write_predictions(folder: Path, frames: Sequence[pl.DataFrame]) -> None:
    """Writes the verdicts on all splits as one table. Columns that a split lacks are null in its rows."""
    with new_file(folder / PREDICTIONS_FILE) as scratch:
        pl.concat(frames, how="diagonal").write_parquet(scratch)
