"""``seeds.json`` and ``cv.json``: the outcome of each training of a set, and the summary of their scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import Field

from acceptor.errors import RunError
from acceptor.runs.history import Collapse
from acceptor.runs.record import MAX_RECORD_BYTES, Count, FileRecord, Record, damaged, read_record
from acceptor.runs.report_file import Interval, ScoresRecord, SplitScores
from acceptor.runs.run_file import Setup
from acceptor.storage.files import replace_json
from acceptor.text import Json

SEEDS_FILE, FOLDS_FILE = "seeds.json", "cv.json"

Status = Literal["finished", "collapsed", "failed"]


class Entry(Record):
    """The outcome of one training: ``scores`` by split, or the ``error`` of a training that did not finish."""

    seed: Count
    order_seed: Count
    restarted_from: str | None = None
    folder: str
    status: Status
    scores: dict[str, SplitScores] | None
    collapse: Collapse | None = None
    error: dict[str, str] | None = None

    def score(self, split: str, metric: str) -> float | None:
        """A score of the training; None if it is not defined or the split was not judged."""
        scores = (self.scores or {}).get(split)
        return None if scores is None else scores.score(metric)

    def selected(self, split: str) -> bool:
        """True if the training chose its checkpoint or threshold on the split."""
        scores = (self.scores or {}).get(split)
        return scores is not None and scores.selected_on_this_split


class SeedEntry(Entry):
    """A training with one seed. ``planned`` is the requested seed: a restart has another one."""

    planned: Count


class FoldEntry(Entry):
    """A training without one part of the data: the name of the part, its number of rows, its label counts."""

    fold: str
    n: Count
    balance: dict[str, Count]


class SpreadRecord(Record):
    """The spread of one score over several trainings: see `acceptor.evaluation.spread.Spread`."""

    n: Count
    values: list[float]
    mean: float
    sd: float | None
    min: float
    max: float
    interval: Interval | None
    expected_maximum: list[float]


class PooledScores(ScoresRecord):
    """The scores of the verdicts of all folds together."""

    loss: float
    leaked: Count | None = None
    without_leaked: ScoresRecord | None = None


E = TypeVar("E", bound=Entry)


class SetFile(FileRecord, Setup, Generic[E]):
    """The common content of the files of all sets of trainings."""

    file_name: ClassVar[str]

    labels: Annotated[list[str], Field(min_length=2)]
    runs: list[E]
    collapsed: Count
    failed: Count

    @property
    def finished_folders(self) -> list[str]:
        """The names of the folders of the finished trainings, in the order of the entries."""
        return [entry.folder for entry in self.runs if entry.status == "finished"]

    def deciding(self) -> Json:
        """All values that must be the same when the set is resumed, by name."""
        return {**super().deciding(), "labels": self.labels}


class SeedsFile(SetFile[SeedEntry]):
    """The content of ``seeds.json``."""

    file_name = SEEDS_FILE

    vary: Literal["init", "order", "both"]
    n_runs: Count
    one_verdict: Count
    summary: dict[str, dict[str, SpreadRecord | None]]

    def deciding(self) -> Json:
        """All values that must be the same when the set is resumed, by name."""
        return {**super().deciding(), "vary": self.vary}


class FoldsFile(SetFile[FoldEntry]):
    """The content of ``cv.json``."""

    file_name = FOLDS_FILE

    by: str | int
    pooled: PooledScores | None

    def deciding(self) -> Json:
        """All values that must be the same when the set is resumed, by name."""
        return {**super().deciding(), "by": self.by}


S = TypeVar("S", bound=SetFile[Any])


def read_set_file(folder: Path, model: type[S]) -> S:
    """Reads the file of a set of trainings.

    Raises:
        RunError: See `acceptor.runs.record.read_record`; or an entry names a folder outside of the set's folder.
    """
    path = folder / model.file_name
    found = read_record(path, model, limit=MAX_RECORD_BYTES)
    for index, entry in enumerate(found.runs):
        if not (folder / entry.folder).resolve().is_relative_to(folder.resolve()):
            raise damaged(path, f"runs.{index}.folder: {entry.folder!r} is not in {folder}")
    return found


def write_set_file(folder: Path, content: SetFile[Any]) -> None:
    """Replaces the file of a set of trainings atomically."""
    replace_json(folder / content.file_name, content.to_dict())


def finished_seeds(folder: Path) -> SeedsFile | None:
    """Reads a folder's ``seeds.json``; None if the folder has no such file.

    Raises:
        RunError: See `read_set_file`; or no training has finished.
    """
    if not (folder / SEEDS_FILE).is_file():
        return None
    found = read_set_file(folder, SeedsFile)
    if not any(entry.status == "finished" and entry.scores for entry in found.runs):
        raise RunError(
            f"no training of {folder} has finished",
            where=str(folder / SEEDS_FILE),
            next="resume with the same `acceptor seeds` command, or name the run folders one by one",
            code="E-RUN-MISSING",
        )
    return found
