"""A machine that is not idle: while this process' threads have to wait for cores, they do not spin for each other.

How long a thread spins is fixed when the library is loaded (`spinning.py`): short spins cost a fifth of a step where
nobody else is there, long ones make it ten times as long beside one busy process. GNU's library has a second, very
short bound, for when it manages more threads than there are cores. So a team of two is made and left idle while the
scheduler's figures show waiting. How many threads compute stays the same, and with that every bit of the result.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from acceptor.runtime.spinning import controls_spinning

LOOK_EVERY = 0.5  # seconds
BUSY, IDLE = 0.10, 0.03  # of the time that all threads together wait for a core
TASKS, MAPS = Path("/proc/self/task"), Path("/proc/self/maps")


@contextlib.contextmanager
def shorter_spins_under_load() -> Iterator[None]:
    """Looks every half second, in this block, whether others need the cores. Does nothing where the user decided."""
    import torch

    if not controls_spinning() or sys.platform != "linux" or torch.get_num_threads() == 1 or cpu_wait_seconds() is None:
        yield
        return
    ends = threading.Event()
    watch = threading.Thread(target=_watch, args=(ends,), daemon=True)
    watch.start()
    try:
        yield
    finally:
        ends.set()
        watch.join()


def cpu_wait_seconds() -> float | None:
    """Seconds that all threads of this process together have been ready to run, without a core; None: not known."""
    total = 0
    try:
        for task in TASKS.iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
                total += int((task / "schedstat").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return total / 1e9


def should_shorten_spins(share: float, now: bool) -> bool:
    """Whether spins are to be short, where threads waited for this share of the time and spins are short ``now``."""
    return share > (IDLE if now else BUSY)


def _watch(ends: threading.Event) -> None:
    idle_team = _IdleTeam()
    waited, when = cpu_wait_seconds() or 0.0, time.monotonic()
    while not ends.wait(LOOK_EVERY):
        before, began = waited, when
        waited, when = cpu_wait_seconds() or 0.0, time.monotonic()
        short = should_shorten_spins((waited - before) / (when - began), idle_team.there)
        if short != idle_team.there:
            idle_team.end() if idle_team.there else idle_team.make()
    idle_team.end()


class _IdleTeam:
    """Two threads of GNU's OpenMP that do nothing, one above what the machine has cores for."""

    def __init__(self) -> None:
        self._ends: threading.Event | None = None
        self._thread: threading.Thread | None = None

    @property
    def there(self) -> bool:
        return self._ends is not None

    def make(self) -> None:
        self._ends = threading.Event()
        self._thread = threading.Thread(target=_stand_by, args=(self._ends,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        if self._ends and self._thread:
            self._ends.set()
            self._thread.join()  # the library takes the team apart with the thread that made it
        self._ends = self._thread = None


def _stand_by(ends: threading.Event) -> None:
    nothing = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
    for path in _openmp_libraries():
        with contextlib.suppress(OSError, AttributeError):
            parallel = ctypes.CDLL(path).GOMP_parallel
            parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
            parallel(nothing, None, 2, 0)  # function, its argument, threads, flags
    ends.wait()


def _openmp_libraries() -> list[str]:
    """GNU's OpenMP as it is loaded here: torch's own, others' beside it."""
    paths = {line.split(maxsplit=5)[-1].strip() for line in MAPS.read_text("utf-8", "replace").splitlines()}
    return sorted(path for path in paths if os.path.basename(path).startswith("libgomp"))
