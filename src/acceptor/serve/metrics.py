"""The counters of a server, for Prometheus. They are kept in files, which all worker processes share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

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

OUTCOMES = ("ok", "invalid", "refused", "timeout", "failed", "gone")
"""How a request can end: 2xx and 3xx; another 4xx; 429 or 503; 408 or 504; another 5xx; its client left."""


def outcome_of(status: int | None) -> str:
    """The outcome of a request, from the status of its answer; None if there was no answer."""
    if status is None:
        return "gone"
    if status in (429, 503):
        return "refused"
    if status in (408, 504):
        return "timeout"
    return "ok" if status < 400 else "invalid" if status < 500 else "failed"


def exposition() -> tuple[bytes, str]:
    """The counters of all workers together as text, and its content type; of this process alone in another server."""
    registry: Any = CollectorRegistry() if FOLDER in os.environ else REGISTRY
    if FOLDER in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST


def mark_started() -> None:
    """Notes, for the parent, that this worker has started to serve."""
    folder = Path(os.environ.get(FOLDER, ""))
    if os.environ.get(FOLDER) and folder.is_dir():
        (folder / f"started-{os.getpid()}").touch()


def has_started(pid: int) -> bool:
    """True if a worker has started to serve before it ended."""
    return (Path(os.environ.get(FOLDER, "")) / f"started-{pid}").exists()


def forget_process(pid: int) -> None:
    """Leaves the gauges of a process out that has ended; its counters still count."""
    if Path(os.environ.get(FOLDER, "")).is_dir():
        mark_process_dead(pid)  # type: ignore[no-untyped-call]
