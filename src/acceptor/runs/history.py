"""``history.jsonl``: one line for each step and each epoch of a training. Checkpoints hold the same lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from acceptor.runs.record import MAX_RECORD_BYTES, Count, Record, damaged, first_problem
from acceptor.storage.strict_json import MAX_OBJECT_BYTES, parse_json_object
from acceptor.text import Json

HISTORY_FILE = "history.jsonl"


class StepLine(Record):
    """An optimizer step: mean loss of the batch in nats, number of examples, seconds since training started."""

    event: Literal["step"]
    epoch: Count
    step: Count
    loss: float
    learning_rate: float
    examples: Count
    seconds: float


class SkipLine(Record):
    """A step whose gradient was not finite. The weights were unchanged.

    Its examples are ``lines`` or ``rows``, or ``places`` if rows of several sources were trained on.
    """

    event: Literal["skip"]
    epoch: Count
    step: Count
    lines: list[int] | None = None
    rows: list[int] | None = None
    places: list[str] | None = None


class Collapse(Record):
    """The measurements of a collapsed training.

    Attributes:
        seed: The seed of the training.
        epoch: The epoch at whose end the collapse was detected, counted from 1.
        step: The number of optimizer steps until then.
        label: The only verdict.
        share: 1: the share of that verdict among the validation verdicts.
        loss: Mean training loss of the epoch's second half, in nats.
        entropy: Entropy of the labels in train, in nats: the loss of a constant answer.
        margin_sd: Standard deviation of the margins over validation, in nats.
    """

    seed: Count
    epoch: Count
    step: Count
    label: str
    share: float
    loss: float
    entropy: float
    margin_sd: float


class RestartLine(Collapse):
    """The collapse after which this training was restarted with safer settings. It is the first line."""

    event: Literal["restart"]


class EpochLine(Record):
    """The end of an epoch, with the scores on the validation split."""

    event: Literal["epoch"]
    epoch: Count
    step: Count
    seconds: float
    train_loss: float
    validation_loss: float
    n: Count | None = None
    mcc: float | None
    mcc_interval: list[float] | None = None
    accuracy: float | None
    accuracy_interval: list[float] | None = None
    f1: float | None
    balanced_accuracy: float | None = None
    majority: float | None = None
    collapsed: bool | None = None
    collapse: Collapse | None = None

    def score(self, metric: str) -> float | None:
        """The score ``mcc``, ``accuracy`` or ``f1``; None if it is not defined."""
        return {"mcc": self.mcc, "accuracy": self.accuracy, "f1": self.f1}[metric]


Line = Annotated[StepLine | SkipLine | RestartLine | EpochLine, Field(discriminator="event")]
_LINE: TypeAdapter[StepLine | SkipLine | RestartLine | EpochLine] = TypeAdapter(Line)
L = TypeVar("L", bound=Record)


def lines_of(history: Iterable[Record], kind: type[L]) -> list[L]:
    """The lines of one class, such as `EpochLine`."""
    return [line for line in history if isinstance(line, kind)]


def as_dicts(history: Iterable[Record]) -> list[Json]:
    """The lines as in the file."""
    return [line.to_dict() for line in history]


def read_history(folder: Path) -> list[Line]:
    """Reads a run's ``history.jsonl``.

    Raises:
        RunError: It is missing or too large; or a line is not a JSON object of a known kind. The error names the line
            and the field.
    """
    path = folder / HISTORY_FILE
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_RECORD_BYTES + 1)
        if len(data) > MAX_RECORD_BYTES:
            raise ValueError(f"larger than {MAX_RECORD_BYTES} bytes")
    except (OSError, ValueError) as error:
        raise damaged(path, f"{(isinstance(error, OSError) and error.strerror) or error}") from error
    lines: list[Line] = []
    for number, text in enumerate(data.splitlines(), 1):
        try:
            lines.append(_LINE.validate_python(parse_json_object(text, limit=MAX_OBJECT_BYTES)))
        except ValidationError as error:
            raise damaged(path, f"line {number}: {first_problem(error)}") from None
        except ValueError as error:
            raise damaged(path, f"line {number}: {error}") from error
    return lines


def write_history(folder: Path, history: Sequence[Record]) -> None:
    """Writes a run's ``history.jsonl``."""
    lines = (json.dumps(line.to_dict(), allow_nan=False) + "\n" for line in history)
    (folder / HISTORY_FILE).write_text("".join(lines), "utf-8", newline="\n")
