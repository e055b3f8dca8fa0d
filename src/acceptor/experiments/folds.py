"""`cross_validate`: judges every part of the training split with a judge that was trained without it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.config import TrainConfig
from acceptor.data.auditing.duplicates import fingerprints
from acceptor.data.frames import side_by_side
from acceptor.data.load import load_data
from acceptor.data.table import Data, Split
from acceptor.errors import DataError, UsageError, checked_types
from acceptor.evaluation.evaluate import score
from acceptor.evaluation.groups import column_of
from acceptor.evaluation.intervals import FEW
from acceptor.evaluation.measures import measures
from acceptor.evaluation.metrics import confusion_matrix
from acceptor.experiments.run_set import RunSet, SetKind, count_status, head_of, plan_of, train_all, with_restart
from acceptor.experiments.workers import Plan
from acceptor.model.batches import Rows
from acceptor.model.pretrained import find_encoder
from acceptor.runs.fingerprints import read_fingerprints
from acceptor.runs.folder import is_finished
from acceptor.runs.predictions import label_ids, read_predictions, write_predictions
from acceptor.runs.set_file import FoldEntry, FoldsFile
from acceptor.storage.files import user_path
from acceptor.text import Json
from acceptor.training.defaults import DERIVED, resolve
from acceptor.training.record import log_derived


class Folds(RunSet[FoldsFile]):
    """A cross-validation.

    Attributes:
        folder: The folder with its runs, ``cv.json`` and ``predictions.parquet``.
        file: The content of ``cv.json``: settings, data, one entry for each fold, the pooled scores.
    """

    def __repr__(self) -> str:
        pooled = self.file.pooled
        if pooled is None:
            return f"Folds({self.folder} · none finished)"
        folds = f"{self.count('finished')} by {self.file.by}"
        rows = sum(entry.n for entry in self.file.runs if not entry.restarted_from)
        scores = f"pooled MCC {pooled.mcc_words} · n {pooled.n} of {rows} · majority {pooled.majority:.3f}"
        if pooled.leaked:
            rest = pooled.without_leaked.mcc_words if pooled.without_leaked else "not defined (nothing is left)"
            scores += f" · without the {pooled.leaked} that are also in the train of their fold MCC {rest}"
        return f"Folds({self.folder} · {folds} · {scores})"


@checked_types
def cross_validate(
    data: Any,
    *,
    by: str | int,
    out: str | Path,
    encoder: str | Path | None = None,
    config: TrainConfig | None = None,
    processes: int = 1,
    overwrite: bool = False,
) -> Folds:
    """Cross-validates: trains without each part of the training split in turn, and scores all verdicts together.

    The held-out part is the test split: nothing is selected on it. Validation is a stratified part of the rest. The
    corpus' validation and test splits are not used. The same call resumes after a stop, like `train_seeds`.

    Args:
        data: A `Data`, or anything that `load_data` accepts.
        by: A column, of which one value at a time is held out (``"source"``); or the number of stratified random parts
            of equal size, drawn with ``config.seed``.
        out: The folder to write: a run folder ``fold-NAME`` for each part, ``cv.json``, and ``predictions.parquet``
            with the verdicts on all rows and a column ``fold``.
        encoder: Short for ``config.encoder``.
        config: All other settings. ``on_collapse`` is ``"restart"`` if it is not set.
        processes: See `train_seeds`.
        overwrite: Replace an existing cross-validation at ``out``.

    Raises:
        UsageError: ``out`` holds something else, or has other settings or data; there are fewer than 2 parts; or
            ``config.split`` is a rule that cannot be used.
        DataError: There is no such column; a part or the rest is too small; or a label is too rare.
        RunError: Another process is writing ``out``; or no training finished.
        AcceptorError: `load_data` or `train` raises an error that concerns all trainings.
    """
    config = with_restart(config, encoder)
    if config.split not in (None, "stratified"):
        raise UsageError(
            f"split = {config.split} has no meaning in a cross-validation",
            cause="validation is a stratified part of the rows outside of each fold",
            next="leave --split out",
            code="E-USAGE-CONFLICT",
        )
    out = user_path(out)
    data = data if isinstance(data, Data) else load_data(data)
    own, at = data.train.own, data.train.table.own_rows
    by = by if isinstance(by, str) else int(by)  # NumPy's integers, too
    found = _by_column(own, by) if isinstance(by, str) else _by_number(own, by, config.seed)
    parts = {name: at[rows] for name, rows in found.items()}
    usual, derived = resolve(config, find_encoder(config.encoder), data.train)  # the same for parts of any size
    log_derived(derived)
    config = config.model_copy(update={"split": "stratified", **{name: getattr(usual, name) for name in DERIVED}})
    plans = [_plan(data.train, name, value, rows, config) for name, (value, rows) in _named(parts).items()]
    rows_of = {plan.name: rows for plan, rows in zip(plans, parts.values(), strict=True)}
    head = {**head_of(data, config), "by": by}
    kind = SetKind(FoldsFile, head, _entry, lambda entries: _summary(entries, out, data.train, rows_of))
    file = train_all(plans, out, kind, processes=processes, overwrite=overwrite)
    return Folds(out, file)


def _by_column(train: Split, column: str) -> dict[str, Rows]:
    """The rows of each value of a column, in the order of first appearance."""
    found = column_of(train.table.frame, column, "the train split", train.table.origin)
    values = found.cast(pl.String).fill_null("").to_numpy()
    parts = {str(value): np.flatnonzero(values == value) for value in dict.fromkeys(values.tolist())}
    single = [value for value, rows in parts.items() if len(rows) < 2]
    if single or len(parts) < 2:
        raise DataError(
            f"cannot cross-validate by column {column!r}",
            where=train.table.origin,
            expected="at least 2 values, each with at least 2 examples",
            found=f"{len(parts)} values"
            + (f"; with one example: {', '.join(map(repr, single[:5]))}" if single else ""),
            next="merge such values, or use parts of equal size: --cv 5",
            code="E-DATA-SPLIT",
        )
    return parts


def _by_number(train: Split, number: int, seed: int) -> dict[str, Rows]:
    """Stratified parts of equal size, drawn with the seed."""
    from sklearn.model_selection import StratifiedKFold

    if number < 2:
        raise UsageError(f"{number} parts", expected="2 or more", next="--cv 5", code="E-USAGE-OPTION")
    rarest = min(train.balance().items(), key=lambda item: item[1])
    if rarest[1] < number:
        raise DataError(
            f"label {rarest[0]!r} is too rare for {number} parts",
            where=train.table.origin,
            expected=f"{number} examples of every label, one for each part",
            found=f"{rarest[1]}",
            next=f"use fewer parts: --cv {max(2, rarest[1])}",
            code="E-DATA-SPLIT",
        )
    folds = StratifiedKFold(number, shuffle=True, random_state=seed).split(np.zeros(len(train)), train.gold)
    return {str(index): held_out for index, (_, held_out) in enumerate(folds, 1)}


def _named(parts: dict[str, Rows]) -> dict[str, tuple[str, Rows]]:
    """A folder name for each value, unique also on case-insensitive file systems."""
    named: dict[str, tuple[str, Rows]] = {}
    for value, rows in parts.items():
        plain = f"fold-{re.sub(r'[^A-Za-z0-9._]+', '_', value)[:40] or '_'}"
        name, taken = plain, {name.lower() for name in named}
        while name.lower() in taken:
            name = f"{plain}-{len(named) + 1}"
        named[name] = (value, rows)
    return named


def _plan(train: Split, name: str, value: str, held_out: Rows, config: TrainConfig) -> Plan:
    rest = np.setdiff1d(np.arange(len(train)), held_out)
    missing = [label for label, count in train.take(rest, "train").balance().items() if not count]
    if missing:
        raise DataError(
            f"without fold {value!r} train has no example of label {missing[0]!r}",
            where=train.table.origin,
            next="use stratified parts: --cv 5",
            code="E-DATA-SPLIT",
        )
    data = Data(train.take(rest, "train"), test=train.take(held_out, "test").own)
    return plan_of(name, data, config, {"fold": value, "n": len(held_out), "balance": data.splits[-1].balance()})


def _entry(content: Json) -> FoldEntry:
    """The entry of a fold; a small fold has no MCC on test."""
    entry = FoldEntry.model_validate(content)
    if not entry.scores or "test" not in entry.scores or entry.n >= FEW:
        return entry
    test = entry.scores["test"].model_copy(update={"mcc": None, "mcc_interval": None})
    return entry.model_copy(update={"scores": {**entry.scores, "test": test}})


def _summary(entries: list[FoldEntry], out: Path, train: Split, rows_of: dict[str, Rows]) -> Json:
    """Writes the verdicts of all finished folds as one table into ``out``; returns the summary for ``cv.json``."""
    counts = {"collapsed": count_status(entries, "collapsed"), "failed": count_status(entries, "failed")}
    finished = [entry for entry in entries if is_finished(out / entry.folder)]
    if not finished:
        return {**counts, "pooled": None}
    frames = [_with_fold(read_predictions(out / one.folder, "test"), one.fold) for one in finished]
    write_predictions(out, frames)
    parts = [rows_of[one.restarted_from or one.folder] for one in finished]
    leaks = [_leaked(out / one.folder, train.take(rows, "test")) for one, rows in zip(finished, parts, strict=True)]
    held_out = train.take(np.concatenate(parts), "test")
    return {**counts, "pooled": _scores(pl.concat(frames, how="diagonal"), held_out, np.concatenate(leaks))}


def _leaked(folder: Path, held_out: Split) -> npt.NDArray[np.bool_]:
    """Which rows, shape (N,), the judge of a fold was trained on, too: their text occurs in other folds as well."""
    trained_on = read_fingerprints(folder)
    return np.isin(fingerprints(held_out), [] if trained_on is None else trained_on)


def _with_fold(verdicts: pl.DataFrame, fold: str) -> pl.DataFrame:
    """The verdicts with a column ``fold``; one of the data with that name becomes ``input.fold``."""
    return side_by_side(verdicts, pl.DataFrame({"fold": [fold] * len(verdicts)}))


def _scores(verdicts: pl.DataFrame, held_out: Split, leaked: npt.NDArray[np.bool_]) -> Json:
    """Pooled scores of the saved verdicts; each fold's judge may have a different temperature and threshold."""
    labels, gold = held_out.labels, held_out.gold
    predicted = label_ids(verdicts["verdict"], labels)
    probabilities = verdicts.select(f"p({label})" for label in labels).to_numpy()
    found = measures(gold, predicted, probabilities)

    def scores_of(rows: npt.NDArray[np.bool_]) -> Json:
        return score(confusion_matrix(gold[rows], predicted[rows], len(labels))).to_dict()

    return {
        "split": "held out",
        "origin": held_out.table.origin,
        "sha256": held_out.table.sha256,
        "labels": list(labels),
        "selected_on_this_split": False,
        "loss": found["log_loss"].value,
        **scores_of(np.ones_like(leaked)),
        "measures": {name: measure.to_dict() for name, measure in found.items()},
        "leaked": int(leaked.sum()),
        "without_leaked": scores_of(~leaked) if 0 < leaked.sum() < len(leaked) else None,
    }
