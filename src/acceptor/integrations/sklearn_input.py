"""Validates X and y of `AcceptorClassifier`; raises errors of both scikit-learn's and Acceptor's types."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from acceptor.errors import DataError, UsageError
from acceptor.text import listed


class InputError(DataError, ValueError):
    """X or y cannot be used: a `DataError` that is also the `ValueError` that scikit-learn expects."""


class ParameterError(UsageError, ValueError):
    """A parameter is out of range or not available here: a `UsageError` that is also a `ValueError`."""


@contextlib.contextmanager
def as_sklearn_errors() -> Iterator[None]:
    """Turns Acceptor's errors into ones that are also scikit-learn's.

    Raises:
        InputError: For a DataError.
        ParameterError: For a UsageError.
    """
    try:
        yield
    except (InputError, ParameterError):
        raise
    except DataError as error:
        raise InputError(error.problem, **error.details, code=error.code) from error
    except UsageError as error:
        raise ParameterError(error.problem, **error.details, code=error.code) from error


@contextlib.contextmanager
def as_input_error(what: str) -> Iterator[None]:
    """Turns errors of scikit-learn's own checks of X or y into an InputError."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise InputError(
            str(error),
            where=what,
            code="E-DATA-TYPE",
        ) from error


def columns_of(cells: npt.NDArray[np.object_]) -> list[list[str]]:
    """The columns of X: one of sentences, or two of pairs.

    Raises:
        InputError: X has another shape, or a cell is not text; the error names its row.
    """
    table = cells[:, None] if cells.ndim == 1 else cells
    if table.ndim != 2 or table.shape[1] > 2:
        raise InputError(
            "X is not sentences",
            expected="N sentences (1-d, or one column) or N pairs (two columns)",
            found=f"shape {cells.shape}",
            code="E-DATA-TYPE",
        )
    columns = [table[:, index].tolist() for index in range(table.shape[1])]
    for column in columns:
        for row, cell in enumerate(column):
            if not isinstance(cell, str) or not cell.strip():
                found = repr(cell)[:60]
                raise InputError(
                    "a value of X is not a sentence",
                    where=f"row {row}, from 0",
                    expected="text",
                    found=found,
                    code="E-DATA-TYPE",
                )
    return columns


def read_labels(y: Any, name: str = "y") -> npt.NDArray[Any]:
    """y, shape (N,), checked as scikit-learn's classifiers do; ``name`` is what errors call it.

    Raises:
        InputError: y is not a vector of class labels, or a label is missing.
    """
    with as_input_error(name):
        labels = column_or_1d(y, warn=True)
    _refuse_missing(np.asarray(y, dtype=object).ravel().tolist(), name)
    with as_input_error(name):
        assert_all_finite(labels, input_name=name)
        check_classification_targets(labels)
    return np.asarray(labels)


def _refuse_missing(labels: list[Any], name: str) -> None:
    """Refuses rows without a label. In an array of strings a NaN would be the class ``nan``."""
    rows = [row for row, label in enumerate(labels) if _is_missing(label)]
    if rows:
        raise InputError(
            f"{len(rows)} of {len(labels)} rows have no label",
            where=f"row{'s' * (len(rows) > 1)} {listed([str(row) for row in rows])} of {name}, from 0",
            expected="a label in every row",
            found=repr(labels[rows[0]]),
            next=f"leave these rows out of {name.replace('y', 'X')} and {name}; predict judges them without labels",
            code="E-DATA-UNLABELLED",
        )


def _is_missing(label: Any) -> bool:
    if label is None or isinstance(label, str):
        return not (label or "").strip()
    try:
        return bool(label != label)  # NaN, NaT
    except TypeError:  # pandas.NA equals nothing, and does not differ either
        return True


def refuse_lone(X_val: Any, y_val: Any) -> None:  # noqa: N803
    """Refuses sentences to validate on without their labels, and labels without their sentences."""
    if (X_val is None) != (y_val is None):
        raise InputError(
            "X_val and y_val belong together",
            expected="both, or neither",
            found="X_val alone" if y_val is None else "y_val alone",
            code="E-DATA-TYPE",
        )


def labelled(columns: list[list[str]], labels: npt.NDArray[Any]) -> pl.DataFrame:
    """Sentences or pairs with their labels, as input of `load_data`."""
    with as_input_error("X and y"):
        check_consistent_length(columns[0], labels)
    names = ("sentence", "second")[: len(columns)]
    return pl.DataFrame({**dict(zip(names, columns, strict=True)), "label": [str(label) for label in labels.tolist()]})
