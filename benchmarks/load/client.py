"""A client with thousands of connections, in a process of its own: `python -m benchmarks.load.client < spec.json`.

It speaks HTTP/1.1 over asyncio's protocols and imports nothing heavy, so that the server is the bottleneck; it reports
its own CPU time to show that. Text number N contains N, and is sent once; an answer is compared with the offline
verdict of that text, so that answers which were swapped are found. Prints a line when all connections are open, and
at the end one JSON object.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import sys
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

REFUSED = (  # a body that must be refused, and with which status
    (b'{"sentences": [" "]}', 422),
    (b'{"sentences": ["The cats sleep."], "model": "nobody"}', 404),
    (b'{"sentences": ["The cats sleep."]', 400),
)


@dataclass(frozen=True)
class Load:
    """What a client does.

    Attributes:
        port: The server's port on 127.0.0.1.
        texts: JSON file with a list of sentences, from which the texts are made.
        connections: How many are open at the same time.
        requests: How many to send; None for as many as fit in ``seconds``.
        seconds: When to send no more.
        first: The number of the first request.
        count: Numbers start again after so many requests; None if they go on.
        each: Sentences of one request.
        rate: Requests a second, at random times; None to send the next one when the last one is answered.
        path: The path.
        verdicts: JSON file with the offline label and probability of each text; None to count verdicts only.
        tolerance: How far a probability may be from the offline one.
        invalid: One request of so many is one that must be refused; 0 for none.
        fresh: How many of the connections are closed after each answer.
        again: Connect anew after the server has closed a connection.
        hung: Seconds after which a request without an answer counts as hung.
        core: The core to run on; None for any.
        seed: Of the random times.
    """

    port: int
    texts: str
    connections: int
    requests: int | None = None
    seconds: float = 3600.0
    first: int = 0
    count: int | None = None
    each: int = 1
    rate: float | None = None
    path: str = "/v1/judge"
    verdicts: str | None = None
    tolerance: float = 1e-5
    invalid: int = 0
    fresh: int = 0
    again: bool = True
    hung: float = 60.0
    core: int | None = None
    seed: int = 0

    def to_json(self) -> str:
        """The specification as this module reads it from stdin."""
        return json.dumps(asdict(self))


def text_of(base: list[str], number: int) -> str:
    """Text number N."""
    return f"{base[number % len(base)]} {number}"


class Connection(asyncio.Protocol):
    """A connection, with at most one request on it."""

    def __init__(self, client: Client, *, is_fresh: bool) -> None:
        self.client, self.is_fresh = client, is_fresh
        self.transport: Any = None
        self.number: int | None = None  # the request that is not answered yet
        self.due = self.sent = 0.0
        self.answers = self.local = 0
        self.data = bytearray()

    def connection_made(self, transport: Any) -> None:
        """It is open."""
        self.transport = transport
        self.local = transport.get_extra_info("sockname")[1]
        self.client.opened(self)

    def send(self, number: int, due: float) -> None:
        """Sends a request."""
        self.number, self.due, self.sent = number, due, time.perf_counter()
        self.transport.write(self.client.request(number))

    def data_received(self, data: bytes) -> None:
        """A part of an answer."""
        self.data += data
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self.data[:end]).lower()
        _, found, length = head.partition(b"\r\ncontent-length:")
        if not found:
            raise ValueError(f"an answer without content-length: {head!r}")
        size = int(length.split(b"\r\n", 1)[0])
        if len(self.data) < end + 4 + size:
            return
        body = bytes(self.data[end + 4 : end + 4 + size])
        self.data.clear()
        self.client.answered(self, int(head[9:12]), head, body)

    def connection_lost(self, error: Exception | None) -> None:
        """It has ended."""
        self.client.closed(self)


class Client:
    """All connections and what came of each request."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.base: list[str] = json.loads(Path(load.texts).read_text("utf-8"))
        self.verdicts = json.loads(Path(load.verdicts).read_text("utf-8")) if load.verdicts else None
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[Any] = []
        self.lost: list[dict[str, Any]] = []
        self.latencies: list[float] = []
        self.numbers = itertools.count(load.first)
        self.pending: deque[tuple[int, float]] = deque()  # requests of an open loop that have no connection yet
        self.idle: list[Connection] = []
        self.open: set[Connection] = set()
        self.living = load.connections  # connections that are or will be open
        self.sent = self.made = self.peak = 0
        self.issued = False  # no more requests are sent
        self.began = self.last_right = self.gap = self.ended = 0.0
        self.random = random.Random(load.seed)
        self.done = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()

    def request(self, number: int) -> bytes:
        """The bytes of a request."""
        load = self.load
        if load.invalid and number % load.invalid == 0:
            body = REFUSED[number // load.invalid % len(REFUSED)][0]
        else:
            texts = [text_of(self.base, number * load.each + each) for each in range(load.each)]
            body = json.dumps({"sentences": texts}).encode()
        head = f"POST {load.path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body

    async def run(self) -> dict[str, Any]:
        """Sends all requests and waits for their answers."""
        self.began = self.last_right = time.perf_counter()
        cpu = time.process_time()
        for index in range(self.load.connections):
            self._connect(is_fresh=index < self.load.fresh)
        background = [asyncio.create_task(self._watch())]
        if self.load.rate:
            background.append(asyncio.create_task(self._arrive(self.load.rate)))
        await self.done.wait()
        for task in background:
            task.cancel()
        wall, cpu = self.ended - self.began, time.process_time() - cpu
        for connection in list(self.open):
            connection.transport.abort()
        return self._result(wall, cpu)

    def _result(self, wall: float, cpu: float) -> dict[str, Any]:
        ordered = sorted(self.latencies) or [0.0]
        return {
            "sent": self.sent,
            "outcomes": dict(self.outcomes),
            "wrong": self.wrong[:5],
            "lost": self.lost,
            "peak": self.peak,
            "seconds": wall,
            "right_per_second": self.outcomes["right"] / wall if wall else 0.0,
            "p50": ordered[len(ordered) // 2],
            "p99": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
            "longest": ordered[-1],
            "gap": self.gap,
            "cpu_share": cpu / wall if wall else 0.0,
        }

    def _connect(self, *, is_fresh: bool) -> None:
        task = asyncio.get_running_loop().create_task(self._connected(is_fresh=is_fresh))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _connected(self, *, is_fresh: bool) -> None:
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: Connection(self, is_fresh=is_fresh), "127.0.0.1", self.load.port
            )
        except OSError:
            if self._next() is not None:  # this request is accounted for: no byte of it was sent
                self.outcomes["refused before any byte was sent"] += 1
            if self.load.again and not self.issued:
                await asyncio.sleep(0.02)
                self._connect(is_fresh=is_fresh)
            else:
                self._left()

    def opened(self, connection: Connection) -> None:
        """A connection is open."""
        self.open.add(connection)
        self.made += 1
        if self.made == self.load.connections:
            print("open", flush=True)
        self.peak = max(self.peak, len(self.open))
        self._go_on(connection)

    def stop(self) -> None:
        """Sends no more requests."""
        self.issued = True

    def _next(self) -> int | None:
        """The number of the next request; None if there are no more."""
        full = self.load.requests is not None and self.sent >= self.load.requests
        if self.issued or full or time.perf_counter() - self.began > self.load.seconds:
            self.issued = True
            return None
        self.sent += 1
        number = next(self.numbers)
        return number % self.load.count if self.load.count else number

    def _go_on(self, connection: Connection) -> None:
        """The next request on a connection that has none."""
        if self.load.rate:
            if self.pending:
                connection.send(*self.pending.popleft())
            else:
                self.idle.append(connection)
        elif (number := self._next()) is not None:
            connection.send(number, time.perf_counter())
        else:
            connection.transport.close()

    async def _arrive(self, rate: float) -> None:
        """An open loop: requests come at random times, whether or not the ones before are answered."""
        due = time.perf_counter()
        while (number := self._next()) is not None:
            due += self.random.expovariate(rate)
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            self.pending.append((number, due))
            if self.idle:
                self.idle.pop().send(*self.pending.popleft())
        while self.pending or any(connection.number is not None for connection in self.open):
            await asyncio.sleep(0.005)
        self._finish()

    def answered(self, connection: Connection, status: int, head: bytes, body: bytes) -> None:
        """An answer is complete."""
        number, now = connection.number, time.perf_counter()
        assert number is not None
        connection.number = None
        connection.answers += 1
        outcome = self._outcome(number, status, head, body)
        self.outcomes[outcome] += 1
        if outcome == "right":
            self.gap = max(self.gap, now - self.last_right)
            self.last_right = now
            self.latencies.append(now - connection.due)
        if connection.is_fresh or b"\r\nconnection: close" in head:
            connection.transport.close()
        else:
            self._go_on(connection)

    def _outcome(self, number: int, status: int, head: bytes, body: bytes) -> str:
        load = self.load
        if status in (429, 503):
            return "busy, with Retry-After" if b"\r\nretry-after:" in head else f"{status} without Retry-After"
        if load.invalid and number % load.invalid == 0:
            expected = REFUSED[number // load.invalid % len(REFUSED)][1]
            return "refused as documented" if status == expected else f"{status} in place of {expected}"
        if status != 200:
            return f"status {status}"
        verdicts = json.loads(body)["verdicts"]
        start = number * load.each
        if len(verdicts) == load.each and all(self._is_right(start + each, one) for each, one in enumerate(verdicts)):
            return "right"
        self.wrong.append([number, verdicts, self.verdicts and self.verdicts[start : start + load.each]])
        return "wrong"

    def _is_right(self, text: int, verdict: dict[str, Any]) -> bool:
        if self.verdicts is None:
            return "label" in verdict
        label, probability = self.verdicts[text]
        return bool(verdict["label"] == label and abs(verdict["probability"] - probability) <= self.load.tolerance)

    def closed(self, connection: Connection) -> None:
        """A connection has ended."""
        self.open.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        if connection.number is not None:
            self.outcomes["lost"] += 1
            self.lost.append(
                {
                    "port": connection.local,
                    "at": time.monotonic(),
                    "answers": connection.answers,
                    "begun": bool(connection.data),
                    "after": round(time.perf_counter() - connection.sent, 4),
                }
            )
        ends = not (self.load.again or connection.is_fresh)
        if ends or self.issued or self.done.is_set():
            self._left()
        else:
            self._connect(is_fresh=connection.is_fresh)

    def _left(self) -> None:
        self.living -= 1
        if not self.living:
            self._finish()

    def _finish(self) -> None:
        if not self.done.is_set():
            self.ended = time.perf_counter()
            self.done.set()

    async def _watch(self) -> None:
        """Counts hung requests, and ends them."""
        while True:
            await asyncio.sleep(0.5)
            now = time.perf_counter()
            for connection in list(self.open):
                if connection.number is not None and now - connection.sent > self.load.hung:
                    connection.number = None
                    self.outcomes["hung"] += 1
                    connection.transport.abort()


def main() -> None:
    """Reads the specification, does what it says, prints."""
    load = Load(**json.load(sys.stdin))
    if load.core is not None:
        with contextlib.suppress(OSError, AttributeError):
            os.sched_setaffinity(0, {load.core})

    async def run() -> dict[str, Any]:
        client = Client(load)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, client.stop)
        return await client.run()

    print(json.dumps(asyncio.run(run())), flush=True)


if __name__ == "__main__":
    main()
