"""Standard input for a thread, which no signal reaches: the main one can end its wait for what is not written yet."""

from __future__ import annotations

import io
import os
import select
import sys
import threading
from typing import Any, BinaryIO

INTERVAL = 0.2  # seconds between two looks at the event


def standard_input(stopped: threading.Event | None) -> BinaryIO:
    """The bytes of standard input. Once the event is set, a read finds the end.

    On Windows a read goes on waiting, since `select` takes only sockets there.
    """
    raw = getattr(sys.stdin.buffer, "raw", None)  # None if a program has replaced it by bytes in memory
    if stopped is None or raw is None or os.name == "nt":
        return sys.stdin.buffer
    return io.BufferedReader(_Stoppable(raw, stopped))


class _Stoppable(io.RawIOBase):
    def __init__(self, raw: Any, stopped: threading.Event) -> None:
        self._raw, self._stopped = raw, stopped

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        while not select.select([self._raw], [], [], INTERVAL)[0]:
            if self._stopped.is_set():
                return 0
        read: int | None = self._raw.readinto(buffer)
        return read
