"""``judge.json``: labels, decision, encoder and limits of a judge. An exported ONNX file has the same data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from acceptor.errors import RunError
from acceptor.runs.record import FileRecord, Record, parse_record, read_record, write_record
from acceptor.storage.strict_json import MAX_OBJECT_BYTES, parse_json_object

JUDGE_FILE = "judge.json"
MEMBER = "member-"
"""The names of the folders with the classifiers of an ensemble begin with it."""
MOST_MEMBERS = 100

Temperature = Annotated[float, Field(gt=0)]
Threshold = Annotated[float, Field(gt=0, lt=1)]
"""Temperature and threshold: see `acceptor.judging.decision.Decision`."""


class EncoderRecord(Record):
    """The encoder that a judge was fine-tuned from."""

    name: str
    revision: str | None = None
    sha256: str | None = None
    architecture: str | None = None
    files: dict[str, str] | None = None


class DecisionRecord(Record):
    """A temperature and a threshold."""

    temperature: Temperature
    threshold: Threshold | None


class JudgeFile(FileRecord):
    """The content of ``judge.json``. Fields have the same meaning as in `Judge`; ``members``: see `member_folders`."""

    labels: Annotated[list[str], Field(min_length=2)]
    max_length: Annotated[int, Field(ge=1)]
    encoder: EncoderRecord
    temperature: Temperature = 1.0
    threshold: Threshold | None = None
    selected_on: str | None = None
    inputs: Literal["sentences", "pairs"] | None = None
    written: list[str] | None = None
    baked: DecisionRecord | None = None
    members: Annotated[int, Field(ge=2, le=MOST_MEMBERS)] | None = None

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("labels: a label appears twice")
        if self.written is not None and len(self.written) != len(self.labels):
            raise ValueError("written: not one word for each label")
        if self.threshold is not None and len(self.labels) != 2:
            raise ValueError("threshold: only a judge of two labels has one")
        return self


class ExportedJudgeFile(JudgeFile):
    """The metadata of an exported ONNX file: those of ``judge.json``, and the padding of its tokenizer."""

    precision: Literal["fp32", "int8"]
    pad_token_id: int
    mask_token_id: int | None
    model_input_names: list[str]


def read_judge_file(folder: Path) -> JudgeFile:
    """Reads a run's ``judge.json``.

    Raises:
        RunError: See `read_record`.
    """
    return read_record(folder / JUDGE_FILE, JudgeFile)


def member_folders(folder: Path, members: int | None) -> list[Path]:
    """The folders that hold a ``config.json`` and weights: one for each member of an ensemble, else the run's own."""
    return [folder] if members is None else [folder / f"{MEMBER}{number}" for number in range(1, members + 1)]


def write_judge_file(folder: Path, judge: JudgeFile) -> None:
    """Writes a run's ``judge.json``."""
    write_record(folder / JUDGE_FILE, judge)


def exported_judge_text(judge: ExportedJudgeFile) -> str:
    """The JSON text for the metadata of an ONNX file."""
    return json.dumps(judge.to_dict(), ensure_ascii=False, allow_nan=False)


def parse_exported_judge(text: str, path: Path) -> ExportedJudgeFile:
    """Parses the metadata of the ONNX file at ``path``.

    Raises:
        RunError: See `read_record`.
    """
    try:
        content = parse_json_object(text.encode(), limit=MAX_OBJECT_BYTES)
    except ValueError as error:
        raise unusable_export(path, str(error)) from error
    return parse_record(content, ExportedJudgeFile, path)


def unusable_export(path: Path, cause: str) -> RunError:
    """The error for a damaged ONNX file."""
    return RunError(
        "the ONNX file cannot be used",
        where=str(path),
        expected="a file that `acceptor export` wrote",
        cause=cause,
        next="copy it again, or export it again: acceptor export RUN -o FILE",
        code="E-RUN-FILE",
    )
