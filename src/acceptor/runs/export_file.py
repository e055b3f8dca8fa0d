"""``PATH.json`` beside an exported judge: how its logits and verdicts differ from the run's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import JsonValue

from acceptor.runs.judge_file import DecisionRecord
from acceptor.runs.record import Count, FileRecord, write_record


class ExportFile(FileRecord):
    """The content of the file: see `acceptor.Export`."""

    path: str
    precision: Literal["fp32", "int8"]
    bytes: Count
    sha256: str
    inputs: Count
    largest_change: float
    flips: Count | None
    comparison: dict[str, JsonValue] | None
    baked: DecisionRecord | None = None
    versions: dict[str, str]


def export_file_of(path: Path) -> Path:
    """The path of the JSON file of the exported judge at ``path``."""
    return path.with_name(path.name + ".json")


def write_export_file(path: Path, content: Mapping[str, Any]) -> None:
    """Writes the JSON file of the exported judge at ``path``; ``content`` is from `Export.to_dict`."""
    write_record(export_file_of(path), ExportFile.new(content))
