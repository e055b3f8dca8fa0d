"""`Service`: the judges of a server, each with its queue, and whether they are ready."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass

from acceptor.errors import AcceptorError, RequestError, nearest
from acceptor.judging.judge import Judge
from acceptor.serve import metrics
from acceptor.serve.batcher import Batcher
from acceptor.serve.settings import ServeSettings

logger = logging.getLogger(__name__)

WATCH_SECONDS = 0.25
PROBE_SECONDS = 1.5  # with `WATCH_SECONDS` less than two seconds
EXIT_STUCK = 70  # the exit status of a worker whose judge does not come back


@dataclass(frozen=True, eq=False)
class Served:
    """A judge under its name.

    Attributes:
        name: Its name in requests.
        judge: The judge.
        batcher: Its queue.
        version: The sha256 of its files.
    """

    name: str
    judge: Judge
    batcher: Batcher
    version: str


class Service:
    """The judges of one worker process."""

    def __init__(self, judges: Mapping[str, Judge], versions: Mapping[str, str], settings: ServeSettings) -> None:
        """Starts a queue for each judge.

        Args:
            judges: The loaded judges by name, in the order of the settings.
            versions: The sha256 of each one's files.
            settings: The server's settings.
        """
        self.settings = settings
        self.is_ending = False  # the server says that it is not ready
        self.closes_connections = False  # after their next answer, because this worker will end
        self.served = {
            name: Served(name, judge, _queue_of(judge, settings), versions[name]) for name, judge in judges.items()
        }

    def named(self, name: str | None) -> Served:
        """The judge of that name; the first one if no name is given.

        Raises:
            RequestError: There is none.
        """
        if name is None:
            return next(iter(self.served.values()))
        if name not in self.served:
            match = nearest(name, self.served)
            raise RequestError(
                f"there is no judge called {name[:80]!r}" + (f"; did you mean {match!r}?" if match else ""),
                status=404,
                expected=", ".join(self.served),
                code="E-REQUEST-MODEL",
            )
        return self.served[name]

    async def check_ready(self) -> None:
        """Judges a sentence with each judge whose last pass failed.

        Raises:
            RequestError: The server is about to end; or a judge computes for far too long, or fails.
        """
        if self.is_ending:
            raise not_ready("the server is about to end")
        for one in self.served.values():
            if one.batcher.stuck_for() > 0:
                raise not_ready(f"{one.name} computes for longer than it should")
            if one.batcher.failed:
                await self._probe(one)

    async def _probe(self, one: Served) -> None:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                is_fine = await one.batcher.probe()
        except (AcceptorError, TimeoutError, ArithmeticError) as error:
            raise not_ready(f"{one.name} fails") from error
        if not is_fine:
            raise not_ready(f"{one.name} fails")

    def close_soon(self, ends: bool) -> None:
        """Closes each connection after its next answer.

        Args:
            ends: The whole server ends, and not only this worker.
        """
        self.closes_connections, self.is_ending = True, ends

    async def watch(self) -> None:
        """Ends the process if a judge is stuck for as long as any request may take, so that it is started anew.

        Also if the parent has been killed, because nobody would end this process then.
        """
        parent = multiprocessing.parent_process()  # known since this process was made, also if it has ended by now
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if parent and os.getppid() != parent.pid:
                logger.error("the server's first process has ended; this worker ends as well")
                metrics.remove_folder()
                os.kill(os.getpid(), signal.SIGTERM)
                return
            for one in self.served.values():
                with metrics.counting():  # here, because one worker answers /metrics for all of them
                    metrics.QUEUED.labels(one.name).set(one.batcher.queued)
                    metrics.WAITING.labels(one.name).set(one.batcher.waiting)
                if one.batcher.stuck_for() > self.settings.timeout:
                    logger.error("%s does not come back; this worker ends", one.name)
                    os._exit(EXIT_STUCK)

    def close(self) -> None:
        """Ends the threads."""
        for one in self.served.values():
            one.batcher.close()


def _queue_of(judge: Judge, settings: ServeSettings) -> Batcher:
    return Batcher(judge, max_wait=settings.max_wait, max_tokens=settings.max_queue, timeout=settings.timeout)


def not_ready(why: str) -> RequestError:
    """The error of a server that is not ready."""
    return RequestError(why, status=503, next="try again in 1 s", retry_after=1, code="E-REQUEST-CLOSING")
