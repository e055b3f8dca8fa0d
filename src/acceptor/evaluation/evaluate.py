"""`evaluate`: the report of one judge on one split. Every example is judged once; scores are of the whole set."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.data.auditing.duplicates import fingerprints
from acceptor.data.frames import side_by_side
from acceptor.data.table import Split
from acceptor.errors import DataError, RunError, UsageError, checked_types
from acceptor.evaluation import metrics
from acceptor.evaluation.groups import check_few_values, column_of, rows_by_value
from acceptor.evaluation.intervals import FEW, Interval, mcc_interval, share_interval
from acceptor.evaluation.measures import Measure, measures
from acceptor.evaluation.notebook import scores_html
from acceptor.judging.decision import MOST_PROBABLE, Decision
from acceptor.judging.judge import Judge
from acceptor.judging.verdicts import verdict_columns
from acceptor.model.coverage import check_coverage, warn_of_truncated, warn_of_unknown_texts
from acceptor.progress import meter


@dataclass(frozen=True)
class Scores:
    """Scores of a set of verdicts, always with n, intervals and the majority baseline.

    Attributes:
        n: Number of examples.
        mcc: Matthews correlation; NaN if it is not defined.
        mcc_interval: Its 95 % interval, or None.
        accuracy: Share judged right, with `accuracy_interval`.
        f1: F1 of label id 1, or the mean over labels for more than two.
        balanced_accuracy: Mean over labels of the share of a label's examples judged right.
        majority: Accuracy of always answering the most frequent label.
        confusion: Counts by gold label (rows) and verdict (columns).
    """

    n: int
    mcc: float
    mcc_interval: Interval | None
    accuracy: float
    accuracy_interval: Interval
    f1: float
    balanced_accuracy: float
    majority: float
    confusion: tuple[tuple[int, ...], ...]

    @property
    def collapsed(self) -> bool:
        """True if every verdict is the same label, although the gold labels differ."""
        confusion = np.array(self.confusion) > 0
        return int(confusion.any(axis=0).sum()) == 1 < int(confusion.any(axis=1).sum())

    def to_dict(self) -> dict[str, object]:
        """All fields, with None for undefined scores."""
        return {
            "n": self.n,
            "mcc": metrics.defined(self.mcc),
            "mcc_interval": list(self.mcc_interval) if self.mcc_interval else None,
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "f1": metrics.defined(self.f1),
            "balanced_accuracy": metrics.defined(self.balanced_accuracy),
            "majority": self.majority,
            "collapsed": self.collapsed,
            "confusion": [list(row) for row in self.confusion],
        }

    @property
    def mcc_words(self) -> str:
        """The Matthews correlation with its interval, or why there is none."""
        if math.isnan(self.mcc):
            one_label = sum(map(any, self.confusion)) == 1
            return f"not defined ({'one label only' if one_label else 'all verdicts alike'})"
        missing = "too few examples" if self.n < FEW else "often not defined in samples of these examples"
        return f"{self.mcc:.3f} {self.mcc_interval or f'(no interval: {missing})'}"

    def __str__(self) -> str:
        return f"MCC {self.mcc_words} · accuracy {self.accuracy:.3f} · n {self.n} · majority {self.majority:.3f}"


def score(confusion: metrics.Confusion) -> Scores:
    """All scores of a confusion matrix."""
    n = int(confusion.sum())
    return Scores(
        n=n,
        mcc=float(metrics.mcc(confusion)),
        mcc_interval=mcc_interval(confusion),
        accuracy=float(metrics.accuracy(confusion)),
        accuracy_interval=share_interval(int(np.trace(confusion)), n),
        f1=float(metrics.f1(confusion)),
        balanced_accuracy=float(metrics.balanced_accuracy(confusion)),
        majority=float(metrics.majority_share(confusion)),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
    )


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """Scores of one judge on one split, with its verdicts.

    Attributes:
        split: The examples.
        logits: float32, shape (N, labels), in the split's order.
        scores: Over the whole split.
        loss: Mean cross-entropy in nats.
        selected: True if this split chose the checkpoint or threshold: its scores are then too high.
        decision: How the logits became verdicts.
        leaked: True for rows that are in train, bool, shape (N,); None if train is not known.
    """

    split: Split
    logits: npt.NDArray[np.float32]
    scores: Scores
    loss: float
    selected: bool = False
    decision: Decision = MOST_PROBABLE
    leaked: npt.NDArray[np.bool_] | None = None

    def __repr__(self) -> str:
        mark = " · selected on this split" if self.selected else ""
        if self.leaks:
            rest = self.without_leaked.mcc_words if self.without_leaked else "not defined (nothing is left)"
            mark += f" · without the {self.leaks} that are also in train MCC {rest}"
        return f"{self.split.name} {self.scores}{mark}"

    def _repr_html_(self) -> str:
        rows = [(name, one.value, one.interval or "not defined", one.majority) for name, one in self.measures.items()]
        return scores_html(repr(self), rows)

    @property
    def leaks(self) -> int | None:
        """Number of rows that also occur in train, after normalisation; None if train is not known."""
        return None if self.leaked is None else int(self.leaked.sum())

    @property
    def without_leaked(self) -> Scores | None:
        """The scores of the other rows; None if there are none, if no row leaks, or if train is not known."""
        return None if self.leaked is None or self.leaks in (0, len(self.split)) else self._score(~self.leaked)

    @property
    def mcc(self) -> float:
        """Matthews correlation over the whole split; NaN if it is not defined."""
        return self.scores.mcc

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval of `mcc`."""
        return self.scores.mcc_interval

    @property
    def confusion(self) -> metrics.Confusion:
        """Counts by gold label (rows) and verdict (columns)."""
        return np.array(self.scores.confusion)

    @functools.cached_property
    def predicted(self) -> npt.NDArray[np.int64]:
        """Label ids of the verdicts, int64, shape (N,)."""
        return self.decision.label_ids(self.logits)

    @functools.cached_property
    def measures(self) -> dict[str, Measure]:
        """All nine scores with bootstrap intervals and the majority's scores, by name; computed on first use."""
        return measures(self.split.gold, self.predicted, self.decision.probabilities(self.logits))

    @checked_types
    def by(self, column: str) -> dict[str, Scores]:
        """Scores of every value of a column (``source``, ``phenomenon``, …), in the order of first appearance.

        Raises:
            DataError: The split has no such column, or it has more than 1000 values.
        """
        table = self.split.table
        values = column_of(table.frame, column, f"the {self.split.name} split", table.origin)
        check_few_values(values, table.origin)
        return {value: self._score(rows) for value, rows in rows_by_value(values).items()}

    @checked_types
    def per_batch(self, size: int) -> list[Scores]:
        """Scores of each run of ``size`` examples in the split's order: how much scores of small sets vary.

        Raises:
            UsageError: The size is less than 1.
        """
        if size < 1:
            raise UsageError("the examples of a batch must be one or more", found=str(size), code="E-USAGE-OPTION")
        return [self._score(slice(start, start + size)) for start in range(0, len(self.split), size)]

    def _score(self, rows: npt.NDArray[Any] | slice) -> Scores:
        """The scores of some rows, by number or as a mask."""
        labels = len(self.split.labels)
        return score(metrics.confusion_matrix(self.split.gold[rows], self.predicted[rows], labels))

    def predictions(self) -> pl.DataFrame:
        """One row an example: all columns as read, its split and line, gold, verdict, probabilities, logits."""
        return with_predictions(self.split, self.logits, self.decision)

    @checked_types
    def worst(self, k: int) -> pl.DataFrame:
        """The ``k`` errors with the highest probability, the highest first: line, texts, gold, verdict, probability.

        Raises:
            UsageError: The number is negative.
        """
        if k < 0:
            raise UsageError("the number of errors must not be negative", found=str(k), code="E-USAGE-OPTION")
        texts = [name for name in ("sentence", "second") if name in self.split.table.frame.columns]
        wrong = self.predictions().filter(pl.col("verdict") != pl.col("gold"))
        surest = wrong.sort("probability", descending=True, maintain_order=True).head(k)
        return surest.select("line", *texts, "gold", "verdict", "probability")

    def to_dict(self) -> dict[str, object]:
        """Scores and where they come from, without the verdicts."""
        return {
            "split": self.split.name,
            "origin": self.split.table.origin,
            "sha256": self.split.table.sha256,
            "labels": list(self.split.labels),
            "selected_on_this_split": self.selected,
            "loss": self.loss,
            **self.decision.to_dict(),
            **self.scores.to_dict(),
            "measures": {name: measure.to_dict() for name, measure in self.measures.items()},
            "leaked": self.leaks,
            "without_leaked": self.without_leaked.to_dict() if self.without_leaked else None,
        }


def with_predictions(split: Split, logits: npt.NDArray[np.float32], decision: Decision) -> pl.DataFrame:
    """`Report.predictions`, from logits of shape (N, labels)."""
    about = {
        "split": [split.name] * len(split),
        "line": split.table.lines,
        "gold": [split.labels[index] for index in split.gold],
    }
    return side_by_side(split.table.frame, pl.DataFrame(about), verdict_columns(logits, split.labels, decision))


def blank_predictions(split: Split) -> pl.DataFrame:
    """`Report.predictions` with logits of 0, to find columns that cannot be written before the split is judged.

    Raises:
        DataError: Two columns would have one name.
    """
    return with_predictions(split, np.zeros((len(split), len(split.labels)), dtype=np.float32), MOST_PROBABLE)


@checked_types
def evaluate(judge: Judge, split: Split) -> Report:
    """Judges every example of ``split`` once and scores the whole, as a training does its validation and test splits.

    A text without any token in the judge's vocabulary is scored, too, with a warning.

    Raises:
        DataError: The split has no rows, no labels, or other labels than the judge; it holds pairs but the judge was
            trained on single sentences, or the other way round; or most of its text is not in the judge's vocabulary.
    """
    split.gold  # noqa: B018 - raises, before any work is done, where there are no labels
    if not len(split):
        raise DataError("there are no rows", where=split.table.origin, expected="one or more", code="E-DATA-EMPTY")
    if split.labels != judge.labels:
        raise DataError(
            "the split's labels are not the judge's",
            where=split.table.origin,
            expected=", ".join(judge.labels),
            found=", ".join(split.labels),
            code="E-DATA-LABELS",
        )
    encoded = judge.encode(split.sentences, split.seconds, place=split.table.place, refuse=False)
    check_coverage(encoded, str(judge.encoder["name"]), split)
    warn_of_unknown_texts(judge.tokenizer, encoded, split)
    warn_of_truncated(encoded.truncated, judge.max_length, split.table.place)
    with meter("judging", len(encoded), "sentences") as bar:
        logits = judge.logits_of(encoded, lambda rows: bar.advance(len(rows)))
    selected = split.table.sha256 == judge.selected_on  # perhaps other rows of it: better one mark too many
    return report_of(split, logits, selected=selected, decision=judge.decision, trained_on=judge.trained_on)


def report_of(
    split: Split,
    logits: npt.NDArray[np.float32],
    *,
    selected: bool = False,
    decision: Decision = MOST_PROBABLE,
    trained_on: npt.NDArray[np.uint64] | None = None,
) -> Report:
    """The report of given logits.

    Args:
        split: The examples.
        logits: float32, shape (N, labels).
        selected: This split chose the checkpoint or the threshold.
        decision: How logits become verdicts.
        trained_on: Fingerprints of the judge's training rows.

    Raises:
        RunError: A logit is not finite.
    """
    wrong = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(wrong):
        raise RunError(
            "the judge computes logits that are not finite",
            where=split.table.place(int(wrong[0])),
            expected="finite logits",
            found=f"NaN or infinity for {len(wrong)} of {len(split)} sentences",
            cause="a training that diverged, damaged weights, or a precision with too small a range",
            next="try --precision fp32, or train again with a smaller --learning-rate",
            code="E-RUN-NAN",
        )
    leaked = None if trained_on is None else np.isin(fingerprints(split), trained_on)
    gold = split.gold
    confusion = metrics.confusion_matrix(gold, decision.label_ids(logits), len(split.labels))
    loss = metrics.log_loss(logits / np.float32(decision.temperature), gold)
    return Report(split, logits, score(confusion), loss, selected, decision, leaked)
