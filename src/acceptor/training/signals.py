"""Defers SIGINT and SIGTERM to the end of a training step, and says how to go on after them."""

from __future__ import annotations

import _thread
import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def deferred_signals(words: str = "") -> Iterator[list[int]]:
    """Defers SIGINT and SIGTERM. The yielded list contains the signals that have arrived.

    After the block, the first of them is raised again for its previous handler: Python's own (KeyboardInterrupt), the
    command line's (exit code 143), a scheduler's. Later ones are ignored. In other threads than the main one, nothing
    is deferred. ``words`` are logged when the first one arrives: a validation may take minutes.
    """
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield seen
        return
    known = [getattr(signal, name) for name in ("SIGINT", "SIGTERM") if hasattr(signal, name)]
    # An ignored signal (a background job's SIGINT, nohup) stays ignored: raised again it would not end the process.
    # A handler that is not Python's (None) could not be set again.
    deferred = [number for number in known if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    ended = threading.Event()

    def answer() -> None:
        if not ended.is_set():  # else what has been done is told already
            logger.warning("%s", words)

    def defer(number: int, _: object) -> None:
        if words and not seen:  # from another thread: what this one was just writing must not be written into
            _thread.start_new_thread(answer, ())
        seen.append(number)

    before = {number: signal.signal(number, defer) for number in deferred}
    try:
        yield seen
    except Exception as error:
        if seen:  # the signal hides it
            logger.error("%s", error)
        raise
    finally:
        ended.set()
        for number, handler in before.items():
            signal.signal(number, handler)
        if seen:  # also after an error, which may be one that the caller goes on from
            signal.raise_signal(signal.Signals(seen[0]))


@contextlib.contextmanager
def log_on_stop(words: Callable[[], str]) -> Iterator[None]:
    """Logs ``words()`` if SIGINT or SIGTERM ends the block."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        logger.warning("%s", words())
        raise


def any_process(stop: bool, device: str, world_size: int) -> bool:
    """True in all processes if ``stop`` is true in one, so that all stop after the same step."""
    if world_size == 1:
        return stop
    import torch

    votes = torch.tensor(float(stop), device=device)
    torch.distributed.all_reduce(votes)
    return bool(votes)
