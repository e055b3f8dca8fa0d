"""The counters of a server, for Prometheus. They are kept in files, which all worker processes share."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from acceptor.errors import RequestError
from acceptor.serve.settings import COUNTERS_PREFIX

logger = logging.getLogger(__name__)

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library reads it when it is imported
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

REQUESTS = Counter("acceptor_requests", "Requests, by how they ended", ["path", "outcome"])
DURATION = Histogram(
    "acceptor_request_seconds", "From the end of a request's headers to its answer", ["path"], buckets=SECONDS
)
SENTENCES = Counter("acceptor_sentences", "Sentences, or pairs, that were judged", ["model"])
TOKENS = Counter("acceptor_tokens", "Tokens that were computed", ["model"])
QUEUED = Gauge("acceptor_queued_tokens", "Tokens in the queue", ["model"], multiprocess_mode="livesum")
WAITING = Gauge(
    "acceptor_waiting_tokens", "Tokens that wait for room in the queue", ["model"], multiprocess_mode="livesum"
)
OPEN = Gauge("acceptor_open_requests", "Requests that are not answered yet", multiprocess_mode="livesum")

Outcome = Literal["ok", "invalid", "refused", "timeout", "failed", "gone"]
"""How a request can end: 2xx and 3xx; another 4xx; 429 or 503; 504; another 5xx; its client left."""


def outcome_of(status: int | None) -> Outcome:
    """The outcome of a request, from the status of its answer; None if there was no answer."""
    if status is None:
        return "gone"
    if status in (429, 503):
        return "refused"
    if status == 504:  # and not 408: that is a client that sends too slowly
        return "timeout"
    return "ok" if status < 400 else "invalid" if status < 500 else "failed"


@contextlib.contextmanager
def counting() -> Iterator[None]:
    """A block that counts. If the files of the counters are gone, it does not, but no request fails because of that."""
    try:
        yield
    except Exception:  # of any kind: the library closes its files, and then finds that it has none
        _warn_once()


@functools.cache
def _warn_once() -> None:
    """Says so once, and not at every request."""
    logger.exception("this worker cannot count its requests; SIGHUP starts one that can")


def exposition() -> tuple[bytes, str]:
    """The counters of all workers together as text, and its content type; of this process alone in another server.

    Raises:
        RequestError: Their folder was removed.
    """
    registry: Any = CollectorRegistry() if FOLDER in os.environ else REGISTRY
    if FOLDER in os.environ:
        if not Path(os.environ[FOLDER]).is_dir():
            logger.warning("the temporary folder of the counters was removed; SIGHUP makes it anew")
            raise RequestError(
                "the temporary folder of the counters was removed",
                status=500,
                next="send the server's process SIGHUP: new workers make it anew, and count from zero",
                code="E-REQUEST-FAILED",
            )
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST


def make_folder() -> None:
    """Makes the folder of the counters anew, before a worker starts, if a cleaner of temporary folders removed it."""
    with counting():
        os.makedirs(os.environ[FOLDER], mode=0o700, exist_ok=True)


def remove_folder() -> None:
    """Removes the folder, which a killed parent has left; but not one that another server shares with Acceptor."""
    folder = Path(os.environ.get(FOLDER, ""))
    if folder.name.startswith(COUNTERS_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


def mark_started() -> None:
    """Notes, for the parent, that this worker has started to serve."""
    folder = Path(os.environ.get(FOLDER, ""))
    if os.environ.get(FOLDER) and folder.is_dir():
        with counting():
            (folder / f"started-{os.getpid()}").touch()


def has_started(pid: int) -> bool:
    """True if a worker has started to serve before it ended."""
    return (Path(os.environ.get(FOLDER, "")) / f"started-{pid}").exists()


def forget_process(pid: int) -> None:
    """Leaves the gauges of a process out that has ended; its counters still count."""
    with counting():
        mark_process_dead(pid)  # type: ignore[no-untyped-call]
