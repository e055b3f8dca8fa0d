"""Computes the points of a report's figures: ranking, calibration, margins; areas and errors come from `measures`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from acceptor.evaluation.intervals import Interval, share_interval, unweighted
from acceptor.evaluation.measures import (
    average_precision,
    bins_of,
    by_score,
    calibration_error,
    roc_auc,
    sums_by_score,
)
from acceptor.evaluation.metrics import Values


class Curve(NamedTuple):
    """Points of a curve, each in [0, 1], and the area under it; ``x`` is empty if it is not defined."""

    x: Values
    y: Values
    area: float


_UNDEFINED = Curve(np.empty(0), np.empty(0), math.nan)  # there is only one label


def roc(gold: npt.NDArray[np.int64], scores: Values) -> Curve:
    """False against true positive rate over all thresholds, and `roc_auc` (Fawcett 2006, algorithm 1).

    Args:
        gold: 1 for positive, 0 for negative, shape (N,).
        scores: Larger for positive, shape (N,).
    """
    if len(np.unique(gold)) < 2:
        return _UNDEFINED
    hits, misses = _from_the_top(gold, scores)
    true, false = np.r_[0, hits] / hits[-1], np.r_[0, misses] / misses[-1]
    return Curve(false, true, unweighted(roc_auc(scores, gold == 1), len(gold)))


def precision_recall(gold: npt.NDArray[np.int64], scores: Values) -> Curve:
    """Recall against precision over all thresholds, and `average_precision`. Arguments as for `roc`."""
    if len(np.unique(gold)) < 2:
        return _UNDEFINED
    hits, misses = _from_the_top(gold, scores)
    area = unweighted(average_precision(scores, gold == 1), len(gold))
    return Curve(hits / hits[-1], hits / (hits + misses), area)


def _from_the_top(gold: npt.NDArray[np.int64], scores: Values) -> tuple[Values, Values]:
    """Positive and negative examples at or above each different score, from the highest."""
    hits, misses = sums_by_score(np.ones((1, len(gold))), *by_score(-scores), gold == 1)
    return np.cumsum(hits[0]), np.cumsum(misses[0])


@dataclass(frozen=True)
class Calibration:
    """Mean confidence and share of right verdicts, in bins of equal mass.

    Attributes:
        confidence: Mean probability of the verdicts in each bin, shape (bins,).
        right: Share of right verdicts in each bin.
        intervals: Its 95 % intervals (Wilson).
        counts: Examples in each bin.
        error: `calibration_error`: mean of |right − confidence|, weighted by counts.
    """

    confidence: list[float]
    right: list[float]
    intervals: list[Interval]
    counts: list[int]
    error: float


def calibration(probability: Values, right: npt.NDArray[np.bool_]) -> Calibration:
    """Compares the probability of verdicts with the share of them that are right.

    Args:
        probability: Of each verdict, shape (N,), in [0, 1].
        right: Whether it was right, shape (N,).
    """
    bins = bins_of(probability)
    members = [bins == index for index in np.unique(bins)]
    means = [float(probability[rows].mean()) for rows in members]
    shares = [float(right[rows].mean()) for rows in members]
    counts = [int(rows.sum()) for rows in members]
    error = unweighted(calibration_error(probability, right), len(right))
    intervals = [share_interval(int(right[rows].sum()), int(rows.sum())) for rows in members]
    return Calibration(means, shares, intervals, counts, error)


def logit_differences(logits: npt.NDArray[np.float32]) -> Values:
    """For two labels, logit of label id 1 minus that of label id 0; else the best minus the second; shape (N,)."""
    logits = logits.astype(np.float64)
    if logits.shape[1] == 2:
        return np.asarray(logits[:, 1] - logits[:, 0])
    ranked = np.sort(logits, axis=1)
    return np.asarray(ranked[:, -1] - ranked[:, -2])
