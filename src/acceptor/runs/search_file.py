"""``search.json``: the trials of a search and the best one; and ``study.db``, from which a search resumes."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from acceptor.runs.record import MAX_RECORD_BYTES, Count, FileRecord, Record, Settings, check_format
from acceptor.runs.report_file import SplitScores
from acceptor.storage.files import replace_json
from acceptor.storage.strict_json import read_json_object

SEARCH_FILE, STUDY_FILE = "search.json", "study.db"


class SearchSetup(Record):
    """What determines a search: settings, the domains of the searched ones, the sha256 of each split."""

    config: Settings
    space: dict[str, list[JsonValue]]
    data: dict[str, str]


class Trial(Record):
    """One trial. ``value`` is the metric on validation, ``epochs`` the metric after each epoch."""

    number: Count
    state: Literal["complete", "pruned"]
    params: Settings
    value: float | None
    epochs: list[float | None]
    scores: SplitScores | None
    problem: str | None
    seconds: float
    process: int
    folder: str


class SearchFile(FileRecord, SearchSetup):
    """The content of ``search.json``."""

    metric: Literal["mcc", "accuracy", "f1"]
    split: str
    selected_on_this_split: bool
    optimistic: str
    trials: list[Trial]
    best: Trial | None


def check_search_format(folder: Path) -> None:
    """Refuses a ``search.json`` of a newer format; one that is missing or damaged is written again.

    Raises:
        RunError: The format is newer than `acceptor.runs.record.FORMAT`.
    """
    path = folder / SEARCH_FILE
    with contextlib.suppress(OSError, ValueError):
        check_format(read_json_object(path, limit=MAX_RECORD_BYTES), path)


def write_search_file(folder: Path, content: SearchFile) -> None:
    """Replaces a search's ``search.json`` atomically."""
    replace_json(folder / SEARCH_FILE, content.to_dict())


def is_search(folder: Path) -> bool:
    """True if the folder has a search."""
    return (folder / STUDY_FILE).is_file()


def open_study_file(folder: Path, *, has_locks: bool) -> sqlite3.Connection:
    """Opens the SQLite file of a search's study, without SQLite's locks if the file system has none."""
    own = "" if has_locks or os.name != "posix" else "?vfs=unix-none"
    return sqlite3.connect((folder / STUDY_FILE).absolute().as_uri() + own, timeout=60, uri=True)
