"""Checkpoints, from which a training resumes at any step and ends with the same weights.

A checkpoint is a folder of safetensors and JSON, no pickle:

    checkpoints/epoch-3-step-750/     three epochs and 750 steps are done
      state.safetensors   weights, the best epoch's weights if they are kept, AdamW's two moments, the
                          trained rows of the vocabulary
      state.json          epoch, step, seconds, loss and decay so far, the training's data and settings, history
      manifest.json       sha256 of both files, written last

No random generator is saved: every step's randomness follows from the seed and its number. The two newest checkpoints
are kept: if the newest is damaged, the one before it is used.
"""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acceptor.config import Derived
from acceptor.data.minimal_pairs import TOGETHER
from acceptor.errors import EncoderError
from acceptor.model.safety import read_weights
from acceptor.runs.checkpoint import (
    STATE_FILE,
    TENSORS_FILE,
    Progress,
    StateFile,
    TrainingSetup,
    age,
    checkpoint_folder,
    newest_first,
    newest_whole,
    read_state,
    refuse_changes,
    unfit,
    write_state,
)
from acceptor.runs.history import Line
from acceptor.storage.files import new_folder
from acceptor.training.flat_adamw import FlatAdamW

if TYPE_CHECKING:
    from torch import Tensor

    Tensors = dict[str, Tensor]

logger = logging.getLogger(__name__)

MIN_INTERVAL = 60.0  # minimum seconds between checkpoints within an epoch
MAX_SAVING_SHARE = 0.03  # maximum share of the training time for saving checkpoints
CHECKPOINTS_KEPT = 2  # checkpoints on disk


class Checkpoints:
    """The checkpoints of one training.

    Args:
        run: The run folder.
        model: The classifier in training.
        optimizer: The optimizer of ``model``.
        settings: Data and settings. All but the paths of the data must be the same when the training resumes.
        writes: False in the processes that do not write checkpoints.
    """

    def __init__(self, run: Path, model: Any, optimizer: FlatAdamW, settings: TrainingSetup, *, writes: bool) -> None:
        self.run, self.model, self.optimizer, self.settings, self.writes = run, model, optimizer, settings, writes
        self.began = self.saved = time.perf_counter()
        self.saving_seconds = self.longest_save = 0.0  # of all saves, and of the longest one

    def due(self, *, epoch_ends: bool = False) -> bool:
        """True after an epoch and once a minute, unless saves would take more than `MAX_SAVING_SHARE` of the time."""
        now = time.perf_counter()
        is_cheap_enough = self.saving_seconds + self.longest_save <= MAX_SAVING_SHARE * (now - self.began)
        return is_cheap_enough and (epoch_ends or now - self.saved > MIN_INTERVAL)

    def save(self, progress: Progress, best: Tensors, history: Sequence[Line]) -> None:
        """Writes a checkpoint; once it is complete, removes all older ones except the last.

        Args:
            progress: The progress after a whole step, or after an epoch and its validation.
            best: The weights of the best epoch so far; empty if they are not kept.
            history: The lines of ``history.jsonl`` so far.
        """
        from safetensors.torch import save_file

        began = time.perf_counter()
        if self.writes:
            tensors = {**self._tensors(), **{f"best.{name}": value for name, value in best.items()}}
            folder = checkpoint_folder(self.run, progress)
            state = StateFile.new(
                {
                    "progress": progress,
                    "decay": self.optimizer.decay,
                    "micro_batch": self.optimizer.micro_batch,
                    "settings": self.settings,
                    "history": list(history),
                }
            )
            with new_folder(folder) as scratch:
                whole = {name: value.to("cpu", copy=True).contiguous() for name, value in tensors.items()}
                save_file(whole, scratch / TENSORS_FILE)
                write_state(scratch, state)
            kept = [path for path in newest_first(self.run) if age(path) <= age(folder)][:CHECKPOINTS_KEPT]
            for path in folder.parent.iterdir():  # older ones, damaged ones, and incomplete ones of a killed process
                if path.is_dir() and path not in kept:  # and no file that a file manager has left there
                    shutil.rmtree(path, ignore_errors=True)
        self.saved = time.perf_counter()
        self.saving_seconds += self.saved - began
        self.longest_save = max(self.longest_save, self.saved - began)

    @property
    def pairs_together(self) -> bool:
        """Whether the sentences of a minimal pair share a batch: not in a training that an older version started."""
        return any(item.name == TOGETHER for item in self.settings.derived)

    def load(self, *, allow_change: bool) -> tuple[Progress, list[Line], Tensors]:
        """Loads the newest complete checkpoint into model and optimizer.

        Args:
            allow_change: Accept changed values of the settings in `CHANGEABLE_SETTINGS`.

        Returns:
            The progress, the history, and the best epoch's weights if they are kept.

        Raises:
            RunError: There is no checkpoint, or none is complete and belongs to this training.
            UsageError: Data or settings have changed since the training was started.
        """
        _, (state, tensors) = newest_whole(self.run, lambda folder: self._read(folder, allow_change=allow_change))
        together = self.pairs_together
        self.settings = self.settings.model_copy(update={"derived": self._derived(state)})
        if together and not self.pairs_together:
            logger.warning("an older version started this training: the sentences of minimal pairs share no batch")
        self.model.load_state_dict(_part(tensors, "model."))
        self.optimizer.exp_avg.copy_(tensors["adamw.first"])
        self.optimizer.exp_avg_sq.copy_(tensors["adamw.second"])
        self.optimizer.steps, self.optimizer.decay = state.progress.step, state.decay
        self.optimizer.micro_batch = state.micro_batch
        self.optimizer.reload(tensors["rows"])
        return state.progress, state.history, _part(tensors, "best.")

    def _derived(self, state: StateFile) -> list[Derived]:
        """The derived settings, also those that were derived when the training started and are the same since.

        A training that is resumed by its path has all settings from its checkpoint, and derives none.
        """
        now, config = self.settings.derived, self.optimizer.config
        known, at_start = ({item.name for item in each} for each in (now, state.settings.derived))
        now = [item for item in now if item.name != TOGETHER or TOGETHER in at_start]
        before = [item for item in state.settings.derived if item.name not in known]
        return [*(item for item in before if item.value == getattr(config, item.name, None)), *now]

    def _tensors(self) -> Tensors:
        """All tensors that a step changes, by their names in ``state.safetensors``."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {"adamw.first": self.optimizer.exp_avg, "adamw.second": self.optimizer.exp_avg_sq}
        return {**tensors, "rows": self.optimizer.rows.weight.detach()}

    def _read(self, folder: Path, *, allow_change: bool) -> tuple[StateFile, Tensors]:
        """Reads a checkpoint's two files and checks that they fit this training."""
        state = read_state(folder)
        refuse_changes(state.settings.deciding(), self.settings.deciding(), allow_change=allow_change)
        config, epoch, step = self.optimizer.config, state.progress.epoch, state.progress.step
        steps = math.ceil(self.settings.data["train"].rows / config.batch_size)  # per epoch
        if not steps * epoch <= step <= min(steps * (epoch + 1), steps * config.epochs):
            raise unfit(folder / STATE_FILE, f"{config.epochs} epochs of {steps} steps", folder.name)
        if state.micro_batch > config.batch_size:
            raise unfit(folder / STATE_FILE, f"at most {config.batch_size} examples at a time", "more")
        path = folder / TENSORS_FILE
        try:
            tensors = read_weights(path)
        except EncoderError as error:
            raise unfit(path, "whole and finite tensors", str(error)) from error
        expected = self._tensors()
        if any(name.startswith("best.") for name in tensors):
            expected |= {f"best.{name}": value for name, value in self.model.state_dict().items()}
        kinds, found = ({name: (v.dtype, tuple(v.shape)) for name, v in each.items()} for each in (expected, tensors))
        wrong = sorted(name for name in kinds.keys() | found.keys() if kinds.get(name) != found.get(name))
        if wrong:
            raise unfit(path, f"{wrong[0]}: {kinds.get(wrong[0])}", f"{found.get(wrong[0])}")
        return state, tensors


def _part(tensors: Tensors, prefix: str) -> Tensors:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
