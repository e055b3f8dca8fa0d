"""Checks a run folder: whether it is finished, and whether its files have changed; says what is there instead."""

from __future__ import annotations

import contextlib
from pathlib import Path

from acceptor.errors import RunError, UsageError, nearest
from acceptor.runs.checkpoint import has_checkpoint, newest
from acceptor.runs.fingerprints import FINGERPRINTS_FILE
from acceptor.runs.history import HISTORY_FILE
from acceptor.runs.judge_file import JUDGE_FILE, MEMBER, member_folders
from acceptor.runs.predictions import PREDICTIONS_FILE
from acceptor.runs.record import RUN_FILE, FileRecord, check_files, read_record
from acceptor.runs.report_file import REPORT_FILE
from acceptor.runs.search_file import SEARCH_FILE
from acceptor.runs.set_file import FOLDS_FILE, SEEDS_FILE
from acceptor.storage.manifest import MANIFEST
from acceptor.text import shell

WEIGHTS = ("config.json", "model.safetensors")
JUDGE_PARTS = (JUDGE_FILE, *WEIGHTS, "tokenizer", MEMBER)
"""Prefixes of the files that determine the verdicts."""
READ_WITH_JUDGE = (MANIFEST, FINGERPRINTS_FILE)
"""Further files that `load` reads."""
SETS = {SEEDS_FILE: "the runs of several seeds", FOLDS_FILE: "the runs of a cross-validation", SEARCH_FILE: "a search"}
"""Files of folders of several runs, and what such a folder holds."""
RESUMED_BY = {SEEDS_FILE: "acceptor seeds", FOLDS_FILE: "acceptor train --cv", SEARCH_FILE: "acceptor search"}
AGAIN = "repeat the command that started it (acceptor train: with --resume)"
"""How to resume a training on data that another command made, or that were objects of Python."""


class ManifestFile(FileRecord):
    """The content of ``manifest.json``: the sha256 of each file, by its path in the folder."""

    files: dict[str, str]


def is_finished(folder: Path) -> bool:
    """True if a run is complete: its manifest is written last."""
    return (folder / MANIFEST).is_file()


def has_run_parts(folder: Path) -> bool:
    """True if a folder has parts of a run, complete or not."""
    return is_finished(folder) or (folder / RUN_FILE).exists()


def read_manifest(folder: Path) -> ManifestFile:
    """Reads the manifest of a finished run.

    Raises:
        RunError: See `acceptor.runs.record.read_record`.
    """
    return read_record(folder / MANIFEST, ManifestFile)


def manifest_bytes(folder: Path) -> bytes:
    """The bytes of the manifest: they are equal only for identical runs."""
    return (folder / MANIFEST).read_bytes()


def check_judge(folder: Path, members: int | None = None) -> None:
    """Compares the files that determine the verdicts with the manifest. ``members``: see `member_folders`.

    Raises:
        RunError: A file is missing or was changed.
    """
    places = member_folders(folder, members)
    needed = (JUDGE_FILE, *((place / name).relative_to(folder).as_posix() for place in places for name in WEIGHTS))
    check_files(folder, among=(*JUDGE_PARTS, FINGERPRINTS_FILE), needed=needed)


def check_scores(folder: Path) -> None:
    """Compares the files with scores with the manifest.

    Raises:
        RunError: A file is missing or was changed.
    """
    names = (REPORT_FILE, PREDICTIONS_FILE)
    check_files(folder, among=names, needed=names)


def check_records(folder: Path) -> None:
    """Compares the files with settings, history and scores with the manifest.

    Raises:
        RunError: The run is not finished; or a file is missing or was changed.
    """
    if not is_finished(folder):
        raise missing_run(folder, f"a folder with {MANIFEST}")
    names = (REPORT_FILE, RUN_FILE, HISTORY_FILE, PREDICTIONS_FILE)
    check_files(folder, among=names, needed=names)


def missing_run(folder: Path, expected: str) -> RunError:
    """The error for a folder that is not a finished run.

    Args:
        folder: The path, as it was given.
        expected: What the command takes.
    """
    holds = _set_file(folder)
    cause = None
    if has_checkpoint(folder):
        found, following = "a training that was stopped", f"finish it: {_resuming(folder)}"
    elif holds:
        found, following = SETS[holds], _of_a_set(folder)
    else:
        found = "a file" if folder.is_file() else "no such folder" if not folder.is_dir() else "a folder without it"
        cause = "a wrong path, or a training that did not finish"
        meant = _meant(folder)
        following = "list your runs: ls -d runs/*, or train one: acceptor train DATA --out RUN"
        if meant:
            cause = "a wrong path"
            following = f"did you mean {shell(meant)}?"
    return RunError(
        f"{folder} is not a finished run",
        expected=expected,
        found=found,
        cause=cause,
        next=following,
        code="E-RUN-MISSING",
    )


def _meant(folder: Path) -> Path | None:
    """The finished run that was probably meant: one that holds this file, is in this folder, or has a similar name."""
    if folder.is_file():
        return folder.parent if is_finished(folder.parent) else None
    with contextlib.suppress(OSError):  # a folder that cannot be listed, or that does not exist
        if folder.is_dir():
            return next((path for path in sorted(folder.iterdir()) if is_finished(path)), None)
        names = [path.name for path in folder.parent.iterdir() if is_finished(path) or _set_file(path)]
        match = nearest(folder.name, names)
        return folder.with_name(match) if match else None
    return None


def _resuming(folder: Path) -> str:
    """The command that resumes the training of a folder without a finished run."""
    try:
        source = newest(folder).settings.source
    except RunError:
        source = None
    return resume_command(folder, source)


def resume_command(run: Path, source: object) -> str:
    """The command that resumes a training. ``source`` is what the command line read its data from, if it did."""
    if in_set(run):
        return "repeat the command"
    return f"acceptor train {shell(run)} --resume" if source else AGAIN


def in_set(run: Path) -> bool:
    """True for one of the runs of several seeds, of a cross-validation or of a search."""
    return _set_file(run.parent) is not None


def _set_file(folder: Path) -> str | None:
    """The name of the file that makes a folder one of several runs."""
    return next((name for name in SETS if (folder / name).is_file()), None)


def refuse_set(folder: Path) -> None:
    """Refuses to resume a folder of several runs as if it were one.

    Raises:
        UsageError: It is one.
    """
    found = _set_file(folder)
    if found:
        raise UsageError(
            f"{folder} is not one run",
            found=SETS[found],
            next="repeat the command that made it, which resumes it: " + RESUMED_BY[found],
            code="E-USAGE-CONFLICT",
        )


def _of_a_set(folder: Path) -> str:
    run = next((path for path in sorted(folder.iterdir()) if is_finished(path)), None)
    if run is None:
        return "none of its runs is finished: give the command that made it again, to resume it"
    together = f", or, if all have the same validation rows, make one judge of them: acceptor ensemble {shell(folder)}"
    return f"give one of its runs, such as {shell(run)}" + together * (folder / SEEDS_FILE).is_file()
