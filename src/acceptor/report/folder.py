"""A finished run as its folder tells it: what a report is made from. Nothing is trained or judged here."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.errors import RunError
from acceptor.judging.decision import Decision, read_decision
from acceptor.storage.manifest import MANIFEST, check_manifest
from acceptor.storage.strict_json import read_json_object

RECORDS = ("report.json", "run.json", "history.jsonl", "predictions.parquet")
MAX_RECORD_BYTES = 64 << 20  # history and slices grow with the run; what is larger is no record of ours
KNOWN = ("sentence", "second", "split", "line", "gold", "verdict", "probability", "label", "mark")
MOST_GROUPS = 60


@dataclass(frozen=True, eq=False)
class JudgedSplit:
    """One split with its verdicts.

    Attributes:
        name: ``validation`` or ``test``.
        scores: Its entry in ``report.json``.
        labels: Label names in the order of their ids.
        frame: Its rows of ``predictions.parquet``.
        gold: Label ids, int64, shape (N,).
        logits: float32, shape (N, labels).
    """

    name: str
    scores: dict[str, Any]
    labels: tuple[str, ...]
    frame: pl.DataFrame
    gold: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float32]

    @property
    def decision(self) -> Decision:
        """How logits became verdicts: temperature and threshold."""
        return read_decision(self.scores, len(self.labels))

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """Label ids of the verdicts, int64, shape (N,), as the run wrote them."""
        return _ids(self.frame["verdict"], self.labels)

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """Of every label, shape (N, labels)."""
        return self.decision.probabilities(self.logits)

    @property
    def confidence(self) -> npt.NDArray[np.float64]:
        """Probability of each verdict, shape (N,)."""
        return self.probabilities[np.arange(len(self.gold)), self.predicted]

    @property
    def selected(self) -> bool:
        """True where this split chose the checkpoint."""
        return bool(self.scores.get("selected_on_this_split"))

    @property
    def groups(self) -> str | None:
        """The first column by which sentences can be grouped: ``source``, or any with 2 to 60 different values."""
        scores = ("p(", "logit(")
        names = [name for name in self.frame.columns if name not in KNOWN and not name.startswith(scores)]
        names.sort(key=lambda name: name != "source")
        return next((name for name in names if 2 <= self.frame[name].n_unique() <= MOST_GROUPS), None)


@dataclass(frozen=True, eq=False)
class RunFolder:
    """A finished run.

    Attributes:
        folder: Where it lies.
        name: What to call it.
        record: ``run.json``.
        history: ``history.jsonl``.
        splits: The judged splits by name, the test split first.
        audit: What an audit of the data found, where there was one.
    """

    folder: Path
    name: str
    record: dict[str, Any]
    history: list[dict[str, Any]]
    splits: dict[str, JudgedSplit]
    audit: Mapping[str, Any]

    @property
    def metric(self) -> str:
        """The score that leads: ``mcc``, ``accuracy`` or ``f1``."""
        return str(self.record["config"].get("metric", "mcc"))

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The lines of the history that tell of a ``step`` or of an ``epoch``."""
        return [line for line in self.history if line["event"] == kind]


def read_run(folder: Path, name: str | None = None) -> RunFolder:
    """Reads what a run says about itself.

    Args:
        folder: A finished run folder.
        name: What to call it; its folder's name where None.

    Raises:
        RunError: It is not a finished run, or its records are not what was written, or cannot be read.
    """
    if not (folder / MANIFEST).is_file():
        raise RunError(
            f"{folder} is not a finished run",
            expected=f"a folder with {MANIFEST}",
            found="no such folder" if not folder.is_dir() else "a folder without it",
            cause="a wrong path, or a training that did not finish",
            next="list your runs: ls -d runs/*",
        )
    check_manifest(folder, among=RECORDS, needed=RECORDS)
    try:
        record = read_json_object(folder / "run.json", limit=MAX_RECORD_BYTES)
        reports = read_json_object(folder / "report.json", limit=MAX_RECORD_BYTES)
        lines = (folder / "history.jsonl").read_text("utf-8").splitlines()
        history = [json.loads(line) for line in lines]
        frame = pl.read_parquet(folder / "predictions.parquet")
        ordered = sorted(reports, key=lambda split: split != "test")
        splits = {split: _judged(split, reports[split], frame) for split in ordered if split in set(frame["split"])}
        if not splits or not isinstance(record["config"], dict) or any("event" not in line for line in history):
            raise ValueError("no split, no settings, or an event without a name")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pl.exceptions.PolarsError) as error:
        raise RunError(
            f"the records of {folder} cannot be read",
            cause=f"{type(error).__name__}: {error}",
            next="train it again: acceptor train DATA --out RUN",
        ) from error
    return RunFolder(folder, name or folder.resolve().name, record, history, splits, reports.get("audit") or {})


def number(value: Any) -> float:
    """A score as a float; NaN where it is not defined or is not a number."""
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if good and math.isfinite(value) else math.nan


def _judged(name: str, scores: dict[str, Any], frame: pl.DataFrame) -> JudgedSplit:
    labels = tuple(scores["labels"])
    rows = frame.filter(pl.col("split") == name)
    rows = rows.select([column for column in rows if column.null_count() < len(column) or column.name in KNOWN])
    logits = rows.select([f"logit({label})" for label in labels]).to_numpy().astype(np.float32)
    if len(rows) != scores["n"]:
        raise ValueError(f"{len(rows)} verdicts of {name}, but its scores are of {scores['n']}")
    if not np.isfinite(logits).all():
        raise ValueError(f"a logit of {name} is not a number")
    return JudgedSplit(name, scores, labels, rows, _ids(rows["gold"], labels), logits)


def _ids(names: pl.Series, labels: tuple[str, ...]) -> npt.NDArray[np.int64]:
    of: Callable[[str], int] = {label: index for index, label in enumerate(labels)}.__getitem__
    return np.array([of(name) for name in names.to_list()], dtype=np.int64)
