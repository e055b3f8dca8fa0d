"""Scores of one judge on one split, all computed from the confusion matrix.

A confusion matrix here has one row per gold label and one column per verdict: ``confusion[i, j]``
examples of label i were judged j.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Confusion = npt.NDArray[np.int64]


def confusion_matrix(gold: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], labels: int) -> Confusion:
    """Counts of (gold, verdict), int64, shape (labels, labels)."""
    return np.bincount(gold * labels + predicted, minlength=labels * labels).reshape(labels, labels)


def mcc(confusion: Confusion) -> float:
    """Matthews correlation in [-1, 1], for two labels and more; NaN where it is not defined.

    It is the correlation of gold and verdict indicators (Gorodkin 2004, R_K); for two labels it equals
    (TP·TN − FP·FN) / √((TP+FP)(TP+FN)(TN+FP)(TN+FN)). With a single label among the verdicts, or in
    the gold, a correlation does not exist: that is NaN, never a silent 0.
    """
    matrix = confusion.astype(np.float64)
    n, correct = matrix.sum(), np.trace(matrix)
    gold, verdicts = matrix.sum(axis=1), matrix.sum(axis=0)
    spread = (n * n - verdicts @ verdicts) * (n * n - gold @ gold)
    return float((correct * n - verdicts @ gold) / math.sqrt(spread)) if spread > 0 else math.nan


def accuracy(confusion: Confusion) -> float:
    """Share of examples judged right, in [0, 1]."""
    return float(np.trace(confusion) / confusion.sum())


def f1(confusion: Confusion) -> float:
    """F1 in [0, 1]: of label id 1 for two labels, the mean over labels for more; NaN where not defined."""
    scores = [
        2 * confusion[i, i] / total if (total := confusion[i].sum() + confusion[:, i].sum()) else math.nan
        for i in range(len(confusion))
    ]
    return float(scores[1]) if len(scores) == 2 else float(np.mean(scores))


def majority_share(confusion: Confusion) -> float:
    """Accuracy of always answering the most frequent gold label: the base line of every score."""
    return float(confusion.sum(axis=1).max() / confusion.sum())


def log_loss(logits: npt.NDArray[np.float32], gold: npt.NDArray[np.int64]) -> float:
    """Mean cross-entropy in nats, from logits of shape (N, labels)."""
    scores = logits.astype(np.float64)
    top = scores.max(axis=1, keepdims=True)
    log_total = top[:, 0] + np.log(np.exp(scores - top).sum(axis=1))
    return float((log_total - scores[np.arange(len(gold)), gold]).mean())


def log_odds(logits: npt.NDArray[np.float32], label: int) -> npt.NDArray[np.float64]:
    """The margin of a label in nats, shape (N,): its logit less the other's; with more labels, log p / (1 − p)."""
    scores = logits.astype(np.float64)
    others = np.delete(scores, label, axis=1)
    return np.asarray(scores[:, label] - np.logaddexp.reduce(others, axis=1))


METRICS = {"mcc": mcc, "accuracy": accuracy, "f1": f1}
"""The scores that can lead a report and select a checkpoint."""
