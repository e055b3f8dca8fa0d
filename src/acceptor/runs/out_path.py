"""Checks the output path of a run before any work: it must not exist, and the disk must have enough space."""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import itertools
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from acceptor.environment import whole_number
from acceptor.errors import ResourceError, UsageError
from acceptor.runs.checkpoint import FOLDER, has_checkpoint
from acceptor.runs.folder import is_finished
from acceptor.runs.record import RUN_FILE
from acceptor.storage.files import SCRATCH, explain_write_errors, follow
from acceptor.text import shell

logger = logging.getLogger(__name__)

SLACK_BYTES = 32 << 20  # everything in a run folder except weights


def default_out(source: str, encoder: str, *, resume: bool) -> Path:
    """The first path of ``runs/SOURCE-ENCODER``, ``runs/SOURCE-ENCODER-2`` and so on that does not exist.

    With ``resume``, it is the last one whose training can be resumed, or else the last one that exists.
    """
    name = _name(source, encoder)
    numbered = (Path("runs") / (f"{name}-{number}" if number > 1 else name) for number in itertools.count(1))
    taken = []
    for free in numbered:
        if not free.exists():
            break
        taken.append(free)
    stopped = [path for path in taken if has_checkpoint(path)]
    if stopped and (resume or restarted()):
        return stopped[-1]
    if taken and resume:
        return taken[-1]
    if stopped:
        again = f"acceptor train {shell(stopped[-1])} --resume"
        logger.warning(
            "%s holds a training that was stopped, and %s is new; to resume it: %s", stopped[-1], free, again
        )
    return free


def default_set(source: str, encoder: str, kind: str) -> Path:
    """``runs/SOURCE-ENCODER-KIND``, for a set of trainings: the same command resumes in the same folder."""
    return Path("runs") / f"{_name(source, encoder)}-{kind}"


def _name(source: str, encoder: str) -> str:
    parts = [part for part in Path(source).absolute().parts if part not in ("raw", "tokenized")]
    return f"{parts[-1].split('.')[0]}-{Path(encoder).name}"


def restarted() -> bool:
    """True if ``torchrun`` has restarted the command after one of its processes failed."""
    return whole_number("TORCHELASTIC_RESTART_COUNT", 0) > 0


def is_run(path: Path) -> bool:
    """True for the folder of a run, finished or not; False for a folder of data."""
    return (path / FOLDER).is_dir() or (path / RUN_FILE).is_file()


def check_out(out: Path, *, overwrite: bool, resume: bool) -> None:
    """Refuses an output path that exists.

    Raises:
        UsageError: ``out`` exists and can be neither replaced nor resumed.
        ResourceError: ``out`` cannot be read.
    """
    if overwrite and resume:
        raise UsageError("--overwrite and --resume exclude each other", next="use one of them", code="E-USAGE-CONFLICT")
    with explain_write_errors(out):
        if not out.exists() and not out.is_symlink():
            return
        finished, stopped = is_finished(out), has_checkpoint(out)
        unsaved = not finished and not stopped and _killed_in_its_first_save(out)
    if unsaved and not resume:
        return
    if not finished and not stopped and not unsaved:
        raise UsageError(
            f"{out} exists and is not a run",
            expected="a path that does not exist",
            cause="overwriting would delete files that Acceptor did not write",
            next="choose another path: --out PATH",
            code="E-USAGE-OUTPUT",
        )
    if finished and resume:
        raise UsageError(
            f"{out} is finished",
            next=f"read {out / 'README.md'}; or train again: the command as at first, with --overwrite",
            code="E-USAGE-OUTPUT",
        )
    if not overwrite and not resume:
        ways = "replace it: --overwrite" if finished else "resume it: --resume, or start again: --overwrite"
        raise UsageError(
            f"{out} exists: " + ("a finished run" if finished else "a training that was stopped"),
            expected="a path that does not exist",
            next=f"choose another path: --out PATH\n{ways}",
            code="E-USAGE-OUTPUT",
        )


def _killed_in_its_first_save(out: Path) -> bool:
    """True if a folder is empty or has only an incomplete checkpoint, so that nothing can be lost."""
    within = set(out.iterdir()) if out.is_dir() else {out}
    checkpoints = (out / FOLDER).iterdir() if (out / FOLDER).is_dir() else iter(())
    return within <= {out / FOLDER} and all(path.name.endswith(SCRATCH) for path in checkpoints)


# ── what is overwritten ──────────────────────────────────────────────────────────────────────────────────


def refuse_undecodable(*paths: str | Path) -> None:
    """Refuses paths whose bytes are not UTF-8, before there is work to lose: the records of a run name them.

    Raises:
        UsageError: A path is not UTF-8.
    """
    for path in map(str, paths):
        try:
            path.encode()
        except UnicodeEncodeError:
            raise UsageError(
                "a path is not UTF-8",
                where=repr(path),
                expected="UTF-8, in which the records of a run are written",
                cause="a name from a system with another encoding, such as Latin-1",
                next="rename the folder or the file, or train elsewhere",
                code="E-USAGE-OUTPUT",
            ) from None


def refuse_within(out: Path, inputs: Iterable[str | Path]) -> None:
    """Refuses an output folder that contains an input, since the old folder is removed when the new run is complete.

    Args:
        out: The folder to write.
        inputs: Paths of encoders and data; those that are not paths on this machine are ignored.

    Raises:
        UsageError: An input is the output folder or is in it, also through links.
    """
    if not os.path.lexists(out):
        return
    places = {os.path.abspath(out), os.path.realpath(out)}
    for given in inputs:
        if not os.path.lexists(given):
            continue
        found = {os.path.abspath(given), os.path.realpath(given)}
        inside = any(Path(path).is_relative_to(place) for path in found for place in places)
        if inside or any(os.path.samefile(parent, out) for parent in Path(os.path.realpath(given)).parents):
            another = out.with_name(out.name + "-2") if out.name else "runs/new"
            raise UsageError(
                f"{given} is an input, and is in the output folder, which is replaced",
                where=str(out),
                expected="an output folder that contains no input",
                next=f"write to another folder: --out {shell(another)}",
                code="E-USAGE-OUTPUT",
            )


def folder_beside(out: Path, suffix: str, files: Sequence[str]) -> Path:
    """The folder ``OUT-SUFFIX`` beside a run folder, for files that belong to it.

    Args:
        out: The run folder.
        suffix: What is added to its name.
        files: Patterns of the names that it may have; an existing folder with others is not ours.

    Raises:
        UsageError: ``out`` has no name, such as ``/``; or the folder exists and has other files.
    """
    whole = Path(os.path.abspath(out))
    if not whole.name:
        raise UsageError(f"{out} cannot be a run folder", next="name one: --out PATH", code="E-USAGE-OUTPUT")
    place = whole.with_name(f"{whole.name}-{suffix}")
    within = [path.name for path in place.iterdir()] if place.is_dir() else []
    others = sorted(name for name in within if not any(fnmatch.fnmatch(name, pattern) for pattern in files))
    if others or (os.path.lexists(place) and not place.is_dir()):
        raise UsageError(
            f"{place} exists and has other files",
            expected="a path that does not exist",
            found=", ".join(others[:8]) or "a file",
            next=f"choose another run folder, next to which {place.name} is free: --out PATH",
            code="E-USAGE-OUTPUT",
        )
    return place


def move_aside(out: Path) -> None:
    """Renames an existing ``out``; it is kept beside it until the new run is complete: see `replacing`."""
    if not os.path.lexists(out):
        return
    number = next(number for number in itertools.count(1) if not os.path.lexists(_replaced(out, number)))
    with explain_write_errors(out):
        out.rename(_replaced(out, number))
    logger.info("the old %s is kept as %s until the new run is complete", out, _replaced(out, number))


def _put_back(out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    _all_replaced(out)[-1].rename(out)
    logger.info("no new run can be resumed: the old %s was restored", out)


def drop_replaced(out: Path) -> None:
    """Removes the renamed old folders after the new run is complete."""
    for place in _all_replaced(out):
        if place.is_dir() and not place.is_symlink():
            follow(place, out)
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink()


@contextlib.contextmanager
def replacing(out: Path) -> Iterator[None]:
    """Removes the old folders if the block succeeds; restores them if it fails and no new run can be resumed.

    First, this is done for a command that was killed.
    """
    if is_finished(out):
        drop_replaced(out)
    elif _all_replaced(out) and (not os.path.lexists(out) or _killed_in_its_first_save(out)):
        _put_back(out)
    before = _all_replaced(out)
    try:
        yield
    except BaseException:
        kept = _all_replaced(out)
        if kept != before and not _can_resume(out):
            _put_back(out)
        elif kept:
            logger.info("the old %s is kept as %s; it is removed when the new run is complete", out, kept[-1])
        raise
    drop_replaced(out)


def _replaced(out: Path, number: int) -> Path:
    return out.with_name(f".{out.name}.replaced-{number}")


def _all_replaced(out: Path) -> list[Path]:
    """The renamed old folders, the oldest first."""
    found = out.parent.glob(f".{glob.escape(out.name)}.replaced-*")
    numbered = [path for path in found if path.name.rpartition("-")[2].isdecimal()]
    return sorted(numbered, key=lambda path: int(path.name.rpartition("-")[2]))


def _can_resume(out: Path) -> bool:
    """True if a run, or one of a set, is finished or can be resumed."""
    places = [out, *out.glob("*/")]
    return any(is_finished(place) or has_checkpoint(place) for place in places)


def check_room(out: Path, weight_bytes: int, *, keeps_best: bool = False) -> None:
    """Refuses to start if the run and its checkpoints would not fit on the disk.

    Args:
        out: The run folder to write.
        weight_bytes: Size of the weights. A checkpoint has them and AdamW's two averages; three can exist at once.
        keeps_best: Checkpoints also have the best epoch's weights.

    Raises:
        ResourceError: There is too little space; the error has the bytes needed and free.
    """
    place = next(parent for parent in (out, *out.absolute().parents) if parent.exists())
    free = shutil.disk_usage(place).free
    needed = (3 * (3 + keeps_best) + 1) * weight_bytes + SLACK_BYTES
    if free < needed:
        raise ResourceError(
            "the disk has too little space for this run and its checkpoints",
            where=str(place),
            expected=f"{needed / 1e6:,.0f} MB",
            found=f"{free / 1e6:,.0f} MB free",
            next="free some space, or write to another disk: --out PATH",
            code="E-RESOURCE-DISK",
        )
