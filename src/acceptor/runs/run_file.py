"""``run.json``: settings, encoder, data, versions and machine of a run; also the part that checkpoints share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self, get_args

from pydantic import Field, JsonValue, model_validator

from acceptor.config import ENCODERS_OWN, Derived, TrainConfig
from acceptor.runs.history import RestartLine
from acceptor.runs.judge_file import EncoderRecord
from acceptor.runs.record import (
    MAX_RECORD_BYTES,
    RUN_FILE,
    Count,
    FileRecord,
    Record,
    Settings,
    read_record,
    write_record,
)
from acceptor.text import Json

METRICS = get_args(TrainConfig.model_fields["metric"].annotation)


class TableRecord(Record):
    """Where rows came from, and the hash of that file."""

    origin: str
    sha256: str
    rows: Count
    columns: str = Field(alias="schema")  # `schema` is a method of pydantic

    @property
    def roles(self) -> list[str]:
        """The role of each column, parsed from ``schema``, whose wording differs between versions."""
        found = self.columns.partition(": ")[2].partition("; ")[0] or self.columns
        numbered = [re.sub(r"^(\d+) (\w+)$", r"\2 ← column \1", word) for word in found.split(", ")]
        roles = [re.sub(r" \(.*", "", word) for word in numbered]
        return sorted(role for role in roles if re.fullmatch(r"\w+( ← .+)?", role))

    def deciding(self) -> Json:
        """What must be the same when a training resumes."""
        return {**_without(self, "origin"), "schema": self.roles}


class ExtraRecord(TableRecord):
    """Where rows of train were added from. ``left_out`` of that file's rows have a text of validation or test."""

    left_out: Count = 0


class SplitRecord(TableRecord):
    """A split; ``extra`` are the sources of the rows that were added to it."""

    name: str
    balance: dict[str, Count]
    extra: list[ExtraRecord] = Field(default_factory=list)

    def deciding(self) -> Json:
        """What must be the same when a training resumes."""
        return {**super().deciding(), "extra": [one.deciding() for one in self.extra]}


class Setup(Record):
    """What determines a training: settings, encoder, data."""

    config: Settings
    encoder: EncoderRecord
    data: dict[str, SplitRecord]

    @model_validator(mode="after")
    def _check_config(self) -> Self:
        if self.metric not in METRICS:
            raise ValueError(f"config.metric: not {', '.join(METRICS)}")
        return self

    @property
    def metric(self) -> str:
        """The main metric: ``mcc``, ``accuracy`` or ``f1``."""
        return str(self.config.get("metric", "mcc"))

    def deciding(self) -> Json:
        """All values that must be the same when a training resumes, by name.

        Paths of data and encoder are left out, since their hashes are compared.
        """
        data = {name: split.deciding() for name, split in self.data.items()}
        encoder = _without(self.encoder, "name")
        return {**all_settings(self.config), "encoder": encoder, "data": data}


def all_settings(config: Settings) -> Settings:
    """The settings, completed by those that an older version lacked, with the values that it trained with."""
    before = {"dropout": ENCODERS_OWN, "reinit_layers": 0, "adam_beta2": 0.999}
    return {**TrainConfig().model_dump(), **before, **config}


def _without(record: Record, name: str) -> Json:
    return {key: value for key, value in record.to_dict().items() if key != name}


class MemberRecord(Record):
    """A run that an ensemble was made of: its folder, the sha256 of its manifest, its scores by the main metric."""

    run: str
    sha256: str
    scores: dict[str, float | None]


class RunFile(FileRecord, Setup):
    """The content of ``run.json``. That of an ensemble has ``members``; settings that differ among them are lists."""

    finished: str
    derived: list[Derived]
    machine: dict[str, JsonValue]
    versions: dict[str, str]
    commit: str | None
    seconds: dict[str, float]
    skipped_steps: Count = 0
    collapsed: bool = False
    restarted_after: RestartLine | None = None
    members: list[MemberRecord] = Field(default_factory=list)


def read_run_file(folder: Path) -> RunFile:
    """Reads a run's ``run.json``.

    Raises:
        RunError: See `acceptor.runs.record.read_record`.
    """
    return read_record(folder / RUN_FILE, RunFile, limit=MAX_RECORD_BYTES)


def write_run_file(folder: Path, run: RunFile) -> None:
    """Writes a run's ``run.json``."""
    write_record(folder / RUN_FILE, run)
