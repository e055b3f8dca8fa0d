"""``PATH.json`` beside an exported judge: how its answers differ from those of the run that it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import JsonValue

from acceptor.runs.record import Count, FileRecord, read_record, write_record


class ExportFile(FileRecord):
    """What the file holds: see `acceptor.Export`."""

    path: str
    precision: Literal["fp32", "int8"]
    bytes: Count
    sha256: str
    inputs: Count
    largest_change: float
    flips: Count | None
    comparison: dict[str, JsonValue] | None
    versions: dict[str, str]


def export_file_of(path: Path) -> Path:
    """Where the file of the exported judge at ``path`` lies."""
    return path.with_name(path.name + ".json")


def read_export_file(path: Path) -> ExportFile:
    """The file beside the exported judge at ``path``.

    Raises:
        RunError: As `acceptor.runs.record.read_record`.
    """
    return read_record(export_file_of(path), ExportFile)


def write_export_file(path: Path, content: Mapping[str, Any]) -> None:
    """Writes the file beside the exported judge at ``path``; ``content`` is what `Export.to_dict` gives."""
    write_record(export_file_of(path), ExportFile.new(content))
