"""`Grid`: the cells of a source before any column has a role. Every reader makes one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from acceptor.errors import DataError

Reject = Callable[[int, DataError], None]
"""Called for a row that cannot be read, with the number of its line and the error."""


def refuse(line: int, error: DataError) -> None:
    """The `Reject` of strict reading: raises the error of the first row that cannot be read."""
    raise error


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of a delimited file as lists of cells; of JSON as text.

    Attributes:
        rows: One item a row.
        lines: A number for each, 1-based and never twice: the line that it starts on, or its place in an array.
        unit: What `lines` counts: ``line`` or ``row``.
    """

    rows: list[Any]
    lines: list[int]
    unit: str = "line"

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, start: int, stop: int) -> Rows:
        """The rows from ``start`` to before ``stop``."""
        return Rows(self.rows[start:stop], self.lines[start:stop], self.unit)


@dataclass(frozen=True)
class Grid:
    """Cells as parsed.

    Attributes:
        origin: The source as the caller named it.
        unit: What `lines` counts: ``line``, ``row`` or ``argument``.
        names: Column names; None for delimited text, whose first row may be a header.
        columns: The cells of each column: strings in delimited text, anything elsewhere.
        lines: A number for each row, 1-based and never twice.
        form: The format, for messages.
        arrow: The same columns as Arrow's record batch, where they came as one.
    """

    origin: str
    unit: str
    names: list[str] | None
    columns: list[list[Any]]
    lines: Sequence[int]
    form: str = ""
    arrow: Any = None

    def place(self, row: int) -> str:
        """File and line of ``row`` (0-based), for messages."""
        return f"{self.origin}, {self.unit} {self.lines[row]}"

    def index(self, column: str) -> int | None:
        """The place of the column with this name, else of that with this number; None if there is none."""
        names = self.names or []
        stripped = [name.strip() for name in names]
        if column in names:
            return names.index(column)
        if stripped.count(column) == 1:
            return stripped.index(column)
        is_number = column.isdecimal() and 1 <= int(column) <= len(self.columns)
        return int(column) - 1 if is_number else None
