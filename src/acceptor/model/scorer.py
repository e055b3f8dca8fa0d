"""`Scorer`: from padded batches to logits, with torch or ONNX Runtime."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acceptor.model.batches import Padded, Rows

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Scorer:
    """Scores batches, one per core at a time: matmuls this small are slower when several cores share them.

    Attributes:
        score: From a batch of `batches.pad` to logits, float32, shape (B, labels). Safe to call from any thread.
        cores: How many cores the calling thread may use, which is how many batches are scored at once.
        init_thread: Called once in each worker thread, so that it computes on one core.
    """

    score: Callable[[Padded], Logits]
    cores: Callable[[], int]
    init_thread: Callable[[], None] | None = None

    def run(self, job: Callable[[Rows], None], batches: Sequence[Rows]) -> None:
        """Calls ``job``, which calls `score`, for every batch; the batches are sorted by length."""
        cores = self.cores()
        if min(cores, len(batches)) < 2:
            for rows in batches:
                job(rows)
            return
        workers = _workers(cores, self.init_thread)
        # The longest first, so that no long one runs alone at the end.
        futures = [workers.submit(job, rows) for rows in reversed(batches)]
        try:
            for future in futures:
                future.result()
        finally:
            for future in futures:
                future.cancel()
            wait(futures)


_pools: dict[tuple[int, Callable[[], None] | None], ThreadPoolExecutor] = {}
_lock = threading.Lock()


def _workers(cores: int, init_thread: Callable[[], None] | None) -> ThreadPoolExecutor:
    """The threads that score, shared by all judges of this process and all callers."""
    with _lock:
        if (cores, init_thread) not in _pools:
            _pools[cores, init_thread] = _started(cores, init_thread)
        return _pools[cores, init_thread]


def _started(cores: int, init_thread: Callable[[], None] | None) -> ThreadPoolExecutor:
    """A pool whose threads all run: one that started later would change torch's number of threads then.

    If one cannot be started or initialized, the others end, and the error is raised.
    """
    pool = ThreadPoolExecutor(cores, "acceptor-scores", initializer=init_thread)
    together = threading.Barrier(cores)
    try:
        for future in wait([pool.submit(together.wait) for _ in range(cores)], return_when=FIRST_EXCEPTION).done:
            future.result()
    except BaseException:
        together.abort()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    return pool


def _reset_after_fork() -> None:
    """A forked child has none of these threads."""
    global _lock
    _pools.clear()
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_reset_after_fork)
