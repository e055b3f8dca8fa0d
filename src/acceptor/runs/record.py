"""Base of all run files: strict models, the format number, errors that name the file and the field."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from acceptor.errors import RunError
from acceptor.storage.files import write_json
from acceptor.storage.manifest import MANIFEST, check_manifest
from acceptor.storage.strict_json import MAX_OBJECT_BYTES, read_json_object
from acceptor.text import Json

FORMAT = 2
"""The newest format that this version reads: that of an ensemble's ``judge.json``, whose networks are in folders."""
USUAL_FORMAT = 1
"""The format of all other files, which Acceptor 0.1 reads, too. A file without a number has it.

A file gets a higher number if older versions could not read it; older formats stay readable.
"""
MAX_RECORD_BYTES = 1 << 29  # limit for files that grow with the run: history, slices, thousands of trainings
RUN_FILE = "run.json"

Count = Annotated[int, Field(ge=0)]
Settings = dict[str, JsonValue]
"""The fields of `TrainConfig` by name; files of older versions may lack some."""


class Record(BaseModel):
    """One JSON object. Types are strict; fields that this version does not know are kept."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, extra="allow")

    def to_dict(self) -> Json:
        """The object as in the file, without fields that the file lacks."""
        return self.model_dump(by_alias=True, exclude_unset=True)


class FileRecord(Record):
    """The content of a whole file."""

    format: Annotated[int, Field(ge=1)] = USUAL_FORMAT

    @classmethod
    def new(cls, content: Mapping[str, Any]) -> Self:
        """The content of a new file, with the format number."""
        return cls.model_validate({"format": USUAL_FORMAT, **content})


R = TypeVar("R", bound=Record)


def read_record(path: Path, model: type[R], *, limit: int = MAX_OBJECT_BYTES) -> R:
    """Reads a file that may be damaged, forged, or of a newer version.

    Args:
        path: The file.
        model: The class of its content.
        limit: The maximum size in bytes.

    Raises:
        RunError: It is missing or larger than the limit, is not one JSON object, or has a duplicate key or a NaN; a
            field is missing or has the wrong type (the error names it); or its format is newer than `FORMAT`.
    """
    try:
        content = read_json_object(path, limit=limit)
    except (OSError, ValueError) as error:
        raise damaged(path, f"{(isinstance(error, OSError) and error.strerror) or error}") from error
    return parse_record(content, model, path)


def parse_record(content: Json, model: type[R], path: Path) -> R:
    """Converts the content of ``path`` to a model. Raises the errors of `read_record`."""
    check_format(content, path)
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise damaged(path, first_problem(error)) from None


def write_record(path: Path, record: Record) -> None:
    """Writes the object as indented JSON."""
    write_json(path, record.to_dict())


def first_problem(error: ValidationError) -> str:
    """The first invalid field, and the reason."""
    first = error.errors(include_url=False, include_context=False)[0]
    field = ".".join(map(str, first["loc"]))
    message = re.sub(r" or (an )?instance of \w+", "", first["msg"])  # a class of ours, which no reader of a file knows
    given = first["input"]
    found = f", not {str(given)[:60]!r}" if isinstance(given, str | int | float) else ""
    return f"{field}: {message}{found}" if field else message


def damaged(path: Path, found: str) -> RunError:
    """The error for a file that is missing or invalid."""
    return RunError(
        f"{path.name} cannot be read",
        where=str(path),
        expected="the file as Acceptor wrote it",
        found=found,
        cause="a damaged disk, an incomplete copy, or a change by hand",
        next="copy the folder again, or repeat the command that wrote it (acceptor train, seeds, search or export)",
        code="E-RUN-FILE",
    )


def check_format(content: Mapping[str, Any], path: Path) -> None:
    """Refuses a file that a newer version wrote in a format that this one does not know.

    Raises:
        RunError: Its number is above `FORMAT`.
    """
    found = content.get("format", 1)
    if type(found) is not int or found <= FORMAT:
        return
    version = _written_by(content, path)
    raise RunError(
        f"{path.name} was written by a newer version of Acceptor",
        where=str(path),
        expected=f"format {FORMAT} or older, which this version reads",
        found=f"format {found}" + (f", written by Acceptor {version}" if version else ""),
        next=f"update Acceptor to {version or 'the newest version'}: git pull in its checkout, then pip install .",
        code="E-RUN-FORMAT",
    )


def check_files(folder: Path, *, among: tuple[str, ...] = ("",), needed: tuple[str, ...] = ()) -> None:
    """`check_manifest`, after the format of the manifest.

    Raises:
        RunError: The format is newer than `FORMAT`; or see `check_manifest`.
    """
    path = folder / MANIFEST
    with contextlib.suppress(OSError, ValueError):  # `check_manifest` refuses a file that cannot be read
        check_format(read_json_object(path), path)
    check_manifest(folder, among=among, needed=needed)


def _written_by(content: Mapping[str, Any], path: Path) -> str | None:
    """The version of Acceptor that wrote a file, from the file itself or from ``run.json`` beside it."""
    try:
        beside: Json = read_json_object(path.with_name(RUN_FILE))
    except (OSError, ValueError):
        beside = {}
    for about in (content, beside):
        versions = about.get("versions")
        version = versions.get("acceptor") if isinstance(versions, dict) else None
        if isinstance(version, str) and re.fullmatch(r"\d[\w.+-]{0,30}", version):
            return version
    return None
