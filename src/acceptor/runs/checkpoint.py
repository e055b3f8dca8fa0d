"""A checkpoint's ``state.json`` and where checkpoints lie. What a checkpoint is: `training.checkpoint`."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from acceptor.errors import RunError, UsageError
from acceptor.storage.manifest import check_manifest
from acceptor.storage.strict_json import read_json_object

logger = logging.getLogger(__name__)
T = TypeVar("T")

FOLDER = "checkpoints"
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


def newest(run: Path) -> tuple[Path, dict[str, Any]]:
    """The newest whole checkpoint of a run and its ``state.json``; damaged ones are named in a warning and passed over.

    Raises:
        RunError: There is no checkpoint, or none is whole.
    """
    return newest_whole(run, read_state)


def has_checkpoint(run: Path) -> bool:
    """True where the run folder holds a training that can go on."""
    return bool(newest_first(run))


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


def read_state(folder: Path) -> dict[str, Any]:
    """A checkpoint's ``state.json``, in which everything is of the right type and nothing contradicts the rest."""
    path = folder / "state.json"
    try:
        state = read_json_object(path, limit=MAX_STATE_BYTES)
        _State.model_validate(state)
        epoch, step = state["progress"]["epoch"], state["progress"]["step"]
        if age(folder) != (step, epoch):
            raise ValueError(f"it is about epoch {epoch}, step {step}")
        for last, name, *events in ((step, "step", "step", "skip"), (epoch, "epoch", "epoch")):
            told = sorted(line[name] for line in state["history"] if line["event"] in events)
            if told != list(range(1, last + 1)):
                raise ValueError(f"its history does not tell of every {name} once")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise unfit(path, "what a training writes", f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (OSError, ValueError) as error:
        raise unfit(path, "what a training writes", str(error)) from error
    return state


def newest_whole(run: Path, read: Callable[[Path], T]) -> tuple[Path, T]:
    """The newest checkpoint that ``read`` can make something of, and what that is."""
    damage: RunError | None = None
    for folder in newest_first(run):
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
