"""The numbers behind a report's figures: curves of ranking, calibration, margins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from acceptor.evaluation.intervals import Interval, share_interval

Values = npt.NDArray[np.float64]
BINS = 10


class Curve(NamedTuple):
    """Points of a curve, each in [0, 1], and the area that sums it up; ``x`` is empty where it is not defined."""

    x: Values
    y: Values
    area: float


def roc(gold: npt.NDArray[np.int64], scores: Values) -> Curve:
    """False against true positive rate over all thresholds, and the area under it (Fawcett 2006).

    Args:
        gold: 1 for positive, 0 for negative, shape (N,).
        scores: Larger for positive, shape (N,).
    """
    if len(np.unique(gold)) < 2:
        return Curve(np.empty(0), np.empty(0), math.nan)
    false, true, _ = roc_curve(gold, scores)
    return Curve(false, true, float(roc_auc_score(gold, scores)))


def precision_recall(gold: npt.NDArray[np.int64], scores: Values) -> Curve:
    """Recall against precision over all thresholds, and the average precision. Arguments as for `roc`."""
    if len(np.unique(gold)) < 2:
        return Curve(np.empty(0), np.empty(0), math.nan)
    precision, recall, _ = precision_recall_curve(gold, scores)
    # The last point, recall 0 at precision 1, is a convention and no threshold: it is not drawn.
    return Curve(recall[:-1], precision[:-1], float(average_precision_score(gold, scores)))


@dataclass(frozen=True)
class Calibration:
    """Confidence against what became of it, in bins of equal mass.

    Attributes:
        confidence: Mean probability of the verdicts in each bin, shape (bins,).
        right: Share of right verdicts in each bin.
        intervals: Its 95 % intervals (Wilson).
        counts: Examples in each bin.
        error: Expected calibration error: mean of |right − confidence|, weighted by counts (Guo et al. 2017, eq. 3).
    """

    confidence: list[float]
    right: list[float]
    intervals: list[Interval]
    counts: list[int]
    error: float


def calibration(probability: Values, right: npt.NDArray[np.bool_]) -> Calibration:
    """How far confidence can be taken at its word.

    Args:
        probability: Of each verdict, shape (N,), in [0, 1].
        right: Whether it was right, shape (N,).
    """
    ends = np.quantile(probability, np.arange(1, BINS) / BINS)
    bins = np.searchsorted(ends, probability, side="left")  # equal probabilities share a bin
    members = [bins == index for index in np.unique(bins)]
    means = [float(probability[rows].mean()) for rows in members]
    shares = [float(right[rows].mean()) for rows in members]
    counts = [int(rows.sum()) for rows in members]
    error = sum(abs(a - b) * count for a, b, count in zip(means, shares, counts, strict=True)) / len(right)
    intervals = [share_interval(int(right[rows].sum()), int(rows.sum())) for rows in members]
    return Calibration(means, shares, intervals, counts, error)


def margins(logits: Values) -> Values:
    """For two labels, logit of label id 1 minus that of label id 0; else the best minus the second; shape (N,)."""
    if logits.shape[1] == 2:
        return np.asarray(logits[:, 1] - logits[:, 0])
    ranked = np.sort(logits, axis=1)
    return np.asarray(ranked[:, -1] - ranked[:, -2])
