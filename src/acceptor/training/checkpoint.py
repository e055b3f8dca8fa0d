"""Checkpoints: all that a training needs to go on from the end of an epoch as if it had never stopped.

A checkpoint is a folder of safetensors and JSON, no pickle:

    checkpoints/epoch-3/
      state.safetensors   weights, the best epoch's weights where they are kept, both moments of AdamW
      state.json          epoch, step, seconds, settings, data fingerprints, history
      manifest.json       sha256 of the two, written last

No random generator is saved: every step's randomness follows from the seed and its number.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acceptor.errors import RunError, UsageError
from acceptor.files import check_manifest, new_folder, write_json
from acceptor.training.learner import Learner

FOLDER = "checkpoints"


@dataclass(frozen=True)
class Progress:
    """How far a training has come: finished epochs, optimizer steps, seconds in the loop."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0


def save_checkpoint(
    run: Path,
    progress: Progress,
    model: Any,
    learner: Learner,
    best: dict[str, Any],
    history: list[dict[str, Any]],
    settings: dict[str, Any],
) -> None:
    """Writes a checkpoint into the run folder and, once it is whole, removes the ones before it.

    Args:
        run: The run folder.
        progress: Where the training stands; an epoch has just ended.
        model: Its weights.
        learner: Made from the same model, and in step with it.
        best: The weights of the best epoch so far; empty where none are kept.
        history: The lines of ``history.jsonl`` so far.
        settings: What must be the same when the training goes on.
    """
    from safetensors.torch import save_file

    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in best.items()}
    tensors |= {"adamw.first": learner.first, "adamw.second": learner.second}
    folder = run / FOLDER / f"epoch-{progress.epoch}"
    older = list(folder.parent.iterdir()) if folder.parent.is_dir() else []
    with new_folder(folder) as scratch:
        save_file({name: value.contiguous().clone() for name, value in tensors.items()}, scratch / "state.safetensors")
        state = {"progress": vars(progress), "settings": settings, "history": history}
        write_json(scratch / "state.json", state)
    for path in older:
        shutil.rmtree(path)


def has_checkpoint(run: Path) -> bool:
    """True where the run folder holds a training that can go on."""
    return any((run / FOLDER).glob("epoch-*"))


def load_checkpoint(
    run: Path, model: Any, learner: Learner, settings: dict[str, Any]
) -> tuple[Progress, list[dict[str, Any]], dict[str, Any]]:
    """Puts the newest checkpoint's state into model and learner.

    Returns:
        How far the training had come, its history, and the best epoch's weights where they are kept.

    Raises:
        RunError: There is no checkpoint, or its files are damaged.
        UsageError: Data or settings are not those that the training began with.
    """
    from safetensors.torch import load_file

    if not has_checkpoint(run):
        raise RunError(
            f"nothing to resume in {run}",
            expected=f"a checkpoint in {run / FOLDER}",
            cause="the training was stopped before its first epoch ended, or is finished",
            next="begin it again without --resume",
        )
    folder = max((run / FOLDER).glob("epoch-*"), key=lambda path: int(path.name.partition("-")[2]))
    check_manifest(folder)
    state = json.loads((folder / "state.json").read_text("utf-8"))
    _refuse_changes(state["settings"], settings)
    tensors = load_file(folder / "state.safetensors")
    model.load_state_dict(_part(tensors, "model."))
    learner.first.copy_(tensors["adamw.first"])
    learner.second.copy_(tensors["adamw.second"])
    progress = Progress(**state["progress"])
    learner.steps = progress.step
    learner.reload()
    return progress, state["history"], _part(tensors, "best.")


def _part(tensors: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _refuse_changes(before: dict[str, Any], now: dict[str, Any]) -> None:
    changed = [name for name in before if before[name] != now.get(name)]
    if changed:
        raise UsageError(
            "this is not the training that was begun: " + ", ".join(changed) + " changed",
            expected="\n".join(f"{name} = {before[name]}" for name in changed),
            found="\n".join(f"{name} = {now.get(name)}" for name in changed),
            next="repeat the first command with --resume, or begin again with --overwrite",
        )
