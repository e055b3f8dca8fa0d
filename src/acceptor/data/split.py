"""A validation split cut from train: stratified, or exactly the notebook chapter's."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from acceptor.config import Derived, TrainConfig
from acceptor.data.table import Data, Split
from acceptor.errors import DataError

SplitRule = Literal["given", "stratified", "notebook"]

NOTEBOOK_SEED = 2018


def with_validation(data: Data, rule: SplitRule | None, *, share: float, seed: int) -> tuple[Data, str]:
    """The data with a validation split, and the sentence that says where it came from.

    Args:
        data: The corpus.
        rule: ``given`` takes the corpus' own validation split; ``stratified`` cuts ``share`` of train
            with label shares kept, by ``seed``; ``notebook`` is the chapter's
            ``train_test_split(test_size=0.1, random_state=2018)`` and heeds neither share nor seed.
            None: given where the corpus has one, else stratified.
        share: Share of train, in (0, 1).
        seed: For ``stratified``.

    Raises:
        DataError: ``given`` where there is none, or too few examples to cut.
    """
    if rule in (None, "given") and data.validation is not None:
        return data, f"the corpus' own, {data.validation.table.origin}"
    if rule == "given":
        raise DataError(
            "the corpus has no validation split",
            where=data.train.table.origin,
            expected="a validation file beside it",
            next="--validation FILE, or --split stratified to cut one from train",
        )
    rows = notebook_rows(len(data.train)) if rule == "notebook" else stratified_rows(data.train, share, seed)
    train_rows, validation_rows = rows
    train, validation = data.train.take(train_rows, "train"), data.train.take(validation_rows, "validation")
    cut = Data(train, validation, data.test, data.source)
    if rule == "notebook":
        return cut, "10 % of train, the chapter's random rows (seed 2018)"
    return cut, f"{share:.0%} of train, label shares kept (seed {seed})"


def check_trainable(data: Data) -> None:
    """Refuses splits without labels, or with fewer than two examples.

    Raises:
        DataError: One of them, with the file.
    """
    for split in data.splits:
        if len(split) < 2:
            raise DataError(
                f"the {split.name} split has {len(split)} example",
                where=split.table.origin,
                expected="2 examples at least; a score needs hundreds",
                next="give a larger file, or let it be cut from train: --split stratified",
            )
        split.gold  # noqa: B018 - raises where a split has no labels


def with_batch(config: TrainConfig, data: Data) -> tuple[TrainConfig, list[Derived]]:
    """The settings with batches no larger than the training split, and what was lowered, with the reason."""
    rows = len(data.train)
    if rows >= config.batch_size:
        return config, []
    reason = f"lowered from {config.batch_size}: the training split has no more examples, and a step takes all of them"
    return config.model_copy(update={"batch_size": rows}), [Derived("batch_size", rows, reason)]


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
        raise DataError(
            "too few examples to cut a validation split from",
            where=split.table.origin,
            expected="at least one example of every label on both sides of the cut",
            found=", ".join(f"{label} {count}" for label, count in split.balance().items()),
            cause=str(error),
            next="add examples, or give a validation file: --validation FILE",
        ) from error
    return np.sort(train), np.sort(validation)
