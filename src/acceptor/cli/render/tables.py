"""Tables, lines and numbers on stdout. Every cell is shown as text: no markup, no control characters."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from acceptor.text import plain, plain_lines

if TYPE_CHECKING:
    import polars as pl


WIDE = 24  # width that suffices for a column of text on a narrow terminal; longer words are folded
GAP = 3  # between two columns
WORD = re.compile(r"\[[^]]*\]|< \S+|\S+")  # what stays on one line: an interval, a bound, a word
INTERVAL = re.compile(r" (?=\[[-\d]|\(n < )")  # the blank before it, or before a number that is too small
LONGEST = 2000  # characters of a cell that are shown: a text of a megabyte would push all else off the screen
WIDTH_OF_FILES = 200  # width if stdout is not a terminal, so that nothing is cut off


def show(*parts: Any) -> None:
    """Prints tables and lines on stdout."""
    width = None if sys.stdout and sys.stdout.isatty() else WIDTH_OF_FILES
    console = Console(highlight=False, emoji=False, width=width)
    for part in parts:
        console.print(Text(plain_lines(part)) if isinstance(part, str) else part, soft_wrap=isinstance(part, str))


@dataclass(frozen=True)
class TextTable:
    """A table that fits the terminal: cells are wrapped between words, and not cut.

    Where even its longest words do not fit side by side, each row becomes a block of lines.

    Attributes:
        header: The names of the columns.
        columns: The cells of each column.
        least: The least width of each column.
        numbers: True for each column of numbers, which are right-aligned.
    """

    header: list[Text]
    columns: list[list[Text]]
    least: list[int]
    numbers: list[bool]

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        most = options.max_width
        space = most - GAP * (len(self.header) - 1)
        yield self._grid(self._widths(space)) if sum(self.least) <= space else self._blocks(most // 2)

    def _widths(self, space: int) -> list[int]:
        """The width of each column: the widest ones are narrowed until all fit."""
        widths = [
            min(space, max(map(_width, [name, *column])))
            for name, column in zip(self.header, self.columns, strict=True)
        ]
        while sum(widths) > space:
            wide = [width * (width > least) for width, least in zip(widths, self.least, strict=True)]
            widths[wide.index(max(wide))] -= 1
        return widths

    def _grid(self, widths: list[int]) -> Table:
        grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
        for name, width, number in zip(self.header, widths, self.numbers, strict=True):
            grid.add_column(name, width=width, overflow="fold", justify="right" if number else "left")
        for row in zip(*self.columns, strict=True):
            grid.add_row(*map(_wrapped, row, widths))
        return grid

    def _blocks(self, half: int) -> Table:
        """Each row as lines: a column's name, and the cell if it is not empty."""
        grid = Table.grid(padding=(0, GAP, 0, 0))
        grid.add_column(style="bold", max_width=half, overflow="fold")
        grid.add_column(overflow="fold")
        for index, row in enumerate(zip(*self.columns, strict=True)):
            if index:
                grid.add_row()
            for name, cell in zip(self.header, row, strict=True):
                if cell:
                    grid.add_row(name, cell)
        return grid


def table(header: Sequence[str], rows: Iterable[Sequence[Any]], *, wide: str | Sequence[str] = ()) -> TextTable:
    """A table; numbers are right-aligned. Columns in ``wide`` hold running text: they are not narrower than `WIDE`."""
    wide = [wide] if isinstance(wide, str) else wide
    rows = [list(row) for row in rows]
    names = [Text(plain(name)) for name in header]
    columns = [[_cell(row[index]) for row in rows] for index in range(len(names))]
    numbers = [bool(rows) and all(isinstance(row[index], int | float) for row in rows) for index in range(len(names))]
    least = [
        min(WIDE, max(map(_width if title in wide else _longest_word, [name, *column])))
        for title, name, column in zip(header, names, columns, strict=True)
    ]
    return TextTable(names, columns, least, numbers)


def _width(cell: Text) -> int:
    return max(map(cell_len, cell.plain.split("\n")))


def _longest_word(cell: Text) -> int:
    return max(map(cell_len, WORD.findall(cell.plain)), default=0)


def _wrapped(cell: Text, width: int) -> Text:
    """The cell; if it is too wide, its interval begins a line, so that it is not divided."""
    return cell if _width(cell) <= width else Text(INTERVAL.sub("\n", cell.plain), cell.style)


def _cell(cell: Any) -> Text:
    if isinstance(cell, Text):
        return cell
    text = f"{cell:.3f}" if isinstance(cell, float) else plain(cell)
    return Text(text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)")


def frame_table(frame: pl.DataFrame) -> TextTable:
    """A small frame as a table."""
    return table(frame.columns, frame.rows(), wide=("sentence", "second"))


def number(value: float) -> str:
    """Three decimals; ``not defined`` for NaN."""
    return "not defined" if math.isnan(value) else f"{round(value, 3) + 0.0:.3f}"  # + 0.0: never -0.000


def p_value(value: float) -> str:
    """Three decimals, or that it is smaller; ``not defined`` for NaN."""
    return "< 0.001" if value < 0.0005 else number(value)
