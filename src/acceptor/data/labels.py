"""Label ids for labels as written. A label is matched exactly or refused; nothing is guessed.

`inspect_labels` checks the labels of a table first; then `classes_of` finds the classes and `as_split` gives the ids.
"""

from __future__ import annotations

import logging
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from acceptor.data.table import ACCEPTABILITY, IN_MEMORY, Split, Table, how_to_judge, option
from acceptor.errors import DataError, UsageError, nearest
from acceptor.text import listed

logger = logging.getLogger(__name__)

KNOWN_SPELLINGS: tuple[tuple[str, str], ...] = (
    ("0", "1"),
    ("false", "true"),
    ("False", "True"),
    ("FALSE", "TRUE"),
    ("no", "yes"),
    ACCEPTABILITY,
    ("ungrammatical", "grammatical"),
    ("bad", "good"),
)
"""Ways to write the two labels of acceptability, label id 0 first. A column uses one of them."""

UNLABELLED = frozenset({"", "-", "?", "nan", "NaN", "null", "NULL", "<NA>", "NA", "N/A", "n/a", "#N/A"})
"""Cells that mean that there is no label; also ``-1``, unless it is declared, and ``None`` if all other labels are
numbers."""


@dataclass(frozen=True)
class LabelRules:
    """How labels are read.

    Attributes:
        declared: All labels in the order of their ids: as written, or as names for numbers in their order.
        normalise: Treat labels that differ only in case, blanks or Unicode form as the same.
        drop_unlabelled: Leave out the rows that have none.
    """

    declared: tuple[str, ...] | None = None
    normalise: bool = False
    drop_unlabelled: bool = False


@dataclass(frozen=True)
class Classes:
    """The classes of a task.

    Attributes:
        written: How each is written, in label-id order; see `label_key`.
        names: The name shown for each.
    """

    written: tuple[str, ...]
    names: tuple[str, ...]

    def ids(self) -> dict[str, int]:
        """The label id of every way to write a label; not by name if a name is how another label is written."""
        ids = {written: index for index, written in enumerate(self.written)}
        by_name = {label_key(name): index for index, name in enumerate(self.names)}
        meant_twice = any(ids.get(name, index) != index for name, index in by_name.items())
        return ids if meant_twice else by_name | ids  # 0 and 1 called 1 and 2: a file's 1 is what train calls 1


def label_key(written: str) -> str:
    """A label without the blanks around it; a whole number without a point: ``1.0`` is ``1``."""
    written = written.strip()
    number = re.fullmatch(r"\+?(-?[0-9]+)\.0*", written)
    return number[1] if number else written


def folded(written: str) -> str:
    """A label in lower case, one Unicode form and single blanks; labels with equal results are probably the same."""
    return " ".join(unicodedata.normalize("NFKC", label_key(written)).casefold().split())


def written_counts(table: Table) -> dict[str, int]:
    """How often each label occurs, as written."""
    return dict(sorted(table.frame["label"].value_counts().iter_rows()))


def unlabelled(written: Iterable[str], rules: LabelRules) -> set[str]:
    """The labels, as written, that mean that a row has no label."""
    written = list(written)
    declared = {label_key(label) for label in rules.declared or ()}
    keys = set(map(label_key, written)) - UNLABELLED
    if len(declared) == len(keys) and all(_number(label) is not None for label in keys):
        declared |= keys  # names for numbers, -1 among them
    signs = {*UNLABELLED, "-1"}
    if all(_number(label) is not None for label in keys - signs - {"None"}):
        signs.add("None")
    return {label for label in written if not (key := label_key(label)) or (key not in declared and key in signs)}


def keys_of(written: Iterable[str], rules: LabelRules, counts: dict[str, int] | None = None) -> dict[str, str]:
    """Maps each written form to its label.

    Args:
        written: Labels as written.
        rules: If they normalise, forms with the same `folded` form become the most frequent of them.
        counts: How often each occurs.
    """
    keys = {label: label_key(label) for label in written}
    if not rules.normalise:
        return keys
    groups: dict[str, list[str]] = {}
    for label in keys:
        groups.setdefault(folded(label), []).append(label)
    known = {spelling[place] for spelling in KNOWN_SPELLINGS for place in (0, 1)}
    for fold, group in groups.items():
        forms: Counter[str] = Counter()
        for label in group:
            forms[unicodedata.normalize("NFC", label_key(label))] += (counts or {}).get(label, 1)
        often = min(forms, key=lambda form: (-forms[form], form != form.lower(), form))
        chosen = fold if fold in known else often
        keys |= dict.fromkeys(group, chosen)
    return keys


def classes_of(table: Table, rules: LabelRules) -> Classes:
    """The classes of the labels of ``table``, in which `inspect_labels` has found no error.

    Declared labels are the classes if the table has them; otherwise they are names for its numbers, in their order.
    Without declared labels: one of `KNOWN_SPELLINGS`, or whole numbers in their order, or words in alphabetical order.

    Raises:
        DataError: A label that was not declared.
    """
    counts = written_counts(table)
    keys = set(keys_of(counts.keys() - unlabelled(counts, rules), rules, counts).values())
    if rules.declared is not None:
        return _declared(table, rules, keys)
    for spelling in KNOWN_SPELLINGS:
        if keys <= set(spelling):
            return Classes(spelling, ACCEPTABILITY)
    try:
        found = tuple(sorted(keys, key=int))
    except ValueError:
        found = tuple(sorted(keys))
    return Classes(found, found)


def _declared(table: Table, rules: LabelRules, keys: set[str]) -> Classes:
    names = tuple(name.strip() for name in rules.declared or ())
    own = tuple(map(label_key, names))
    if len(set(own)) < len(own):
        raise UsageError(
            "a label is declared twice", found=listed(names), expected="each label once", code="E-USAGE-LABELS"
        )
    if keys <= set(own):
        return Classes(own, ACCEPTABILITY if own in KNOWN_SPELLINGS else names)
    by_fold = {folded(name): name for name in own}
    if rules.normalise and set(map(folded, keys)) <= by_fold.keys():
        return Classes(own, ACCEPTABILITY if own in KNOWN_SPELLINGS else names)
    numbers = sorted(keys, key=lambda label: _number(label) or 0.0)
    spelling = next((known for known in KNOWN_SPELLINGS if keys == set(known)), tuple(numbers))
    named = all(_number(label) is not None for label in keys) or spelling in KNOWN_SPELLINGS
    if named and len(keys) == len(own):
        return Classes(spelling, names)
    if named:
        raise DataError(
            f"{len(own)} names for {len(keys)} labels",
            where=table.origin,
            expected="a name for each label, in the order of the labels",
            found=f"the names {listed(names)}; the labels {listed(numbers)}",
            next="declare as many as there are, or the labels as they are written",
            code="E-DATA-LABELS",
        )
    raise unknown_label(table, min(keys - set(own)), own, declared=True)


def _number(label: str) -> float | None:
    try:
        number = float(label.replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def good_label(labels: Sequence[str], named: str | None = None) -> int:
    """The id of the label that means acceptable.

    Args:
        labels: A judge's labels.
        named: The label's name; needed if the labels are none of the `KNOWN_SPELLINGS`.

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
            found=listed(labels),
            next="name it: --good LABEL",
            code="E-USAGE-LABELS",
        )
    if named not in labels:
        match = nearest(named, labels)
        raise UsageError(
            f"the judge has no label {named!r}" + (f"; did you mean {match!r}?" if match else ""),
            expected="one of " + listed(labels),
            code="E-USAGE-LABELS",
        )
    return list(labels).index(named)


def names_good_label(labels: Sequence[str]) -> bool:
    """Whether the names of the labels tell which of them means acceptable: see `good_label`."""
    return any(set(labels) == set(spelling) for spelling in KNOWN_SPELLINGS)


def positive_label(labels: Sequence[str]) -> int:
    """The id of the label that means acceptable, if its name tells; else of the last label."""
    return good_label(labels) if names_good_label(labels) else len(labels) - 1


def as_split(name: str, table: Table, classes: Classes, rules: LabelRules = LabelRules()) -> Split:
    """The table as a split, with label ids.

    A table may use another of the `KNOWN_SPELLINGS` than the classes do, unless the caller gave these
    other names. If no row has a label, the split has none.

    Raises:
        DataError: A label that is none of the classes, with its line and the nearest known label; or rows without one.
    """
    if "label" not in table.frame.columns:
        return Split(name, table, classes.names, None)
    counts = written_counts(table)
    missing = {label for label in unlabelled(counts, rules) if label_key(label) not in classes.written}
    if missing == counts.keys():
        logger.info("%s: no row has a label", table.origin)
        return Split(name, table, classes.names, None)
    if missing:
        rows = table.frame["label"].is_in(list(missing))
        if not rules.drop_unlabelled:
            raise without_label(table, missing)
        logger.warning("%s: left out, without a label: %s", table.origin, table.listed_lines(rows.arg_true().to_list()))
        table = table.take((~rows).arg_true().to_numpy())
    keys = keys_of(counts.keys() - missing, rules, counts)
    ids = _known_ids(set(keys.values()), classes)
    if rules.normalise:
        folds = {folded(label): index for label, index in ids.items()}
        ids |= {key: folds[folded(key)] for key in keys.values() if key not in ids and folded(key) in folds}
    unknown = [written for written, key in keys.items() if key not in ids]
    if unknown:
        raise unknown_label(table, min(unknown), classes.names, declared=rules.declared is not None)
    column = table.frame["label"].replace_strict(list(keys), [ids[key] for key in keys.values()], return_dtype=pl.Int64)
    named = classes.names not in (classes.written, ACCEPTABILITY)
    return Split(name, table, classes.names, column.to_numpy(writable=True), classes.written if named else None)


def _known_ids(keys: set[str], classes: Classes) -> dict[str, int]:
    """The ids of the classes; also those of another known spelling, if the table uses that."""
    ids = classes.ids()
    if (
        classes.written in KNOWN_SPELLINGS
        and classes.names in (ACCEPTABILITY, classes.written)
        and not keys & ids.keys()
    ):
        other = next((known for known in KNOWN_SPELLINGS if keys & set(known)), ())
        ids |= {label: index for index, label in enumerate(other)}
    return ids


def other_spelling(table: Table, classes: Classes, rules: LabelRules) -> tuple[str, ...]:
    """How the table writes the classes, if by another of the `KNOWN_SPELLINGS` than they are written in; else empty."""
    if "label" not in table.frame.columns:
        return ()
    counts = written_counts(table)
    keys = set(keys_of(counts.keys() - unlabelled(counts, rules), rules, counts).values())
    return tuple(label for label in _known_ids(keys, classes) if label not in classes.ids())


def any_labels(table: Table) -> str:
    """The option that declares labels, for an error about a table whose labels are not known."""
    return option(table.origin, "labels", ["A", "B"], more=True)


def without_label(table: Table, missing: set[str]) -> DataError:
    """The error for rows without a label."""
    rows = table.frame["label"].is_in(list(missing)).arg_true().to_list()
    signs = ", ".join("empty cells" if not label.strip() else repr(label) for label in sorted(missing))
    others = sorted(set(map(label_key, written_counts(table).keys() - missing)))
    numbers = all(_number(one) is not None for one in others) and "-1" in map(label_key, missing)
    order = ["-1", *sorted(others, key=lambda label: _number(label) or 0.0)]
    empty = all(not label.strip() for label in missing)
    or_class = f"where -1 is a class: {option(table.origin, 'labels', order)}, or names in the order of the numbers"
    return DataError(
        f"{len(rows)} of {len(table)} rows have no label",
        where=f"{table.origin}, {table.listed_lines(rows)}",
        expected="a label in every row",
        found=signs,
        cause="rows on which annotators did not agree, or a test set whose labels are hidden",
        next=(f"{or_class}\n" if numbers else "")
        + f"leave them out: {option(table.origin, 'drop_unlabelled')}\n"
        + ("" if numbers or empty else f"or, where these are classes, declare all labels: {any_labels(table)}\n")
        + f"to judge them: {how_to_judge(table.origin)}",
        code="E-DATA-UNLABELLED",
    )


def unused_labels(written: Iterable[str], rules: LabelRules) -> list[str]:
    """The declared labels that none of those written is; none if the declared ones are names for others."""
    form = folded if rules.normalise else label_key
    found = set(map(form, written))
    declared = {form(name): name for name in rules.declared or ()}
    return [name for key, name in declared.items() if key not in found] if found <= declared.keys() else []


def unknown_label(table: Table, label: str, known: Sequence[str], *, declared: bool = False) -> DataError:
    """The error for an unknown label; if the known ones are ``declared``, either may be wrong."""
    row = table.frame["label"].index_of(label)
    if row is None:
        row = next((at for at, one in enumerate(table.frame["label"]) if label_key(one) == label_key(label)), 0)
    match = nearest(label, known) if _number(label) is None else None
    total = table.frame["label"].eq(label).sum()
    rows = f" ({total} such rows)" if total > 1 else ""
    known_words = {folded(word) for spelling in KNOWN_SPELLINGS for word in spelling if _number(word) is None}
    alike = set(known) == set(ACCEPTABILITY) and folded(label) in known_words
    alike = alike or (match is not None and folded(match) == folded(label))
    listed_names = listed([repr(name) for name in known], 10)
    name = "labels=[…]" if table.origin in IN_MEMORY else "--labels"
    if alike:
        cause = "another way to write it"
        advice = f"take them for the same: {option(table.origin, 'normalise_labels')}"
    elif declared:
        cause = f"a typing error: {match!r} is declared" if match else f"a label left out of {name}, or a typing error"
        advice = f"correct {name}, or the {'rows' if table.origin in IN_MEMORY else 'file'}"
    else:
        cause = "a typing error, another spelling, or a wrong label column"
        declare = f"declare all labels in the order of their ids: {any_labels(table)}"
        # a judge's labels are known, and other words for them are not
        advice = "correct the file, or " + ("for a training, " if _number(label) is None else "") + declare
    return DataError(
        f"unknown label {label!r}" + (f"; did you mean {match!r}?" if match and not declared else ""),
        where=table.place(row) + rows,
        expected=f"the labels of {name}: {listed_names}" if declared else f"one of {listed_names}",
        found=repr(label),
        cause=cause,
        next=advice,
        code="E-DATA-LABELS",
    )
