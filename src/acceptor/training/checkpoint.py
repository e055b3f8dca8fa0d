"""Checkpoints: all that a training needs to go on from any step as if it had never stopped.

A checkpoint is a folder of safetensors and JSON, no pickle:

    checkpoints/epoch-3-step-750/     three epochs and 750 steps are done
      state.safetensors   weights, the best epoch's weights where they are kept, both moments of AdamW, the trained
                          rows of the vocabulary
      state.json          epoch, step, seconds, loss and decay so far, what the training was begun with, history
      manifest.json       sha256 of the two, written last

No random generator is saved: every step's randomness follows from the seed and its number. The two newest checkpoints
are kept, so that a damaged one has a whole one behind it.
"""

from __future__ import annotations

import logging
import math
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from acceptor.errors import EncoderError, RunError, UsageError
from acceptor.files import check_manifest, new_folder, read_object, write_json
from acceptor.model.safety import read_weights
from acceptor.training.learner import Learner

logger = logging.getLogger(__name__)
T = TypeVar("T")

FOLDER = "checkpoints"
EVERY = 60.0  # seconds between checkpoints within an epoch, at least
SHARE = 0.03  # of the time goes into them, at most
KEPT = 2  # checkpoints
MAX_STATE_BYTES = 1 << 29  # of state.json: the history of three million steps
FREE = {"learning_rate", "warmup", "weight_decay", "max_grad_norm", "on_nan", "on_collapse"} | {
    "device",
    "precision",
    "compile",
}
"""Settings that may change on the way if asked for: the others decide the examples' order or what comes out."""
Count = Annotated[int, Field(ge=0)]


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
        settings: What the training is begun with: ``config``, ``encoder``, ``data`` and ``labels``, which must be the
            same when it goes on; ``source`` and ``directory``, from which the data can be read again.
        writes: False in the processes that only compute.
    """

    def __init__(self, run: Path, model: Any, learner: Learner, settings: dict[str, Any], *, writes: bool) -> None:
        self.run, self.model, self.learner, self.settings, self.writes = run, model, learner, settings, writes
        self.began = self.saved = time.perf_counter()
        self.spent = self.dearest = 0.0  # seconds in all saves, and in the one that took longest

    def due(self, *, epoch_ends: bool = False) -> bool:
        """True after an epoch and once a minute, unless saves would then take more than their share of the time."""
        now = time.perf_counter()
        affordable = self.spent + self.dearest <= SHARE * (now - self.began)
        return affordable and (epoch_ends or now - self.saved > EVERY)

    def save(self, progress: Progress, best: dict[str, Any], history: list[dict[str, Any]]) -> None:
        """Writes a checkpoint and, once it is whole, removes all but the one before it.

        Args:
            progress: Where the training stands: behind a whole step, or behind an epoch and its judging.
            best: The weights of the best epoch so far; empty where none are kept.
            history: The lines of ``history.jsonl`` so far.
        """
        from safetensors.torch import save_file

        began = time.perf_counter()
        if self.writes:
            tensors = {**self._tensors(), **{f"best.{name}": value for name, value in best.items()}}
            folder = self.run / FOLDER / f"epoch-{progress.epoch}-step-{progress.step}"
            state = {"progress": vars(progress), "decay": self.learner.decay, "micro_batch": self.learner.micro_batch}
            with new_folder(folder) as scratch:
                whole = {name: value.contiguous().clone() for name, value in tensors.items()}
                save_file(whole, scratch / "state.safetensors")
                write_json(scratch / "state.json", {**state, "settings": self.settings, "history": history})
            kept = [path for path in _newest_first(self.run) if _age(path) <= _age(folder)][:KEPT]
            for path in folder.parent.iterdir():  # older ones, those passed over, and what a killed process began
                if path not in kept:
                    shutil.rmtree(path)
        self.saved = time.perf_counter()
        self.spent += self.saved - began
        self.dearest = max(self.dearest, self.saved - began)

    def load(self, *, allow_change: bool) -> tuple[Progress, list[dict[str, Any]], dict[str, Any]]:
        """Puts the newest whole checkpoint's state into model and learner.

        Args:
            allow_change: Take settings of `FREE` that are not those that the training began with.

        Returns:
            How far the training had come, its history, and the best epoch's weights where they are kept.

        Raises:
            RunError: There is no checkpoint, or none is whole and of this training.
            UsageError: Data or settings are not those that the training began with.
        """
        _, (state, tensors) = _newest_whole(self.run, lambda folder: self._read(folder, allow_change=allow_change))
        self.model.load_state_dict(_part(tensors, "model."))
        self.learner.first.copy_(tensors["adamw.first"])
        self.learner.second.copy_(tensors["adamw.second"])
        progress = Progress(**state["progress"])
        self.learner.steps, self.learner.decay = progress.step, state["decay"]
        self.learner.micro_batch = state["micro_batch"]
        self.learner.reload(tensors["rows"])
        return progress, state["history"], _part(tensors, "best.")

    def _tensors(self) -> dict[str, Any]:
        """All that a step changes, by the names of ``state.safetensors``."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {"adamw.first": self.learner.first, "adamw.second": self.learner.second}
        return {**tensors, "rows": self.learner.rows.weight.detach()}

    def _read(self, folder: Path, *, allow_change: bool) -> tuple[dict[str, Any], dict[str, Any]]:
        """A checkpoint's two files, which have to fit this training."""
        state = _read_state(folder)
        refuse_changes(state["settings"], self.settings, allow_change=allow_change)
        config, epoch, step = self.settings["config"], state["progress"]["epoch"], state["progress"]["step"]
        steps = math.ceil(self.settings["data"]["train"]["rows"] / config["batch_size"])  # of an epoch
        if not steps * epoch <= step <= min(steps * (epoch + 1), steps * config["epochs"]):
            raise _unfit(folder / "state.json", f"{config['epochs']} epochs of {steps} steps", folder.name)
        if state["micro_batch"] > config["batch_size"]:
            raise _unfit(folder / "state.json", f"at most {config['batch_size']} examples at a time", "more")
        path = folder / "state.safetensors"
        try:
            tensors = read_weights(path)
        except EncoderError as error:
            raise _unfit(path, "whole and finite tensors", str(error)) from error
        expected = self._tensors()
        if any(name.startswith("best.") for name in tensors):
            expected |= {f"best.{name}": value for name, value in self.model.state_dict().items()}
        kinds, found = ({name: (v.dtype, tuple(v.shape)) for name, v in each.items()} for each in (expected, tensors))
        odd = sorted(name for name in kinds.keys() | found.keys() if kinds.get(name) != found.get(name))
        if odd:
            raise _unfit(path, f"{odd[0]}: {kinds.get(odd[0])}", f"{found.get(odd[0])}")
        return state, tensors


def newest(run: Path) -> tuple[Path, dict[str, Any]]:
    """The newest whole checkpoint of a run and its ``state.json``; damaged ones are named in a warning and passed over.

    Raises:
        RunError: There is no checkpoint, or none is whole.
    """
    return _newest_whole(run, _read_state)


def has_checkpoint(run: Path) -> bool:
    """True where the run folder holds a training that can go on."""
    return bool(_newest_first(run))


class _Checked(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="allow")


class _Progress(_Checked, extra="forbid"):
    epoch: Count
    step: Count
    seconds: float
    epoch_loss: float
    epoch_examples: Count


class _Step(_Checked):
    event: Literal["step"]
    epoch: Count
    step: Count
    loss: float
    learning_rate: float
    examples: Count
    seconds: float


class _Skip(_Checked):
    event: Literal["skip"]
    epoch: Count
    step: Count


class _Restart(_Checked):
    event: Literal["restart"]
    seed: Count


class _Epoch(_Checked):
    event: Literal["epoch"]
    epoch: Count
    step: Count
    seconds: float
    train_loss: float
    validation_loss: float
    mcc: float | None
    accuracy: float | None
    f1: float | None


class _Source(_Checked):
    source: str
    validation: str | None
    test: str | None
    folder: str | None
    columns: dict[str, str] | None
    labels: list[str] | None


class _Settings(_Checked):
    config: dict[str, Any]
    encoder: dict[str, Any]
    data: dict[str, dict[str, Any]]
    labels: list[str]
    source: _Source | None
    directory: str


class _State(_Checked):
    """What ``state.json`` must hold, as far as anything relies on it."""

    progress: _Progress
    decay: float
    micro_batch: Annotated[int, Field(ge=1)]
    settings: _Settings
    history: list[Annotated[_Step | _Skip | _Restart | _Epoch, Field(discriminator="event")]]


def _read_state(folder: Path) -> dict[str, Any]:
    """A checkpoint's ``state.json``, in which everything is of the right type and nothing contradicts the rest."""
    path = folder / "state.json"
    try:
        state = read_object(path, limit=MAX_STATE_BYTES)
        _State.model_validate(state)
        epoch, step = state["progress"]["epoch"], state["progress"]["step"]
        if _age(folder) != (step, epoch):
            raise ValueError(f"it is about epoch {epoch}, step {step}")
        for last, name, *events in ((step, "step", "step", "skip"), (epoch, "epoch", "epoch")):
            told = sorted(line[name] for line in state["history"] if line["event"] in events)
            if told != list(range(1, last + 1)):
                raise ValueError(f"its history does not tell of every {name} once")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise _unfit(path, "what a training writes", f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (OSError, ValueError) as error:
        raise _unfit(path, "what a training writes", str(error)) from error
    return state


def _newest_whole(run: Path, read: Callable[[Path], T]) -> tuple[Path, T]:
    """The newest checkpoint that ``read`` can make something of, and what that is."""
    damage: RunError | None = None
    for folder in _newest_first(run):
        try:
            check_manifest(folder, needed=("state.json", "state.safetensors"))
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
        next="begin it again without --resume",
    )


def _newest_first(run: Path) -> list[Path]:
    named = re.compile(r"epoch-\d{1,9}-step-\d{1,9}")
    found = (path for path in (run / FOLDER).glob("epoch-*-step-*") if named.fullmatch(path.name))
    return sorted(found, key=_age, reverse=True)


def _age(folder: Path) -> tuple[int, int]:
    """Steps, then epochs, of a checkpoint: the order in which they are written."""
    _, epoch, _, step = folder.name.split("-")
    return int(step), int(epoch)


def _part(tensors: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _unfit(path: Path, expected: str, found: str) -> RunError:
    return RunError(
        f"{path.name} is not of this training",
        where=str(path),
        expected=expected,
        found=found,
        cause="it was changed by hand, or by another version",
        next="begin again: --overwrite",
    )


def refuse_changes(before: dict[str, Any], now: dict[str, Any], *, allow_change: bool = False) -> None:
    """Data and encoder must be the same; settings too, but for those that may change if it is allowed.

    Args:
        before: ``config``, ``encoder``, ``data`` and ``labels`` of the training that was begun.
        now: The same of the one that is to go on with it.
        allow_change: Take settings of `FREE` that differ.

    Raises:
        UsageError: Something differs, with both values.
    """
    old, new = _compared(before), _compared(now)
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


def _compared(settings: dict[str, Any]) -> dict[str, Any]:
    """What decides about a training. Where data and encoder lie does not: their fingerprints tell what they are."""
    data = {
        name: {key: value for key, value in split.items() if key != "origin"}
        for name, split in settings["data"].items()
    }
    encoder = {key: value for key, value in settings["encoder"].items() if key != "name"}
    # Checkpoints of before there was a choice have no `keep_head`.
    return {"keep_head": False, **settings["config"], "encoder": encoder, "data": data, "labels": settings["labels"]}
