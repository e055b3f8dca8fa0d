"""Writes files and folders atomically, even if the process is killed or the power fails."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from acceptor.errors import ResourceError
from acceptor.storage.manifest import MANIFEST, hashes_of

logger = logging.getLogger(__name__)

SCRATCH = ".part"  # the end of the name of a file or folder that is being written
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
UNWRITABLE = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP,
    errno.EISDIR,
)  # fmt: skip
NO_SYNC = (errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


def user_path(given: str | Path) -> Path:
    """The path with its ``~`` expanded; as it is given if there is no such user, so that it is found missing."""
    return with_name(Path(os.path.expanduser(given)))


def with_name(path: Path) -> Path:
    """The path itself; absolute if it has no name, such as ``.`` or ``..``.

    Locks and files that are being written are beside their target and named after it.
    """
    return path if path.name not in ("", "..") else Path(os.path.realpath(path))


def write_json(path: Path, content: Any) -> None:
    """Writes ``content`` as indented UTF-8 JSON; a number that JSON lacks (NaN) is an error."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    path.write_text(text, "utf-8", newline="\n")


def replace_text(path: Path, text: str) -> None:
    """Writes UTF-8 text to a `new_file`: a reader of ``path`` finds the complete old text or the complete new one."""
    with new_file(path) as scratch:
        scratch.write_text(text, "utf-8", newline="\n")


def replace_json(path: Path, content: Any) -> None:
    """`write_json` to a `new_file`: a reader of ``path`` finds the complete old content or the complete new one."""
    with explain_write_errors(path), new_file(path) as scratch:
        write_json(scratch, content)


@contextlib.contextmanager
def explain_write_errors(target: Path) -> Iterator[None]:
    """Turns the system's refusal to read or write ``target`` into a `ResourceError` with the next step.

    Raises:
        ResourceError: No permission, a file where a folder must be, a disk that is read-only.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise ResourceError(
            f"{target} cannot be written",
            where=str(error.filename or target.parent),
            cause=error.strerror,
            next="correct that, or write elsewhere: --out PATH",
            code="E-RESOURCE-WRITE",
        ) from error


@contextlib.contextmanager
def explain_full_disk(target: Path) -> Iterator[None]:
    """Turns the error of a disk that became full into a `ResourceError`; for blocks that then leave nothing of a file.

    Raises:
        ResourceError: The disk became full.
    """
    try:
        yield
    except Exception as error:
        if not is_disk_full(error):
            raise
        raise ResourceError(
            f"the disk became full while {target.name} was written; nothing of it is left",
            where=str(target.parent),
            cause=str(error),
            next="free some room and run the same command again",
            code="E-RESOURCE-DISK",
        ) from error


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A file to write to. It becomes ``path`` if the block succeeds, and is removed if it fails.

    If the process is killed, it stays until a process locks ``path`` with `one_writer`, which removes it.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=SCRATCH)
    os.close(handle)
    scratch = Path(name)
    try:
        yield scratch
        use_umask(scratch)
        fsync(scratch)
        os.replace(scratch, path)
        fsync(path.parent)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to write to. It becomes ``target`` if the block succeeds, and is removed if it fails.

    Its manifest is written last, and everything is flushed to the disk before the folder gets its name. An old folder
    at ``target`` stays until then, so a power cut leaves the old folder or the new one. On failure, new parent folders
    are removed, too.

    Raises:
        ResourceError: The disk became full, or ``target`` cannot be written.
    """
    with make_parents(target), explain_full_disk(target):
        with explain_write_errors(target):
            scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=SCRATCH))
        try:
            yield scratch
            with explain_write_errors(target):
                use_umask(scratch)
                write_json(scratch / MANIFEST, {"files": hashes_of(scratch)})
                for path in (*scratch.rglob("*"), scratch):
                    fsync(path)
                if target.exists():
                    _exchange(scratch, target)
                    follow(scratch, target)
                else:
                    scratch.rename(target)
                fsync(target.parent)
            shutil.rmtree(scratch, ignore_errors=True)  # the old folder
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise


def use_umask(target: Path) -> None:
    """Gives every file the mode it would have from ``open``: safetensors writes 0600, mkdtemp 0700."""
    mask = os.umask(0)
    os.umask(mask)
    for path in (target, *target.rglob("*")):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)


@contextlib.contextmanager
def make_parents(target: Path) -> Iterator[None]:
    """Makes the folders above ``target``; when the block ends, those that were made and are empty are removed."""
    with explain_write_errors(target):
        created = [parent for parent in target.absolute().parents if not parent.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        for parent in created:
            fsync(parent.parent)
    try:
        yield
    finally:
        for parent in created:
            with contextlib.suppress(OSError):  # not empty
                parent.rmdir()


def fsync(path: Path) -> None:
    """Waits until a file's bytes, or a folder's names, are on the disk; warns once if the file system cannot flush."""
    folder, windows = path.is_dir(), os.name == "nt"
    if folder and windows:  # no call of Windows does that for a folder
        return
    refused = (*NO_SYNC, errno.EACCES, errno.EPERM) if folder else NO_SYNC  # some file systems refuse to open a folder
    try:
        descriptor = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in refused:
            raise
        kind = "folder" if folder else "file"
        warn_once(f"this file system does not flush a {kind} ({error.strerror}): a power cut may lose new data")


@functools.cache
def warn_once(message: str) -> None:
    """Logs a warning; the same one only once in this process."""
    logger.warning("%s", message)


def _exchange(first: Path, second: Path) -> None:
    """Exchanges the names of two folders, in one step on Linux, else in three."""
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    with contextlib.suppress(OSError, AttributeError, TypeError):  # no such call: musl, macOS, Windows
        if ctypes.CDLL(None).renameat2(here, os.fsencode(first), here, os.fsencode(second), exchange) == 0:
            return
    aside = first.with_name(first.name + "-aside")
    second.rename(aside)
    first.rename(second)
    aside.rename(first)


def follow(old: Path, new: Path) -> None:
    """Moves this process from the folder ``old``, which is about to be removed, to ``new``, which replaces it.

    Otherwise no relative path could be used any more. Call it only when ``new`` has its name.
    """
    with contextlib.suppress(OSError):  # the current folder has been removed by others
        if os.path.samefile(".", old):
            os.chdir(new)
            logger.warning("the current folder was replaced by the new %s; a shell enters that one by: cd .", new)


def is_disk_full(error: BaseException) -> bool:
    """True for an error of a full disk."""
    return _errno(error) in FULL


def _errno(error: BaseException) -> int | None:
    """The system's number of an error; libraries in Rust have it in the message only."""
    if match := re.search(r"\(os error (\d+)\)", str(error)):
        return int(match[1])
    return error.errno if isinstance(error, OSError) else None
