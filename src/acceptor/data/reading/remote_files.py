"""The input files to which addresses (``s3://``, ``gs://``, ``hdfs://``, ``file://``) and paths refer."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from acceptor.data.reading.input_files import input_files, readable
from acceptor.data.reading.unpack import STDIN
from acceptor.errors import DataError, UsageError
from acceptor.storage.filesystems import address_of, file_system


@dataclass(frozen=True)
class InputFile:
    """One file of an input.

    Attributes:
        address: Its URL, valid on other machines too.
        origin: Its name in messages.
        size: Bytes as stored.
        changed: When it was last changed, nanoseconds since 1970; 0 if that is not known.
    """

    address: str
    origin: str
    size: int
    changed: int


def found_files(sources: Sequence[str], outputs: Sequence[str | Path] = ()) -> list[InputFile]:
    """The files to which addresses, paths, folders and patterns refer, in order; those of one folder sorted.

    In an address a pattern is a ``*`` in its last part. ``outputs`` are as for `input_files`, for paths alone.

    Raises:
        DataError: A file is missing, or a folder or a pattern holds none.
        UsageError: Standard input was asked for, or an address cannot be used.
    """
    files: list[InputFile] = []
    for source in sources:
        if source == STDIN:
            raise UsageError(
                "other machines cannot read this one's standard input",
                expected="files",
                found=source,
                code="E-USAGE-INPUT",
            )
        if "://" in source:
            files += _listed(source)
        else:
            files += [file for path in input_files([source], outputs) for file in _listed(address_of(path), path)]
    return files


def _listed(address: str, origin: str | None = None) -> list[InputFile]:
    from pyarrow import fs

    base, mark, query = address.partition("?")
    base = base.rstrip("/")
    folder, _, name = base.rpartition("/")
    pattern = name if "*" in name else None
    system, path = file_system(folder + mark + query if pattern else address)
    try:
        info = system.get_file_info(path)
        if info.type == fs.FileType.File:
            return [InputFile(address, origin or base, info.size, info.mtime_ns or 0)]
        within = system.get_file_info(fs.FileSelector(path)) if info.type == fs.FileType.Directory else []
    except OSError as error:
        raise DataError(
            "the files cannot be listed", where=address, cause=str(error), code="E-DATA-UNREADABLE"
        ) from error
    folder = folder if pattern else base
    found = [
        InputFile(
            f"{folder}/{quote(one.base_name)}{mark}{query}", f"{folder}/{one.base_name}", one.size, one.mtime_ns or 0
        )
        for one in sorted(within, key=lambda one: one.base_name)
        if one.type == fs.FileType.File
        and (fnmatch.fnmatchcase(one.base_name, pattern) if pattern else readable(one.base_name))
    ]
    if not found:
        raise DataError("no file is there", where=origin or address, code="E-DATA-MISSING")
    return found
