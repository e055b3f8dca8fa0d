"""Validates X and y of `AcceptorClassifier`; raises errors of both scikit-learn's and Acceptor's types."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from acceptor.config import TrainConfig
from acceptor.errors import AcceptorError, DataError, UsageError
from acceptor.progress import without_progress
from acceptor.text import listed, plain_lines

_VALUE = r"[0-9](?:[0-9.e+-]*[0-9])?|restart|skip|go-on|fp32|bf16|balanced"
_OPTION = re.compile(rf"--([a-z]+(?:-[a-z0-9]+)*)(?: ({_VALUE})\b)?")


class InputError(DataError, ValueError):
    """X or y cannot be used: a `DataError` that is also the `ValueError` that scikit-learn expects."""


class ParameterError(UsageError, ValueError):
    """A parameter is out of range or not available here: a `UsageError` that is also a `ValueError`."""


@contextlib.contextmanager
def as_sklearn_errors() -> Iterator[None]:
    """Turns Acceptor's errors into ones that are also scikit-learn's, and options in any advice into parameters.

    Raises:
        InputError: For a DataError.
        ParameterError: For a UsageError.
    """
    try:
        yield
    except (InputError, ParameterError):
        raise
    except AcceptorError as error:
        if advice := error.details.get("next"):
            error.add("next", in_parameters(advice))
        if isinstance(error, DataError):
            raise InputError(error.problem, **error.details, code=error.code) from error
        if isinstance(error, UsageError):
            raise ParameterError(error.problem, **error.details, code=error.code) from error
        raise


def in_parameters(advice: str) -> str:
    """Advice for the command line as advice for the classifier: ``--epochs 30`` becomes ``epochs=30``."""
    return _OPTION.sub(_parameter, advice.replace("--overwrite ", ""))  # each fit has a new run folder


def _parameter(option: re.Match[str]) -> str:
    name, value = option[1].replace("-", "_"), option[2]
    if name not in TrainConfig.model_fields:
        return option[0]
    name = "random_state" if name == "seed" else name
    if value is None:
        return name
    return f"{name}={value}" if value[0].isdigit() else f'{name}="{value}"'


@contextlib.contextmanager
def training_log(*, verbose: bool) -> Iterator[None]:
    """Shows only warnings; if verbose, also the log of training. The advice is left to the caller."""
    advice = logging.getLogger("acceptor.training.advice")
    advice.disabled = True
    try:
        with _all_shown() if verbose else without_progress():
            yield
    finally:
        advice.disabled = False


@contextlib.contextmanager
def _all_shown() -> Iterator[None]:
    package = logging.getLogger("acceptor")
    handler, level = logging.StreamHandler(), package.level
    handler.setFormatter(_PlainFormatter("%(message)s"))
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    try:
        yield
    finally:
        package.removeHandler(handler)
        package.setLevel(level)


class _PlainFormatter(logging.Formatter):
    """Escapes control characters: log lines may quote files."""

    def format(self, record: logging.LogRecord) -> str:
        return plain_lines(super().format(record))


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
