"""`Scorer`: what turns padded batches into logits, be it torch or ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acceptor.batches import Rows

Inputs = dict[str, npt.NDArray[np.int64]]
Logits = npt.NDArray[np.float32]


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Scorer:
    """Scores batches, several at once where there are several cores: products this small are slower on shared ones.

    Attributes:
        score: From one batch as `batches.pad` makes it to logits, float32, shape (B, labels).
        threads: How many batches are scored at once, each on a core of its own.
        begin: Called by each of several threads first.
        end: Called when several threads are done.
    """

    score: Callable[[Inputs], Logits]
    threads: int
    begin: Callable[[], None] = _nothing
    end: Callable[[], None] = _nothing

    def each(self, work: Callable[[Rows], None], batches: Sequence[Rows]) -> None:
        """Does ``work``, which calls `score`, for every batch; the batches are sorted by length."""
        threads = min(self.threads, len(batches))
        if threads < 2:
            for rows in batches:
                work(rows)
            return
        with ThreadPoolExecutor(threads, initializer=self.begin) as pool:
            for _ in pool.map(work, reversed(batches)):  # the longest first, so that none is left for the end
                pass
        self.end()
