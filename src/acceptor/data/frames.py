"""Adds columns to pandas and polars data frames. A caller with a pandas frame has imported pandas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import polars as pl

from acceptor.data.reading.columns import name_columns
from acceptor.data.reading.objects import grid_of_object
from acceptor.data.reading.string_columns import checked_frame
from acceptor.data.table import option, texts_of
from acceptor.errors import DataError

Frame = TypeVar("Frame")
"""A pandas or a polars data frame."""

# All that `str.isspace` calls blank, and more; `checked_frame` has the exact rule.
_MAY_BE_BLANK = r"^[\s\x00-\x1f]*$"


def annotated(
    frame: Frame,
    columns: Mapping[str, str],
    taken: Sequence[str],
    verdicts_on: Callable[[list[str], list[str] | None, Callable[[int], str]], pl.DataFrame],
) -> Frame:
    """The frame with the new columns of each row's sentence (or pair) appended.

    Args:
        frame: A pandas or polars data frame. It stays as it is.
        columns: Which column has which role, as for `read_table`, but without keys in objects.
        taken: The names that no other column may have: those of all columns that a judge can give.
        verdicts_on: Gives N rows of columns for N sentences (or pairs), in their order. Its third argument is a
            function that names the place of a row.

    Returns:
        A frame of the same kind: the same columns, types, rows and index, and then the new columns. A column with the
        name that it may not have is renamed: see `side_by_side`.

    Raises:
        DataError: It is no such frame, no column is known to hold the sentences, a row has none, or two columns would
            have one name.
    """
    pandas = _is_pandas(frame)
    renames = renames_of_taken(frame.columns, taken)  # type: ignore[attr-defined]
    sentences, seconds = texts_of(text_columns(frame, columns))

    def place(row: int) -> str:
        return f"row {row + 1}" + (f", index {frame.index[row]!r}" if pandas else "")  # type: ignore[attr-defined]

    whole: Frame = _with(frame, renames, verdicts_on(sentences, seconds, place), pandas)
    return whole


def side_by_side(frame: pl.DataFrame, *more: pl.DataFrame, taken: Sequence[str] = ()) -> pl.DataFrame:
    """The frames side by side. A column of ``frame`` whose name is taken is called ``input.NAME``.

    Args:
        frame: The first frame.
        more: The others. The names of their columns are taken.
        taken: Further names that are.

    Raises:
        DataError: There is a column of that new name, too.
    """
    taken = [*taken, *(name for other in more for name in other.columns)]
    return pl.concat([frame.rename(renames_of_taken(frame.columns, taken)), *more], how="horizontal")


def renames_of_taken(names: Iterable[Any], taken: Sequence[str]) -> dict[Any, str]:
    """New names, ``input.NAME``, for the columns whose name is taken.

    Raises:
        DataError: There is a column of that new name, too.
    """
    names = list(names)
    renamed = {name: f"input.{name}" for name in names if name in taken}
    repeated = next((new for new in renamed.values() if new in names), None)
    if repeated is not None:
        raise DataError(
            f"two columns would be called {repeated!r}",
            cause="an output of Acceptor that is an input of it again",
            next="leave out or rename one of them first",
            code="E-DATA-COLUMN",
        )
    return renamed


def _is_pandas(frame: Any) -> bool:
    """True for pandas, False for polars; recognised by the class's name, so that neither is imported."""
    kind = (type(frame).__module__.partition(".")[0], type(frame).__name__)
    if kind not in (("pandas", "DataFrame"), ("polars", "DataFrame")):
        raise DataError(
            "this is not a data frame",
            expected="a pandas or polars DataFrame",
            found=".".join(kind),
            next="collect it first: frame.collect()" if kind == ("polars", "LazyFrame") else None,
            code="E-DATA-TYPE",
        )
    if type(frame.columns).__name__ in ("MultiIndex", "CategoricalIndex"):
        raise DataError(
            "the names of the columns are not strings",
            expected="one string for each column",
            found=f"a {type(frame.columns).__name__}",
            next="join their levels: frame.columns = frame.columns.map('.'.join)",
            code="E-DATA-COLUMN",
        )
    return kind[0] == "pandas"


def text_columns(frame: Any, columns: Mapping[str, str]) -> pl.DataFrame:
    """The columns ``sentence`` and, where there is one, ``second``: found and checked by the rules of `read_table`.

    Raises:
        DataError: It is no pandas or polars frame, no column is known to hold the sentences, or a row has no text.
    """
    pandas = _is_pandas(frame)
    first = grid_of_object(frame.head(1000))
    if not len(frame):
        first = replace(first, columns=[[""] for _ in first.columns], lines=range(1, 2))
    names = name_columns(first, columns).grid.names or []
    roles = {role: names.index(role) for role in ("sentence", "second") if role in names}
    path = next((columns[role] for role, index in roles.items() if index >= len(frame.columns)), None)
    if path is not None:
        raise DataError(
            "a data frame's column is named, not a key in its objects",
            expected="the name of a column",
            found=str(path),
            next="make a column of it first, or give a file",
            code="E-DATA-COLUMN",
        )
    return pl.DataFrame([_text(frame, index, role, pandas) for role, index in roles.items()])


def _text(frame: Any, index: int, role: str, pandas: bool) -> pl.Series:
    column = frame.iloc[:, index] if pandas else frame.to_series(index)
    if pandas and str(column.dtype).startswith(("str", "large_string")):
        column = pl.from_pandas(column)
    if isinstance(column, pl.Series) and column.dtype == pl.String and not _may_be_refused(column):
        return column.alias(role)

    rows: list[int] = []  # those that are refused, from 1
    errors: list[DataError] = []  # of the first of them

    def refuse(row: int, error: DataError) -> None:
        rows.append(row)
        if not errors:
            errors.append(error)

    grid = grid_of_object(frame.iloc[:, [index]] if pandas else frame[:, [index]])
    for row, cell in enumerate(grid.columns[0], 1):
        if cell is not None and not isinstance(cell, str):
            error = DataError(
                f"a {role} is not text",
                where=f"{grid.origin}, row {row}",
                expected="strings",
                found=f"{type(cell).__name__}: {cell!r}"[:60],
                next="name the column that holds the sentences: "
                + option(grid.origin, "columns", {"sentence": "NAME"}),
                code="E-DATA-TEXT",
            )
            refuse(row, error)
    texts = checked_frame(replace(grid, names=[role]), reject=refuse)[0][role]
    for error in errors:
        if pandas:
            (label,) = frame.index[rows[0] - 1 : rows[0]].tolist()
            error.add("where", f"{error.details['where']}, index {label!r}")
        error.positions = sorted({row - 1 for row in rows})
        raise error
    return texts


def _may_be_refused(texts: pl.Series) -> bool:
    """Whether some row may be invalid; if so, every row is checked."""
    return bool(
        texts.has_nulls() or texts.str.contains(_MAY_BE_BLANK).any() or texts.str.contains("\0", literal=True).any()
    )


def _with(frame: Any, renames: Mapping[Any, str], added: pl.DataFrame, pandas: bool) -> Any:
    if not pandas:
        return pl.concat([frame.rename(renames), added], how="horizontal")
    whole = frame.rename(columns=renames)
    for name, column in added.to_pandas().items():
        whole[name] = column.array  # by position: an index may hold a label twice
    return whole
