"""The access log: a line for each request, with no text, no key and no address in it."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from dataclasses import dataclass

logger = logging.getLogger(__name__)


@dataclass
class _Asked:
    """What a request asked for, as far as it was read."""

    sentences: int | None = None


_asked: ContextVar[_Asked | None] = ContextVar("asked", default=None)


def set_up() -> None:
    """Sets up the log in a worker that was started anew, and not forked from a process that has one."""
    package = logging.getLogger("acceptor")
    if not package.handlers:
        logging.basicConfig(format="%(message)s")
        package.setLevel(logging.INFO)


def begin() -> None:
    """Begins the present request."""
    _asked.set(_Asked())


def note_sentences(number: int) -> None:
    """Notes how many sentences, or pairs, the present request has: an object, since it is answered in its own task."""
    if (asked := _asked.get()) is not None:
        asked.sentences = number


def write(method: str, path: str, status: int | None, seconds: float) -> None:
    """Writes the line of the present request, which has ended; a status of None: its client has gone."""
    asked = _asked.get()
    more = f", sentences: {asked.sentences:,}" if asked and asked.sentences is not None else ""
    logger.info("%s %s %s, %.0f ms%s", method[:16], path, status or "gone", 1000 * seconds, more)
