"""Files that appear whole or not at all, and the manifest that tells whether they still are what was written."""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import errno
import functools
import glob
import hashlib
import json
import logging
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, TextIO

from acceptor.errors import EncoderError, ResourceError, RunError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
SCRATCH = ".part"  # how the name of a folder ends that is being written
MAX_OBJECT_BYTES = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
UNWRITABLE = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP,
)  # fmt: skip


NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)
NO_SYNC = (errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


def file_sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_json(path: Path, content: Any) -> None:
    """Writes ``content`` as indented UTF-8 JSON; a number that JSON lacks (NaN) is an error."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def replace_json(path: Path, content: Any) -> None:
    """`write_json` through a file beside it: whoever reads ``path`` finds the old content or the new one, whole."""
    scratch = path.with_name(f".{path.name}{SCRATCH}")
    with writable(path):
        write_json(scratch, content)
        flush(scratch)
        os.replace(scratch, path)
        flush(path.parent)


def read_object(path: Path, *, limit: int = MAX_OBJECT_BYTES) -> dict[str, Any]:
    """The JSON object in a file that nobody vouches for.

    Raises:
        ValueError: It is longer than ``limit`` bytes, or not one JSON object, or says a key twice (parsers differ on
            which one counts), or holds a number that JSON lacks.
    """
    with path.open("rb") as stream:
        return parse_object(stream.read(limit + 1), limit=limit)


def parse_object(data: bytes, *, limit: int) -> dict[str, Any]:
    """The JSON object that ``data`` is, as strictly as `read_object`."""
    if len(data) > limit:
        raise ValueError(f"larger than {limit} bytes")
    try:
        content = json.loads(data.decode("utf-8"), object_pairs_hook=_unrepeated, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    return content


def check_folder(folder: Path) -> None:
    """Refuses a folder with anything in it but files, folders and links that stay inside.

    A snapshot in the hub's cache consists of links to the blobs beside it, or to those that all of the cache shares.
    A hard link looks like any other file; package managers make them, so they are not refused.

    Raises:
        EncoderError: A link leads elsewhere, or a name stands for a pipe or a device.
    """
    inside = _places_of(folder)
    for entry in [*folder.glob("*"), *folder.glob("*/*.jinja")]:
        target = Path(os.path.realpath(entry))  # `resolve` gives up on a link to itself
        if not any(target.is_relative_to(place) for place in inside):
            raise EncoderError(
                "a link leads out of the folder",
                where=str(entry),
                expected=f"files in {inside[0]}",
                cause="opening it would read a file that does not belong to the model",
                next="if you trust it, put the file itself there",
            )
        if not target.is_file() and not target.is_dir():
            raise EncoderError("neither a file nor a folder", where=str(entry), cause="a pipe, a device or a dead link")


def _places_of(folder: Path) -> list[Path]:
    """Where the files of a folder may lie: in it; a snapshot's in the hub's cache are links to blobs beside it."""
    home = folder.resolve()
    if home.parent.name == "snapshots" and home.parent.parent.name.startswith("models--"):
        return [home.parent.parent, home.parent.parent.parent / "blobs"]
    return [home]


@contextlib.contextmanager
def writable(place: Path) -> Iterator[None]:
    """Makes the system's refusal to look at or write ``place`` an error that says what to do.

    Raises:
        ResourceError: No permission, a file where a folder must be, a disk that is read-only.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise ResourceError(
            f"{place} cannot be written",
            where=str(error.filename or place.parent),
            cause=error.strerror,
            next="mend that, or write elsewhere: --out PATH",
        ) from error


@contextlib.contextmanager
def new_folder(place: Path) -> Iterator[Path]:
    """A folder to write into; it becomes ``place`` when the block ends well and vanishes when it does not.

    Its manifest is written last, all of it is on the disk before it gets its name, and what stood at ``place`` stands
    there until that is on the disk, too: a power cut leaves the old folder or the new one. Folders made on the way
    vanish with it.

    Raises:
        ResourceError: The disk became full, or ``place`` cannot be written.
    """
    with _parents_made(place):
        with writable(place):
            scratch = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.", suffix=SCRATCH))
        try:
            yield scratch
            with writable(place):
                use_umask(scratch)
                write_json(scratch / MANIFEST, {"files": _hashes(scratch)})
                for path in (*scratch.rglob("*"), scratch):
                    flush(path)
                if place.exists():
                    _exchange(scratch, place)
                else:
                    scratch.rename(place)
                flush(place.parent)
            shutil.rmtree(scratch, ignore_errors=True)  # what stood there before
        except BaseException as error:
            shutil.rmtree(scratch, ignore_errors=True)
            if says_full(error):
                raise ResourceError(
                    f"the disk became full while {place.name} was written; nothing of it is left",
                    where=str(place.parent),
                    cause=str(error),
                    next="free some room and run the same command again",
                ) from error
            raise


@contextlib.contextmanager
def one_writer(place: Path) -> Iterator[None]:
    """Makes this process the only one that writes ``place``, and clears away what a killed one left beside it.

    The lock is the kernel's, on a file beside ``place`` that names process and machine: a process that dies, by
    whatever, holds it no longer.

    Raises:
        RunError: Another process holds it.
        ResourceError: ``place`` cannot be written.
    """
    path = place.parent / f".{place.name}.lock"
    with _parents_made(place), _opened(path, place) as lock:
        try:
            take_lock(lock, wait=False)
            if not path.exists() or not os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                raise BlockingIOError  # its holder has just removed it: there may be a new one
        except BlockingIOError:
            lock.seek(0)
            raise RunError(
                f"another process is writing {place}",
                where=str(path),
                found=lock.read().strip(),
                next="wait for it, stop it, or write elsewhere: --out PATH",
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {platform.node()}, since {datetime.datetime.now():%Y-%m-%d %H:%M:%S}\n")
        lock.flush()
        try:
            for left in place.parent.glob(f".{glob.escape(place.name)}.????????{SCRATCH}"):
                with writable(place):
                    shutil.rmtree(left)
            yield
        finally:
            with contextlib.suppress(OSError):  # gone, or the disk has become read-only: then it holds nobody up
                path.unlink()


def check_manifest(folder: Path, *, among: tuple[str, ...] = ("",), needed: tuple[str, ...] = ()) -> None:
    """Compares the files whose names begin with one of ``among`` with the manifest; by default all of them.

    Raises:
        RunError: The manifest is missing, does not name all of ``needed`` or names a file elsewhere, or a file is
            missing or is not what was written.
    """
    try:
        expected = dict(read_object(folder / MANIFEST)["files"])
        missing = [name for name in needed if name not in expected]
        if missing:
            raise ValueError(f"it does not name {', '.join(missing)}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{folder} has no readable {MANIFEST}", cause=f"{type(error).__name__}: {error}") from error
    inside = _places_of(folder)
    for name, sha256 in expected.items():
        path = folder / name
        if not name.startswith(among):
            continue
        if not any(path.resolve().is_relative_to(place) for place in inside):
            raise RunError(f"{MANIFEST} names a file that is not in the folder", where=str(folder), found=name)
        if not path.is_file() or file_sha256(path) != sha256:
            raise RunError(
                f"{name} is not what was written",
                where=str(path),
                expected=f"sha256 {sha256}",
                found=f"sha256 {file_sha256(path)}" if path.is_file() else "no such file",
                cause="a damaged disk, a copy that broke off, or a change by hand",
            )


def use_umask(place: Path) -> None:
    """Gives every file the mode it would have from ``open``: safetensors writes 0600, mkdtemp 0700."""
    mask = os.umask(0)
    os.umask(mask)
    for path in (place, *place.rglob("*")):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key appears twice")
    return content


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


@contextlib.contextmanager
def _parents_made(place: Path) -> Iterator[None]:
    """The folders above ``place``; those that were not there vanish with the block unless something is in them."""
    with writable(place):
        created = [parent for parent in place.absolute().parents if not parent.exists()]
        place.parent.mkdir(parents=True, exist_ok=True)
        for parent in created:
            flush(parent.parent)
    try:
        yield
    finally:
        for parent in created:
            with contextlib.suppress(OSError):  # not empty
                parent.rmdir()


def flush(path: Path) -> None:
    """Waits until a file's bytes, or a folder's names, are on the disk; goes on where the file system cannot say."""
    folder = path.is_dir()
    refused = (*NO_SYNC, errno.EACCES, errno.EPERM) if folder else NO_SYNC  # some let nobody open a folder
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in refused:
            raise
        kind = "folder" if folder else "file"
        _warn_once(f"this file system does not flush a {kind} ({error.strerror}): a power cut may cost what is new")


def take_lock(stream: IO[Any], *, wait: bool) -> bool:
    """Locks an open file for this process alone, until it is closed; False where the file system has no locks.

    Raises:
        BlockingIOError: Another process holds it, and ``wait`` is False.
    """
    if fcntl is None:
        _warn_once("this system has no locks: do not let two processes write the same output")
        return False
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        _warn_once(
            f"this file system has no locks ({error.strerror}): do not let two processes write the same output",
        )
        return False
    return True


@functools.cache
def _warn_once(words: str) -> None:
    logger.warning("%s", words)


def _exchange(first: Path, second: Path) -> None:
    """Lets two folders change names, in one step where the system can (Linux), else in three."""
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    with contextlib.suppress(OSError, AttributeError):
        if ctypes.CDLL(None).renameat2(here, os.fsencode(first), here, os.fsencode(second), exchange) == 0:
            return
    aside = first.with_name(first.name + "-aside")
    second.rename(aside)
    first.rename(second)
    aside.rename(first)


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in files}


def says_full(error: BaseException) -> bool:
    """True for an error of a full disk, also where a library in Rust tells of it in words only."""
    return _number(error) in FULL


def _opened(path: Path, place: Path) -> TextIO:
    with writable(place):
        return path.open("a+")


def _number(error: BaseException) -> int | None:
    """The system's number of an error, also where a library in Rust tells of it in words only."""
    if match := re.search(r"\(os error (\d+)\)", str(error)):
        return int(match[1])
    return error.errno if isinstance(error, OSError) else None
