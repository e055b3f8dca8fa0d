"""Finds the files to read; refuses to overwrite any of them, also through links and other names."""

from __future__ import annotations

import glob
import hashlib
import json
import logging
import os
import stat
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypedDict

from acceptor.data.reading.grid import Grid
from acceptor.data.reading.stream import TableStream
from acceptor.data.reading.unpack import FORMATS, STDIN, has_format, is_stream, open_source
from acceptor.errors import DataError, UsageError
from acceptor.text import shell

OURS = ({"verdict", "probability", "margin"}, {"file", "problem"})
"""The columns by which an earlier output, or its file of rejected rows, is recognised."""

_HEAD = 1 << 20  # bytes of a file that go into its fingerprint

logger = logging.getLogger(__name__)


def readable(name: str) -> bool:
    """Whether a file of that name is read if its folder is given."""
    return not name.startswith(".") and has_format(name)


class Fingerprint(TypedDict, total=False):
    """How many files an input has, how many bytes, and a hash of names, sizes, times and first bytes."""

    files: int
    bytes: int
    sha256: str


def fingerprint(files: Sequence[str]) -> Fingerprint:
    """Identifies an input by the names, sizes, modification times and first bytes of its files.

    Raises:
        DataError: A file cannot be opened, or is not what its name says.
    """
    size, digest = 0, hashlib.sha256()
    for path in files:
        source = open_source(Path(path), path)
        with source.file:
            changed = os.fstat(source.file.fileno()).st_mtime_ns
            digest.update(f"{Path(path).name}\0{source.size}\0{changed}\0".encode())
            digest.update(hashlib.sha256(source.file.read(_HEAD)).digest())
        size += source.size
    return {"files": len(files), "bytes": size, "sha256": digest.hexdigest()}


def inputs_of(sources: Sequence[str], outputs: Sequence[Path], run: Path) -> list[str]:
    """`input_files`, which also refuses outputs in the run folder and redirected files of standard input and output.

    Args:
        sources: As for `input_files`.
        outputs: The files to be written; none for standard output.
        run: The run folder, or the exported file.
    """
    refuse_inputs(outputs, files_in(run))
    files = input_files(sources, outputs)
    if not outputs and (place := _redirected(sys.stdout)):
        refuse_inputs([place], files)
    if STDIN in files and (place := _redirected(sys.stdin)):
        refuse_inputs(outputs, [place])
    return files


def files_in(place: Path | None) -> list[Path]:
    """The files in a folder; a file itself."""
    if place is None:
        return []
    return [path for path in place.iterdir() if path.is_file()] if place.is_dir() else [place]


def _redirected(stream: Any) -> str | None:
    """The file to which a standard stream is redirected, or None."""
    try:
        number = stream.fileno()
        return f"/dev/fd/{number}" if stat.S_ISREG(os.fstat(number).st_mode) else None
    except (OSError, ValueError, AttributeError):
        return None


def input_files(sources: Sequence[str], outputs: Sequence[str | Path] = ()) -> list[str]:
    """The files that paths, folders and glob patterns name, in order; those of one folder or pattern sorted.

    Args:
        sources: Files, folders and patterns; or ``-`` alone.
        outputs: The files to be written. An earlier output in a folder or a pattern is skipped, so that the same
            command always reads the same files.

    Raises:
        DataError: A pattern or a folder holds no file.
        UsageError: ``-`` was given with other inputs; or an input would be overwritten.
    """
    if STDIN in sources:
        if len(sources) > 1:
            raise UsageError(
                "standard input is read alone",
                expected="- or files",
                found=" ".join(sources),
                code="E-USAGE-INPUT",
            )
        return [STDIN]
    files: list[str] = []
    for source in sources:
        if is_stream(Path(source), source):
            raise UsageError(
                f"{source} can be read only once",
                cause="a pipe or a device: a job that was interrupted could not resume",
                next="give it on standard input: … | acceptor predict RUN - -o OUT",
                code="E-USAGE-INPUT",
            )
        found = _found(source)
        if found != [source]:
            found = [path for path in found if not _passed_over(path, outputs)]
        else:
            refuse_inputs(outputs, found)
        if not found:
            raise DataError(
                "no file is there",
                where=source,
                expected=f"files that end in {' '.join(FORMATS)}",
                code="E-DATA-MISSING",
            )
        files += found
    return files


def _found(source: str) -> list[str]:
    if os.path.isdir(source):
        names = sorted(entry.name for entry in os.scandir(source) if readable(entry.name))
        return [os.path.join(source, name) for name in names]
    if glob.has_magic(source) and not os.path.exists(source):
        return sorted(glob.glob(source, recursive=True))
    return [source]


def _passed_over(path: str, outputs: Sequence[str | Path]) -> bool:
    """Whether a file is an output of an earlier command at the same place.

    Raises:
        UsageError: It is an output, but was not written by Acceptor: it would be overwritten.
    """
    if not any(is_in(path, output) for output in outputs):
        return False
    if not _is_ours(path):
        refuse_inputs(outputs, [path])
    logger.info("%s is an output: it is not read", path)
    return True


def refuse_inputs(outputs: Iterable[str | Path], inputs: Iterable[str | Path]) -> None:
    """Refuses outputs that are inputs, also through links and other names.

    Args:
        outputs: Files and folders to be written.
        inputs: Files that are read; what is not a path on this machine is ignored.

    Raises:
        UsageError: An input is an output, or is in one.
    """
    for path in inputs:
        for output in outputs:
            if is_in(path, output):
                place = Path(output)
                raise UsageError(
                    f"{path} is an input, and would be overwritten",
                    where=str(output),
                    expected="an output that is none of the inputs",
                    next=f"write to another file: {shell(place.parent / f'new-{place.name}')}",
                    code="E-USAGE-OUTPUT",
                )


def is_in(path: str | Path, place: str | Path) -> bool:
    """Whether a path leads to the same file or folder as another, or to something in it."""
    try:
        target = os.stat(place)
        real = Path(os.path.realpath(path))
        return any(os.path.samestat(os.stat(one), target) for one in (path, real, *real.parents))
    except (OSError, ValueError):  # one of them does not exist
        return False


def _is_ours(path: str) -> bool:
    """Whether `predict` wrote a file or a folder."""
    if os.path.isdir(path):
        return os.path.exists(os.path.join(path, "_plan.json"))
    if os.path.getsize(path) == 0:
        return True  # empty, where all rows were left out: nothing is lost
    try:
        with TableStream(path) as stream:
            part = next(stream.parts())
        row = part.names if isinstance(part, Grid) else part.rows[0]
        names = json.loads(row) if isinstance(row, str) else row
    except (DataError, ValueError, StopIteration):
        return False
    return any(ours <= set(names or ()) for ours in OURS)
