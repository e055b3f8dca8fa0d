"""Computes all scores of one judge on one split with intervals: of verdicts, of ranking, and of probabilities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from acceptor.evaluation.intervals import AT_ONCE, DRAWS, FEW, Interval, Statistic, bootstrap_intervals, unweighted
from acceptor.evaluation.metrics import METRICS, Values, defined, quotient

BINS = 10  # of equal mass, for the calibration error
BIASED = ("ece",)
MANY = 20_000  # with more examples, a tenth of the bootstrap samples is drawn


@dataclass(frozen=True)
class Measure:
    """One score.

    Attributes:
        value: NaN if it is not defined.
        interval: Its 95 % interval (`bootstrap_intervals`); None if there is none, as with fewer than ten examples.
        majority: The same score of a judge that always answers the most frequent label, with the labels' shares as its
            probabilities; NaN if it is not defined.
    """

    value: float
    interval: Interval | None
    majority: float

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "not defined"
        return f"{self.value:.3f} {self.interval or '[no interval]'}"

    def to_dict(self) -> dict[str, object]:
        """All fields, with None for undefined scores."""
        low, high = self.interval or (None, None)
        value, majority = map(defined, (self.value, self.majority))
        return {"value": value, "low": low, "high": high, "majority": majority}


def measures(
    gold: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float64]
) -> dict[str, Measure]:
    """The nine scores of a split, by name; larger is better except for ``brier``, ``log_loss`` and ``ece``.

    Args:
        gold: Label ids, shape (N,).
        predicted: Label ids of the verdicts, shape (N,).
        probabilities: Of every label, shape (N, K), rows sum to 1.
    """
    n, labels = probabilities.shape
    counts = np.bincount(gold, minlength=labels)
    constant = np.full(n, counts.argmax()), np.tile(counts / n, (n, 1))
    scores, baseline = statistics(gold, predicted, probabilities), statistics(gold, *constant)
    draws = DRAWS if n <= MANY else DRAWS // 10  # each takes longer, and the interval is narrow
    intervals = bootstrap_intervals(scores, n, biased=BIASED, draws=draws) if n >= FEW else dict.fromkeys(scores)
    return {
        name: Measure(unweighted(score, n), intervals[name], unweighted(baseline[name], n))
        for name, score in scores.items()
    }


def statistics(
    gold: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float64]
) -> dict[str, Statistic]:
    """The scores as functions of the examples' weights; arguments as in `measures`."""
    n, labels = probabilities.shape
    cells = csr_array((np.ones(n), (np.arange(n), gold * labels + predicted)), shape=(n, labels * labels))

    at_once = max(1, AT_ONCE // labels**2)  # confusion matrices in memory

    def of_verdicts(metric: Any) -> Statistic:
        def score(weights: Values) -> Values:
            parts = (weights[start : start + at_once] for start in range(0, len(weights), at_once))
            return np.concatenate([metric((part @ cells).reshape(-1, labels, labels)) for part in parts])

        return score

    of_labels = range(1, 2) if labels == 2 else range(labels)  # two labels: of label id 1

    def of_order(area: Any) -> Statistic:
        areas = [area(probabilities[:, label], gold == label) for label in of_labels]
        return lambda weights: np.mean([one(weights) for one in areas], axis=0)

    chosen = probabilities[np.arange(n), gold]
    truth = np.eye(labels)[gold]
    tiny = np.finfo(np.float64).tiny
    return {
        **{name: of_verdicts(metric) for name, metric in METRICS.items()},
        "roc_auc": of_order(roc_auc),
        "average_precision": of_order(average_precision),
        "brier": _mean(((probabilities - truth) ** 2).sum(axis=1) / 2),
        "log_loss": _mean(-np.log(np.maximum(chosen, tiny))),
        "ece": calibration_error(probabilities[np.arange(n), predicted], predicted == gold),
    }


def roc_auc(scores: Values, positive: npt.NDArray[np.bool_]) -> Statistic:
    """Area under the ROC curve: the share of pairs in the right order, ties half (Hanley & McNeil 1982).

    NaN without a positive or a negative example.
    """
    order, starts = by_score(scores)

    def area(weights: Values) -> Values:
        hits, misses = sums_by_score(weights, order, starts, positive)
        below = np.cumsum(misses, axis=1) - misses / 2
        return quotient((hits * below).sum(axis=1), hits.sum(axis=1) * misses.sum(axis=1))

    return area


def average_precision(scores: Values, positive: npt.NDArray[np.bool_]) -> Statistic:
    """Mean precision over the positive examples, each at its own score as the threshold; NaN without one."""
    order, starts = by_score(-scores)

    def precision(weights: Values) -> Values:
        hits, misses = sums_by_score(weights, order, starts, positive)
        right, taken = np.cumsum(hits, axis=1), np.cumsum(hits + misses, axis=1)
        precisions = right / np.maximum(taken, 1)  # weights are whole numbers; above the first example it is 0 / 1
        return quotient((hits * precisions).sum(axis=1), hits.sum(axis=1))

    return precision


def bins_of(confidence: Values) -> npt.NDArray[np.int64]:
    """The bin of each example, int64, shape (N,): `BINS` of equal mass; equal confidences share one."""
    ends = np.quantile(confidence, np.arange(1, BINS) / BINS)
    return np.searchsorted(ends, confidence, side="left")


def calibration_error(confidence: Values, right: npt.NDArray[np.bool_]) -> Statistic:
    """Expected calibration error: mean over bins of |share right − mean confidence| (Guo et al. 2017, equation 3).

    Bins are those of all examples (`bins_of`), in every draw. As a sum of absolute values it is biased upwards in
    small samples: a perfectly calibrated judge has .04 on 500 sentences.
    """
    members = np.eye(BINS)[bins_of(confidence)] * (right - confidence)[:, None]
    return lambda weights: quotient(np.abs(weights @ members).sum(axis=1), weights.sum(axis=1))


def _mean(values: Values) -> Statistic:
    return lambda weights: weights @ values / weights.sum(axis=1)


def by_score(scores: Values) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The examples' order by score, and where each different score begins in it."""
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    return order, np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])


def sums_by_score(
    weights: Values, order: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], positive: npt.NDArray[np.bool_]
) -> tuple[Values, Values]:
    """Weight of the positive and of the negative examples at each different score, shape (B, scores)."""
    ranked = np.take(weights, order, axis=1)
    hits = ranked * positive[order]
    if len(starts) < len(order):  # sums over equal scores; skipped, because it is slow, if there are none
        ranked, hits = (np.add.reduceat(values, starts, axis=1) for values in (ranked, hits))
    return hits, ranked - hits
