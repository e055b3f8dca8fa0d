"""`Batcher`: gathers the inputs of many requests into forward passes, within a bound of queued tokens.

Each core computes passes of its own: no core waits for another one, and while one computes a large request the next
ones have theirs.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from acceptor.errors import AcceptorError, DataError, RequestError
from acceptor.evaluation.words import Explanation, explain
from acceptor.judging.judge import PAIRS, Judge
from acceptor.judging.steady import SteadyJudge
from acceptor.model.encode import Encoded
from acceptor.progress import without_progress
from acceptor.serve.gather import Job, Part, Pass, Queue, clock, gathered
from acceptor.serve.reservations import Reservations

logger = logging.getLogger(__name__)

PASS_SECONDS = 0.2  # a pass gathers the tokens of about this time, so that what comes next soon has its turn
MIN_PASS_TOKENS, MAX_PASS_TOKENS = 128, 16_384  # bounds of the tokens of a pass
FP32_SLOWDOWN = 8  # an explanation is computed in fp32, which takes up to so many times as long as bf16
EXPLAIN_SLOWDOWN = 3  # and so many times in general
INLINE_BYTES = 1_024  # bytes that are tokenized in the event loop's thread, in about a millisecond: a thread costs more
MAX_SPECIAL_TOKENS = 4  # tokens that a tokenizer adds to an input, at most
QUEUED_SHARE, PATIENCE_SHARE = 2 / 3, 1 / 6  # of a request's time, in the queue and before it; the rest is for delays


@dataclass(frozen=True, eq=False)
class RequestLogits:
    """What a judge computed for the N inputs of a request.

    Attributes:
        logits: float32, shape (N, labels); not finite where an input could not be computed.
        cut: bool, shape (N,): the input was longer than the judge's longest, and was cut.
        unknown: bool, shape (N,): it has tokens that are not in the vocabulary.
        tokens: How many tokens were computed.
        waited: Seconds in the queue until the first of them was computed.
        computed: Seconds from then to the last one.
    """

    logits: npt.NDArray[np.float32]
    cut: npt.NDArray[np.bool_]
    unknown: npt.NDArray[np.bool_]
    tokens: int
    waited: float
    computed: float


class Batcher:
    """The queue of one judge, and the threads that compute what is in it, each on one core.

    Several judges of a server share the cores, each with threads of its own.

    A request is admitted whole, after a while if the queue is full, or refused. The requests take turns, a large one
    with part of its inputs, so that it does not delay small ones.
    """

    def __init__(self, judge: Judge, *, max_wait: float, max_tokens: int, timeout: float) -> None:
        """Measures the judge's speed, and starts the threads.

        Args:
            judge: The judge.
            max_wait: How long a pass that is not full waits for more inputs while others are computed, in seconds.
            max_tokens: The bound of tokens in the queue.
            timeout: Seconds after which a request is given up. The queue admits what is computed in two thirds of them.
        """
        self.judge, self.max_wait, self.max_tokens, self.timeout = judge, max_wait, max_tokens, timeout
        self._reservations = Reservations(
            max_tokens, timeout * PATIENCE_SHARE, is_in_time=self._is_in_time, refusal=self._full
        )
        self.failed = False  # the pass that ended last could not be computed, whichever thread had it
        self._steady = SteadyJudge(judge)
        self._changed = threading.Condition()  # guards the queue, and is notified of a new job
        self._queue = Queue()
        self._closed = False
        self._tokenizing = ThreadPoolExecutor(1, "acceptor-tokenizes")
        scorer = judge.scorer(judge.runtime.precision)
        cores = scorer.cores()
        rate = measured_rate(judge, cores) / cores
        self._threads = [_Computing(self, rate, scorer.init_thread) for _ in range(cores)]
        for thread in self._threads:
            thread.start()

    # In the event loop's thread

    async def logits(self, sentences: list[str], seconds: list[str] | None = None) -> RequestLogits:
        """The logits of the inputs of one request, in their order.

        If the caller is cancelled, what was not computed yet is dropped.

        Raises:
            RequestError: The queue is full.
            DataError: As `Judge.encode`.
        """
        advice = "send a second text with each sentence" if seconds is None else "send one text for each input"
        self._check_inputs(pairs=seconds is not None, advice=advice)
        arrived, sizes = clock(), sizes_of(sentences, seconds)
        async with self._reservations.of(sum(self._most_tokens(sizes))) as reserved:
            encoded = await self._encoded(sentences, seconds, sum(sizes))
            reserved.lower(len(encoded.ids))
            job, logits = self._job_of(encoded, arrived)
            await self._result_of(job)
        waited, computed = job.taken - job.arrived, clock() - job.taken
        return RequestLogits(logits, encoded.truncated, encoded.has_unknown, len(encoded.ids), waited, computed)

    async def explain(self, sentences: list[str]) -> tuple[list[Explanation], int]:
        """The weights of the words of sentences, each sentence in the place of a pass; and how many tokens that were.

        Raises:
            RequestError: The queue is full; or the sentences are too long to be explained in time.
            DataError: As `Judge.encode`.
        """
        self._check_inputs(pairs=False, advice="name a judge of single sentences: words of pairs are not explained")
        sizes = sizes_of(sentences)
        # Given back before those of the words are reserved: it would wait for room that it holds itself.
        async with self._reservations.of(sum(self._most_tokens(sizes))):
            encoded = await self._encoded(sentences, None, sum(sizes))  # refuses all of them, or none
        tokens = [_explanation_tokens(length) for length in encoded.lengths.tolist()]
        self._check_explainable(sum(tokens))
        async with self._reservations.of(sum(tokens)) as reserved:
            found: list[Explanation] = []
            for index, sentence in enumerate(sentences):
                reserved.lower(sum(tokens[index:]))
                call = functools.partial(explain, self.judge, [sentence])
                found += await self._called(call, tokens[index], is_continued=bool(found))
        return found, sum(tokens)

    def _check_inputs(self, *, pairs: bool, advice: str) -> None:
        """`Judge.check_inputs` with advice for who sends a request: the judge's own is about files and Python."""
        try:
            self.judge.check_inputs(pairs=pairs)
        except DataError as error:
            error.add("next", advice)
            raise

    def _check_explainable(self, tokens: int) -> None:
        """Refuses what one core cannot compute in time: it would get no answer, and the queue would be full for all."""
        slowdown = 1 if self.judge.runtime.precision == "fp32" else EXPLAIN_SLOWDOWN
        most = int(self.rate / len(self._threads) * self.timeout * QUEUED_SHARE / slowdown)
        if tokens > most:
            raise RequestError(
                "the sentences are too long to be explained in time",
                status=413,
                expected=f"at most {most:,} tokens to compute, about n² for a sentence of n tokens",
                found=f"{tokens:,}",
                next="send fewer sentences at once, or shorter ones",
                code="E-REQUEST-SIZE",
            )

    async def probe(self) -> bool:
        """Judges a sentence before all that is queued; true if that gives finite numbers.

        Raises:
            AcceptorError, ArithmeticError: It cannot be computed.
        """
        seconds = ["The cats sleep."] if self.judge.inputs == PAIRS else None
        encoded = self.judge.encode(["The cats sleep."], seconds, refuse=False)  # not every judge reads English
        job, logits = self._job_of(encoded, clock())
        await self._result_of(job, is_urgent=True)
        return bool(np.isfinite(logits).all())

    def _job_of(self, encoded: Encoded, arrived: float) -> tuple[Job, npt.NDArray[np.float32]]:
        """A job, and the array in which its logits will be: float32, shape (N, labels)."""
        logits = np.full((len(encoded), len(self.judge.labels)), np.nan, np.float32)
        future = asyncio.get_running_loop().create_future()
        return Job(future, len(encoded.ids), encoded, logits, arrived=arrived), logits

    async def _called(self, function: Callable[[], Any], tokens: int, *, is_continued: bool = False) -> Any:
        """The result of a function that computes about so many tokens with the judge, in the place of a pass."""
        job = Job(asyncio.get_running_loop().create_future(), tokens, call=function)
        return await self._result_of(job, is_continued=is_continued)

    async def _encoded(self, sentences: list[str], seconds: list[str] | None, size: int) -> Encoded:
        """The token ids of texts that have so many bytes."""
        if size <= INLINE_BYTES:
            return self.judge.encode(sentences, seconds)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._tokenizing, self.judge.encode, sentences, seconds)

    @property
    def queued(self) -> int:
        """Tokens of all admitted requests that are not answered yet."""
        return self._reservations.reserved

    @property
    def waiting(self) -> int:
        """Tokens of the requests that wait for room in the queue, at most."""
        return self._reservations.waiting

    @property
    def rate(self) -> float:
        """How many tokens a second all threads compute together."""
        return sum(thread.rate for thread in self._threads)

    def retry_after(self) -> int:
        """In how many seconds the queue may be empty, with those who wait for it: ≥ 1."""
        return max(1, math.ceil((self.queued + self.waiting) / self.rate))

    def _most_tokens(self, sizes: list[int]) -> list[int]:
        """A bound of the tokens of inputs that are not tokenized yet: no token has less than a byte."""
        return [min(size + MAX_SPECIAL_TOKENS, self.judge.max_length) for size in sizes]

    def _is_in_time(self, queued: int) -> bool:
        """So many tokens are computed early enough for the request after them."""
        return queued <= self.rate * self.timeout * QUEUED_SHARE

    def _full(self, tokens: int) -> RequestError:
        return RequestError(
            "the queue is full",
            status=429,
            expected=f"room for {tokens:,} tokens, within {self.timeout * PATIENCE_SHARE:.2g} s",
            found=f"{self.queued:,} tokens in the queue, {self.waiting:,} that wait for room in it",
            next=f"try again in {self.retry_after()} s",
            retry_after=self.retry_after(),
            code="E-REQUEST-BUSY",
        )

    async def _result_of(self, job: Job, *, is_continued: bool = False, is_urgent: bool = False) -> Any:
        """Puts a job into the queue (see `Queue.add`), and waits until it is computed."""
        with self._changed:
            if self._closed:
                raise RequestError("the server has ended", status=503, retry_after=1, code="E-REQUEST-CLOSING")
            self._queue.add(job, is_continued=is_continued, is_urgent=is_urgent)
            self._changed.notify()
        return await job.future  # if this is cancelled, the threads leave the job out

    def close(self) -> None:
        """Ends the threads after the queue's last job."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._tokenizing.shutdown()

    # What a watcher asks

    def stuck_for(self) -> float:
        """By how many seconds a present pass is longer than it should be; infinite if a thread has ended."""
        return max(thread.stuck_for() for thread in self._threads)

    # In the threads that compute

    def next_pass(self, thread: _Computing) -> Pass | None:
        """Waits for what a thread is to compute next; None if there is nothing any more."""
        with self._changed:
            while True:
                while not self._queue.left:
                    if self._closed:
                        return None
                    self._changed.wait()
                self._wait_for_more(thread.budget)
                # At most this thread's share of the queue, so that none waits while another has all of it.
                share = max(MIN_PASS_TOKENS, self._queue.left // len(self._threads))
                found = self._queue.take(min(thread.budget, share))
                if self._queue.left:
                    self._changed.notify()  # another thread may have the rest
                if found.jobs:
                    thread.begin(found)
                    return found

    def _wait_for_more(self, budget: int) -> None:
        """Waits until a pass is full, or its first request has waited for long enough, or another thread has it.

        While no thread computes, nothing is gained by waiting: what comes meanwhile is the next pass.
        """
        while (since := self._queue.since) is not None and not self._closed:
            left = since + self.max_wait - clock()
            if left <= 0 or self._queue.left >= budget or not any(thread.is_computing for thread in self._threads):
                return
            self._changed.wait(left)

    def compute(self, found: Pass) -> Any:
        """The logits of all parts, or the result of the call; an exception if that could not be computed."""
        try:
            if found.jobs[0].call:
                return found.jobs[0].call()
            logits = self._logits_of(found.parts)
        except Exception as error:  # of any kind: other requests must be answered
            if not isinstance(error, AcceptorError):
                logger.exception("a request failed")
            return error
        self.failed = not np.isfinite(logits).all()
        return logits

    def _logits_of(self, parts: list[Part]) -> npt.NDArray[np.float32]:
        """The logits of parts, one after the other, float32, shape (rows, labels).

        If a pass fails, its halves are computed alone, down to the input that makes it fail, which gets NaN.
        """
        try:
            return self._steady.logits_of(gathered(parts))
        except Exception:
            if len(parts) == 1 and len(parts[0]) == 1:
                logger.exception("an input could not be computed")
                return np.full((1, len(self.judge.labels)), np.nan, np.float32)
        if len(parts) == 1:
            halves = [[half] for half in parts[0].halves()]
        else:
            halves = [parts[: len(parts) // 2], parts[len(parts) // 2 :]]
        return np.concatenate([self._logits_of(half) for half in halves])


class _Computing(threading.Thread):
    """A thread that computes passes on one core.

    Attributes:
        rate: How many tokens a second it computes, of late.
    """

    def __init__(self, batcher: Batcher, rate: float, init_thread: Callable[[], None] | None) -> None:
        super().__init__(name="acceptor-computes", daemon=True)
        self.rate = rate
        self._batcher, self._init_thread = batcher, init_thread
        self._since: float | None = None  # when the present pass began
        self._expected = 0.0  # how many seconds it should take

    def stuck_for(self) -> float:
        """By how many seconds the present pass is longer than it should be; infinite if the thread has ended."""
        if not self.is_alive():
            return math.inf
        since = self._since
        return 0.0 if since is None else max(0.0, clock() - since - 1.0 - 3 * self._expected)

    @property
    def is_computing(self) -> bool:
        """A pass is in progress."""
        return self._since is not None

    def run(self) -> None:
        """Computes passes until the batcher is closed."""
        if self._init_thread:
            self._init_thread()
        with without_progress():
            while (found := self._batcher.next_pass(self)) is not None:
                started = clock()
                result = self._batcher.compute(found)
                self._since = None
                if found.parts and found.tokens >= MIN_PASS_TOKENS:  # smaller passes take time of their own
                    self.rate += 0.2 * (found.tokens / (clock() - started) - self.rate)
                found.deliver(result)

    def begin(self, found: Pass) -> None:
        """Notes that this thread computes a pass from now on."""
        self._expected = found.tokens / self.rate * (1 if found.parts else FP32_SLOWDOWN)
        self._since = clock()

    @property
    def budget(self) -> int:
        """How many tokens its next pass may have, about."""
        return min(MAX_PASS_TOKENS, max(MIN_PASS_TOKENS, int(self.rate * PASS_SECONDS)))


def sizes_of(sentences: list[str], seconds: list[str] | None = None) -> list[int]:
    """How many bytes each input has."""
    sizes = [len(text.encode("utf-8", "surrogatepass")) for text in sentences]
    if seconds is None:
        return sizes
    more = [len(text.encode("utf-8", "surrogatepass")) for text in seconds]
    return [first + second for first, second in zip(sizes, more, strict=False)]


def _explanation_tokens(length: int) -> int:
    """A bound of the tokens that are computed to weigh the words of an input of so many tokens."""
    return length * (length + 2)  # with each word masked, with none and with all of them


def measured_rate(judge: Judge, cores: int) -> float:
    """How many tokens a second the judge computes on all of so many cores. Its first passes prepare its networks."""
    sentence = "The keys to the cabinet are on the table, and nobody knows why they were put there."
    sentences = [sentence] * max(96, 48 * cores)
    seconds = sentences if judge.inputs == PAIRS else None
    encoded, rows = judge.encode(sentences, seconds, refuse=False), np.arange(len(sentences))
    for precision in ("fp32", judge.runtime.precision):  # prepares both networks
        judge.logits_in(encoded, rows[:1], precision)
    judge.logits_in(encoded, rows, judge.runtime.precision)
    start = clock()
    judge.logits_in(encoded, rows, judge.runtime.precision)
    return len(encoded.ids) / max(1e-6, clock() - start)
