"""Locks between processes: one writer per output. They are `filelock`'s, so they work on every platform.

A lock belongs to an open file and ends with it, so a killed process holds none.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import glob
import os
import platform
import shutil
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import IO, Any

from filelock import lock_descriptor

from acceptor.errors import RunError
from acceptor.storage.files import SCRATCH, explain_write_errors, make_parents, warn_once, with_name

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)
DESCRIPTION_AT = 1  # Windows lets no other process read the locked byte, which is the first


@contextlib.contextmanager
def one_writer(target: Path) -> Iterator[None]:
    """Makes this process the only one that writes ``target``, and removes temporary files of killed ones.

    The lock is on a file beside ``target`` that names process, machine and time. The file is removed at the end. On a
    file system without locks nothing is removed: a process that is still writing looks like a killed one.

    Raises:
        RunError: Another process holds the lock.
        ResourceError: ``target`` cannot be written.
    """
    target = with_name(target)
    path = target.parent / f".{target.name}.lock"
    with make_parents(target):
        try:
            with _opened(path, target) as lock:
                locked = _take_at_once(lock, path, target)
                try:
                    if locked:
                        _remove_scratch(target)
                    yield
                finally:
                    _remove(path)
        finally:
            if os.name == "nt":  # where an open file cannot be removed; if another process has it by now, it stays
                _remove(path)


def take_lock(stream: IO[Any], *, wait: bool) -> bool:
    """Locks an open file for this process, until it is closed. False if the file system has no locks.

    Raises:
        BlockingIOError: Another process holds the lock, and ``wait`` is False.
    """
    try:
        if not lock_descriptor(stream.fileno(), blocking=wait):
            raise BlockingIOError
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        warn_once(f"this file system has no locks ({error.strerror}): do not let two processes write the same output")
        return False
    return True


def _remove_scratch(target: Path) -> None:
    """Removes what killed writers of ``target`` left: the folders of `new_folder` and the files of `new_file`."""
    for left in target.parent.glob(f".{glob.escape(target.name)}.????????{SCRATCH}"):
        with explain_write_errors(target):
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            else:
                left.unlink(missing_ok=True)


def _opened(path: Path, target: Path) -> FileIO:
    with explain_write_errors(target):
        return FileIO(path, "a+")


def _take_at_once(lock: FileIO, path: Path, target: Path) -> bool:
    """Locks the file and describes this process in it; refuses if another one holds it. As `take_lock`."""
    try:
        locked = take_lock(lock, wait=False)
        if not _is_file_at(path, lock):
            raise BlockingIOError  # its holder has just removed it, and there may be a new holder
    except BlockingIOError:
        lock.seek(DESCRIPTION_AT)
        raise RunError(
            f"another process is writing {target}",
            where=str(path),
            found=lock.read().decode("utf-8", "replace").strip(),
            next="wait for it, stop it, or write elsewhere: --out PATH",
            code="E-RUN-LOCKED",
        ) from None
    with contextlib.suppress(OSError):  # on a full disk the lock itself holds; what others read of it is missing
        _describe(lock)
    return locked


def _describe(lock: FileIO) -> None:
    """Writes who holds the lock, for the error of others."""
    lock.truncate(0)
    since = f"{datetime.datetime.now():%Y-%m-%d %H:%M:%S}"
    lock.write(f"{' ' * DESCRIPTION_AT}process {os.getpid()} on {platform.node()}, since {since}\n".encode())


def _is_file_at(path: Path, lock: FileIO) -> bool:
    """True if the open file is still the one at ``path``; on Windows no process can remove an open file."""
    return os.name == "nt" or (path.exists() and os.path.samestat(os.fstat(lock.fileno()), path.stat()))


def _remove(path: Path) -> None:
    with contextlib.suppress(
        OSError
    ):  # removed already, or the disk is read-only: a file without a lock does not block others
        path.unlink()
