"""``report.json``: the scores of a run on its splits. Files of sets and searches contain the same scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, JsonValue, model_validator

from acceptor.runs.judge_file import Temperature, Threshold
from acceptor.runs.record import MAX_RECORD_BYTES, USUAL_FORMAT, Count, FileRecord, Record, read_record
from acceptor.storage.files import write_json
from acceptor.text import Json

REPORT_FILE = "report.json"
REPORT_PAGE = "report.html"
"""The page of `acceptor.write_report`. It is written after the manifest and not listed in it."""
SPLITS = ("test", "validation")
"""The splits that a run is scored on. The first one that a run has is its main split."""
OF_THE_DATA = {"split", "origin", "sha256", "labels"}  # fields about the split, which many trainings share

Interval = Annotated[list[float], Field(min_length=2, max_length=2)]


class ScoresRecord(Record):
    """Scores of a set of verdicts; None if one is not defined. See `acceptor.Scores`."""

    n: Count
    mcc: float | None
    mcc_interval: Interval | None = None
    accuracy: float | None
    accuracy_interval: Interval | None = None
    f1: float | None
    balanced_accuracy: float | None = None
    majority: float | None
    collapsed: bool = False
    confusion: list[list[Count]] | None = None

    def score(self, metric: str) -> float | None:
        """The score of that name; None if it is not defined."""
        scores = {"mcc": self.mcc, "accuracy": self.accuracy, "f1": self.f1}
        return {**scores, "balanced_accuracy": self.balanced_accuracy}[metric]

    @property
    def mcc_words(self) -> str:
        """The Matthews correlation and, if there is one, its interval."""
        if self.mcc is None:
            return "not defined"
        return f"{self.mcc:.3f}" + (" [{:.3f}, {:.3f}]".format(*self.mcc_interval) if self.mcc_interval else "")


class MeasureRecord(Record):
    """One of the nine scores, its bootstrap interval, and the score of the majority baseline."""

    value: float | None
    low: float | None
    high: float | None
    majority: float | None = None


class SliceRecord(Record):
    """Scores of a part of a split, such as the sentences of one source."""

    value: str
    n: Count
    mcc: float | None = None
    mcc_interval: Interval | None = None
    accuracy: float | None = None
    accuracy_interval: Interval | None = None
    majority: float | None = None
    recall: float | None = None
    recall_interval: Interval | None = None
    label: str | None = None
    note: str | None = None


class SplitScores(ScoresRecord):
    """All scores of one training on one split."""

    selected_on_this_split: bool
    loss: float
    temperature: Temperature = 1.0
    threshold: Threshold | None = None
    measures: dict[str, MeasureRecord] = Field(default_factory=dict)
    leaked: Count | None = None
    without_leaked: ScoresRecord | None = None
    slices: dict[str, list[SliceRecord]] = Field(default_factory=dict)


class SplitReport(SplitScores):
    """The entry of one split in ``report.json``."""

    split: str
    origin: str
    sha256: str
    labels: Annotated[list[str], Field(min_length=2)]
    confusion: list[list[Count]]

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        sizes = [len(self.confusion), *map(len, self.confusion)]
        if set(sizes) != {len(self.labels)}:
            raise ValueError("confusion: not one row and one column for each label")
        if self.threshold is not None and len(self.labels) != 2:
            raise ValueError("threshold: only a judge of two labels has one")
        return self

    def scores(self) -> SplitScores:
        """The scores without the fields about the split."""
        return SplitScores.model_validate(self.model_dump(exclude=OF_THE_DATA, exclude_unset=True))


class ReportFile(FileRecord):
    """The content of ``report.json``."""

    validation: SplitReport | None = None
    test: SplitReport | None = None
    audit: dict[str, JsonValue] | None = None

    @property
    def splits(self) -> dict[str, SplitReport]:
        """The splits that were judged, by name: validation first."""
        found = {"validation": self.validation, "test": self.test}
        return {name: report for name, report in found.items() if report is not None}


def read_report_file(folder: Path) -> ReportFile:
    """Reads a run's ``report.json``.

    Raises:
        RunError: See `acceptor.runs.record.read_record`.
    """
    return read_record(folder / REPORT_FILE, ReportFile, limit=MAX_RECORD_BYTES)


def write_report_file(folder: Path, reports: Mapping[str, Json]) -> None:
    """Writes a run's ``report.json``: for each split the result of `Report.to_dict`, and its slices."""
    content: Json = {"format": USUAL_FORMAT, **reports}
    ReportFile.model_validate(content)
    write_json(folder / REPORT_FILE, content)
