"""`slices`: scores the parts of a split: n, MCC, accuracy and recall, with intervals; the largest part first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.data.table import Split
from acceptor.data.word_counts import without_spaces, word_counts
from acceptor.errors import DataError, checked_types
from acceptor.evaluation import metrics
from acceptor.evaluation.evaluate import Report, Scores, score
from acceptor.evaluation.groups import MAX_VALUES, Rows, check_few_values, column_of, rows_by_value
from acceptor.evaluation.intervals import FEW, Interval
from acceptor.text import shell

LENGTHS = (5, 8, 12, 20)  # the largest number of words of each band, over both texts of a pair
LENGTHS_UNSPACED = (10, 16, 24, 40)  # in scripts without spaces words are shorter: see `acceptor.data.word_counts`

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Slice:
    """Scores of one part of a split.

    Attributes:
        value: The value that its examples have.
        n: Number of examples.
        scores: Their scores; None if there are fewer than `FEW`, of several labels.
        label: The label that all its examples have, or None; then `recall` is defined and the MCC is not.
    """

    value: str
    n: int
    scores: Scores | None
    label: str | None

    @property
    def recall(self) -> float | None:
        """Share of examples judged `label`, in [0, 1]; None if several labels occur."""
        return self.scores.accuracy if self.scores and self.label is not None else None

    @property
    def recall_interval(self) -> Interval | None:
        """Its 95 % interval (Wilson)."""
        return self.scores.accuracy_interval if self.scores and self.label is not None else None

    @property
    def note(self) -> str | None:
        """Why there is no MCC, or None."""
        if self.scores is None:
            return f"too small (n < {FEW})"
        if self.label is not None:
            return "not defined (one label only)"
        return None if self.scores.mcc_interval else self.scores.mcc_words

    def to_dict(self) -> dict[str, object]:
        """All fields, with None for undefined ones."""
        scores = self.scores.to_dict() if self.scores else {}
        names = ("mcc", "mcc_interval", "accuracy", "accuracy_interval", "majority")
        return {
            "value": self.value,
            "n": self.n,
            **{name: scores.get(name) for name in names},
            "recall": self.recall,
            "recall_interval": list(self.recall_interval) if self.recall_interval else None,
            "label": self.label,
            "note": self.note,
        }


@checked_types
def slices(report: Report, by: str | Mapping[str, Mask]) -> list[Slice]:
    """Scores of the parts of a split, largest first.

    Args:
        report: The verdicts.
        by: A column: one slice for each value. ``length``, if no column has that name: bands of words (`LENGTHS`,
            `LENGTHS_UNSPACED`).
            ``label``: the gold labels. ``a,b,c``: columns of 0 and 1, one slice for the 1s of each; they may overlap.
            Or rows by name: bool, shape (N,) each.

    Raises:
        DataError: No such column, one of more than 1000 values, other values than 0 and 1 in one of several, or rows of
            another type or shape.
    """
    rows = rows_by(report.split, by) if isinstance(by, str) else {name: _mask(report, name, by[name]) for name in by}
    parts = [_slice(report, value, mask) for value, mask in rows.items()]
    return sorted(parts, key=lambda part: -part.n)


def _mask(report: Report, name: str, rows: Any) -> Mask:
    """The rows of a slice, as the caller gave them."""
    mask = np.asarray(rows)
    if mask.dtype != bool or mask.shape != report.split.gold.shape:
        raise DataError(
            f"the rows of the slice {name!r} cannot be used",
            expected=f"bool, shape {report.split.gold.shape}: True for the rows of the slice",
            found=f"{mask.dtype}, shape {mask.shape}",
            code="E-DATA-TYPE",
        )
    return mask


def usual_slices(report: Report) -> dict[str, list[dict[str, object]]]:
    """The slices in every run's report, as dicts: by source (if the column has few values), length in words, label."""
    frame = report.split.table.frame
    sources = frame["source"].n_unique() if "source" in frame.columns else 0
    words = dict(_rows_by_length(frame))  # also where a column is called `length`
    parts: dict[str, str | Mapping[str, Mask]] = {"source": "source"} if 0 < sources <= MAX_VALUES else {}
    parts |= {"length": words, "label": "label"}
    return {name: [part.to_dict() for part in slices(report, by)] for name, by in parts.items()}


def _slice(report: Report, value: str, rows: Mask | Rows) -> Slice:
    gold = report.split.gold[rows]
    kinds = np.unique(gold)
    label = report.split.labels[kinds[0]] if len(kinds) == 1 else None
    if len(gold) < FEW and label is None:
        return Slice(value, len(gold), None, None)
    confusion = metrics.confusion_matrix(gold, report.predicted[rows], len(report.split.labels))
    return Slice(value, len(gold), score(confusion), label)


def rows_by(split: Split, by: str) -> dict[str, Mask | Rows]:
    """The rows of each slice, for `slices`: so that a wrong ``by`` is refused before anything is judged.

    Raises:
        DataError: As `slices`.
    """
    return dict(_rows_by(split, by))


def _rows_by(split: Split, by: str) -> Iterator[tuple[str, Mask | Rows]]:
    frame = split.table.frame
    if by == "label":
        yield from ((split.labels[index], split.gold == index) for index in np.unique(split.gold))
    elif by == "length" and by not in frame.columns:
        yield from _rows_by_length(frame)
    elif by not in frame.columns and "," in by:
        names = [name.strip() for name in by.split(",")]
        yield from ((name, _ones(split, name)) for name in names)
    else:
        values = _column(split, by)
        check_few_values(values, split.table.origin)
        yield from rows_by_value(values).items()


def _rows_by_length(frame: pl.DataFrame) -> Iterator[tuple[str, Mask]]:
    words = word_counts(frame["sentence"])
    if "second" in frame.columns:
        words = words + word_counts(frame["second"])
    ends = LENGTHS_UNSPACED if without_spaces(frame["sentence"]) else LENGTHS
    band = np.searchsorted(ends, words.to_numpy())
    names = [f"{low + 1}–{high} words" for low, high in zip((0, *ends), ends, strict=False)]
    names.append(f"{ends[-1] + 1} words or more")
    yield from ((name, band == index) for index, name in enumerate(names) if (band == index).any())


def _column(split: Split, name: str) -> pl.Series:
    return column_of(split.table.frame, name, f"the {split.name} split", split.table.origin, besides=["length"])


def _ones(split: Split, name: str) -> Mask:
    values = _column(split, name)
    wrong = (~values.is_in(["0", "1"])).arg_true().to_list()
    if wrong:
        raise DataError(
            f"the column {name!r} holds other values than 0 and 1",
            where=split.table.place(wrong[0]),
            expected="0 or 1 in every row, if several columns are given at once",
            found=repr(values[wrong[0]]),
            next=f"look at it alone: --by {shell(name)}",
            code="E-DATA-COLUMN",
        )
    return np.asarray((values == "1").to_numpy())
