"""A checkpoint's ``state.json`` and where checkpoints lie. What a checkpoint is: `training.checkpoint`."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import ConfigDict, Field

from acceptor.errors import RunError, UsageError
from acceptor.runs.history import EpochLine, Line, RestartLine, SkipLine, StepLine
from acceptor.runs.record import Count, FileRecord, Record, damaged, read_record, write_record
from acceptor.runs.run_file import Setup
from acceptor.storage.manifest import check_manifest
from acceptor.text import Json

logger = logging.getLogger(__name__)
T = TypeVar("T")

FOLDER = "checkpoints"
STATE_FILE = "state.json"
TENSORS_FILE = "state.safetensors"
MAX_STATE_BYTES = 1 << 29  # of state.json: the history of three million steps
FREE = {"learning_rate", "warmup", "weight_decay", "max_grad_norm", "on_nan", "on_collapse"} | {
    "device",
    "precision",
    "compile",
}
"""Settings that may change when a training resumes, if asked for: the others decide the examples' order or the result.
"""


class Progress(Record):
    """How far a training has come: finished epochs, optimizer steps, seconds in the loop.

    ``epoch_loss`` is the sum of the losses of the epoch that is under way, over its ``epoch_examples`` so far.
    """

    model_config = ConfigDict(extra="forbid")

    epoch: Count = 0
    step: Count = 0
    seconds: float = 0.0
    epoch_loss: float = 0.0
    epoch_examples: Count = 0


class SourceRecord(Record):
    """What `load_data` was called with, so that the data can be read again. Paths are as they were given."""

    source: str
    validation: str | None
    test: str | None
    folder: str | None
    columns: dict[str, str] | None
    labels: list[str] | None
    separator: str | None = None
    normalise_labels: bool = True
    drop_unlabelled: bool = False


class TrainingSetup(Setup):
    """What a training was started with: all that must be the same when it resumes, and where its data lie.

    ``source`` is None where the data were objects in Python; ``directory`` is where paths start.
    """

    labels: list[str]
    source: SourceRecord | None
    directory: str

    def deciding(self) -> Json:
        """All that must be the same in a training that resumes, by name."""
        return {**super().deciding(), "labels": self.labels}


class StateFile(FileRecord):
    """What ``state.json`` holds, beside the tensors of ``state.safetensors``."""

    progress: Progress
    decay: float
    micro_batch: Annotated[int, Field(ge=1)]
    settings: TrainingSetup
    history: list[Line]


def newest(run: Path) -> StateFile:
    """The state of the newest whole checkpoint of a run; damaged ones are named in a warning and passed over.

    Raises:
        RunError: There is no checkpoint, or none is whole.
    """
    return newest_whole(run, read_state)[1]


def has_checkpoint(run: Path) -> bool:
    """True where the run folder holds a training that can be resumed."""
    return bool(newest_first(run))


def checkpoint_folder(run: Path, progress: Progress) -> Path:
    """Where the checkpoint of this progress lies."""
    return run / FOLDER / f"epoch-{progress.epoch}-step-{progress.step}"


def read_state(folder: Path) -> StateFile:
    """A checkpoint's ``state.json``, in which everything is of the right type and nothing contradicts the rest.

    Raises:
        RunError: As `acceptor.runs.record.read_record`; or the history does not fit the progress, or the progress does
            not fit the folder's name.
    """
    path = folder / STATE_FILE
    state = read_record(path, StateFile, limit=MAX_STATE_BYTES)
    epoch, step = state.progress.epoch, state.progress.step
    if age(folder) != (step, epoch):
        raise damaged(path, f"progress: epoch {epoch}, step {step}, in the folder {folder.name}")
    steps = sorted(line.step for line in state.history if isinstance(line, StepLine | SkipLine))
    epochs = sorted(line.epoch for line in state.history if isinstance(line, EpochLine))
    for last, name, found in ((step, "step", steps), (epoch, "epoch", epochs)):
        if found != list(range(1, last + 1)):
            raise damaged(path, f"history: not one line for every {name}")
    return state


def write_state(folder: Path, state: StateFile) -> None:
    """Writes a checkpoint's ``state.json``."""
    write_record(folder / STATE_FILE, state)


def was_restarted(state: StateFile) -> bool:
    """True where the training had collapsed and started again with safer settings."""
    return any(isinstance(line, RestartLine) for line in state.history)


def newest_whole(run: Path, read: Callable[[Path], T]) -> tuple[Path, T]:
    """The newest checkpoint that ``read`` can make something of, and what that is."""
    damage: RunError | None = None
    for folder in newest_first(run):
        try:
            check_manifest(folder, needed=(STATE_FILE, TENSORS_FILE))
            return folder, read(folder)
        except RunError as error:
            logger.warning("passing over a damaged checkpoint: %s", error)
            damage = error
    if damage:
        raise damage
    raise RunError(
        f"nothing to resume in {run}",
        expected=f"a checkpoint in {run / FOLDER}",
        cause="the training was killed in its first minute, or is finished",
        next="start it again without --resume",
        code="E-RUN-CHECKPOINT",
    )


def newest_first(run: Path) -> list[Path]:
    """The checkpoints of a run, the newest first."""
    named = re.compile(r"epoch-\d{1,9}-step-\d{1,9}")
    found = (path for path in (run / FOLDER).glob("epoch-*-step-*") if named.fullmatch(path.name))
    return sorted(found, key=age, reverse=True)


def age(folder: Path) -> tuple[int, int]:
    """Steps, then epochs, of a checkpoint: the order in which they are written."""
    _, epoch, _, step = folder.name.split("-")
    return int(step), int(epoch)


def unfit(path: Path, expected: str, found: str) -> RunError:
    """The error of a checkpoint's file that cannot be of this training."""
    return RunError(
        f"{path.name} is not of this training",
        where=str(path),
        expected=expected,
        found=found,
        cause="it was changed by hand, or by another version",
        next="start again: --overwrite",
        code="E-RUN-CHECKPOINT",
    )


def refuse_changes(before: Mapping[str, object], now: Mapping[str, object], *, allow_change: bool = False) -> None:
    """Data and encoder must be the same; settings too, but for those of `FREE` if that is allowed.

    Args:
        before: What decided about the training, by name: `Setup.deciding`, and more.
        now: The same of the one that is to resume it.
        allow_change: Take settings of `FREE` that differ.

    Raises:
        UsageError: Something differs, with both values.
    """
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if allow_change:
        for name in FREE.intersection(changed):
            logger.info("%s changes from %s to %s from here on", name, before.get(name), now.get(name))
        changed = [name for name in changed if name not in FREE]
    if changed:
        allowed = FREE.issuperset(changed)
        raise UsageError(
            "this is not the training that was started: " + ", ".join(changed) + " changed",
            expected="\n".join(f"{name} = {before.get(name)}" for name in changed),
            found="\n".join(f"{name} = {now.get(name)}" for name in changed),
            next="repeat the first command with --resume, or start again with --overwrite"
            + ("; or take the new value from here on: --allow-change" if allowed else ""),
            code="E-USAGE-CHANGED",
        )
