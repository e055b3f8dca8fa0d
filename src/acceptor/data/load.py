"""`load_data`: from a corpus' name, a file, a folder, a frame or a list to `Data`, with labels as ids."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from acceptor.data.auditing.inspection import Remark, inspect_labels, inspect_texts, no_labels, split_column
from acceptor.data.corpora import CORPORA, corpus_tables, refuse_reading
from acceptor.data.corpus_folder import folder_tables
from acceptor.data.extra import is_cola, listed_sources, refuse_mixed_tasks, refuse_twice, with_extra, without_held_out
from acceptor.data.labels import (
    Classes,
    LabelRules,
    as_split,
    classes_of,
    label_key,
    other_spelling,
    unlabelled,
    written_counts,
)
from acceptor.data.reading.read import Reading
from acceptor.data.reading.unpack import STDIN, is_stream
from acceptor.data.table import Data, DataSource, Split, Table
from acceptor.errors import DataError, UsageError, checked_types, nearest
from acceptor.storage.files import user_path
from acceptor.text import listed, shell

logger = logging.getLogger(__name__)


@checked_types
def load_data(
    source: Any,
    *,
    validation: Any = None,
    test: Any = None,
    extra: Any = None,
    folder: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
    labels: Sequence[str] | None = None,
    normalise_labels: bool = False,
    drop_unlabelled: bool = False,
) -> Data:
    """Reads a corpus, and logs how each of its files was read.

    Args:
        source: A corpus' name (`cola`, `starter`), a file, a folder of files, a pandas or polars frame, a
            ``datasets.Dataset``, or a list of (sentence, label), (sentence, second, label) or dicts.
        validation: A file, frame or list for the validation split; replaces the corpus' own.
        test: A file, frame or list for the test split; replaces the corpus' own.
        extra: More labelled rows to train on, with the same labels: a source, or a list of sources, of which only the
            training split is taken. No validation split is cut from them, and no cross-validation holds them out; those
            whose text is in validation or test are left out. ``columns`` and the like hold for their files, too.
        folder: The folder with the files of the corpus `cola`.
        columns: Role (`sentence`, `second`, `label`) to column name or 1-based number. A named corpus'
            columns are known; there they are those of ``validation``, ``test`` and ``extra``.
        separator: The separator of delimited text, if it is not the usual one of the file's format.
        labels: All labels in the order of their ids: as written in the files, or as names for numbers in their order.
        normalise_labels: Treat labels that differ only in case, blanks or Unicode form as the same.
        drop_unlabelled: Leave out the rows that have no label (nothing, ``-``, ``?``, ``-1``).

    Raises:
        DataError: Something is missing or is not what it must be; the message names file and line.
        UsageError: ``folder`` or ``columns`` were given for a corpus that has its own.
    """
    reading, rules = _rules_of(columns, separator, labels, normalise_labels, drop_unlabelled)
    extra = listed_sources(extra)
    of_extra = not is_cola(source) and any(map(is_cola, extra))
    if validation is None and test is None and all(isinstance(one, str) and one in CORPORA for one in extra):
        refuse_reading(source, columns, separator)
    tables = _tables(source, None if of_extra else folder, reading)
    if validation is not None:
        tables["validation"] = reading.table(validation)
    if test is not None:
        tables["test"] = reading.table(test)
    train = tables["train"]
    _check_train(train, rules, reading)
    classes = classes_of(train, rules)
    splits = _splits(tables, classes, rules)
    added = [_extra(one, folder, reading, classes, rules) for one in extra]
    refuse_mixed_tasks([*splits.values(), *added])
    refuse_twice(splits.values(), added)
    splits["train"] = with_extra(splits["train"], added)
    for split in (*splits.values(), *added):
        is_train = split is splits["train"]
        logger.info("%s", split.describe(classes.written if is_train else other_spelling(split.table, classes, rules)))
    if "test" in splits and splits["test"].label_ids is None:
        logger.warning("the test split has no labels, so it will not be scored; acceptor predict judges it")
    given = {"source": source, "validation": validation, "test": test, "folder": folder}
    return without_held_out(_data_of(splits, _source_of(given, extra, reading, rules)))


def _extra(source: Any, folder: str | Path | None, reading: Reading, classes: Classes, rules: LabelRules) -> Split:
    """The training rows of another source, by the classes of the first."""
    table = _tables(source, folder if is_cola(source) else None, reading)["train"]
    if found := _column_of_splits(table, "give a file of its rows of train alone"):
        raise found[0].error
    if not _has_labels(table, rules):
        raise no_labels(table, reading.columns or {})
    for remark in inspect_texts(table):
        logger.warning("%s", remark)
    try:
        return as_split("extra", table, classes, rules)
    except DataError as error:
        error.add("cause", f"extra rows must have the labels of the first corpus: {listed(classes.names)}")
        raise


def _source_of(
    given: Mapping[str, Any], extra: Sequence[Any], reading: Reading, rules: LabelRules
) -> DataSource | None:
    """How the same data can be read again; None if an object in memory or a pipe was given."""
    if not all(path is None or isinstance(path, str | Path) for path in (*given.values(), *extra)):
        return None
    if any(path is not None and is_stream(Path(path), str(path)) for path in (*given.values(), *extra)):
        return None
    paths = {name: None if path is None else str(path) for name, path in given.items()}
    return DataSource(
        source=str(paths["source"]),
        validation=paths["validation"],
        test=paths["test"],
        extra=[str(path) for path in extra],
        folder=paths["folder"],
        columns=dict(reading.columns) if reading.columns else None,
        separator=reading.separator,
        labels=list(rules.declared) if rules.declared else None,
        normalise_labels=rules.normalise,
        drop_unlabelled=rules.drop_unlabelled,
    )


def _check_train(train: Table, rules: LabelRules, reading: Reading) -> None:
    """Raises the first error of a training table, and logs the warnings."""
    if not _has_labels(train, rules):
        raise no_labels(train, reading.columns or {})
    for remark in [*inspect_labels(train, rules), *inspect_texts(train)]:
        if remark.severity == "error":
            raise remark.error
        logger.warning("%s", remark)


def _rules_of(
    columns: Mapping[str, str] | None,
    separator: str | None,
    labels: Sequence[str] | None,
    normalise_labels: bool,
    drop_unlabelled: bool,
) -> tuple[Reading, LabelRules]:
    """How tables are read, and how their labels are.

    Raises:
        UsageError: ``columns`` is no mapping, ``separator`` no character, or ``labels`` no list of names.
    """
    check_arguments(columns, separator, labels)
    rules = LabelRules(None if labels is None else tuple(labels), normalise_labels, drop_unlabelled)
    return Reading(columns, separator), rules


def check_arguments(columns: Any, separator: Any, labels: Any) -> None:
    """Checks the types of the arguments.

    Raises:
        UsageError: ``columns`` is no mapping, ``separator`` no character, or ``labels`` no list of names.
    """
    if labels is not None and (
        not isinstance(labels, list | tuple) or not labels or not all(isinstance(label, str) for label in labels)
    ):
        raise UsageError(
            "labels cannot be read",
            expected='a list of names in the order of their ids: ["no", "yes"]',
            found=repr(labels)[:80],
            code="E-USAGE-OPTION",
        )
    if columns is not None and not isinstance(columns, Mapping):
        raise UsageError(
            "columns cannot be read",
            expected='role to column: {"sentence": "text"}',
            found=repr(columns)[:80],
            code="E-USAGE-OPTION",
        )
    if separator is not None and not (isinstance(separator, str) and len(separator) == 1):
        raise UsageError(
            "separator cannot be read",
            expected="one character, such as ';'",
            found=repr(separator)[:80],
            code="E-USAGE-OPTION",
        )


def inspect_data(
    source: Any,
    *,
    folder: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
    labels: Sequence[str] | None = None,
    normalise_labels: bool = False,
    drop_unlabelled: bool = False,
) -> tuple[Data, list[tuple[str, Remark]]]:
    """Reads a corpus for an audit: if its labels have faults, every label as written is a class.

    Takes the arguments of `load_data`.

    Returns:
        The data; and all remarks on its tables, each with the name of its split.

    Raises:
        DataError: It cannot be read.
    """
    reading, rules = _rules_of(columns, separator, labels, normalise_labels, drop_unlabelled)
    refuse_reading(source, columns, separator)
    tables = _tables(source, folder, reading)
    remarks = [
        (role, remark)
        for role, table in tables.items()
        for remark in [*inspect_labels(table, rules), *inspect_texts(table), *_column_of_splits(table)]
    ]
    if not any(remark.severity == "error" for _, remark in remarks):
        try:
            classes = classes_of(tables["train"], rules) if _has_labels(tables["train"], rules) else Classes((), ())
            return _data_of(_splits(tables, classes, rules)), remarks
        except DataError as error:  # a label that train does not have
            remarks.append(("train", Remark("an unknown label", "error", [], error)))
    as_written: dict[str, Split] = {}
    for role, table in tables.items():
        names = tuple(written_counts(table)) if "label" in table.frame.columns else ()
        ids = table.frame["label"].replace_strict(names, range(len(names)), return_dtype=pl.Int64) if names else None
        as_written[role] = Split(role, table, names, None if ids is None else ids.to_numpy(writable=True))
    return _data_of(as_written), remarks


def load_split(
    source: Any,
    judged: tuple[str, ...],
    *,
    folder: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
    labels: Sequence[str] | None = None,
    normalise_labels: bool = False,
    drop_unlabelled: bool = False,
    of_column: bool = False,
    written: tuple[str, ...] | None = None,
) -> Split:
    """Reads one split for a judge whose labels are known; a corpus' name or folder means its test split.

    Args:
        source: As for `load_data`.
        judged: The judge's labels, in label-id order.
        folder: As for `load_data`.
        columns: As for `load_data`.
        separator: As for `load_data`.
        labels: As for `load_data`; the judge's labels, in the order of the file's.
        normalise_labels: As for `load_data`.
        drop_unlabelled: As for `load_data`.
        of_column: Take the rows for which a column of splits says test.
        written: How the judge's labels were written in its training data, if it has other names for them.

    Raises:
        DataError: As `load_data`; also for a corpus, or a column of splits, without a test split.
        UsageError: ``labels`` are not the judge's.
    """
    reading, rules = _rules_of(columns, separator, labels, normalise_labels, drop_unlabelled)
    refuse_reading(source, columns, separator)
    if _is_corpus(source):
        tables = _tables(source, folder, reading)
        if "test" not in tables:
            raise DataError(
                "this corpus has no test split", where=str(source), next="name a file instead", code="E-DATA-SPLIT"
            )
        table = tables["test"]
    else:
        table = reading.table(source)
    if of_column:
        table = _rows_of_test(table)
    classes = _classes_of_judge(Classes(written or judged, judged), table, rules)
    split = as_split("test", table, classes, rules)
    logger.info("%s", split.describe(other_spelling(table, classes, rules)))
    advice = "score only the rows of test: --split column"
    for remark in [*inspect_texts(table), *([] if of_column else _column_of_splits(table, advice))]:
        logger.warning("%s", remark)
    return split


def _classes_of_judge(classes: Classes, table: Table, rules: LabelRules) -> Classes:
    """The judge's classes as they are written in the file, if the caller declares them."""
    judged = classes.names
    if rules.declared is None or "label" not in table.frame.columns:
        return classes
    same = tuple(name.strip() for name in rules.declared) == judged  # another order is the caller's choice
    known = same and set(map(label_key, written_counts(table))) <= set(classes.written)
    if known:  # uses the judge's spelling, even if the file lacks some of the labels
        return classes
    declared = classes_of(table, rules)
    if set(declared.names) != set(judged):
        raise UsageError(
            "the labels declared are not the judge's",
            expected=listed(judged),
            found=listed(declared.names),
            next="for numbers: the judge's labels in the order of the numbers; other words: replace them in the file",
            code="E-USAGE-LABELS",
        )
    written = dict(zip(declared.names, declared.written, strict=True))
    return Classes(tuple(written[label] for label in judged), judged)


def _rows_of_test(table: Table) -> Table:
    """The rows that the table's column of splits calls test."""
    name, roles = split_column(table) or ("", {})
    if "test" not in roles.values():
        raise DataError(
            "no column says which rows are those of test",
            where=table.origin,
            expected="a column called split, with train and test for values",
            found=table.schema,
            next="leave --split out, or name a file of test rows",
            code="E-DATA-SPLIT",
        )
    wanted = [value for value, role in roles.items() if role == "test"]
    return table.take(table.frame[name].is_in(wanted).arg_true().to_numpy())


def _column_of_splits(table: Table, advice: str = "train only on the rows of train: --split column") -> list[Remark]:
    found = split_column(table)
    if found is None:
        return []
    name, roles = found
    error = DataError(
        f"the column {name} says which split a row belongs to",
        where=table.origin,
        found=", ".join(f"{value} ({role})" for value, role in sorted(roles.items())),
        next=advice,
        code="E-DATA-SPLIT",
    )
    return [Remark("a column of splits", "warning", [], error)]


def _has_labels(table: Table, rules: LabelRules) -> bool:
    return "label" in table.frame.columns and bool(
        written_counts(table).keys() - unlabelled(written_counts(table), rules)
    )


def _splits(tables: Mapping[str, Table], classes: Classes, rules: LabelRules) -> dict[str, Split]:
    splits = {role: as_split(role, table, classes, rules) for role, table in tables.items()}
    refuse_mixed_tasks(list(splits.values()))
    return splits


def _is_corpus(source: Any) -> bool:
    return isinstance(source, str | Path) and (source in CORPORA or os.path.isdir(user_path(source)))


def _data_of(splits: Mapping[str, Split], source: DataSource | None = None) -> Data:
    return Data(splits["train"], splits.get("validation"), splits.get("test"), source)


def _tables(source: Any, folder: str | Path | None, reading: Reading) -> dict[str, Table]:
    """The tables of a corpus by role."""
    folder = None if folder is None else user_path(folder)
    if isinstance(source, str) and not source:
        raise UsageError(
            "the name of the data is empty", expected="a corpus, a file or a folder", code="E-USAGE-OPTION"
        )
    if isinstance(source, str) and source in CORPORA:
        if folder and source == "starter":
            raise UsageError("the corpus 'starter' takes no folder of files: it is generated", code="E-USAGE-CONFLICT")
        if os.path.exists(source):
            logger.warning("the corpus %r is taken, not ./%s; for that one: ./%s", source, source, source)
        return corpus_tables(source, folder)
    if folder is not None:
        raise UsageError(
            "a folder of files goes with the corpus `cola` only",
            found=str(source),
            next=f"train on the folder itself: acceptor train {shell(folder)}",
            code="E-USAGE-CONFLICT",
        )
    if isinstance(source, str | Path) and str(source) != STDIN:
        path = user_path(source)
        if os.path.isdir(path):
            return folder_tables(path, reading)
        if not os.path.exists(path) and not path.suffix and nearest(str(source), CORPORA):
            raise DataError(
                f"no corpus or file is called {str(source)!r}; did you mean {nearest(str(source), CORPORA)!r}?",
                expected="a corpus (" + ", ".join(CORPORA) + "), a file or a folder",
                next="acceptor corpora",
                code="E-DATA-MISSING",
            )
    return {"train": reading.table(source)}
