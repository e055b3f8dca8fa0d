"""`Table`: rows as read. `Split` and `Data`: labelled rows by role, as training takes them."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypedDict

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.errors import DataError, checked_types
from acceptor.text import listed, rows_of

if hasattr(signal, "siginterrupt"):
    # polars, when it is imported, has system calls restarted after Ctrl-C. Python, waiting for input, a thread or a
    # server, would look at the signal only when that has come.
    signal.siginterrupt(signal.SIGINT, True)

ACCEPTABILITY = ("unacceptable", "acceptable")
"""The labels of acceptability, label id 0 first."""


IN_MEMORY = ("list", "DataFrame (pandas)", "DataFrame (polars)", "Dataset")
"""The origins of tables that were objects in memory."""


def option(
    origin: str, name: str, value: Mapping[str, str] | Sequence[str] | Literal[True] = True, *, more: bool = False
) -> str:
    """How to give an argument of `load_data` to the one who reads an error.

    Args:
        origin: The table's origin. For an object in memory: ``labels=["no", "yes"]``; else ``--labels no,yes``.
        name: The argument's name.
        value: Its value.
        more: Whether the list goes on.
    """
    if origin in IN_MEMORY:
        shown = "True" if value is True else json.dumps(value, ensure_ascii=False)
        return f"{name}={shown[:-1]}, …]" if more else f"{name}={shown}"
    spelling = "--" + name.replace("_", "-")
    if value is True:
        return spelling
    items = [f"{role}={column}" for role, column in value.items()] if isinstance(value, Mapping) else value
    return f"{spelling} {shlex.quote(','.join(items))}" + ",…" * more


def how_to_judge(origin: str) -> str:
    """How rows of that origin are judged, for an error about labels that they lack."""
    return "acceptor.load(RUN)(SENTENCES)" if origin in IN_MEMORY else "acceptor predict RUN FILE"


@dataclass(frozen=True)
class Source:
    """Where added rows are from, and how many there were; the other fields are those of their `Table`."""

    origin: str
    unit: str
    sha256: str
    schema: str
    rows: int


@dataclass(frozen=True, eq=False)
class Table:
    """One source of rows exactly as read, with its columns named; perhaps with rows of others (`data.extra`).

    Attributes:
        frame: Columns of strings. ``sentence`` always; ``second`` (of a pair) and ``label`` if the
            source has them; every other column under its own name.
        lines: For each row, the number of the line it starts on (1-based, header counted); for
            sources without lines, the row number (1-based). int64, shape (rows,).
        origin: Where it came from: a path, or a word such as ``DataFrame``.
        sha256: Hex digest of the file's bytes as stored on disk; of the rows for in-memory sources.
        schema: One line that says how the columns were recognised.
        unit: What `lines` counts: ``line`` of a text file, ``row``, or ``argument`` of a command.
        original: The same columns and rows with their own types, in the form that the output's format takes: see
            `data.reading.original`. None if they were not read for an output.
        source_names: Role to the column's name in the source, if that is another one.
        added: The sources of which rows were added.
        source_ids: int32, shape (rows,): 0 for the table's own rows, else a number in ``added``, from 1. None if all
            rows are its own.
    """

    frame: pl.DataFrame
    lines: npt.NDArray[np.int64]
    origin: str
    sha256: str
    schema: str
    unit: str = "line"
    original: pl.DataFrame | None = None
    source_names: Mapping[str, str] = field(default_factory=dict)
    added: tuple[Source, ...] = ()
    source_ids: npt.NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return self.frame.height

    @property
    def output_names(self) -> list[str]:
        """The names that the columns have in an output: those of the source."""
        return [self.source_names.get(name, name) for name in self.frame.columns]

    def place(self, row: int) -> str:
        """File and line of ``row`` (0-based), for messages."""
        number = 0 if self.source_ids is None else int(self.source_ids[row])
        of = self.added[number - 1] if number else self
        return f"{of.origin}, {of.unit} {self.lines[row]}"

    @property
    def origins(self) -> list[str]:
        """Where all rows came from."""
        return [self.origin, *(source.origin for source in self.added)]

    @property
    def own_rows(self) -> npt.NDArray[np.int64]:
        """The rows (0-based) that were not added: what may be held out to score a judge."""
        return np.arange(len(self)) if self.source_ids is None else np.flatnonzero(self.source_ids == 0)

    @property
    def added_rows(self) -> list[tuple[Source, int]]:
        """Every source of which rows were added, and how many there are."""
        if self.source_ids is None:
            return []
        counts = np.bincount(self.source_ids, minlength=len(self.added) + 1)[1:]
        return [(source, int(count)) for source, count in zip(self.added, counts, strict=True)]

    def take(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> Table:
        """The given rows (0-based), in the given order."""
        index = np.asarray(rows, dtype=np.int64)
        original = None if self.original is None else self.original[index]
        source_ids = None if self.source_ids is None else self.source_ids[index]
        return replace(self, frame=self.frame[index], lines=self.lines[index], original=original, source_ids=source_ids)

    def listed_lines(self, rows: Sequence[int]) -> str:
        """The numbers of the first of some rows (0-based), and how many rows there are."""
        return f"{self.unit}{'s' * (len(rows) != 1)} {listed([str(self.lines[row]) for row in rows], 10)}"

    def places(self, rows: Sequence[int] | npt.NDArray[np.int64], most: int = 5) -> str:
        """Files and lines of the first of some rows (0-based), for messages."""
        more = ["…"] if len(rows) > most else []
        if self.added:
            return "; ".join([*(self.place(int(row)) for row in rows[:most]), *more])
        lines = ", ".join([*(str(self.lines[row]) for row in rows[:most]), *more])
        return f"{self.origin}, {self.unit}{'s' * (len(rows) != 1)} {lines}"


@dataclass(frozen=True, eq=False)
class Split:
    """Labelled (or yet unlabelled) examples of one role.

    Attributes:
        name: ``train``, ``validation`` or ``test``.
        table: The rows as read.
        labels: Label names; a label's position is its label id.
        label_ids: int64, shape (rows,); None if the source has no labels.
        written: How each label is written in the source, if the caller gave them other names.
        soft_labels: A teacher's probabilities, float32, shape (rows, labels): training fits them instead of the
            labels. None if there is no teacher.
    """

    name: str
    table: Table
    labels: tuple[str, ...]
    label_ids: npt.NDArray[np.int64] | None
    written: tuple[str, ...] | None = None
    soft_labels: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        balance = " · ".join(f"{label} {count}" for label, count in self.balance().items())
        return f"Split({self.name}: {len(self)} examples from {self.table.origin} · {balance or 'no labels'})"

    @property
    def sentences(self) -> list[str]:
        """The sentences as read."""
        return self.table.frame["sentence"].to_list()

    @property
    def seconds(self) -> list[str] | None:
        """The second sentences of a pair task, or None."""
        frame = self.table.frame
        return frame["second"].to_list() if "second" in frame.columns else None

    @property
    def gold(self) -> npt.NDArray[np.int64]:
        """The label ids.

        Raises:
            DataError: The source has no label column.
        """
        if self.label_ids is None:
            raise DataError(
                f"the {self.name} split has no labels",
                where=self.table.origin,
                expected="a label column",
                found=", ".join(self.table.frame.columns),
                next=f"name it: {option(self.table.origin, 'columns', {'label': 'NAME'})}; or judge it, which needs no "
                f"labels: {how_to_judge(self.table.origin)}",
                code="E-DATA-UNLABELLED",
            )
        return self.label_ids

    @property
    def targets(self) -> npt.NDArray[np.int64] | npt.NDArray[np.float32]:
        """What training fits: the soft labels, shape (rows, labels), or else the label ids, shape (rows,)."""
        return self.gold if self.soft_labels is None else self.soft_labels

    def balance(self) -> dict[str, int]:
        """How many examples each label has, in label-id order; empty without labels."""
        if self.label_ids is None:
            return {}
        counts = np.bincount(self.label_ids, minlength=len(self.labels))
        return {label: int(count) for label, count in zip(self.labels, counts, strict=True)}

    @property
    def own(self) -> Split:
        """The rows that were not added from other sources."""
        if self.table.source_ids is None:
            return self
        split = self.take(self.table.own_rows, self.name)
        return replace(split, table=replace(split.table, added=(), source_ids=None))

    @property
    def example(self) -> str:
        """A sentence to try a judge of this language and question with, in commands that are shown."""
        return example_of(self.table.frame["sentence"], self.labels)

    @checked_types
    def take(self, rows: Sequence[int] | npt.NDArray[np.int64], name: str) -> Split:
        """The given rows (0-based), in the given order, as a split called ``name``."""
        index = np.asarray(rows, dtype=np.int64)
        label_ids = None if self.label_ids is None else self.label_ids[index]
        soft_labels = None if self.soft_labels is None else self.soft_labels[index]
        return Split(name, self.table.take(rows), self.labels, label_ids, self.written, soft_labels)

    def describe(self, written: Sequence[str] = ()) -> str:
        """How it was read and what is in it, in one line; ``written`` is how the source writes each label."""
        forms = dict(zip(self.labels, written, strict=False))
        counts = [
            f"{label} ({forms[label]}) {count:,}" if forms.get(label, label) != label else f"{label} {count:,}"
            for label, count in self.balance().items()
        ]
        labels = "labels " + listed(counts, 12) if counts else "no labels"
        added = "".join(f" and {count:,} of {source.origin}" for source, count in self.table.added_rows if count)
        own = rows_of(len(self.table.own_rows))
        return f"{self.table.origin}: {self.table.schema} · {own}{added} · {labels}"

    def to_dict(self) -> dict[str, object]:
        """Origin, sha256, size and balance, for the record of a run; and the sources of which rows were added."""
        added = self.table.added_rows
        return {
            "name": self.name,
            "origin": self.table.origin,
            "sha256": self.table.sha256,
            "rows": len(self),
            "schema": self.table.schema,
            "balance": self.balance(),
            "extra": [
                {
                    "origin": one.origin,
                    "sha256": one.sha256,
                    "rows": count,
                    "left_out": one.rows - count,
                    "schema": one.schema,
                }
                for one, count in added
            ],
        }


class DataSource(TypedDict):
    """The arguments of a call of `load_data` on names and paths."""

    source: str | None
    validation: str | None
    test: str | None
    extra: list[str]
    folder: str | None
    columns: dict[str, str] | None
    separator: str | None
    labels: list[str] | None
    normalise_labels: bool
    drop_unlabelled: bool


@dataclass(frozen=True, eq=False)
class Data:
    """The splits of a corpus; a missing one is None. Training cuts a validation split from train if there is none.

    Attributes:
        train: The split to train on.
        validation: The split on which epoch, temperature and threshold are chosen.
        test: The split that is used for no choice, only for the final scores.
        source: The arguments of `load_data` that made it, if they were names and paths, so that it can be read again.
    """

    train: Split
    validation: Split | None = None
    test: Split | None = None
    source: DataSource | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names; a label's position is its label id."""
        return self.train.labels

    @property
    def given_paths(self) -> list[str]:
        """The names and paths that `load_data` was given; empty if there were other objects."""
        if self.source is None:
            return []
        one = (self.source["source"], self.source["validation"], self.source["test"], self.source["folder"])
        return [path for path in (*one, *self.source["extra"]) if path]

    @property
    def splits(self) -> list[Split]:
        """The splits that exist, in the order train, validation, test."""
        return [split for split in (self.train, self.validation, self.test) if split is not None]

    def __repr__(self) -> str:
        return f"Data({self.words})"

    @property
    def words(self) -> str:
        """The size of every split, and the labels, in one line."""
        sizes = " · ".join(f"{split.name} {len(split)}" for split in self.splits)
        return f"{sizes} · labels {listed(self.labels, 12)}"

    def to_dict(self) -> dict[str, dict[str, object]]:
        """All splits' records, by name."""
        return {split.name: split.to_dict() for split in self.splits}


def texts_of(frame: pl.DataFrame) -> tuple[list[str], list[str] | None]:
    """The sentences of a frame and, if it has pairs, the second ones."""
    return frame["sentence"].to_list(), frame["second"].to_list() if "second" in frame.columns else None


def example_of(sentences: pl.Series, labels: Sequence[str]) -> str:
    """A sentence to try a judge of this language and question with, in commands that are shown."""
    is_english = 2 * (sentences.str.len_bytes() == sentences.str.len_chars()).sum() >= len(sentences)
    if is_english and set(labels) <= set(ACCEPTABILITY):
        return "The book was wrote."
    found: list[str] = sentences.to_list()
    return min(found, key=len)
