"""The numbers behind a report's figures: curves of ranking, calibration, margins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from acceptor.evaluation.intervals import Interval, share_interval
from acceptor.evaluation.measures import bins_of

Values = npt.NDArray[np.float64]


class Curve(NamedTuple):
    """Points of a curve, each in [0, 1], and the area that sums it up; ``x`` is empty where it is not defined."""

    x: Values
    y: Values
    area: float


_UNDEFINED = Curve(np.empty(0), np.empty(0), math.nan)  # there is only one label


def roc(gold: npt.NDArray[np.int64], scores: Values) -> Curve:
    """False against true positive rate over all thresholds, and the area under it (Fawcett 2006, algorithms 1 and 2).

    Args:
        gold: 1 for positive, 0 for negative, shape (N,).
        scores: Larger for positive, shape (N,).
    """
    if len(np.unique(gold)) < 2:
        return _UNDEFINED
    hits, misses = _above(gold, scores)
    true, false = np.r_[0, hits] / hits[-1], np.r_[0, misses] / misses[-1]
    return Curve(false, true, float(np.trapezoid(true, false)))


def precision_recall(gold: npt.NDArray[np.int64], scores: Values) -> Curve:
    """Recall against precision over all thresholds, and the average precision: Σ precision · gain of recall.

    Arguments as for `roc`.
    """
    if len(np.unique(gold)) < 2:
        return _UNDEFINED
    hits, misses = _above(gold, scores)
    recall, precision = hits / hits[-1], hits / (hits + misses)
    return Curve(recall, precision, float(np.diff(recall, prepend=0) @ precision))


def _above(gold: npt.NDArray[np.int64], scores: Values) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Positive and negative examples at or above each different score, from the highest."""
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.diff(scores[order], append=-math.inf))  # equal scores pass a threshold together
    return np.cumsum(gold[order])[last], np.cumsum(1 - gold[order])[last]


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
    bins = bins_of(probability)
    members = [bins == index for index in np.unique(bins)]
    means = [float(probability[rows].mean()) for rows in members]
    shares = [float(right[rows].mean()) for rows in members]
    counts = [int(rows.sum()) for rows in members]
    error = sum(abs(a - b) * count for a, b, count in zip(means, shares, counts, strict=True)) / len(right)
    intervals = [share_interval(int(right[rows].sum()), int(rows.sum())) for rows in members]
    return Calibration(means, shares, intervals, counts, error)


def margins(logits: npt.NDArray[np.float32]) -> Values:
    """For two labels, logit of label id 1 minus that of label id 0; else the best minus the second; shape (N,)."""
    logits = logits.astype(np.float64)
    if logits.shape[1] == 2:
        return np.asarray(logits[:, 1] - logits[:, 0])
    ranked = np.sort(logits, axis=1)
    return np.asarray(ranked[:, -1] - ranked[:, -2])
