"""Shows progress of long work on stderr: amount done, rate, time left.

A terminal and a notebook get a bar; a log file gets a line every half minute, so that short work prints nothing there.
"""

from __future__ import annotations

import contextlib
import importlib.util
import time
from collections.abc import Iterator
from contextvars import ContextVar

from rich import filesize
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from acceptor.text import plain_lines

LOG_EVERY = 30.0  # seconds between two lines in a log file
clock = time.monotonic

console = Console(stderr=True, emoji=False)  # :train: in the name of a split is no tram
"""The console of progress, log lines and errors. There is one, so that they do not overwrite each other."""


_silent = ContextVar("silent", default=False)


@contextlib.contextmanager
def without_progress() -> Iterator[None]:
    """Shows no progress in this block, for trainings that are part of a larger work."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


class Meter:
    """A progress bar. `advance` moves it; ``note`` sets the text after it."""

    def __init__(self, progress: Progress, task: TaskID, lines: _Lines | None) -> None:
        self._progress = progress
        self._task = task
        self._lines = lines

    def advance(self, amount: float, note: str | None = None) -> None:
        """Counts ``amount`` more units as done."""
        self._progress.advance(self._task, amount)
        if note is not None:
            self._progress.update(self._task, note=note)
        if self._lines:
            self._lines.advance(amount, note)


class _Done(ProgressColumn):
    """How much is done, and of how much."""

    def render(self, task: Task) -> Text:
        """Both, as `_Lines` writes them."""
        return Text(_done(task.completed, task.total, task.fields["unit"]), no_wrap=True)


class _Rate(ProgressColumn):
    """The rate and the time left, as `_Lines` writes them."""

    max_refresh = 0.5  # seconds; more often, the numbers cannot be read

    def render(self, task: Task) -> Text:
        """What is known of both."""
        rate, left = task.speed, task.time_remaining
        parts = [f"{_quantity(rate, task.fields['unit'])}/s"] if rate else []
        return Text(", ".join([*parts, *([f"{_duration(left)} left"] if left is not None else [])]))


class _Note(ProgressColumn):
    """The note. Where the terminal is narrow, it is cut instead of the numbers."""

    def render(self, task: Task) -> Text:
        """The note on one line."""
        return Text(task.fields["note"] or "", no_wrap=True, overflow="ellipsis")


class _Lines:
    """Progress in a log file: a line every half minute, none for shorter work."""

    def __init__(self, what: str, total: float | None, unit: str) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._done = self._logged = 0.0
        self._note: str | None = None
        self._when = clock()

    def advance(self, amount: float, note: str | None) -> None:
        self._done += amount
        self._note = note or self._note
        now = clock()
        if now - self._when >= LOG_EVERY:
            rate = (self._done - self._logged) / (now - self._when)
            self._when, self._logged = now, self._done
            console.print(self._line(rate), markup=False, highlight=False, soft_wrap=True)

    def _line(self, rate: float) -> str:
        parts = [_done(self._done, self._total, self._unit), f"{_quantity(rate, self._unit)}/s"]
        if self._total is not None and rate > 0:
            parts.append(f"{_duration((self._total - self._done) / rate)} left")
        return plain_lines(f"{self._what}: {', '.join([*parts, *([self._note] if self._note else [])])}")


def _done(done: float, total: float | None, unit: str) -> str:
    if total is None:
        return _quantity(done, unit)
    amount = _quantity(done, unit).removesuffix(f" {unit}")  # bytes may be kB of MB
    return f"{amount} of {_quantity(total, unit)}"


def _quantity(value: float, unit: str) -> str:
    """``3.2 MB`` for bytes, else such as ``1,240 steps``."""
    if unit == "bytes":
        return filesize.decimal(round(value))
    return f"{value:,.0f} {unit}" if value >= 10 or value == int(value) else f"{value:.2g} {unit}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


def _can_show_bars() -> bool:
    """In a terminal; and in a notebook, if it has the package with which rich replaces what is shown."""
    return console.is_terminal or (console.is_jupyter and importlib.util.find_spec("ipywidgets") is not None)


@contextlib.contextmanager
def meter(what: str, total: float | None, unit: str, *, silent: bool = False) -> Iterator[Meter]:
    """A bar over ``total`` units (None: unknown), which is removed at the end; log lines if there is no terminal.

    Of the unit ``bytes`` as many are shown at once as are easily read: kB, MB, GB.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        _Done(table_column=Column(no_wrap=True)),
        _Rate(table_column=Column(no_wrap=True)),
        _Note(),
    )
    silent = silent or _silent.get()
    bar = not silent and _can_show_bars()
    lines = None if silent or bar else _Lines(what, total, unit)
    with Progress(*columns, console=console, transient=True, disable=not bar) as progress:
        yield Meter(progress, progress.add_task(what, total=total, unit=unit, note=""), lines)
