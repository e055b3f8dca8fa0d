"""Shorter spins of OpenMP's threads while other processes need the cores.

How long a thread spins is fixed when the library is loaded (`spinning.py`). Short spins make a step a fifth longer on
an idle machine; long ones make it ten times as long beside one busy process. GNU's library has a second, very short
limit, which holds while it manages more threads than there are cores. So while the scheduler reports that this
process' threads wait, an idle team of two threads is kept. The number of threads that compute does not change, so no
bit of the result does.
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

CHECK_EVERY = 0.5  # seconds
BUSY, IDLE = 0.10, 0.03  # seconds of waiting for a core per second, over all threads
TASKS, MAPS = Path("/proc/self/task"), Path("/proc/self/maps")


@contextlib.contextmanager
def shorter_spins_under_load() -> Iterator[None]:
    """In this block, checks every half second if other processes need the cores, unless the user set the spin count."""
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
    """Seconds that all threads of this process have waited for a core; None if the system does not report it."""
    total = 0
    try:
        for task in TASKS.iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
                total += int((task / "schedstat").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return total / 1e9


def should_shorten_spins(share: float, now: bool) -> bool:
    """Whether spins should be short, from the share of time waited and whether they are short ``now``."""
    return share > (IDLE if now else BUSY)


def _watch(ends: threading.Event) -> None:
    idle_team = _IdleOpenMPTeam()
    waited, when = cpu_wait_seconds() or 0.0, time.monotonic()
    while not ends.wait(CHECK_EVERY):
        before, start = waited, when
        waited, when = cpu_wait_seconds() or 0.0, time.monotonic()
        short = should_shorten_spins((waited - before) / (when - start), idle_team.exists)
        if short != idle_team.exists:
            idle_team.stop() if idle_team.exists else idle_team.start()
    idle_team.stop()


class _IdleOpenMPTeam:
    """Two idle threads of GNU's OpenMP, so that it manages more threads than there are cores."""

    def __init__(self) -> None:
        self._ends: threading.Event | None = None
        self._thread: threading.Thread | None = None

    @property
    def exists(self) -> bool:
        return self._ends is not None

    def start(self) -> None:
        self._ends = threading.Event()
        self._thread = threading.Thread(target=_hold_team, args=(self._ends,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._ends and self._thread:
            self._ends.set()
            self._thread.join()  # the library ends the team with the thread that started it
        self._ends = self._thread = None


def _hold_team(ends: threading.Event) -> None:
    no_op = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
    for path in _openmp_libraries():
        with contextlib.suppress(OSError, AttributeError):
            parallel = ctypes.CDLL(path).GOMP_parallel
            parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
            parallel(no_op, None, 2, 0)  # function, its argument, threads, flags
    ends.wait()


def _openmp_libraries() -> list[str]:
    """The copies of GNU's OpenMP in this process: torch's own, and others."""
    paths = {line.split(maxsplit=5)[-1].strip() for line in MAPS.read_text("utf-8", "replace").splitlines()}
    return sorted(path for path in paths if os.path.basename(path).startswith("libgomp"))
