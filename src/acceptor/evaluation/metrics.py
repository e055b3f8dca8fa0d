"""Scores of verdicts, all computed from the confusion matrix.

A confusion matrix here has one row per gold label and one column per verdict: ``confusion[i, j]`` examples of label i
were judged j. Every score takes matrices of shape (..., K, K), counts of any real type, and gives float64 of shape
(...), so that the thousands of matrices of a bootstrap are scored at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from acceptor.errors import UsageError

Confusion = npt.NDArray[Any]
Values = npt.NDArray[np.float64]


def mistakes(confusion: Sequence[Sequence[int]]) -> list[tuple[int, int, int]]:
    """(gold, verdict, count) of all cells off the diagonal that are not 0, the most frequent first."""
    cells = [
        (gold, verdict, int(count))
        for gold, row in enumerate(confusion)
        for verdict, count in enumerate(row)
        if gold != verdict and count
    ]
    return sorted(cells, key=lambda cell: (-cell[2], *cell[:2]))


def confusion_matrix(gold: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], labels: int) -> Confusion:
    """Counts of (gold, verdict), int64, shape (labels, labels)."""
    return np.bincount(gold * labels + predicted, minlength=labels * labels).reshape(labels, labels)


def mcc(confusion: Confusion) -> Values:
    """Matthews correlation in [-1, 1], for two labels and more; NaN if it is not defined.

    It is the correlation of gold and verdict indicators (Gorodkin 2004, R_K); for two labels it equals
    (TP·TN − FP·FN) / √((TP+FP)(TP+FN)(TN+FP)(TN+FN)). With a single label among the verdicts, or in
    the gold, it is not defined: the result is NaN, never 0.
    """
    matrix, n, right = _parts(confusion)
    gold, verdicts = matrix.sum(axis=-1), matrix.sum(axis=-2)
    spread = (n * n - (verdicts * verdicts).sum(axis=-1)) * (n * n - (gold * gold).sum(axis=-1))
    return quotient(right * n - (verdicts * gold).sum(axis=-1), np.sqrt(np.maximum(spread, 0.0)))


def accuracy(confusion: Confusion) -> Values:
    """Share of examples judged right, in [0, 1]."""
    _, n, right = _parts(confusion)
    return quotient(right, n)


def balanced_accuracy(confusion: Confusion) -> Values:
    """Mean over labels of the share of a label's examples that were judged right; NaN if a label has none."""
    matrix, _, _ = _parts(confusion)
    return np.asarray(quotient(_diagonal(matrix), matrix.sum(axis=-1)).mean(axis=-1))


def f1(confusion: Confusion) -> Values:
    """F1 in [0, 1]: of label id 1 for two labels, the mean over labels for more; NaN where not defined."""
    matrix, _, _ = _parts(confusion)
    scores = quotient(2 * _diagonal(matrix), matrix.sum(axis=-1) + matrix.sum(axis=-2))
    return np.asarray(scores[..., 1] if matrix.shape[-1] == 2 else scores.mean(axis=-1))


def majority_share(confusion: Confusion) -> Values:
    """Accuracy of always answering the most frequent gold label: the baseline of every score."""
    matrix, n, _ = _parts(confusion)
    return quotient(matrix.sum(axis=-1).max(axis=-1), n)


def log_loss(logits: npt.NDArray[np.float32], gold: npt.NDArray[np.int64]) -> float:
    """Mean cross-entropy in nats, from logits of shape (N, labels)."""
    return float(log_losses(logits, gold).mean())


def log_losses(logits: npt.NDArray[np.float32], gold: npt.NDArray[np.int64]) -> Values:
    """Cross-entropy of each example in nats, float64, shape (N,)."""
    scores = logits.astype(np.float64)
    top = scores.max(axis=1, keepdims=True)
    log_total = top[:, 0] + np.log(np.exp(scores - top).sum(axis=1))
    return np.asarray(log_total - scores[np.arange(len(gold)), gold])


def log_odds(logits: npt.NDArray[np.float32], label: int) -> npt.NDArray[np.float64]:
    """The log-odds of a label in nats, shape (N,): its logit less the other's; with more labels, log p / (1 − p)."""
    scores = logits.astype(np.float64)
    others = np.delete(scores, label, axis=1)
    return np.asarray(scores[:, label] - np.logaddexp.reduce(others, axis=1))


METRICS = {"mcc": mcc, "accuracy": accuracy, "f1": f1, "balanced_accuracy": balanced_accuracy}
"""The scores of verdicts, by the name that options and reports use."""


def check_metric(name: str) -> None:
    """Refuses an unknown metric.

    Raises:
        UsageError: It is not one of `METRICS`.
    """
    if name not in METRICS:
        raise UsageError(f"no metric is called {name!r}", expected=", ".join(METRICS), code="E-USAGE-OPTION")


def words_of(metric: str) -> str:
    """A metric's name in text: as options have it, except that the Matthews correlation is MCC."""
    return "MCC" if metric == "mcc" else metric


def lowest_score(metric: str) -> float:
    """The lowest value of a metric; the highest is 1."""
    return -1.0 if metric == "mcc" else 0.0


def _parts(confusion: Confusion) -> tuple[Values, Values, Values]:
    """The matrices in float64, their totals and the counts judged right; exact up to 2**53."""
    matrix = np.asarray(confusion, dtype=np.float64)
    return matrix, matrix.sum(axis=(-2, -1)), _diagonal(matrix).sum(axis=-1)


def _diagonal(matrix: Values) -> Values:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def quotient(part: Values, whole: Values) -> Values:
    """A quotient, element by element; NaN where it is not defined."""
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=np.asarray(whole) > 0))


def defined(score: float) -> float | None:
    """The score as it is written to files; None if it is not defined (NaN, which JSON does not have)."""
    return None if math.isnan(score) else score
