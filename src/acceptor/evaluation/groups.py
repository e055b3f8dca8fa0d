"""A column, and the rows that share a value of it, by value; rows without one have a name of their own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.errors import DataError, nearest

MAX_VALUES = 1000  # of a column; one with more is a key, not groups
MISSING = "not given"

Rows = npt.NDArray[np.uint32]


def rows_by_value(values: pl.Series) -> dict[str, Rows]:
    """Row numbers by value as text, in the order of first appearance.

    Rows without a value, null or empty, are `MISSING`, in parentheses if that is a value of others.
    """
    if values.dtype == pl.String:
        values = values.replace("", None)
    groups = pl.DataFrame({"value": values}).with_row_index("row").group_by("value", maintain_order=True).agg("row")
    names = [None if value is None else str(value) for value in groups["value"]]
    missing = MISSING
    while missing in names:
        missing = f"({missing})"
    rows = (group.to_numpy() for group in groups["row"])
    return {missing if name is None else name: group for name, group in zip(names, rows, strict=True)}


def column_of(
    frame: pl.DataFrame, name: str, whose: str, where: str | None = None, besides: Sequence[str] = ()
) -> pl.Series:
    """A column of rows by name. ``besides`` are names that would have done, too.

    Raises:
        DataError: There is none; ``whose`` and ``where`` say of what.
    """
    if name in frame.columns:
        return frame[name]
    names = list(dict.fromkeys([*frame.columns, *besides]))
    match = nearest(name, names)
    raise DataError(
        f"{whose} has no column {name!r}",
        where=where,
        expected=", ".join(names),
        next=f"did you mean {match!r}?" if match else None,
        code="E-DATA-COLUMN",
    )


def check_few_values(values: pl.Series, where: str) -> None:
    """Refuses a column that is a key.

    Raises:
        DataError: It has more than `MAX_VALUES` values.
    """
    if (found := values.n_unique()) > MAX_VALUES:
        raise DataError(
            f"the column {values.name!r} has {found} values",
            where=where,
            expected=f"at most {MAX_VALUES}, one for each slice",
            next="name a column of groups, such as source",
            code="E-DATA-COLUMN",
        )
