"""Checks the labels and the texts of a table before anything is trained or scored on it.

`audit` shows every remark; `load_data` raises the first error and logs the warnings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from acceptor.data.labels import (
    KNOWN_SPELLINGS,
    LabelRules,
    any_labels,
    folded,
    keys_of,
    unknown_label,
    unlabelled,
    unused_labels,
    without_label,
    written_counts,
)
from acceptor.data.reading.cell_kinds import counts_up, looks_like_labels
from acceptor.data.reading.column_names import SPLIT_NAMES, key
from acceptor.data.table import Table, how_to_judge, option
from acceptor.errors import DataError, nearest
from acceptor.text import listed

MAX_LABELS = 1000
RARE = 20  # a label this many times rarer than one it resembles counts as a typing error
FEW_ROWS = 3  # more than MANY labels with fewer rows each, on average, are no classes
MANY = 20


@dataclass(frozen=True)
class Remark:
    """Something about a table that its user should know.

    Attributes:
        kind: Its name.
        severity: ``error``: the table cannot be used for training or scoring; or ``warning``.
        lines: The rows concerned, by their numbers in `Table.lines`: a table without some of its rows keeps them.
        error: The problem, and what to do.
    """

    kind: str
    severity: Literal["error", "warning"]
    lines: list[int]
    error: DataError

    def __str__(self) -> str:
        where, advice = self.error.details.get("where", ""), self.error.details.get("next", "")
        return f"{where}: {self.error.problem}" + (f" ({advice})" if advice else "")


def inspect_labels(table: Table, rules: LabelRules) -> list[Remark]:
    """Remarks on the labels of a training table; none if they are clearly classes."""
    if "label" not in table.frame.columns:
        return []
    counts = written_counts(table)
    missing = unlabelled(counts, rules)
    labelled = {label: count for label, count in counts.items() if label not in missing}
    found = []
    if missing and labelled and not rules.drop_unlabelled:
        found.append(_remark("rows without a label", table, missing, without_label(table, missing)))
    if not labelled:
        return found
    if rules.declared is None:
        found += _not_classes(table, labelled)
    if rules.declared is None and not rules.normalise:
        found += _spellings(table, labelled)
    keys: dict[str, int] = {}
    for label, name in keys_of(labelled, rules, counts).items():
        keys[name] = keys.get(name, 0) + labelled[label]
    if rules.declared is None and not found:
        found += _order(table, keys) or _typing_errors(table, keys)
    if len(keys) < 2:
        found.append(_remark("one label", table, set(), _one_label(table, next(iter(keys)))))
    else:
        found += [_without_rows(table, label) for label in unused_labels(keys, rules)]
    return found


def _remark(kind: str, table: Table, labels: set[str], error: DataError) -> Remark:
    rows = table.frame["label"].is_in(list(labels)).to_numpy()
    return Remark(kind, "error", table.lines[rows].tolist(), error)


def _not_classes(table: Table, labelled: dict[str, int]) -> Iterator[Remark]:
    """Several labels in a cell; measurements; texts or ids."""
    fractions = {label for label in labelled if re.fullmatch(r"[+-]?[0-9]*[.,][0-9]*[1-9][0-9]*", label.strip())}
    if fractions and all(re.fullmatch(r"[+-]?[0-9]*[.,]?[0-9]*", label.strip()) for label in labelled):
        error = DataError(
            "the labels look like a measurement",
            where=table.origin,
            expected="classes: words, or whole numbers",
            found=listed(sorted(labelled), 6),
            cause="a score such as STS-B's, for regression; a judge decides between classes",
            next="make classes of it (good from 3 on, say)\n"
            f"or, where each number is a class, name them in the order of the numbers: {any_labels(table)}",
            code="E-DATA-LABELS",
        )
        yield _remark("a measurement", table, fractions, error)
        return
    several = _several(labelled)
    if several:
        first = table.frame["label"].is_in(list(several)).arg_true().to_list()
        error = DataError(
            "several labels in one row",
            where=f"{table.origin}, {table.listed_lines(first)}",
            expected="one label in every row",
            found=listed([repr(label) for label in sorted(several)], 6),
            cause="multi-label data: a judge chooses one of several labels",
            next=f"make a column for each label, with 0 and 1, and train a judge on each: {_named_label(table)}\n"
            f"or, where each such text is one class: {any_labels(table)}",
            code="E-DATA-LABELS",
        )
        yield _remark("several labels in a row", table, several, error)
        return
    if (len(labelled) > MANY and sum(labelled.values()) < FEW_ROWS * len(labelled)) or len(labelled) > MAX_LABELS:
        error = DataError(
            f"{len(labelled)} different labels in {len(table)} rows",
            where=table.origin,
            expected=f"classes with several rows each, {MAX_LABELS} at most",
            found=listed([repr(label) for label in labelled], 4),
            cause="the label column is probably another one: this one holds texts, ids or measurements",
            next=f"name it: {_named_label(table)}",
            code="E-DATA-LABELS",
        )
        yield _remark("not classes", table, set(), error)
        return


def _several(labelled: dict[str, int]) -> set[str]:
    """The labels that consist of others: lists, or labels whose parts also occur alone or in another label."""
    if all(re.fullmatch(r"\s*[\[({].*[\])}]\s*", label, re.DOTALL) for label in labelled):
        return set(labelled)
    for sign in "|;,/":
        joined = {label: [part.strip() for part in label.split(sign)] for label in labelled if sign in label}
        if not joined or not all(all(parts) for parts in joined.values()):
            continue
        alone = {label.strip() for label in labelled} - {label.strip() for label in joined}
        firsts = {parts[0] for parts in joined.values()}
        later = {part for parts in joined.values() for part in parts[1:]}
        if (firsts | later) & alone or firsts & later:
            return set(joined)
    return set()


def _spellings(table: Table, labelled: dict[str, int]) -> Iterator[Remark]:
    """Labels that differ only in case, blanks or Unicode form."""
    groups: dict[str, list[str]] = {}
    for label in labelled:
        groups.setdefault(folded(label), []).append(label)
    alike = [group for group in groups.values() if len({*group}) > 1 and not _equal_numbers(group)]
    if not alike:
        return
    shown = ["; ".join(f"{label!a} {labelled[label]} ×" for label in group) for group in alike]
    names = sorted({label.strip() for label in labelled})
    rarer = {label for group in alike for label in sorted(group, key=lambda one: -labelled[one])[1:]}
    rows = table.frame["label"].is_in(list(rarer)).arg_true().to_list()
    error = DataError(
        f"{len(alike)} of the labels {'is' if len(alike) == 1 else 'are'} written in several ways",
        where=f"{table.origin}, {table.listed_lines(rows)}",
        expected="one way to write each label",
        found="\n".join(shown[:6] + ["…"] * (len(shown) > 6)),
        cause="capitals, blanks around the label, or two Unicode forms of one letter",
        next=f"take them for the same: {option(table.origin, 'normalise_labels')}\n"
        f"or, where they are different classes: {option(table.origin, 'labels', names[:20], more=len(names) > 20)}",
        code="E-DATA-LABELS",
    )
    yield _remark("one label, several spellings", table, rarer, error)


def _equal_numbers(group: list[str]) -> bool:
    """``1`` and ``1.0``, which are the same label in any case."""
    return len({label.strip() for label in group}) == len(group) and all(
        re.fullmatch(r"[+-]?[0-9]+(\.0*)?", label.strip()) for label in group
    )


def _order(table: Table, keys: dict[str, int]) -> list[Remark]:
    """A known pair such as no and yes among other labels: which of them means acceptable is then not clear."""
    if all(re.fullmatch("[0-9]+", label) for label in keys):
        return []
    for spelling in KNOWN_SPELLINGS:
        others = keys.keys() - set(spelling)
        if not keys.keys() & set(spelling) or not others:
            continue
        rarest = min(others, key=lambda label: (keys[label], label))
        if keys[rarest] == 1 or RARE * keys[rarest] <= sum(keys.values()):
            return [_remark("an unknown label", table, {rarest}, unknown_label(table, rarest, spelling))]
        low, high = spelling
        order = [*([low] if low in keys else []), *sorted(others), *([high] if high in keys else [])]
        error = DataError(
            f"the labels {', '.join(map(repr, order))}: which id each has is not clear",
            where=table.origin,
            expected=f"{low!r} and {high!r} alone, or all labels declared",
            found=", ".join(f"{label!r} {count} ×" for label, count in sorted(keys.items())),
            next=f"declare them in the order of their ids: {option(table.origin, 'labels', order)}",
            code="E-DATA-LABELS",
        )
        return [_remark("labels without an order", table, others, error)]
    return []


def _typing_errors(table: Table, keys: dict[str, int]) -> list[Remark]:
    found = []
    for label, count in keys.items():
        often = [other for other in keys if keys[other] >= RARE * count]
        if not label.isdecimal() and nearest(label, often):
            error = unknown_label(table, label, tuple(sorted(set(keys) - {label})))
            found.append(_remark("an unknown label", table, {label}, error))
    return found


def _named_label(table: Table) -> str:
    return option(table.origin, "columns", {"label": "NAME"})


def _one_label(table: Table, label: str) -> DataError:
    return DataError(
        "only one label occurs",
        where=table.origin,
        expected="examples of at least two labels",
        found=f"{len(table)} examples, all {label!r}",
        cause="a filtered file, or a wrong label column",
        next=f"give examples of another label, too; or name the column: {_named_label(table)}",
        code="E-DATA-LABELS",
    )


def _without_rows(table: Table, label: str) -> Remark:
    error = DataError(
        f"no row has the label {label!r}",
        where=table.origin,
        expected="rows of every declared label",
        cause="a typing error in the declared labels, or a label that the file lacks",
        next="correct the declared labels, or add rows of it",
        code="E-DATA-LABELS",
    )
    return Remark("a label without rows", "warning", [], error)


# ── tables without a known label ─────────────────────────────────────────────────────────────────────────


def no_labels(table: Table, given: Mapping[str, str]) -> DataError:
    """The error for a training table without labels; it names columns that may hold them, beside the given columns."""
    frame = table.frame
    numbered = " without a header:" in table.schema  # its columns are called column1, column2, …

    def naming(name: str) -> str:
        column = name.removeprefix("column") if numbered else name
        if set(column) & set(",="):  # the option could not be read
            column = str(frame.columns.index(name) + 1)
        columns = dict(given)
        if column.isdecimal() and not numbered:  # numbers alone would be those of a file without a header
            columns["sentence"] = table.source_names.get("sentence", "sentence")
        columns["label"] = column
        return option(table.origin, "columns", columns)

    others = [name for name in frame.columns if name not in ("sentence", "second", "label")]
    columns = {name: frame[name][:10_000].to_list() for name in others if frame.schema[name] == pl.String}
    marks = [name for name, cells in columns.items() if set(cells) <= {"0", "1", "0.0", "1.0", "false", "true"}]
    likely = [name for name, cells in columns.items() if looks_like_labels(cells)]
    scores = [
        name for name, cells in columns.items() if all(re.fullmatch(r"-?[0-9]+[.,][0-9]+", cell) for cell in cells)
    ]
    if len(marks) > 1:
        cause = "several labels a row, a column for each: a judge chooses one of several labels"
        advice = f"train a judge on each: {naming(marks[0])}"
    elif likely:
        cause = None
        advice = f"name it: {naming(likely[0])}"
    elif scores:
        cause = f"{scores[0]} holds a measurement: a judge decides between classes"
        advice = "make classes of it, in a column of their own"
    elif not others:
        cause = "it has sentences only"
        advice = f"add a column of labels; or judge them: {how_to_judge(table.origin)}"
    else:
        cause, advice = None, f"name it: {naming(others[0] if len(others) == 1 else 'NAME')}"
    return DataError(
        "the training data has no labels",
        where=table.origin,
        expected="a label column",
        found=table.schema,
        cause=cause,
        next=advice,
        code="E-DATA-UNLABELLED",
    )


# ── a column of splits ───────────────────────────────────────────────────────────────────────────────────

ROLE_WORDS = {
    "train": ("train", "training", "tr", "learn"),
    "validation": ("validation", "valid", "val", "dev", "development", "eval"),
    "test": ("test", "testing", "holdout", "heldout"),
}


def split_column(table: Table, least: int = 2) -> tuple[str, dict[str, str]] | None:
    """The column that says which split a row belongs to, and the role that each of its values means.

    It has train, at ``least`` so many roles, and perhaps other values, which mean no role.
    """
    for name in table.frame.columns:
        if key(name) not in SPLIT_NAMES or table.frame.schema[name] != pl.String:
            continue
        values = table.frame[name].unique().to_list()
        roles = {value: role for value in values for role, words in ROLE_WORDS.items() if key(value or "") in words}
        if len(values) <= 2 * len(roles) and len(set(roles.values())) >= least and "train" in roles.values():
            return name, roles
    return None


def inspect_texts(table: Table) -> Iterator[Remark]:
    """Remarks on the sentences of a table: byte order marks in cells, and numbers in place of texts."""
    marked = table.frame.select(pl.any_horizontal(pl.col(pl.String).str.starts_with("\ufeff"))).to_series()
    if marked.any():
        rows = marked.arg_true().to_list()
        error = DataError(
            "a cell begins with a byte order mark",
            where=f"{table.origin}, {table.listed_lines(rows)}",
            cause="joined files, each with a byte order mark",
            next="remove it: sed -i.bak 's/\\xEF\\xBB\\xBF//' FILE",
            code="E-DATA-ENCODING",
        )
        yield Remark("byte order marks", "warning", table.lines[rows].tolist(), error)
    cells = table.frame["sentence"][:1000].to_list()
    if len(cells) < 5 or not all(re.fullmatch(r"[+-]?[0-9.,]+", cell.strip()) for cell in cells):
        return
    kind = "the numbers of rows" if counts_up(cells) else "numbers"
    error = DataError(
        f"the sentences look like {kind}",
        where=table.place(0),
        found=listed([repr(cell) for cell in cells], 5),
        next=f"name the column of sentences: {option(table.origin, 'columns', {'sentence': 'NAME'})}",
        code="E-DATA-COLUMN",
    )
    yield Remark("sentences are numbers", "warning", [], error)
