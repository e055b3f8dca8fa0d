"""Tables, lines and numbers on stdout. Every cell is shown as text: no markup, no control characters."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from acceptor.text import plain, plain_lines

if TYPE_CHECKING:
    import polars as pl


WIDE = 24  # least width of a text column on a narrow terminal
WIDTH_OF_FILES = 200  # width if stdout is not a terminal, so that nothing is cut off


def show(*parts: Any) -> None:
    """Prints tables and lines on stdout."""
    width = None if sys.stdout and sys.stdout.isatty() else WIDTH_OF_FILES
    console = Console(highlight=False, emoji=False, width=width)
    for part in parts:
        console.print(Text(plain_lines(part)) if isinstance(part, str) else part, soft_wrap=isinstance(part, str))


def table(
    header: Sequence[str], rows: Iterable[Sequence[Any]], *, wide: str | Sequence[str] = (), narrow: Sequence[str] = ()
) -> Table:
    """A table; numbers are right-aligned. Columns in ``wide`` and ``narrow`` may wrap; ``wide`` have a least width."""
    wide = [wide] if isinstance(wide, str) else wide
    rows = [list(row) for row in rows]
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for index, name in enumerate(header):
        number = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        grid.add_column(
            Text(plain(name)),
            justify="right" if number else "left",
            no_wrap=name not in (*wide, *narrow),
            overflow="fold" if name in (*wide, *narrow) else "ellipsis",
            min_width=WIDE if name in wide and any(len(str(row[index])) >= WIDE for row in rows) else None,
        )
    for row in rows:
        grid.add_row(*map(_cell, row))
    return grid


def _cell(cell: Any) -> Text:
    if isinstance(cell, Text):
        return cell
    return Text(f"{cell:.3f}" if isinstance(cell, float) else plain(cell))


def frame_table(frame: pl.DataFrame) -> Table:
    """A small frame as a table."""
    return table(frame.columns, frame.rows(), wide=("sentence", "second"))


def number(value: float) -> str:
    """Three decimals; ``not defined`` for NaN."""
    return "not defined" if math.isnan(value) else f"{round(value, 3) + 0.0:.3f}"  # + 0.0: never -0.000


def p_value(value: float) -> str:
    """Three decimals, or that it is smaller; ``not defined`` for NaN."""
    return "< 0.001" if value < 0.0005 else number(value)
