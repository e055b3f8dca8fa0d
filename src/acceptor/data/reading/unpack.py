"""Opens a file: finds its format, and undoes its compression.

The format of the file's name is checked against the first bytes. A file is read completely or refused.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import re
import shlex
import stat
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from acceptor.errors import DataError, nearest

FORMATS = {
    ".tsv": "tsv",
    ".txt": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".xlsx": "xlsx",
}
TEXT = ("tsv", "csv", "jsonl", "json")
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
READ_COMPRESSIONS = {**COMPRESSIONS, ".bz2": "bzip2", ".xz": "xz", ".zip": "zip"}
"""Compressions that can be read; only the `COMPRESSIONS` are written."""

STDIN = "-"
PIECE = 1 << 18  # bytes of a file that are read together
_HEAD = 4096  # bytes by which a format is recognised
_FREE_OUTPUT = 16 << 20  # bytes that any compressed file may unpack to
_MAX_RATIO = 200  # beyond them: bytes out per byte in. Text packs at 2 to 20; a bomb at 1,000 or more


@dataclass(frozen=True)
class Source:
    """An opened file of a known format.

    Attributes:
        file: Its bytes as stored.
        size: How many there are; 0 if that is not known.
        form: tsv, csv, jsonl, json, parquet, arrow or xlsx.
        compression: One of the `READ_COMPRESSIONS`, or None.
        origin: The path as the caller gave it, for messages.
    """

    file: BinaryIO
    size: int
    form: str
    compression: str | None
    origin: str

    def pieces(self) -> Iterator[bytes]:
        """The unpacked bytes, about `PIECE` of them at a time.

        Raises:
            DataError: The file is damaged, cut short, a bomb, or not what its name says.
        """
        if self.compression is None:
            yield from _read(self.file)
            return
        pieces = _unpacked(self.file, self.size, self.compression, self.origin)
        for number, piece in enumerate(pieces):
            if number == 0:
                _check_magic(piece[:_HEAD], b"", self.form, self.origin)
            yield piece


def open_source(path: Path, origin: str, file: BinaryIO | None = None) -> Source:
    """Opens a file, and checks its first bytes against its name.

    Args:
        path: The file.
        origin: The path as the caller gave it, for messages.
        file: Its stored bytes, if they have been read already.

    Raises:
        DataError: The file is missing, empty, of an unknown format, or not what its name says.
    """
    file = file or _opened(path, origin)
    try:
        form, compression = _format_of(path, origin, file)
        head = file.read(_HEAD)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 4))
        tail = file.read()
        file.seek(0)
        if not size:
            raise empty_file(origin, "0 bytes")
        _check_magic(head, tail, compression or form, origin)
    except OSError as error:
        file.close()
        raise _unreadable(origin, error) from error
    except DataError:
        file.close()
        raise
    return Source(file, size, form, compression, origin)


def open_file(path: Path, origin: str) -> tuple[str, bytes, str]:
    """Reads a file and undoes its compression.

    Args:
        path: The file.
        origin: The path as the caller gave it, for messages.

    Returns:
        The format (as `Source.form`), the unpacked bytes, the sha256 of the stored bytes.

    Raises:
        DataError: The file is missing, empty, of an unknown format, damaged, or not what its name says.
    """
    if origin == STDIN:
        stored = _stored_bytes(sys.stdin.buffer, origin)
    else:
        with _opened(path, origin) as file:
            stored = _stored_bytes(file, origin)
    source = open_source(path, origin, io.BytesIO(stored))
    data = b"".join(source.pieces()) if source.compression else stored
    return source.form, data, hashlib.sha256(stored).hexdigest()


def is_stream(path: Path, origin: str) -> bool:
    """Whether it can be read only once: ``-`` for standard input, a pipe, a device such as ``/dev/stdin``.

    Its format is recognised by its first bytes: see `_format_in`.
    """
    if origin == STDIN:
        return True
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _opened(path: Path, origin: str) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        near = _meant(path) if path.parent.is_dir() else None
        cause = None if path.parent.is_dir() else f"the folder {path.parent} does not exist"
        raise DataError(
            "there is no such file",
            where=origin,
            cause=f"a link to {path.readlink()}, which does not exist" if path.is_symlink() else cause,
            next=f"did you mean {path.parent / near}?" if near else None,
            code="E-DATA-MISSING",
        ) from None
    except IsADirectoryError:
        raise DataError(
            "this is a folder, not a file", where=origin, expected="one file of rows", code="E-DATA-FORMAT"
        ) from None
    except (OSError, ValueError) as error:  # no permission, a NUL in the name
        raise _unreadable(origin, error) from error


def _meant(path: Path) -> str | None:
    """The file or folder beside it that was probably meant: alike without the suffixes, which most files share."""
    others = [
        other.name
        for other in path.parent.iterdir()
        if other.name != path.name and not other.name.startswith(".") and (has_format(other.name) or other.is_dir())
    ]
    others.sort(key=lambda name: (Path(name).suffix == path.suffix, name))  # of equal stems, the last one is taken
    by_stem = {_stem(name): name for name in others}
    near = nearest(_stem(path.name), by_stem)
    return by_stem[near] if near else None


def _stem(name: str) -> str:
    """A file's name in lower case without the suffixes of format and compression."""
    path = Path(name.lower())
    path = path.with_suffix("") if path.suffix in READ_COMPRESSIONS else path
    return path.stem if path.suffix in FORMATS else path.name


def has_format(name: str) -> bool:
    """Whether a file's name ends in the suffix of a known format, perhaps with that of a compression."""
    suffixes = Path(name.lower()).suffixes
    inner = suffixes[:-1] if suffixes and suffixes[-1] in READ_COMPRESSIONS else suffixes
    return bool(inner) and inner[-1] in FORMATS


def _unreadable(origin: str, error: Exception) -> DataError:
    return DataError("the file cannot be read", where=origin, cause=str(error), code="E-DATA-UNREADABLE")


def _stored_bytes(file: BinaryIO, origin: str) -> bytes:
    try:
        return file.read()
    except OSError as error:
        raise _unreadable(origin, error) from error


def _read(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def _format_of(path: Path, origin: str, file: BinaryIO) -> tuple[str, str | None]:
    """The format and the compression by the file's name; for a pipe, the format by its first bytes."""
    if is_stream(path, origin):
        form = _format_in(file.read(_HEAD))
        file.seek(0)
        return form, None
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = READ_COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    inner = suffixes[:-1] if compression else suffixes
    if compression == "zip":
        inner = [suffix.lower() for suffix in Path(_member(file, origin).filename).suffixes]
    if not inner or inner[-1] not in FORMATS:
        raise DataError(
            "the file's name has no extension of a known format",
            where=origin,
            expected=f"a name ending in {' '.join(FORMATS)}, each also with {', '.join(READ_COMPRESSIONS)}",
            found="".join(path.suffixes) or "no extension",
            next=untarred(origin) if {*inner[-1:]} & {".tar", ".tgz"} else "rename the file after what it holds",
            code="E-DATA-FORMAT",
        )
    return FORMATS[inner[-1]], compression


def _format_in(head: bytes) -> str:
    """The format of data from a pipe: tab-separated lines unless the first bytes are those of another one."""
    form = magic(head)
    if form in ("parquet", "arrow"):
        return form
    return {b"{": "json", b"[": "json"}.get(head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1], "tsv")


def _member(file: BinaryIO, origin: str) -> zipfile.ZipInfo:
    """The only file in a zip archive, apart from what macOS adds.

    Raises:
        DataError: There is none, or there are several; or the archive is damaged.
    """
    try:
        members = [info for info in zipfile.ZipFile(file).infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, UnicodeDecodeError) as error:  # names that are said to be UTF-8
        raise DataError(
            "the zip file is damaged or cut short",
            where=origin,
            cause=str(error),
            next="fetch the file again",
            code="E-DATA-DAMAGED",
        ) from error
    file.seek(0)
    members = [info for info in members if not info.filename.startswith("__MACOSX/")]
    if len(members) != 1:
        names = [info.filename for info in members]
        raise DataError(
            f"the zip archive holds {len(members)} files",
            where=origin,
            expected="one file of rows",
            found=", ".join(names[:8]) + (", …" if names[8:] else "") or "nothing",
            next=f"unpack it: unzip {shlex.quote(origin)}",
            code="E-DATA-FORMAT",
        )
    return members[0]


def magic(head: bytes, tail: bytes = b"") -> str | None:
    """The binary format by the first bytes, and the last 4; None if it is not a known one."""
    if head[:2] == b"\x1f\x8b":
        return "gzip"
    if re.match(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", head):  # a frame, or a skippable frame
        return "zstd"
    if re.match(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", head):  # with data, or empty; text may begin with the letters
        return "bzip2"
    if head[:6] == b"\xfd7zXZ\0":
        return "xz"
    if head[:4] == b"PK\x03\x04":
        return "zip"
    if head[:4] == b"PAR1" and (tail == b"PAR1" or b"\0" in head[:_HEAD]):  # text may begin with PAR1
        return "parquet"
    return "arrow" if head[:8] == b"ARROW1\0\0" else None


def _check_magic(head: bytes, tail: bytes, promised: str, origin: str) -> None:
    found = magic(head, tail)
    if found == promised or (found is None and promised in (*TEXT, "arrow")):
        return  # an Arrow stream has no magic number; pyarrow checks it
    if promised == "xlsx" and found == "zip":
        return
    raise DataError(
        f"the file is not what its name says: not {promised}" + (f" but {found}" if found else ""),
        where=origin,
        expected=f"{promised} data, after the file's name",
        found=f"{found or 'unknown'} data: the first bytes are {head[:4].hex(' ')}",
        cause="an Excel workbook or a zip archive" if found == "zip" else None,
        next="name it .xlsx or .zip after what it is, or export it to .tsv, .csv or .jsonl"
        if found == "zip"
        else "rename it after what it holds",
        code="E-DATA-FORMAT",
    )


def _unpacked(stored: BinaryIO, size: int, compression: str, origin: str) -> Iterator[bytes]:
    """Decompresses all members or frames, piece by piece; refuses a bomb before it fills memory or disk."""
    import zstandard

    limit = max(_FREE_OUTPUT, _MAX_RATIO * size)
    unpacked, output = 0, bytearray()
    try:
        for piece in _pieces(stored, compression, origin):
            output += piece
            unpacked += len(piece)
            if unpacked > limit:
                raise DataError(
                    "the compressed file unpacks to too many bytes",
                    where=origin,
                    expected=f"at most {_MAX_RATIO} bytes for each of its {size:,} bytes",
                    found=f"more than {limit:,} bytes",
                    cause="a decompression bomb",
                    next="if you trust it, unpack it yourself and give the plain file",
                    code="E-DATA-UNSAFE",
                )
            if len(output) >= PIECE:
                yield bytes(output)
                output.clear()
    except EOFError:
        raise DataError(
            f"the {compression} file is cut short",
            where=origin,
            found=f"its {size:,} bytes end in mid-stream, after {unpacked:,} unpacked bytes",
            cause="an interrupted download or copy",
            next="fetch the file again",
            code="E-DATA-DAMAGED",
        ) from None
    except (
        *(OSError, RuntimeError, NotImplementedError),  # RuntimeError: an encrypted zip
        *(zlib.error, lzma.LZMAError, zipfile.BadZipFile, zstandard.ZstdError),
    ) as error:
        raise DataError(
            f"the {compression} file is damaged",
            where=origin,
            cause=str(error),
            next="fetch the file again",
            code="E-DATA-DAMAGED",
        ) from error
    if output:
        yield bytes(output)


def _pieces(stored: BinaryIO, compression: str, origin: str) -> Iterator[bytes]:
    if compression == "zstd":
        yield from _unzstd(stored)
        return
    openers: dict[str, Callable[[], Any]] = {
        "gzip": lambda: gzip.GzipFile(fileobj=stored),
        "bzip2": lambda: bz2.BZ2File(stored),
        "xz": lambda: lzma.LZMAFile(stored),  # noqa: SIM115 - the block below closes it
        "zip": lambda: zipfile.ZipFile(stored).open(_member(stored, origin)),  # noqa: SIM115
    }
    with openers[compression]() as file:
        yield from _read(file)


def _unzstd(stored: BinaryIO) -> Iterator[bytes]:
    """Frame by frame: zstandard's own stream reader does not notice that a file is cut off."""
    import zstandard

    frame = None
    while piece := stored.read(1024):  # small, because 1 KiB may already unpack to 32 MiB
        while piece:
            frame = frame or zstandard.ZstdDecompressor().decompressobj()
            yield frame.decompress(piece)
            piece = frame.unused_data if frame.eof else b""
            frame = None if frame.eof else frame
    if frame:
        raise EOFError


def untarred(origin: str) -> str:
    """The advice for a tar archive, compressed or not."""
    return f"unpack it: tar -xf {shlex.quote(origin)}"


def empty_file(origin: str, found: str) -> DataError:
    """The error for a file without rows; ``found`` describes what it holds."""
    return DataError("the file is empty", where=origin, expected="at least one row", found=found, code="E-DATA-EMPTY")
