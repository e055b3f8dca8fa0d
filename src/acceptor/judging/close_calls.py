"""Computes close calls of bf16 again in fp32, and says which calls are close."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from acceptor.judging.decision import Logits

CLOSE_CALLS = 64  # calls that are computed again at once; if there are no more inputs than that, all are judged in fp32
CLOSE_FACTOR = 4.0  # a margin is close if it is less than so many times the largest change that was seen

Values = npt.NDArray[np.floating[Any]]


def recompute_close_calls(
    logits: Logits,
    calls: npt.NDArray[np.int64],
    *,
    margins: Callable[[Logits], Values],
    changes: Callable[[Logits, Logits], Values],
    in_fp32: Callable[[npt.NDArray[np.int64]], Logits],
    at_once: int = CLOSE_CALLS,
) -> None:
    """Computes the closest calls again in fp32, in place.

    It starts with the smallest margin and ends when margins are `CLOSE_FACTOR` times the largest change so far.
    That bound is empirical, not a proof.

    Args:
        logits: float32, shape (N, labels). It is changed.
        calls: int64, shape (k, M): each of M calls is decided by k inputs: a verdict by one, a pair's order by two.
        margins: How far each call is from another answer, ≥ 0, shape (M,), from logits of shape (k, M, labels).
        changes: By how much calls have changed, ≥ 0, shape (m,), from the logits before and after, (k, m, labels).
        in_fp32: The logits of some inputs in fp32, shape (n, labels), from their numbers, shape (n,).
        at_once: How many calls are computed again before margins and changes are compared.
    """
    before = logits.copy()
    distances = margins(before[calls])
    closest_first = np.argsort(distances, kind="stable")
    largest_change = 0.0
    for start in range(0, len(closest_first), at_once):
        part = closest_first[start : start + at_once]
        if start and distances[part[0]] > CLOSE_FACTOR * largest_change:
            break
        rows = np.unique(calls[:, part])
        logits[rows] = in_fp32(rows)
        changed = changes(before[calls[:, part]], logits[calls[:, part]])
        largest_change = max(largest_change, float(changed.max()))
