"""From labels as written to label ids. A label is matched exactly or refused; nothing is guessed."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from acceptor.data.table import Split, Table
from acceptor.errors import DataError, UsageError, nearest

ACCEPTABILITY = ("unacceptable", "acceptable")

KNOWN_SPELLINGS: tuple[tuple[str, str], ...] = (
    ("0", "1"),
    ("false", "true"),
    ("False", "True"),
    ("FALSE", "TRUE"),
    ("no", "yes"),
    ("unacceptable", "acceptable"),
    ("ungrammatical", "grammatical"),
    ("bad", "good"),
)
"""Ways to write the two labels of acceptability, label id 0 first. A column keeps to one of them."""

MAX_LABELS = 1000
RARE = 20  # a label this many times rarer than one it resembles is taken for a typing error


def label_spelling(table: Table, declared: Sequence[str] | None = None) -> tuple[str, ...]:
    """How the labels of ``table`` are written, in label-id order.

    Declared labels are taken as they are, if two occur. Otherwise: one of `KNOWN_SPELLINGS`, or whole numbers in
    their order, or words in alphabetical order.

    Raises:
        DataError: Labels mix spellings, one looks like a typing error of another, there is only one
            label, or too many.
    """
    counts = dict(table.frame["label"].value_counts().iter_rows())
    if declared is not None:
        return _at_least_two(table, tuple(declared), counts)
    for spelling in KNOWN_SPELLINGS:
        if counts.keys() & set(spelling):
            unknown = counts.keys() - set(spelling)
            numbers = spelling == ("0", "1") and all(label.isdecimal() for label in counts)
            if unknown and not numbers:
                raise _unknown(table, min(unknown), spelling)
            if not unknown:
                return _at_least_two(table, spelling, counts)
    if all(label.isdecimal() for label in counts):
        found = tuple(sorted(counts, key=int))
    else:
        found = tuple(sorted(counts))
        _refuse_typing_errors(table, counts)
    if len(found) > MAX_LABELS:
        raise DataError(
            f"{len(found)} different labels",
            where=table.origin,
            expected=f"at most {MAX_LABELS}",
            cause="the label column is probably another one",
            next="name it: --columns label=NAME",
        )
    return _at_least_two(table, found, counts)


def label_names(spelling: tuple[str, ...]) -> tuple[str, ...]:
    """The names that people see: the known two-label spellings all mean unacceptable / acceptable."""
    return ACCEPTABILITY if spelling in KNOWN_SPELLINGS else spelling


def good_label(labels: Sequence[str], named: str | None = None) -> int:
    """The id of the label that means acceptable.

    Args:
        labels: A judge's labels.
        named: The label's name, where the labels do not tell.

    Raises:
        UsageError: There is no such label, or the labels are none of the `KNOWN_SPELLINGS`.
    """
    if named is None:
        for bad, good in KNOWN_SPELLINGS:
            if set(labels) == {bad, good}:
                return list(labels).index(good)
        raise UsageError(
            "which of the judge's labels means acceptable is not clear",
            expected="two labels such as unacceptable and acceptable",
            found=", ".join(labels[:10]),
            next="name it: --good LABEL",
        )
    if named not in labels:
        match = nearest(named, labels)
        raise UsageError(
            f"the judge has no label {named!r}" + (f"; did you mean {match!r}?" if match else ""),
            expected="one of " + ", ".join(labels[:10]),
        )
    return list(labels).index(named)


def as_split(name: str, table: Table, spelling: tuple[str, ...]) -> Split:
    """The table as a split, its labels turned into ids.

    Every table may use its own one of the known two-label spellings.

    Raises:
        DataError: A label that is not in the spelling, with its line and the nearest known label.
    """
    names = label_names(spelling)
    if "label" not in table.frame.columns:
        return Split(name, table, names, None)
    column = table.frame["label"]
    written = set(column.unique())
    if spelling in KNOWN_SPELLINGS and not written & set(spelling):
        spelling = next((known for known in KNOWN_SPELLINGS if written & set(known)), spelling)
    unknown = written - set(spelling)
    if unknown:
        raise _unknown(table, min(unknown), spelling)
    ids = column.replace_strict(list(spelling), list(range(len(spelling))), return_dtype=pl.Int64)
    return Split(name, table, names, ids.to_numpy(writable=True))


def _at_least_two(table: Table, spelling: tuple[str, ...], counts: dict[str, int]) -> tuple[str, ...]:
    if len(counts) < 2:
        raise DataError(
            "only one label occurs",
            where=table.origin,
            expected="examples of at least two labels",
            found=f"{len(table)} examples, all {next(iter(counts), '')!r}",
            cause="a filtered file, or a wrong label column",
            next="look at it: acceptor audit FILE; name the column: --columns label=NAME",
        )
    return spelling


def _refuse_typing_errors(table: Table, counts: dict[str, int]) -> None:
    for label, count in counts.items():
        match = nearest(label, [other for other in counts if counts[other] >= RARE * count])
        if match:
            raise _unknown(table, label, tuple(sorted(set(counts) - {label})))


def _unknown(table: Table, label: str, known: tuple[str, ...]) -> DataError:
    row = table.frame["label"].index_of(label) or 0
    match = nearest(label, known)
    total = table.frame["label"].eq(label).sum()
    rows = f" ({total} such rows)" if total > 1 else ""
    return DataError(
        f"unknown label {label!r}" + (f"; did you mean {match!r}?" if match else ""),
        where=table.place(row) + rows,
        expected="one of " + ", ".join(repr(name) for name in known[:10]),
        found=repr(label),
        cause="a typing error, another spelling, or a wrong label column",
        next="correct the file, or declare all labels in the order of their ids: --labels A,B,…",
    )
