"""`compare`: paired tests of judges on the same sentences, and the smallest difference that the test set can show."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import bdtr, stdtrit

from acceptor.errors import DataError, UsageError, checked_types
from acceptor.evaluation.groups import MAX_VALUES
from acceptor.evaluation.intervals import FEW, Interval, Z
from acceptor.evaluation.judged import Judged, check_same, judged_of
from acceptor.evaluation.metrics import METRICS, Values, check_metric, defined, lowest_score
from acceptor.evaluation.patterns import Ids, Patterns, patterns_of

logger = logging.getLogger(__name__)

DRAWS = 10_000
FEW_SOURCES = 5  # with fewer there is no interval for other sources: how much they differ is hardly known
POWER = 0.8416212335729143 + Z  # normal quantiles of 80 % power and of a two-sided test at 5 %


@dataclass(frozen=True)
class Comparison:
    """One system against the baseline, on the same examples. Differences are the system's score less the baseline's.

    Attributes:
        base: Name of the baseline.
        name: Name of the system.
        metric: The score that is compared.
        n: Number of examples; ``disagreeing`` of them are judged differently (a mean over pairs of seeds).
        seeds: Number of runs of the baseline and of the system. Of a single run, interval and p are about this one
            run, and not about other seeds.
        scores: Their scores, means over seeds.
        difference: Of the scores.
        interval: Its 95 % interval for other sentences of the same sources, and other seeds if there are several;
            None if the score is undefined in too many draws, or the verdicts do not differ.
        of_sources: Its 95 % interval for sentences of other sources; None for fewer than five sources, without
            `interval`, if the source of an example is missing, or if the score is undefined without one of them.
        p: The p-value of no difference: a permutation test for one run each, the bootstrap for several seeds.
        p_holm: The same, corrected for the number of systems compared (Holm 1979).
        p_mcnemar: Exact McNemar test of the accuracies; None for several seeds.
        standard_error: Of the difference: that of a normal distribution with this interval. Draws from Student's t
            have infinite variance with two or three seeds. NaN without interval.
        selected: True if the split chose a checkpoint or threshold of either: the scores are then too high.
        undefined: Names of the runs whose score is not defined; the difference is not defined either, then.
        left_out: Number of trainings of the baseline and of the system that collapsed or failed: not in this.
        sources: Number of sources; 0 without a column of them, or with one of more than 1000.
        without_source: Number of examples whose source is missing.
    """

    base: str
    name: str
    metric: str
    n: int
    disagreeing: float
    seeds: tuple[int, int]
    scores: tuple[float, float]
    difference: float
    interval: Interval | None
    of_sources: Interval | None
    p: float
    p_holm: float
    p_mcnemar: float | None
    standard_error: float
    selected: bool = False
    undefined: tuple[str, ...] = ()
    left_out: tuple[int, int] = (0, 0)
    sources: int = 0
    without_source: int = 0

    @property
    def smallest(self) -> float:
        """The smallest difference that four of five such sets of sentences would have shown at p < .05; or NaN."""
        return POWER * self.standard_error

    @property
    def sources_words(self) -> str:
        """The interval for other sources, or why there is none."""
        if self.of_sources:
            return f"{self.of_sources} if other sources could have been drawn"
        why = f"{self.metric} is not defined without one of these"
        if self.without_source:
            why = f"{self.without_source:,} of the {self.n:,} sentences have no source"
        elif self.sources < FEW_SOURCES:
            why = f"there are {self.sources}: it needs {FEW_SOURCES} at least"
        elif self.interval is None:
            why = "there is none for these"
        return f"no interval for other sources, since {why}"

    def __repr__(self) -> str:
        if math.isnan(self.difference):
            return f"{self.name} − {self.base}: {self.metric} not defined for {', '.join(self.undefined)}"
        return (
            f"{self.name} − {self.base}: {self.metric} {self.difference:+.3f} {self.interval or ''} p {self.p_holm:.3g}"
        )

    def to_dict(self) -> dict[str, object]:
        """All fields, with None for undefined ones."""
        content = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}
        content["smallest"] = self.smallest
        content["scores"] = [defined(score) for score in self.scores]
        return {key: defined(value) if isinstance(value, float) else value for key, value in content.items()}


@checked_types
def compare(
    base: Any,
    *others: Any,
    data: str | Path | None = None,
    reading: Mapping[str, Any] | None = None,
    split: str | None = None,
    metric: str = "mcc",
) -> list[Comparison]:
    """Every other system against the baseline, on the same sentences; p-values are corrected for their number.

    Args:
        base: The baseline: a `Report`, a `Run`, `Seeds`, their folder, or a sequence of runs that differ by seed.
        *others: The systems to compare with it, in the same forms.
        data: A file or corpus that all judge now; None for the verdicts of their training.
        reading: How to read it: ``columns``, ``separator``, ``labels``, ``normalise_labels``, ``drop_unlabelled``, as
            for `load_data`.
        split: ``test`` or ``validation`` of that training; None for test if all have it.
        metric: ``mcc``, ``accuracy``, ``f1`` or ``balanced_accuracy``.

    Raises:
        UsageError: No such metric or split, nothing to compare with, no split in common, both data and a split; or
            ``reading`` without data, or with an unknown name.
        DataError: Other sentences, labels or gold; or fewer than ten examples.
        RunError: A folder is no finished run, or its files were changed.
    """
    check_metric(metric)
    if not others:
        raise UsageError(
            "there is nothing to compare with",
            expected="two systems at least",
            code="E-USAGE-OPTION",
        )
    first, *rest = judged_of([base, *others], data=data, reading=reading, split=split)
    return compare_judged(first, rest, metric=metric)


def compare_judged(
    base: Judged, others: Sequence[Judged], *, metric: str = "mcc", draws: int = DRAWS
) -> list[Comparison]:
    """`compare` on given verdicts, with ``draws`` bootstrap samples and as many permutations."""
    if len(base.gold) < FEW:
        raise DataError(
            "too few examples for a comparison",
            expected=f"{FEW} at least",
            found=str(len(base.gold)),
            code="E-DATA-SPLIT",
        )
    for other in others:
        check_same(base, other)
    sources = _sources(base)
    found = [_compare(base, other, sources, metric, draws) for other in others]
    corrected = holm([one.p for one in found])
    return [replace(one, p_holm=p) for one, p in zip(found, corrected, strict=True)]


class _Sources(NamedTuple):
    """The sources of the examples: how many there are, and how many examples have none.

    ``numbers`` has the number of each example's source, shape (N,); None if one is missing, or nearly every example
    has its own.
    """

    numbers: Ids | None = None
    distinct: int = 0
    missing: int = 0


def _sources(base: Judged) -> _Sources:
    if base.sources is None:
        return _Sources()
    known = [str(source) for source in base.sources.tolist() if source not in (None, "")]
    names, numbers = np.unique(known, return_inverse=True)
    if len(names) > MAX_VALUES:
        logger.warning(
            "the column source has %s values, more than %s: it is not used, as it seems to be a key and no group",
            f"{len(names):,}",
            f"{MAX_VALUES:,}",
        )
        return _Sources()
    missing = len(base.sources) - len(known)
    return _Sources(None if missing else numbers, len(names), missing)


def _compare(base: Judged, other: Judged, sources: _Sources, metric: str, draws: int) -> Comparison:
    rng = np.random.default_rng(0)
    patterns = patterns_of(base, other, sources.numbers)
    observed = patterns.scores(metric, [patterns.counts[None, :].astype(np.float64)])
    scores = tuple(float(side.mean()) for side in observed)
    difference = scores[1] - scores[0]
    single = len(base.predicted) == len(other.predicted) == 1
    scores_drawn = patterns.scores(metric, patterns.stratified(draws, rng))
    errors = [_error_of_seeds(side[:, 0], drawn) for side, drawn in zip(observed, scores_drawn, strict=True)]
    drawn = _drop_undefined(_differences(scores_drawn, errors, lowest_score(metric), rng))
    p = _permutation_p(patterns, metric, difference, draws, rng) if single else _bootstrap_p(drawn)
    pairs = [(ours != theirs).sum() for ours in base.predicted for theirs in other.predicted]
    undefined = math.isnan(difference)
    interval = None if undefined else _percentiles(drawn, draws)
    return Comparison(
        base=base.name,
        name=other.name,
        metric=metric,
        n=len(base.gold),
        disagreeing=float(np.mean(pairs)),
        seeds=(len(base.predicted), len(other.predicted)),
        scores=(scores[0], scores[1]),
        difference=difference,
        interval=interval,
        of_sources=interval and _of_sources(patterns, metric, difference, errors, interval),
        p=math.nan if undefined else p,
        p_holm=math.nan,
        p_mcnemar=mcnemar_p(base.gold, base.predicted[0], other.predicted[0]) if single else None,
        standard_error=(interval.high - interval.low) / (2 * Z) if interval else math.nan,
        selected=base.selected or other.selected,
        undefined=(*_undefined(base, observed[0]), *_undefined(other, observed[1])),
        left_out=(base.left_out, other.left_out),
        sources=sources.distinct,
        without_source=sources.missing,
    )


def _undefined(system: Judged, scores: Values) -> list[str]:
    """Names of the runs whose score, of shape (seeds, 1), is not defined; a report is named as its system."""
    names = system.runs if len(system.runs) == len(scores) else (system.name,) * len(scores)
    return list(dict.fromkeys(name for name, score in zip(names, scores[:, 0], strict=True) if math.isnan(score)))


def mcnemar_p(gold: Ids, first: Ids, second: Ids) -> float:
    """Exact two-sided McNemar test on the examples that only one of them judged right (McNemar 1947)."""
    only_first = int(((first == gold) & (second != gold)).sum())
    only_second = int(((first != gold) & (second == gold)).sum())
    total = only_first + only_second
    return min(1.0, 2 * float(bdtr(min(only_first, total - only_first), total, 0.5)))


def holm(values: Sequence[float]) -> list[float]:
    """p-values corrected for their number by Holm's step-down method (Holm 1979); NaN stay NaN and are not counted."""
    ranked = sorted((value, index) for index, value in enumerate(values) if not math.isnan(value))
    corrected, largest = [math.nan] * len(values), 0.0
    for rank, (value, index) in enumerate(ranked):
        largest = max(largest, min(1.0, (len(ranked) - rank) * value))
        corrected[index] = largest
    return corrected


def _differences(
    drawn: tuple[Values, Values], errors: Sequence[float], lowest: float, rng: np.random.Generator
) -> Values:
    """Differences of the mean scores in draws of two levels, shape (B,): of examples, as drawn, and of seeds.

    Student's t of two seeds has no bounds, but a mean score is between ``lowest`` and 1.
    """
    first, second = (
        np.clip(scores.mean(axis=0) + error * rng.standard_t(max(1, len(scores) - 1), size=scores.shape[1]), lowest, 1)
        for scores, error in zip(drawn, errors, strict=True)
    )
    return np.asarray(second - first)


def _error_of_seeds(observed: Values, drawn: Values) -> float:
    """Standard error of the mean of S seeds' scores that comes from the seeds themselves; 0 for a single one.

    Part of the variation between seeds is their interaction with the sentences (in an analysis of variance of seeds and
    draws). The draws of sentences already include it, so it is subtracted (Owen 2007 shows that resampling both levels
    counts it three times).

    Args:
        observed: Scores of S seeds on all sentences, shape (S,).
        drawn: Their scores on the draws of sentences, shape (S, B).
    """
    seeds = len(observed)
    if seeds < 2:
        return 0.0
    drawn = drawn[:, ~np.isnan(drawn).any(axis=0)]
    if not drawn.shape[1]:
        return 0.0
    centred = drawn - drawn.mean(axis=0) - drawn.mean(axis=1, keepdims=True) + drawn.mean()
    interaction = np.sum(centred**2) / ((seeds - 1) * max(1, drawn.shape[1] - 1))
    return math.sqrt(max(0.0, float(observed.var(ddof=1)) - interaction) / seeds)


def _of_sources(
    patterns: Patterns, metric: str, difference: float, errors: Sequence[float], interval: Interval
) -> Interval | None:
    """The 95 % interval for other sources: a jackknife that leaves out one source each, with Student's t.

    Draws of few sources vary far less than sources do; the jackknife with S − 1 degrees of freedom keeps its promise
    (Cameron, Gelbach & Miller 2008; MacKinnon, Nielsen & Webb 2023). The variance of seeds is added, and its degrees of
    freedom by Welch & Satterthwaite. Other sources bring other sentences: it holds `interval`.
    """
    if patterns.by_source is None or patterns.by_source.shape[0] < FEW_SOURCES:
        return None
    without = patterns.scores(metric, patterns.without_sources(patterns.by_source))
    changes = without[1].mean(axis=0) - without[0].mean(axis=0) - difference
    freedom = np.array([len(changes) - 1, *(max(1, len(runs) - 1) for runs in patterns.cells)])
    variances = np.array([np.sum(changes**2) * freedom[0] / len(changes), *np.square(errors)])
    variance = variances.sum()
    if not variance > 0:  # NaN, or all sources are alike
        return None if math.isnan(variance) else interval
    half_width = math.sqrt(variance) * stdtrit(variance**2 / np.sum(variances**2 / freedom), 0.975)
    most = 1 - lowest_score(metric)  # the largest difference that there can be
    low, high = max(-most, difference - half_width), min(most, difference + half_width)
    return Interval(float(min(low, interval.low)), float(max(high, interval.high)))


def _permutation_p(patterns: Patterns, metric: str, difference: float, draws: int, rng: np.random.Generator) -> float:
    """Two-sided p-value of a permutation test that swaps the two systems' verdicts on random examples.

    Counts the permutations whose difference is at least as large, including the observed one (Phipson & Smyth 2010).
    """
    shape, counts, score = (-1, patterns.labels, patterns.labels), patterns.counts, METRICS[metric]
    (first,), (second,) = patterns.cells
    found = []
    for rows in patterns.parts(draws):
        swapped = rng.binomial(counts, 0.5, size=(rows, len(counts)))
        kept = counts - swapped
        ours, theirs = kept @ first + swapped @ second, kept @ second + swapped @ first
        found.append(score(theirs.reshape(shape)) - score(ours.reshape(shape)))
    as_large = np.abs(_drop_undefined(np.concatenate(found))) >= abs(difference) - 1e-12
    return float((as_large.sum() + 1) / (len(as_large) + 1))


def _bootstrap_p(drawn: Values) -> float:
    """Two-sided p: twice the share of draws on the rarer side of 0."""
    if not len(drawn):
        return math.nan
    rarer = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return min(1.0, 2 * (rarer + 1) / (len(drawn) + 1))


def _percentiles(drawn: Values, draws: int) -> Interval | None:
    drawn = _drop_undefined(drawn)
    if len(drawn) < 0.95 * draws or np.ptp(drawn) == 0:
        return None
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(low), float(high))


def _drop_undefined(values: Values) -> Values:
    return np.asarray(values[~np.isnan(values)])
