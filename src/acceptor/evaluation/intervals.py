"""95 % intervals for scores that are computed from a confusion matrix."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from acceptor.evaluation.metrics import Confusion, mcc

Z = 1.959963984540054  # the normal distribution's 97.5 % quantile


class Interval(NamedTuple):
    """Lower and upper end of a 95 % interval."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"[{self.low:.3f}, {self.high:.3f}]"


def mcc_interval(confusion: Confusion, draws: int = 2000) -> Interval | None:
    """A 95 % interval for the Matthews correlation; None where the correlation is not defined.

    Two labels: the multinomial delta method (Bishop, Fienberg & Holland 1975, section 11.3). More
    labels: the percentiles of ``draws`` confusion matrices drawn from the observed shares, seeded.

    Where every verdict is right (or, for two labels, wrong) both have no width. Then the far end is the
    correlation that would follow if each label's share of right verdicts were Wilson's lower bound.
    """
    phi = mcc(confusion)
    if math.isnan(phi):
        return None
    n = int(confusion.sum())
    if abs(phi) == 1:
        return _interval_at_the_end(confusion, phi)
    if len(confusion) > 2:
        matrices = np.random.default_rng(0).multinomial(n, confusion.ravel() / n, size=draws)
        scores = [mcc(matrix.reshape(confusion.shape)) for matrix in matrices]
        low, high = np.nanpercentile(scores, [2.5, 97.5])
        return Interval(float(low), float(high))
    r1, r2 = (confusion.sum(axis=1) / n).tolist()
    c1, c2 = (confusion.sum(axis=0) / n).tolist()
    variance = (
        1
        - phi**2
        + phi * (1 + phi**2 / 2) * (r1 - r2) * (c1 - c2) / math.sqrt(r1 * r2 * c1 * c2)
        - 0.75 * phi**2 * ((r1 - r2) ** 2 / (r1 * r2) + (c1 - c2) ** 2 / (c1 * c2))
    ) / n
    margin = Z * math.sqrt(max(variance, 0.0))
    return Interval(max(-1.0, phi - margin), min(1.0, phi + margin))


def _interval_at_the_end(confusion: Confusion, phi: float) -> Interval:
    labels = len(confusion)
    share = share_interval(int(confusion.sum()), int(confusion.sum())).low
    wrong = confusion.sum(axis=1, keepdims=True) - confusion
    far = mcc(share * confusion + (1 - share) * wrong / (labels - 1))
    return Interval(far, 1.0) if phi > 0 else Interval(-1.0, far)


def share_interval(hits: float, n: int) -> Interval:
    """A 95 % interval for a share such as accuracy (Wilson 1927)."""
    share = hits / n
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    margin = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n * n))
    return Interval(max(0.0, centre - margin), min(1.0, centre + margin))
