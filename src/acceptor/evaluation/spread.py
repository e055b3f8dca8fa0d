"""Summarises scores of several trainings that differ by their seed: mean, standard deviation, expected maximum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from acceptor.evaluation.intervals import Interval


@dataclass(frozen=True)
class Spread:
    """One score of several runs.

    Attributes:
        values: The score of every run that has one, in the order of the runs.
        mean: Their mean.
        sd: Standard deviation with N - 1; None for fewer than two.
        low: The smallest.
        high: The largest.
        interval: 95 % interval of the mean over runs (Student's t), for a fixed test set; None for fewer than two, or
            if all have the same score: an interval of width 0 would be wrong.
        best_of: Expected largest of k runs drawn with replacement, for k = 1 … N; see `expected_maximum`.
    """

    values: tuple[float, ...]
    mean: float
    sd: float | None
    low: float
    high: float
    interval: Interval | None
    best_of: tuple[float, ...]

    def __str__(self) -> str:
        sd = "sd not defined (one run)" if self.sd is None else f"± {self.sd:.3f}"
        return f"{self.mean:.3f} {sd}, {self.low:.3f}–{self.high:.3f}"

    def to_dict(self) -> dict[str, object]:
        """All fields under their names in ``seeds.json``."""
        return {
            "n": len(self.values),
            "values": list(self.values),
            "mean": self.mean,
            "sd": self.sd,
            "min": self.low,
            "max": self.high,
            "interval": list(self.interval) if self.interval else None,
            "expected_maximum": list(self.best_of),
        }


def spread(values: Sequence[float], lowest: float = -1.0) -> Spread | None:
    """Mean, standard deviation, extremes and interval of scores in [``lowest``, 1]; None without any."""
    if not values:
        return None
    n, mean = len(values), float(np.mean(values))
    sd = float(np.std(values, ddof=1)) if n > 1 else None
    interval = None
    if sd and max(values) > min(values):  # the sd of equal values may be 1e-17
        half_width = float(stdtrit(n - 1, 0.975)) * sd / math.sqrt(n)
        interval = Interval(max(lowest, mean - half_width), min(1.0, mean + half_width))
    return Spread(tuple(values), mean, sd, min(values), max(values), interval, expected_maximum(values))


def expected_maximum(values: Sequence[float]) -> tuple[float, ...]:
    """The largest of k values drawn with replacement, in expectation, for k = 1 … N.

    E[max of k] = Σ v(i) · [(i/N)^k − ((i−1)/N)^k] over the values in ascending order (Dodge et al. 2019, "Show Your
    Work: Improved Reporting of Experimental Results", equation 7). For k = 1 it is the mean.
    """
    ordered, n = np.sort(np.asarray(values, dtype=np.float64)), len(values)
    shares = np.arange(n + 1) / n
    return tuple(float(ordered @ np.diff(shares**k)) for k in range(1, n + 1))
