"""Fits temperature and threshold on validation; keeps them if they help on held-out examples."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from acceptor.config import Derived
from acceptor.evaluation.compare import compare_judged
from acceptor.evaluation.intervals import FEW
from acceptor.evaluation.judged import Judged
from acceptor.evaluation.metrics import METRICS, Values, confusion_matrix, log_loss, log_losses
from acceptor.evaluation.patterns import Ids
from acceptor.judging.decision import Decision, Logits

FOLDS = 10
MAX_TEMPERATURE = 20.0  # and 1 / 20; a fit beyond them means that the split is too small, or has no mistake

Parts = list[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]  # rows to fit on, rows to evaluate on


def calibrate(logits: Logits, gold: Ids, metric: str, *, threshold: bool = True) -> tuple[Decision, list[Derived]]:
    """The decision for a judge with these logits on validation, and the reasons.

    Each of the two numbers is first evaluated by ten-fold cross-validation. If the held-out tenths score better with it
    than without, by more than the standard error, it is fitted on all examples and kept.

    Args:
        logits: Of validation, shape (N, labels).
        gold: Its label ids, shape (N,).
        metric: The score that the threshold is tuned for: a name in `METRICS`.
        threshold: Fit a threshold, too.
    """
    fold = np.random.default_rng(0).permutation(len(gold)) % FOLDS
    parts = [(fold != number, fold == number) for number in range(FOLDS) if (fold == number).any()]
    temperature, why = _temperature(logits, gold, parts)
    if not threshold or logits.shape[1] != 2:
        return Decision(temperature), [why]
    tuned, why_threshold = _threshold(logits, gold, parts, metric, temperature)
    return Decision(temperature, tuned), [why, why_threshold]


def _temperature(logits: Logits, gold: Ids, parts: Parts) -> tuple[float, Derived]:
    if len(gold) < FEW or len(np.unique(gold)) < 2:
        return 1.0, Derived("temperature", 1.0, f"left out: fitting needs {FEW} examples and two labels")
    plain = log_losses(logits, gold)
    cooled = np.empty_like(plain)
    for most, rest in parts:
        cooled[rest] = log_losses(logits[rest] / fit_temperature(logits[most], gold[most]), gold[rest])
    gains = plain - cooled
    helps = gains.mean() > gains.std() / np.sqrt(len(gains))
    temperature = fit_temperature(logits, gold) if helps else 1.0
    if (logits.argmax(axis=1) == gold).all() and temperature < 1:
        # Without a mistake the fit pushes probabilities to 0 and 1, and the next mistake costs 20 times more.
        return 1.0, Derived("temperature", 1.0, "left out: without a mistake, the split does not limit confidence")
    losses = f"log loss {plain.mean():.4f} without one, {cooled.mean():.4f} with one, on held-out tenths"
    verdict = "fitted" if helps else "left out, as it does not gain more than its standard error"
    return temperature, Derived("temperature", round(temperature, 4), f"{verdict}: {losses}")


def _threshold(
    logits: Logits, gold: Ids, parts: Parts, metric: str, temperature: float
) -> tuple[float | None, Derived]:
    plain = logits.argmax(axis=1)
    tuned = np.empty_like(plain)
    for most, rest in parts:
        decision = Decision(temperature, fit_threshold(logits[most], gold[most], metric, temperature))
        tuned[rest] = decision.label_ids(logits[rest])
    without, with_one = (
        Judged("", ("0", "1"), range(len(gold)), gold, verdicts[None, :]) for verdicts in (plain, tuned)
    )
    helps = False
    scores = [float(METRICS[metric](confusion_matrix(gold, verdicts, 2))) for verdicts in (plain, tuned)]
    if len(gold) >= FEW:
        (found,) = compare_judged(without, [with_one], metric=metric, draws=1000)
        # If all verdicts are the same label, MCC is not defined: the standard error of a correlation of 0 is used.
        without_any = 1 / math.sqrt(len(gold)) if math.isnan(scores[0]) else math.nan
        helps = found.difference > found.standard_error or scores[1] > without_any
    threshold = fit_threshold(logits, gold, metric, temperature) if helps else None
    why = f"{metric} {scores[0]:.3f} without one, {scores[1]:.3f} with one, on held-out tenths"
    few = f"left out, as {len(gold)} examples are too few"
    unsure = few if len(gold) < FEW else "left out, as it does not gain more than its standard error"
    shown = None if threshold is None else round(threshold, 4)
    return threshold, Derived("threshold", shown, f"{'tuned' if helps else unsure}: {why}")


def fit_temperature(logits: Logits, gold: Ids) -> float:
    """The temperature with the least log loss (Guo et al. 2017, section 4.2).

    It is between 1 / `MAX_TEMPERATURE` and `MAX_TEMPERATURE`.
    """
    from scipy.optimize import minimize_scalar  # slow to import, and needed once

    bound = np.log(MAX_TEMPERATURE)
    scores = logits.astype(np.float64)
    found = minimize_scalar(
        lambda power: log_loss(scores / np.exp(power), gold), bounds=(-bound, bound), method="bounded"
    )
    return float(np.exp(found.x))


def fit_threshold(logits: Logits, gold: Ids, metric: str, temperature: float = 1.0) -> float:
    """The threshold with the highest score; of several, the one nearest to one half.

    Candidates are the midpoints between neighbouring probabilities of label id 1.

    Returns:
        A probability in (0, 1); one half if no threshold has a score, as with one label in the gold.
    """
    likely = np.unique(Decision(temperature).probabilities(logits)[:, 1])
    candidates = np.concatenate([(likely[1:] + likely[:-1]) / 2, [0.5]])
    candidates = candidates[(candidates > 0) & (candidates < 1)]
    scores = METRICS[metric](_confusions(Decision(temperature).probabilities(logits)[:, 1], gold, candidates))
    if np.isnan(scores).all():
        return 0.5
    best = candidates[scores >= np.nanmax(scores) - 1e-12]
    return float(best[np.abs(best - 0.5).argmin()])


def _confusions(likely: Values, gold: Ids, thresholds: Values) -> npt.NDArray[np.int64]:
    """The confusion matrix at each threshold, shape (thresholds, 2, 2)."""
    matrices = np.empty((len(thresholds), 2, 2), dtype=np.int64)
    for label in (0, 1):
        below = np.searchsorted(np.sort(likely[gold == label]), thresholds, side="left")
        matrices[:, label, 0] = below
        matrices[:, label, 1] = (gold == label).sum() - below
    return matrices
