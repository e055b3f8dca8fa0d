"""Progress of long work on stderr: what is done, how fast, how long it still takes. Silent without a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

console = Console(stderr=True)
"""Where progress, log lines and errors go; one console, so that they do not write over each other."""


_hushed = ContextVar("hushed", default=False)


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """No bars in this block, for what trains inside something else."""
    token = _hushed.set(True)
    try:
        yield
    finally:
        _hushed.reset(token)


class Meter:
    """One bar. `advance` moves it on; `note` sets the words behind it."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self, amount: float, note: str | None = None) -> None:
        """Counts ``amount`` more units as done."""
        self._progress.advance(self._task, amount)
        if note is not None:
            self._progress.update(self._task, note=note)


@contextlib.contextmanager
def meter(what: str, total: float | None, unit: str, *, silent: bool = False) -> Iterator[Meter]:
    """A bar over ``total`` units (None: not known), gone when the work is done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn(unit),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    silent = silent or _hushed.get() or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=silent) as progress:
        yield Meter(progress, progress.add_task(what, total=total, note=""))
