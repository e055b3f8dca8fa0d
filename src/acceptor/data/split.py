"""A validation split cut from train: stratified, or exactly the notebook chapter's."""

from __future__ import annotations

import logging
import math

import numpy as np
import numpy.typing as npt

from acceptor.config import TrainConfig
from acceptor.data.auditing.inspection import split_column
from acceptor.data.extra import without_held_out
from acceptor.data.table import Data, Split
from acceptor.errors import DataError
from acceptor.text import listed

logger = logging.getLogger(__name__)

NOTEBOOK_SEED = 2018


def with_validation(data: Data, config: TrainConfig) -> tuple[Data, str]:
    """The data with a validation split, and a sentence that describes its origin.

    A test split whose labels are hidden is left out: it cannot be scored. So are rows that were added to train from
    other sources, if validation or test has their text.

    Args:
        data: The corpus.
        config: The settings, of which ``split``, ``validation_share`` and ``seed`` decide. ``given`` takes the corpus'
            own validation split; ``stratified`` cuts the share of train with label shares kept, by the seed;
            ``notebook`` is the chapter's ``train_test_split(test_size=0.1, random_state=2018)`` and ignores both.
            ``column`` splits train by its column of splits; a split that it lacks is the corpus' own.
            None: given if the corpus has one, else stratified; a column of splits is then an error.

    Raises:
        DataError: ``given`` but the corpus has none; too few examples to cut; a column of splits but no
            rule; or ``column`` but there is no such column.
    """
    data, reason = _cut(data, config)
    return without_held_out(data), reason


def _cut(data: Data, config: TrainConfig) -> tuple[Data, str]:
    rule, share, seed = config.split, config.validation_share, config.seed
    if data.test is not None and data.test.label_ids is None:  # load_data has logged it
        data = Data(data.train, data.validation, None, data.source)
    own = data.train.own
    column = split_column(own.table)
    if rule == "column":
        data, reason = by_column(data)
        if data.validation:
            return data, reason
        data, more = _cut(data, config.model_copy(update={"split": "stratified"}))
        return data, f"{reason}; validation: {more}"
    if rule is None and column is not None:
        name, roles = column
        raise DataError(
            f"the column {name} says which split a row belongs to, and all rows would be trained on",
            where=data.train.table.origin,
            found=", ".join(f"{value} ({role})" for value, role in sorted(roles.items())),
            next="train only on the rows of train: --split column\n"
            "train on all of them: --split stratified, or --split given with --validation FILE",
            code="E-DATA-SPLIT",
        )
    if rule in (None, "given") and data.validation is not None:
        return data, f"the corpus' own, {data.validation.table.origin}"
    if rule == "given":
        raise DataError(
            "the corpus has no validation split",
            where=data.train.table.origin,
            expected="a validation file beside it",
            next="--validation FILE, or --split stratified to cut one from train",
            code="E-DATA-SPLIT",
        )
    unused = "; the corpus' own validation split is not used" * (data.validation is not None)
    if len(own) < 2:
        check_trainable(Data(own))
    train_rows, validation_rows = notebook_rows(len(own)) if rule == "notebook" else stratified_rows(own, share, seed)
    train, validation = _train_of(data.train, train_rows), own.take(validation_rows, "validation")
    cut = Data(train, validation, data.test, data.source)
    if rule == "notebook":
        return cut, "10 % of train, the chapter's random rows (seed 2018)" + unused
    rows = f"the {len(own):,} own rows" if data.train.table.added else "train"
    return cut, f"{100 * share:g} % of {rows}, label shares kept (seed {seed}){unused}"


def _train_of(split: Split, rows: npt.NDArray[np.int64]) -> Split:
    """Some of a split's own rows, and all that were added to it."""
    own = split.table.own_rows
    return split.take(np.r_[own[rows], np.setdiff1d(np.arange(len(split)), own)], "train")


def by_column(data: Data) -> tuple[Data, str]:
    """The data with train split by its column of splits, and a sentence that describes the result.

    Raises:
        DataError: There is no such column.
    """
    own = data.train.own
    column = split_column(own.table, least=1)
    if column is None:
        raise DataError(
            "the training data has no column of splits",
            where=data.train.table.origin,
            expected="a column called split, with train, validation (or dev) and test for values",
            found=data.train.table.schema,
            code="E-DATA-SPLIT",
        )
    name, roles = column
    named = own.table.frame[name].replace_strict(list(roles), list(roles.values()), default="other").to_numpy()
    rows = {role: np.flatnonzero(named == role) for role in dict.fromkeys(roles.values())}
    parts = {role: _train_of(data.train, r) if role == "train" else own.take(r, role) for role, r in rows.items()}
    for given in (data.validation, data.test):
        if given is not None and given.name in parts:
            logger.warning("%s is left out: the column %s has its own %s", given.table.origin, name, given.name)
    found = {role: len(part) for role, part in parts.items()}
    if others := int((named == "other").sum()):
        found["left out, since they name no split"] = others
    cut = Data(parts["train"], parts.get("validation", data.validation), parts.get("test", data.test), data.source)
    return cut, f"by the column {name}: " + ", ".join(f"{role} {count}" for role, count in found.items())


def check_trainable(data: Data) -> None:
    """Refuses splits without labels, or with fewer than two examples.

    Raises:
        DataError: A split cannot be used.
    """
    for split in data.splits:
        if len(split) < 2:
            raise DataError(
                f"the {split.name} split has {len(split)} example{'' if len(split) == 1 else 's'}",
                where=split.table.origin,
                expected="2 examples at least; a score needs hundreds",
                next="give a larger file"
                + (", or let it be cut from train: --split stratified" if split.name == "validation" else ""),
                code="E-DATA-SPLIT",
            )
        split.gold  # noqa: B018 - raises where a split has no labels


def notebook_rows(n: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The chapter's (train, validation) rows of n examples, in its order: not stratified, seed 2018."""
    from sklearn.model_selection import train_test_split

    train, validation = train_test_split(np.arange(n), test_size=0.1, random_state=NOTEBOOK_SEED)
    return train, validation


def stratified_rows(split: Split, share: float, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(train, validation) rows, each label with the same share in both, each in the file's order."""
    from sklearn.model_selection import train_test_split

    try:
        train, validation = train_test_split(
            np.arange(len(split)), test_size=share, random_state=seed, stratify=split.gold
        )
    except ValueError as error:
        raise _too_few(split, share, error) from error
    return np.sort(train), np.sort(validation)


def _too_few(split: Split, share: float, error: ValueError) -> DataError:
    """The error for too few examples of some label to cut ``share`` of them; it names a share that works."""
    balance, n = split.balance(), len(split)
    single = [label for label, count in balance.items() if count == 1]
    classes = sum(count > 0 for count in balance.values())
    least = math.ceil(100 * classes / n) / 100  # one of each label
    works = not single and least <= 0.5 and share < least
    return DataError(
        "too few examples to cut a validation split from",
        where=split.table.origin,
        expected="at least one example of every label on both sides of the cut",
        found=f"{n} examples of {classes} labels, cut at {share:.0%}"
        + (f"; one example only of {listed(list(map(repr, single)))}" if single else ""),
        cause=str(error),
        next=(f"cut more: --validation-share {least:.2f}\nor " if works else "add examples, or ")
        + "give a validation file: --validation FILE",
        code="E-DATA-SPLIT",
    )
