"""Reads a finished run for a report. Nothing is trained or judged here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.errors import RunError
from acceptor.judging.decision import Decision
from acceptor.runs.folder import check_records
from acceptor.runs.history import Line, lines_of, read_history
from acceptor.runs.predictions import label_ids, read_predictions
from acceptor.runs.record import Record
from acceptor.runs.report_file import SPLITS, SplitReport, read_report_file
from acceptor.runs.run_file import RunFile, read_run_file

L = TypeVar("L", bound=Record)

KNOWN = ("sentence", "second", "split", "line", "gold", "verdict", "probability", "label", "mark")
MOST_GROUPS = 60


@dataclass(frozen=True, eq=False)
class JudgedSplit:
    """The verdicts and scores of one split.

    Attributes:
        name: ``validation`` or ``test``.
        scores: Its entry in ``report.json``.
        labels: Label names in the order of their ids.
        frame: Its rows of ``predictions.parquet``.
        gold: Label ids, int64, shape (N,).
        logits: float32, shape (N, labels).
    """

    name: str
    scores: SplitReport
    labels: tuple[str, ...]
    frame: pl.DataFrame
    gold: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float32]

    @property
    def decision(self) -> Decision:
        """The temperature and threshold that turn logits into verdicts."""
        return Decision(self.scores.temperature, self.scores.threshold)

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """Label ids of the verdicts, int64, shape (N,), as saved by the run."""
        return label_ids(self.frame["verdict"], self.labels)

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """Probability of every label, shape (N, labels)."""
        return self.decision.probabilities(self.logits)

    @property
    def confidence(self) -> npt.NDArray[np.float64]:
        """Probability of each verdict, shape (N,)."""
        return self.probabilities[np.arange(len(self.gold)), self.predicted]

    @property
    def selected(self) -> bool:
        """True if the checkpoint or the threshold was chosen on this split."""
        return self.scores.selected_on_this_split

    @property
    def groups(self) -> str | None:
        """The column to group sentences by: ``source``, or the first with 2 to 60 different values."""
        scores = ("p(", "logit(")
        names = [name for name in self.frame.columns if name not in KNOWN and not name.startswith(scores)]
        names.sort(key=lambda name: name != "source")
        return next((name for name in names if 2 <= self.frame[name].n_unique() <= MOST_GROUPS), None)


@dataclass(frozen=True, eq=False)
class RunFolder:
    """A finished run.

    Attributes:
        folder: The run folder.
        name: The run's name in the report.
        record: The content of ``run.json``.
        history: The lines of ``history.jsonl``.
        splits: The judged splits by name, the test split first.
        audit: The findings of the audit of the data; empty if there was none.
    """

    folder: Path
    name: str
    record: RunFile
    history: list[Line]
    splits: dict[str, JudgedSplit]
    audit: Mapping[str, object]

    @property
    def metric(self) -> str:
        """The main metric: ``mcc``, ``accuracy`` or ``f1``."""
        return self.record.metric

    @property
    def selects_best(self) -> bool:
        """True if the weights are those of the epoch with the best validation score."""
        return self.record.config.get("select") == "best"

    def lines(self, kind: type[L]) -> list[L]:
        """The lines of the history of one class: `StepLine` or `EpochLine`."""
        return lines_of(self.history, kind)


def read_run(folder: Path, name: str | None = None) -> RunFolder:
    """Reads a finished run folder.

    Args:
        folder: A finished run folder.
        name: The run's name in the report; the folder's name if None.

    Raises:
        RunError: The run is not finished, or a file was changed, cannot be read, or contradicts another.
    """
    check_records(folder)
    record, history = read_run_file(folder), read_history(folder)
    reports, frame = read_report_file(folder), read_predictions(folder)
    judged = set(frame["split"])
    splits = {
        split: _judged(folder, reports.splits[split], frame)
        for split in SPLITS
        if split in reports.splits and split in judged
    }
    if not splits:
        raise _contradicting(folder, "no split has both scores and verdicts")
    return RunFolder(folder, name or folder.resolve().name, record, history, splits, reports.audit or {})


def number(value: float | None) -> float:
    """A score as a float; NaN if it is not defined."""
    return math.nan if value is None else float(value)


def _judged(folder: Path, report: SplitReport, frame: pl.DataFrame) -> JudgedSplit:
    name, labels = report.split, tuple(report.labels)
    rows = frame.filter(pl.col("split") == name)
    rows = rows.select([column for column in rows if column.null_count() < len(column) or column.name in KNOWN])
    if len(rows) != report.n:
        raise _contradicting(folder, f"{len(rows)} verdicts of {name}, but scores of {report.n} rows")
    try:
        logits = rows.select([f"logit({label})" for label in labels]).to_numpy().astype(np.float32)
        gold = label_ids(rows["gold"], labels)
        label_ids(rows["verdict"], labels)
    except (KeyError, ValueError, TypeError, pl.exceptions.PolarsError) as error:
        raise _contradicting(folder, f"the verdicts of {name}: {type(error).__name__}: {error}") from error
    if not np.isfinite(logits).all():
        raise _contradicting(folder, f"a logit of {name} is not a number")
    return JudgedSplit(name, report, labels, rows, gold, logits)


def _contradicting(folder: Path, found: str) -> RunError:
    return RunError(
        f"the files of {folder} contradict each other",
        where=str(folder),
        found=found,
        next="train it again: acceptor train DATA --out RUN",
        code="E-RUN-FILE",
    )
