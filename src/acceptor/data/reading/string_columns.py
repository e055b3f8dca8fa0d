"""Turns cells into columns of strings; checks every sentence, second and label."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import polars as pl

from acceptor.data.reading.grid import Grid, Reject, refuse
from acceptor.errors import DataError
from acceptor.text import short

_Fault = Callable[[int, DataError], None]  # called with a row (0-based) and its error


def checked_frame(
    grid: Grid,
    *,
    without_label: bool | None = None,
    reject: Reject = refuse,
    needed: Collection[str] = ("sentence", "second"),
) -> tuple[pl.DataFrame, Sequence[int]]:
    """Every column as strings. A label column that is empty in every row is left out.

    Args:
        grid: Cells in columns that have their final names.
        without_label: Whether the label column is empty in every row; by default the cells decide.
        reject: Called for rows that cannot be used; they are left out.
        needed: The columns that must hold text in every row.

    Returns:
        The columns, and the line of each row.
    """
    faulty: set[int] = set()

    def fault(row: int, error: DataError) -> None:
        if row not in faulty:
            reject(grid.lines[row], error)
            faulty.add(row)

    series = []
    for name, cells in zip(grid.names or [], grid.columns, strict=True):
        texts = _texts(name, cells, grid, fault, name in needed)
        if name == "label" and (without_label if without_label is not None else not any(texts)):
            _find_labels(texts, grid, fault)
            continue
        if name in needed:
            _find_unusable(name, texts, grid, fault)
        series.append(_series(name, texts, grid, fault))
    frame = pl.DataFrame(series)
    if not faulty:
        return frame, grid.lines
    kept = [row for row in range(len(grid.lines)) if row not in faulty]
    return frame[kept], [grid.lines[row] for row in kept]


def _find_labels(texts: list[str], grid: Grid, fault: _Fault) -> None:
    for row, text in enumerate(texts):
        if text:
            error = DataError(
                "a label where the first rows of the file have none",
                where=grid.place(row),
                expected="nothing: the column counts as absent",
                found=short(text),
                next="name the column otherwise: --columns given_label=label",
                code="E-DATA-ROW",
            )
            fault(row, error)


def _texts(name: str, cells: list[Any], grid: Grid, fault: _Fault, needed: bool) -> list[str]:
    kinds = set(map(type, cells))
    if kinds <= {str}:
        return cells
    if needed:
        for row, cell in enumerate(cells):
            if cell is not None and not isinstance(cell, str | bool | int | float | np.generic):
                error = DataError(
                    f"a {name} is not text",
                    where=grid.place(row),
                    expected="a string, a number, or true or false",
                    found=f"{type(cell).__name__}: {short(str(cell))}",
                    code="E-DATA-TEXT",
                )
                fault(row, error)
        cells = [None if isinstance(cell, float | np.floating) and np.isnan(cell) else cell for cell in cells]
    return [cell if type(cell) is str else text_of(cell) for cell in cells]


def text_of(cell: Any) -> str:
    """One cell as text. A missing value becomes empty text, which is refused later if it is not allowed."""
    if isinstance(cell, np.generic | np.ndarray):
        cell = cell.tolist()
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return repr(cell)
    if isinstance(cell, list | tuple | dict):
        return json.dumps(cell, ensure_ascii=False, default=str)
    return str(cell)


def _find_unusable(name: str, texts: list[str], grid: Grid, fault: _Fault) -> None:
    for row, text in enumerate(texts):
        if not text or text.isspace() or "\0" in text:
            blank = "\0" not in text
            unit = "argument" if grid.unit == "argument" else "row"
            error = DataError(
                f"a {name} is empty" if blank else f"a {name} holds a NUL character",
                where=grid.place(row),
                expected=f"a {name} in every {unit}",
                found="nothing, or a missing value" if not text else short(text),
                next=f"remove the {unit}, or fill it in" if blank else "remove the character",
                code="E-DATA-TEXT",
            )
            fault(row, error)


_HALF_PAIR = re.compile("[\ud800-\udfff]+")


def _series(name: str, texts: list[str], grid: Grid, fault: _Fault) -> pl.Series:
    try:
        return pl.Series(name, texts, dtype=pl.String)
    except UnicodeEncodeError:
        if _HALF_PAIR.search(name):
            raise _half_pair(name, grid.place(0), name) from None
    for row, text in enumerate(texts):
        if _HALF_PAIR.search(text):
            fault(row, _half_pair(text, grid.place(row), name))
    return pl.Series(name, [_HALF_PAIR.sub("", text) for text in texts], dtype=pl.String)


def _half_pair(text: str, place: str, name: str) -> DataError:
    return DataError(
        "a text holds half of a surrogate pair, which is no character",
        where=f"{place}, column {name!a}",
        found=ascii("".join(_HALF_PAIR.findall(text)[:1])),
        cause="an escape such as \\ud83d without its other half",
        next="cut texts between characters, not between UTF-16 code units",
        code="E-DATA-TEXT",
    )
