"""Reads and writes a checkpoint's ``state.json``; finds checkpoints. See also `training.checkpoint`."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import ConfigDict, Field

from acceptor.config import Derived
from acceptor.errors import RunError, UsageError
from acceptor.runs.history import EpochLine, Line, RestartLine, SkipLine, StepLine
from acceptor.runs.record import Count, FileRecord, Record, check_files, damaged, read_record, write_record
from acceptor.runs.run_file import Setup
from acceptor.text import Json, shell

logger = logging.getLogger(__name__)
T = TypeVar("T")

FOLDER = "checkpoints"
STATE_FILE = "state.json"
TENSORS_FILE = "state.safetensors"
MAX_STATE_BYTES = 1 << 29  # of state.json: the history of three million steps
CHANGEABLE_SETTINGS = {
    *("learning_rate", "warmup", "weight_decay", "max_grad_norm", "on_nan", "on_collapse"),
    *("device", "precision", "compile"),
}
"""Settings that may be changed when a training resumes (``allow_change``). The others determine the result."""


class Progress(Record):
    """The progress of a training: finished epochs, optimizer steps, seconds in the loop.

    ``epoch_loss`` is the sum of the losses of the current epoch, over its ``epoch_examples`` so far.
    """

    model_config = ConfigDict(extra="forbid")

    epoch: Count = 0
    step: Count = 0
    seconds: float = 0.0
    epoch_loss: float = 0.0
    epoch_examples: Count = 0


class SourceRecord(Record):
    """The arguments of `load_data`, to read the data again. Paths are as given."""

    source: str
    validation: str | None
    test: str | None
    folder: str | None
    columns: dict[str, str] | None
    labels: list[str] | None
    extra: list[str] = Field(default_factory=list)
    separator: str | None = None
    normalise_labels: bool = True
    drop_unlabelled: bool = False


class TrainingSetup(Setup):
    """Data and settings of a training, which must be the same when it resumes, and the paths of the data.

    ``source`` is None if the data were Python objects; relative paths start at ``directory``. ``derived`` has the
    settings that were not given, and why they have their values. ``precision`` is what the machine of the start
    computed in; None in checkpoints of older versions.
    """

    labels: list[str]
    source: SourceRecord | None
    directory: str
    derived: list[Derived] = Field(default_factory=list)
    precision: str | None = None

    def deciding(self) -> Json:
        """All values that must be the same when the training resumes, by name."""
        return {**super().deciding(), "labels": self.labels}


class StateFile(FileRecord):
    """The content of ``state.json``. The tensors are in ``state.safetensors``."""

    progress: Progress
    decay: float
    micro_batch: Annotated[int, Field(ge=1)]
    settings: TrainingSetup
    history: list[Line]


def newest(run: Path) -> StateFile:
    """Reads the state of the newest complete checkpoint of a run. Damaged ones are skipped with a warning.

    Raises:
        RunError: There is no checkpoint, or none is complete.
    """
    return newest_whole(run, read_state)[1]


def has_checkpoint(run: Path) -> bool:
    """True if the run folder has a training that can be resumed."""
    return bool(newest_first(run))


def checkpoint_folder(run: Path, progress: Progress) -> Path:
    """The folder of the checkpoint with this progress."""
    return run / FOLDER / f"epoch-{progress.epoch}-step-{progress.step}"


def read_state(folder: Path) -> StateFile:
    """Reads a checkpoint's ``state.json`` and checks its consistency.

    Raises:
        RunError: See `acceptor.runs.record.read_record`; or the history does not match the progress, or the progress
            does not match the name of the folder.
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
    """True if the training collapsed and was restarted with safer settings."""
    return any(isinstance(line, RestartLine) for line in state.history)


def newest_whole(run: Path, read: Callable[[Path], T]) -> tuple[Path, T]:
    """The newest checkpoint that ``read`` can read, and the result of ``read``."""
    damage: RunError | None = None
    for folder in newest_first(run):
        try:
            check_files(folder, needed=(STATE_FILE, TENSORS_FILE))
            return folder, read(folder)
        except RunError as error:
            logger.warning("skipping a damaged checkpoint: %s", error)
            damage = error
    if damage:
        raise damage
    stopped = [path for path in sorted(run.parent.glob("*/")) if has_checkpoint(path)]
    others = [f"or resume another one that was stopped: acceptor train {shell(path)} --resume" for path in stopped[-2:]]
    raise RunError(
        f"nothing to resume in {run}",
        expected=f"a checkpoint in {run / FOLDER}",
        cause="the training was killed in its first minute, or is finished" if run.is_dir() else "no such folder",
        next="\n".join(["start it again without --resume", *others]),
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
    """The error for a checkpoint file that does not belong to this training."""
    return RunError(
        f"{path.name} does not belong to this training",
        where=str(path),
        expected=expected,
        found=found,
        cause="it was changed by hand, or by another version of Acceptor",
        next="start again: --overwrite",
        code="E-RUN-CHECKPOINT",
    )


def leaves(values: Mapping[str, object], within: str = "") -> dict[str, object]:
    """The values of a record that are no records themselves, by their paths: ``data.train.sha256``."""
    found: dict[str, object] = {}
    for name, value in values.items():
        path = f"{within}{name}"
        if isinstance(value, Mapping):
            found |= leaves(value, f"{path}.")
        elif isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            found |= leaves({str(number): one for number, one in enumerate(value, 1)}, f"{path}.")
        else:
            found[path] = value
    return found


def refuse_changes(before: Mapping[str, object], now: Mapping[str, object], *, allow_change: bool = False) -> None:
    """Refuses to resume with other data, encoder or settings; `CHANGEABLE_SETTINGS` may differ if that is allowed.

    Args:
        before: The values of the training that was started, by name: `Setup.deciding`, and more.
        now: The same values of the call that resumes it.
        allow_change: Allow changes of the settings in `CHANGEABLE_SETTINGS`.

    Raises:
        UsageError: A value differs; the error has both.
    """
    before, now = leaves(before), leaves(now)
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if allow_change:
        for name in CHANGEABLE_SETTINGS.intersection(changed):
            logger.info("%s changes from %s to %s from here on", name, before.get(name), now.get(name))
        changed = [name for name in changed if name not in CHANGEABLE_SETTINGS]
    if changed:
        allowed = CHANGEABLE_SETTINGS.issuperset(changed)
        raise UsageError(
            "this is not the training that was started: " + ", ".join(changed) + " changed",
            expected="\n".join(f"{name} = {before.get(name)}" for name in changed),
            found="\n".join(f"{name} = {now.get(name)}" for name in changed),
            cause="a data file has changed since the start, or is missing or added in this command"
            if any(name.startswith("data.") for name in changed)
            else None,
            next="repeat the first command with its data and settings, to resume it; or start again with --overwrite"
            + ("; or use the new value from here on: --allow-change" if allowed else ""),
            code="E-USAGE-CHANGED",
        )
