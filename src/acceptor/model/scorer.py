"""`Scorer`: what turns padded batches into logits, be it torch or ONNX Runtime."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acceptor.model.batches import Rows

Inputs = dict[str, npt.NDArray[np.int64]]
Logits = npt.NDArray[np.float32]


def _no_init() -> None:
    pass


@dataclass(frozen=True)
class Scorer:
    """Scores batches, several at once where there are several cores: products this small are slower on shared ones.

    Attributes:
        score: From one batch as `batches.pad` makes it to logits, float32, shape (B, labels). From any thread.
        cores: How many the calling thread may use: so many batches are scored at once, each on a core of its own.
        alone: Called once in each thread that scores: it computes on one core from then on.
    """

    score: Callable[[Inputs], Logits]
    cores: Callable[[], int]
    init_thread: Callable[[], None] = _no_init

    def run(self, work: Callable[[Rows], None], batches: Sequence[Rows]) -> None:
        """Does ``work``, which calls `score`, for every batch; the batches are sorted by length."""
        cores = self.cores()
        if min(cores, len(batches)) < 2:
            for rows in batches:
                work(rows)
            return
        workers = _workers(cores, self.init_thread)
        # The longest first, so that none is left for the end.
        futures = [workers.submit(work, rows) for rows in reversed(batches)]
        try:
            for future in futures:
                future.result()
        finally:
            for future in futures:
                future.cancel()
            wait(futures)


_pools: dict[tuple[int, Callable[[], None]], ThreadPoolExecutor] = {}
_lock = threading.Lock()


def _workers(cores: int, init_thread: Callable[[], None]) -> ThreadPoolExecutor:
    """The threads that score, for all judges in this process and whoever calls them: so many compute at once."""
    with _lock:
        if (cores, init_thread) not in _pools:
            _pools[cores, init_thread] = ThreadPoolExecutor(cores, "acceptor-scores", initializer=init_thread)
        return _pools[cores, init_thread]


def _reset_after_fork() -> None:
    """In a forked child there are no such threads."""
    global _lock
    _pools.clear()
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_reset_after_fork)
