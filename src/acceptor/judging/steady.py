"""`SteadyJudge`: logits of many small batches, as a server gets them: lossless, and as fast as bf16."""

from __future__ import annotations

import threading

import numpy as np

from acceptor.judging.close_calls import CLOSE_FACTOR
from acceptor.judging.decision import Logits
from acceptor.judging.judge import Judge
from acceptor.model.encode import Encoded

LEARNED = 512  # inputs that are computed in both precisions before the largest change is known well enough


class SteadyJudge:
    """A judge that remembers how much bf16 changes its calls.

    `Judge.logits_of` learns that anew in every call, from the closest 64 inputs, so it computes smaller batches in fp32
    altogether. This one learns it once, from the first inputs that it gets, and later from each close call. Several
    threads may ask at the same time.
    """

    def __init__(self, judge: Judge) -> None:
        """Knows nothing yet.

        Args:
            judge: The judge.
        """
        self.judge = judge
        self._compared = 0
        self._largest_change = 0.0
        self._lock = threading.Lock()

    def logits_of(self, encoded: Encoded) -> Logits:
        """Raw scores: float32, shape (N, labels); close calls of a lossless judge in bf16 are computed in fp32."""
        judge, rows = self.judge, np.arange(len(encoded))
        rough = judge.logits_in(encoded, rows, judge.runtime.precision)
        if not judge.recomputes_close_calls:
            return rough
        close = rows if self._compared < LEARNED else self._close(rough)
        logits, done = rough.copy(), rows[:0]
        while len(close):
            logits[close] = judge.logits_in(encoded, close, "fp32")
            self._learn(rough[close], logits[close])
            done = np.union1d(done, close)
            close = np.setdiff1d(self._close(rough), done)  # more, if the change was larger than any before
        return logits

    def _close(self, rough: Logits) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The inputs whose label fp32 may change; those that are not finite as well."""
        return np.flatnonzero(~(self.judge.decision.margins(rough) > CLOSE_FACTOR * self._largest_change))

    def _learn(self, before: Logits, after: Logits) -> None:
        changes = np.ptp(after - before, axis=1)
        with self._lock:
            self._largest_change = max(self._largest_change, float(changes[np.isfinite(changes)].max(initial=0)))
            self._compared += len(before)
