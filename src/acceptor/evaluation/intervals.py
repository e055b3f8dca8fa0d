"""95 % intervals: in closed form for a correlation and a share, by a bootstrap for any other score."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from acceptor.evaluation.metrics import Confusion, Values, mcc

Z = 1.959963984540054  # the normal distribution's 97.5 % quantile
DRAWS = 2000  # of a bootstrap
AT_ONCE = 1_000_000  # weights in memory at once: 8 MB
KNOWN_SHARE = 0.95  # of the draws, in which a score must be defined to have an interval
FEW = 10  # with fewer examples no interval is given

Statistic = Callable[[Values], Values]
"""A score of weighted examples: from weights of shape (B, N) to values of shape (B,), NaN where not defined."""


class Interval(NamedTuple):
    """Lower and upper end of a 95 % interval."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"[{self.low:.3f}, {self.high:.3f}]"


def mcc_interval(confusion: Confusion) -> Interval | None:
    """A 95 % interval for the Matthews correlation; None if it is not defined, or for fewer than ten examples.

    Its ends are equally far from the correlation on Fisher's scale, artanh (Fisher 1921): a correlation near 1 varies
    more downwards than upwards. The variance for two labels is that of the multinomial delta method (Bishop, Fienberg &
    Holland 1975, section 11.3). For more labels it is that of `DRAWS` confusion matrices drawn from the observed
    shares, seeded; None if the correlation of more than one draw of twenty is not defined, or that of all is the same.

    If every verdict is right (or, for two labels, wrong), the variance is 0. Then the other end is the correlation that
    results if each label's share of right verdicts is Wilson's lower bound.
    """
    phi = float(mcc(confusion))
    n = int(confusion.sum())
    if math.isnan(phi) or n < FEW:
        return None
    if abs(phi) == 1:
        return _interval_at_the_end(confusion, phi)
    if len(confusion) > 2:
        drawn = _drawn_correlations(confusion, n)
        known = drawn[~np.isnan(drawn)]
        if len(known) < KNOWN_SHARE * len(drawn):
            return None
        variance = float(known.var())
        if variance < 1e-20:  # every draw has the same correlation, such as that of labels in a cycle
            return None
    else:
        variance = _delta_variance(confusion, phi)
    centre, half_width = math.atanh(phi), Z * math.sqrt(variance) / (1 - phi**2)
    return Interval(math.tanh(centre - half_width), math.tanh(centre + half_width))


def _delta_variance(confusion: Confusion, phi: float) -> float:
    """The variance of the correlation ``phi`` of two labels."""
    n = int(confusion.sum())
    r1, r2 = (confusion.sum(axis=1) / n).tolist()
    c1, c2 = (confusion.sum(axis=0) / n).tolist()
    variance = (
        1
        - phi**2
        + phi * (1 + phi**2 / 2) * (r1 - r2) * (c1 - c2) / math.sqrt(r1 * r2 * c1 * c2)
        - 0.75 * phi**2 * ((r1 - r2) ** 2 / (r1 * r2) + (c1 - c2) ** 2 / (c1 * c2))
    ) / n
    return max(float(variance), 0.0)


def _drawn_correlations(confusion: Confusion, n: int) -> Values:
    """The correlations of matrices that are drawn from the shares of the cells, of which few are not zero."""
    rng, cells = np.random.default_rng(0), np.flatnonzero(confusion)
    counts = rng.multinomial(n, confusion.ravel()[cells] / n, size=DRAWS)
    step = max(1, AT_ONCE // confusion.size)
    found = []
    for start in range(0, DRAWS, step):
        some = counts[start : start + step]
        matrices = np.zeros((len(some), confusion.size), dtype=np.int64)
        matrices[:, cells] = some
        found.append(mcc(matrices.reshape(-1, *confusion.shape)))
    return np.concatenate(found)


def _interval_at_the_end(confusion: Confusion, phi: float) -> Interval:
    labels = len(confusion)
    share = share_interval(int(confusion.sum()), int(confusion.sum())).low
    wrong = confusion.sum(axis=1, keepdims=True) - confusion
    far = float(mcc(share * confusion + (1 - share) * wrong / (labels - 1)))
    return Interval(far, 1.0) if phi > 0 else Interval(-1.0, far)


def share_interval(hits: float, n: int) -> Interval:
    """A 95 % interval for a share such as accuracy (Wilson 1927)."""
    share = hits / n
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half_width = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n * n))
    return Interval(max(0.0, centre - half_width) if hits else 0.0, min(1.0, centre + half_width) if hits < n else 1.0)


def bootstrap_intervals(
    statistics: Mapping[str, Statistic], n: int, *, biased: Collection[str] = (), draws: int = DRAWS
) -> dict[str, Interval | None]:
    """95 % intervals by the bias-corrected and accelerated bootstrap (Efron 1987, equations 2.3 and 6.6).

    An example that is drawn k times has the weight k, so that the examples are sorted once for all draws, and the
    same draws are used for all scores.

    Args:
        statistics: Scores of weighted examples, by name.
        n: Number of examples.
        biased: Names of scores ≥ 0 that sampling biases upwards. The bootstrap's draws, sampled twice, are biased
            again; they are reflected at the score (Davison & Hinkley 1997, equation 5.6) instead. The interval holds
            the score, even where its bias is larger than its spread.
        draws: How many samples of n examples are drawn; the jackknife makes as many at most.

    Returns:
        None if a score is undefined, for all examples or for more than one draw of twenty; also if every draw has the
        same score, for example if all verdicts are right: an interval of width 0 would be wrong.
    """
    rng = np.random.default_rng(0)
    drawn = _scores(statistics, (_draw(rng, n, rows) for rows in parts(draws, n)))
    without = _scores(statistics, _jackknife_weights(n, draws, rng))
    values = {name: unweighted(statistic, n) for name, statistic in statistics.items()}
    return {
        name: _reflected(value, drawn[name]) if name in biased else _bca(value, drawn[name], without[name])
        for name, value in values.items()
    }


def unweighted(score: Statistic, n: int) -> float:
    """The score of all n examples, each once."""
    return float(score(np.ones((1, n)))[0])


def _reflected(value: float, drawn: Values) -> Interval | None:
    if math.isnan(value) or np.isnan(drawn).any() or np.ptp(drawn) == 0:
        return None
    low, high = 2 * value - np.quantile(drawn, [0.975, 0.025])
    return Interval(max(0.0, float(low)), max(value, float(high)))


def _bca(value: float, drawn: Values, without: Values) -> Interval | None:
    """The interval from the scores of all examples, of the draws, and of the jackknife samples."""
    scores, without = drawn[~np.isnan(drawn)], without[~np.isnan(without)]
    if math.isnan(value) or len(scores) < KNOWN_SHARE * len(drawn) or np.ptp(scores) == 0:
        return None
    below = (np.sum(scores < value) + np.sum(scores <= value)) / 2  # ties count half
    bias = ndtri(np.clip(below / len(scores), 1 / len(scores), 1 - 1 / len(scores)))
    away = without.mean() - without
    spread = np.sum(away**2)
    acceleration = np.sum(away**3) / (6 * spread**1.5) if spread > 0 else 0.0
    ends = bias + np.array([-Z, Z])
    low, high = np.quantile(scores, ndtr(bias + ends / (1 - acceleration * ends)))
    return Interval(float(low), float(high))


def _scores(statistics: Mapping[str, Statistic], parts: Iterator[Values]) -> dict[str, Values]:
    """Every score of all parts' weights."""
    found = [{name: statistic(weights) for name, statistic in statistics.items()} for weights in parts]
    return {name: np.concatenate([scores[name] for scores in found]) for name in statistics}


def _draw(rng: np.random.Generator, n: int, rows: int) -> Values:
    """Weights of samples of n examples with replacement, float64, shape (rows, n)."""
    places = rng.integers(n, size=(rows, n)) + n * np.arange(rows)[:, None]
    return np.bincount(places.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def _jackknife_weights(n: int, most: int, rng: np.random.Generator) -> Iterator[Values]:
    """Weights without one example each; of more examples than ``most`` without one of so many random groups."""
    groups = min(n, most)
    group = rng.permutation(np.arange(n) % groups)
    start = 0
    for rows in parts(groups, n):
        yield (group[None, :] != np.arange(start, start + rows)[:, None]).astype(np.float64)
        start += rows


def parts(rows: int, width: int) -> Iterator[int]:
    """``rows`` in parts, each small enough to hold ``width`` numbers for each of its rows in memory."""
    size = max(1, AT_ONCE // width)
    return (min(size, rows - start) for start in range(0, rows, size))
