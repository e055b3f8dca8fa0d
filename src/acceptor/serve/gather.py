"""Jobs in the queue of a judge, and forward passes: rows of several jobs that are computed together."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from acceptor.model.encode import Encoded

TURN_TOKENS = 256  # tokens of a request that has its turn
clock = time.monotonic


@dataclass(frozen=True, eq=False)
class Part:
    """Consecutive rows of a request's inputs.

    Attributes:
        encoded: All inputs of the request.
        start: The first row.
        end: The row after the last one, > start.
    """

    encoded: Encoded
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    @property
    def tokens(self) -> int:
        """How many tokens the rows have."""
        return int(self.encoded.offsets[self.end] - self.encoded.offsets[self.start])

    def halves(self) -> tuple[Part, Part]:
        """Both halves of at least two rows."""
        middle = (self.start + self.end) // 2
        return Part(self.encoded, self.start, middle), Part(self.encoded, middle, self.end)


def gathered(parts: Sequence[Part]) -> Encoded:
    """The rows of all parts, one after the other. All have token types, or none has."""
    spans = [slice(part.encoded.offsets[part.start], part.encoded.offsets[part.end]) for part in parts]
    ids = np.concatenate([part.encoded.ids[span] for part, span in zip(parts, spans, strict=True)])
    lengths = np.concatenate([np.diff(part.encoded.offsets[part.start : part.end + 1]) for part in parts])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    types = [
        part.encoded.type_ids[span]
        for part, span in zip(parts, spans, strict=True)
        if part.encoded.type_ids is not None
    ]
    type_ids = np.concatenate(types) if types else None
    return Encoded(ids, type_ids, offsets, np.zeros(len(lengths), dtype=np.int32))


@dataclass(eq=False)
class Job:
    """The inputs of one request, or one call, in the queue.

    Attributes:
        future: Set when all is computed.
        tokens: How many tokens it has.
        encoded: The inputs; None for a call.
        logits: Where their logits go, float32, shape (N, labels); None for a call.
        call: The call.
        arrived: When its request came to the queue.
        taken: When the first row was taken from it; 0 before.
        turn: How many tokens are left of its turn.
    """

    future: asyncio.Future[Any]
    tokens: int
    encoded: Encoded | None = None
    logits: npt.NDArray[np.float32] | None = None
    call: Callable[[], Any] | None = None
    arrived: float = field(default_factory=clock)
    taken: float = 0.0
    turn: int = TURN_TOKENS
    _next_row: int = 0
    _computed: int = 0  # rows
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, tokens: int) -> Part:
        """The next rows that have about so many tokens: at least one row."""
        assert self.encoded is not None  # noqa: S101 - only the inputs of a request are taken in parts
        offsets, start = self.encoded.offsets, self._next_row
        self.taken = self.taken or clock()
        end = int(np.searchsorted(offsets, offsets[start] + tokens, side="right")) - 1
        self._next_row = max(start + 1, end)
        return Part(self.encoded, start, self._next_row)

    @property
    def is_taken(self) -> bool:
        """No row is left to take."""
        return self.encoded is None or self._next_row == len(self.encoded)

    @property
    def has_types(self) -> bool:
        """The inputs have token types, as pairs do for most encoders."""
        return self.encoded is not None and self.encoded.type_ids is not None

    @property
    def left(self) -> int:
        """Tokens of the rows that are left to take."""
        return self.tokens if self.encoded is None else int(self.tokens - self.encoded.offsets[self._next_row])

    def fill(self, part: Part, logits: npt.NDArray[np.float32]) -> bool:
        """Keeps the logits of a part. Threads may do so at once; True for the one that completes the request."""
        assert self.logits is not None  # noqa: S101 - as in `take`
        self.logits[part.start : part.end] = logits
        with self._lock:
            self._computed += len(part)
            return self._computed == len(self.logits)


@dataclass(frozen=True)
class Pass:
    """What one forward pass computes: parts of requests, or one call."""

    jobs: list[Job]
    parts: list[Part]

    @property
    def tokens(self) -> int:
        """How many tokens it has."""
        return sum(part.tokens for part in self.parts) or self.jobs[0].tokens

    def deliver(self, result: Any) -> None:
        """Gives the jobs what was computed for them: logits of all parts, a call's result, or an exception.

        The event loop is woken once for all of them: each time it may take the interpreter's lock from this thread.
        """
        if isinstance(result, Exception) or not self.parts:
            results = [(job.future, result) for job in dict.fromkeys(self.jobs)]
        else:
            ends = np.cumsum([len(part) for part in self.parts])
            each = zip(self.jobs, self.parts, np.split(result, ends[:-1]), strict=True)
            results = [(job.future, None) for job, part, logits in each if job.fill(part, logits)]
        if results:
            with contextlib.suppress(RuntimeError):  # the event loop was closed meanwhile
                results[0][0].get_loop().call_soon_threadsafe(_set_results, results)


def _set_results(results: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in results:
        if future.done():  # cancelled
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)


class Queue:
    """Jobs that wait for a pass, in two lines: the new ones, and those that have had a turn. It is not thread-safe.

    The lines are served in turn. In a single one each turn of a large request would wait for all that came meanwhile.

    Attributes:
        left: Tokens that no pass has taken yet. It is kept, since thousands of jobs are too many to add up each time.
    """

    def __init__(self) -> None:
        """It is empty."""
        self.left = 0
        self._new: deque[Job] = deque()
        self._continued: deque[Job] = deque()
        self._lines = deque([self._new, self._continued])  # the one that is to be served comes first

    def add(self, job: Job, *, is_continued: bool = False, is_urgent: bool = False) -> None:
        """Puts a job at the end of the new ones, or of the continued ones; an urgent one before all others."""
        self.left += job.left
        if is_urgent:
            self._lines[0].appendleft(job)
        else:
            (self._continued if is_continued else self._new).append(job)

    @property
    def since(self) -> float | None:
        """When the first job came, if more inputs could join it; None if it is a call, or had to wait already."""
        first = self._new[0] if self._new and not self._continued else None
        return None if first is None or first.call else first.arrived

    def take(self, room: int) -> Pass:
        """The first call; or rows of the requests in turn, until they have about so many tokens."""
        found = Pass([], [])
        while room > 0 and (line := self._next_line()):
            job = line[0]
            # A call is a pass of its own, and sentences and pairs have no common one.
            if found.jobs and (job.call or job.has_types != found.jobs[0].has_types):
                break
            line.popleft()
            if line is self._lines[0]:
                self._lines.rotate(1)
            if job.call:
                self.left -= job.left
                return Pass([job], [])
            part = job.take(min(job.turn, room))
            found.jobs.append(job)
            found.parts.append(part)
            room -= part.tokens
            self.left -= part.tokens
            job.turn -= part.tokens
            if not job.is_taken and job.turn > 0:
                self._continued.appendleft(job)  # the end of the pass cuts its turn, which goes on in the next one
            elif not job.is_taken:
                job.turn = TURN_TOKENS
                self._continued.append(job)
        return found

    def _next_line(self) -> deque[Job] | None:
        """The line whose first job is next; None if there is no job."""
        for line in self._lines:
            while line and line[0].future.done():  # its client has gone, or its time is over
                self.left -= line.popleft().left
        return next((line for line in self._lines if line), None)
