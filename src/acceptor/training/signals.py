"""Signals that wait until a training step is whole."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def deferred_signals() -> Iterator[list[int]]:
    """Holds SIGINT and SIGTERM back: the list tells which have come.

    When the block has ended, the first of them is raised again for whoever handled it before: Python's own handler
    (KeyboardInterrupt), the command line's (exit code 143), a scheduler's. Further ones do no harm. Only the main
    thread can do this; elsewhere nothing is held.
    """
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield seen
        return
    # One that is ignored (a background job's SIGINT, nohup) stays so: raised again it would not end anything.
    heeded = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, lambda came, _: seen.append(came)) for number in heeded}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if seen:
        signal.raise_signal(signal.Signals(seen[0]))


def any_process(stop: bool, device: str, world_size: int) -> bool:
    """True in all processes that train together where one of them is to stop: none waits for one that is gone."""
    if world_size == 1:
        return stop
    import torch

    votes = torch.tensor(float(stop), device=device)
    torch.distributed.all_reduce(votes)
    return bool(votes)
