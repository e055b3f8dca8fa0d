"""Checkpoints: all that a training needs to go on from any step as if it had never stopped.

A checkpoint is a folder of safetensors and JSON, no pickle:

    checkpoints/epoch-3-step-750/     three epochs and 750 steps are done
      state.safetensors   weights, the best epoch's weights where they are kept, both moments of AdamW, the trained
                          rows of the vocabulary
      state.json          epoch, step, seconds, loss and decay so far, settings, data fingerprints, history
      manifest.json       sha256 of the two, written last

No random generator is saved: every step's randomness follows from the seed and its number. The two newest checkpoints
are kept, so that a damaged one has a whole one behind it.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acceptor.errors import RunError, UsageError
from acceptor.files import check_manifest, new_folder, write_json
from acceptor.training.learner import Learner

logger = logging.getLogger(__name__)

FOLDER = "checkpoints"
EVERY = 60.0  # seconds between checkpoints within an epoch, at least
SHARE = 0.03  # of the time goes into them, at most
KEPT = 2  # checkpoints
FREE = {"learning_rate", "warmup", "weight_decay", "max_grad_norm", "on_nan", "device", "precision", "compile"}
"""Settings that may change on the way if asked for: the others decide the examples' order or what comes out."""


@dataclass(frozen=True)
class Progress:
    """How far a training has come: finished epochs, optimizer steps, seconds in the loop.

    ``epoch_loss`` is the sum of the losses of the epoch that is under way, over its ``epoch_examples`` so far.
    """

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    epoch_loss: float = 0.0
    epoch_examples: int = 0


class Checkpoints:
    """The checkpoints of one training.

    Args:
        run: The run folder.
        model: The classifier in training.
        learner: Made from it.
        settings: What must be the same when the training goes on.
        writes: False in the processes that only compute.
    """

    def __init__(self, run: Path, model: Any, learner: Learner, settings: dict[str, Any], *, writes: bool) -> None:
        self.run, self.model, self.learner, self.settings, self.writes = run, model, learner, settings, writes
        self.next = time.perf_counter() + EVERY

    def due(self) -> bool:
        """True once a minute, or less often where saving takes more than its share of the time."""
        return time.perf_counter() > self.next

    def save(self, progress: Progress, best: dict[str, Any], history: list[dict[str, Any]]) -> None:
        """Writes a checkpoint and, once it is whole, removes the ones before it.

        Args:
            progress: Where the training stands: behind a whole step, or behind an epoch and its judging.
            best: The weights of the best epoch so far; empty where none are kept.
            history: The lines of ``history.jsonl`` so far.
        """
        from safetensors.torch import save_file

        began = time.perf_counter()
        if self.writes:
            tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
            tensors |= {f"best.{name}": value for name, value in best.items()}
            tensors |= {"adamw.first": self.learner.first, "adamw.second": self.learner.second}
            tensors["rows"] = self.learner.rows.weight.detach()
            folder = self.run / FOLDER / f"epoch-{progress.epoch}-step-{progress.step}"
            state = {"progress": vars(progress), "decay": self.learner.decay, "micro_batch": self.learner.micro_batch}
            with new_folder(folder) as scratch:
                whole = {name: value.contiguous().clone() for name, value in tensors.items()}
                save_file(whole, scratch / "state.safetensors")
                write_json(scratch / "state.json", {**state, "settings": self.settings, "history": history})
            kept = _newest_first(self.run)[:KEPT]
            for path in folder.parent.iterdir():  # older ones, and what a killed process began
                if path not in kept:
                    shutil.rmtree(path)
        ended = time.perf_counter()
        self.next = ended + max(EVERY, (ended - began) / SHARE)

    def load(self, *, allow_change: bool) -> tuple[Progress, list[dict[str, Any]], dict[str, Any]]:
        """Puts the newest whole checkpoint's state into model and learner.

        Args:
            allow_change: Take settings of `FREE` that are not those that the training began with.

        Returns:
            How far the training had come, its history, and the best epoch's weights where they are kept.

        Raises:
            RunError: There is no checkpoint, or none is whole.
            UsageError: Data or settings are not those that the training began with.
        """
        from safetensors.torch import load_file

        folder, state = newest(self.run)
        _refuse_changes(state["settings"], self.settings, allow_change=allow_change)
        tensors = load_file(folder / "state.safetensors")
        self.model.load_state_dict(_part(tensors, "model."))
        self.learner.first.copy_(tensors["adamw.first"])
        self.learner.second.copy_(tensors["adamw.second"])
        progress = Progress(**state["progress"])
        self.learner.steps, self.learner.decay = progress.step, state["decay"]
        self.learner.micro_batch = state["micro_batch"]
        self.learner.reload(tensors["rows"])
        return progress, state["history"], _part(tensors, "best.")


def newest(run: Path) -> tuple[Path, dict[str, Any]]:
    """The newest whole checkpoint of a run and its ``state.json``; damaged ones are named in a warning and passed over.

    Raises:
        RunError: There is no checkpoint, or none is whole.
    """
    damage: RunError | None = None
    for folder in _newest_first(run):
        try:
            check_manifest(folder, needed=("state.json", "state.safetensors"))
        except RunError as error:
            logger.warning("passing over a damaged checkpoint: %s", error)
            damage = error
        else:
            return folder, json.loads((folder / "state.json").read_text("utf-8"))
    if damage:
        raise damage
    raise RunError(
        f"nothing to resume in {run}",
        expected=f"a checkpoint in {run / FOLDER}",
        cause="the training was killed in its first minute, or is finished",
        next="begin it again without --resume",
    )


def has_checkpoint(run: Path) -> bool:
    """True where the run folder holds a training that can go on."""
    return bool(_newest_first(run))


def _newest_first(run: Path) -> list[Path]:
    return sorted((run / FOLDER).glob("epoch-*-step-*"), key=_age, reverse=True)


def _age(folder: Path) -> tuple[int, int]:
    """Steps, then epochs, of a checkpoint: the order in which they are written."""
    _, epoch, _, step = folder.name.split("-")
    return int(step), int(epoch)


def _part(tensors: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _refuse_changes(before: dict[str, Any], now: dict[str, Any], *, allow_change: bool) -> None:
    """Data and encoder must be the same; settings too, but for those that may change if it is allowed."""
    old = {**before["config"], "encoder": before["encoder"], "data": before["data"]}
    new = {**now["config"], "encoder": now["encoder"], "data": now["data"]}
    changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    if allow_change:
        for name in FREE.intersection(changed):
            logger.info("%s changes from %s to %s on the way", name, old.get(name), new.get(name))
        changed = [name for name in changed if name not in FREE]
    if changed:
        allowed = FREE.issuperset(changed)
        raise UsageError(
            "this is not the training that was begun: " + ", ".join(changed) + " changed",
            expected="\n".join(f"{name} = {old.get(name)}" for name in changed),
            found="\n".join(f"{name} = {new.get(name)}" for name in changed),
            next="repeat the first command with --resume, or begin again with --overwrite"
            + ("; or take the new value from here on: --allow-change" if allowed else ""),
        )
