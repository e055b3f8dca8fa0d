"""Who wants to hear of a training's epochs while it runs: the search, which ends those that are hopeless."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

Listener = Callable[[list[dict[str, Any]]], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextlib.contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Trainings in the block call ``listener`` after every epoch with the lines of ``history.jsonl`` so far.

    What it raises ends the training; its checkpoint is written by then.
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def is_trial() -> bool:
    """True where somebody hears: in a search, whose validation scores decide which training is kept."""
    return _listener.get() is not None


def tell_epoch(history: list[dict[str, Any]]) -> None:
    """Says that an epoch has ended."""
    listener = _listener.get()
    if listener:
        listener(history)
