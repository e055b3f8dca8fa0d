"""From a path to the bytes and the text of a file: its format, its compression, its encoding.

What the name promises is checked against the first bytes. A file is read to its end or refused, never in part.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import os
import re
import shlex
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from acceptor.errors import DataError, nearest

FORMATS = {
    ".tsv": "tsv",
    ".txt": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}

PIECE = 1 << 18  # bytes of a file that are looked at together
LONGEST_LINE = 64 << 20  # bytes
_HEAD = 4096  # bytes in which a format shows
_FREE_OUTPUT = 16 << 20  # bytes that any compressed file may unpack to
_MAX_RATIO = 200  # beyond them: bytes out per byte in. Text packs at 2 to 20; a bomb at 1,000 or more


@dataclass(frozen=True)
class Source:
    """An opened file of a known format.

    Attributes:
        file: Its bytes as stored.
        size: How many there are; 0 where that is not known.
        form: tsv, csv, jsonl, parquet or arrow.
        compression: gzip, zstd or None.
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
    """Open a file, and check its first bytes against its name.

    Args:
        path: The file.
        origin: The path as the caller gave it, for messages.
        file: Its stored bytes, where they have been read already.

    Raises:
        DataError: The file is missing, empty, of an unknown format, or not what its name says.
    """
    file = file or _opened(path, origin)
    try:
        form, compression = _format_of(path, origin)
        head = file.read(_HEAD)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 4))
        tail = file.read()
        file.seek(0)
        if not size:
            raise _empty(origin, "0 bytes")
        _check_magic(head, tail, compression or form, origin)
    except OSError as error:
        file.close()
        raise _unreadable(origin, error) from error
    except DataError:
        file.close()
        raise
    return Source(file, size, form, compression, origin)


def open_file(path: Path, origin: str) -> tuple[str, bytes, str]:
    """Read a file and undo its compression.

    Args:
        path: The file.
        origin: The path as the caller gave it, for messages.

    Returns:
        The format (tsv, csv, jsonl, parquet or arrow), the unpacked bytes, the sha256 of the stored bytes.

    Raises:
        DataError: The file is missing, empty, of an unknown format, damaged, or not what its name says.
    """
    with _opened(path, origin) as file:
        stored = _stored_bytes(file, origin)
    source = open_source(path, origin, io.BytesIO(stored))
    data = b"".join(source.pieces()) if source.compression else stored
    return source.form, data, hashlib.sha256(stored).hexdigest()


def _opened(path: Path, origin: str) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        siblings = [sibling.name for sibling in path.parent.iterdir()] if path.parent.is_dir() else []
        near = nearest(path.name, siblings)
        raise DataError(
            "there is no such file",
            where=origin,
            cause=None if path.parent.is_dir() else f"the folder {path.parent} does not exist",
            next=f"did you mean {path.parent / near}?" if near else None,
        ) from None
    except IsADirectoryError:
        raise DataError("this is a folder, not a file", where=origin, expected="one file of rows") from None
    except (OSError, ValueError) as error:  # no permission, a NUL in the name
        raise _unreadable(origin, error) from error


def _unreadable(origin: str, error: Exception) -> DataError:
    return DataError("the file cannot be read", where=origin, cause=str(error))


def _stored_bytes(file: BinaryIO, origin: str) -> bytes:
    try:
        return file.read()
    except OSError as error:
        raise _unreadable(origin, error) from error


def _read(file: BinaryIO | gzip.GzipFile) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def _format_of(path: Path, origin: str) -> tuple[str, str | None]:
    """The format and the compression that the file's name promises."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    inner = suffixes[:-1] if compression else suffixes
    if not inner or inner[-1] not in FORMATS:
        raise DataError(
            "the file's name does not tell its format",
            where=origin,
            expected=f"a name ending in {' '.join(FORMATS)}, each also with {' or '.join(COMPRESSIONS)}",
            found="".join(path.suffixes) or "no extension",
            next="rename the file after what it holds",
        )
    return FORMATS[inner[-1]], compression


def magic(head: bytes, tail: bytes = b"") -> str | None:
    """The binary format that the first bytes, and the last 4, give away, or None."""
    if head[:2] == b"\x1f\x8b":
        return "gzip"
    if re.match(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", head):  # a frame, or a skippable frame
        return "zstd"
    if head[:4] == b"PK\x03\x04":
        return "zip"
    if head[:4] == b"PAR1" and (tail == b"PAR1" or b"\0" in head[:_HEAD]):  # text may begin with PAR1
        return "parquet"
    return "arrow" if head[:8] == b"ARROW1\0\0" else None


def _check_magic(head: bytes, tail: bytes, promised: str, origin: str) -> None:
    found = magic(head, tail)
    if found == promised or (found is None and promised in ("tsv", "csv", "jsonl", "arrow")):
        return  # an Arrow stream has no magic number; pyarrow checks it
    raise DataError(
        f"the file is not what its name says: not {promised}" + (f" but {found}" if found else ""),
        where=origin,
        expected=f"{promised} data, after the file's name",
        found=f"{found or 'unknown'} data: the first bytes are {head[:4].hex(' ')}",
        cause="an Excel workbook or a zip archive" if found == "zip" else None,
        next="unpack or export it to .tsv, .csv or .jsonl" if found == "zip" else "rename it after what it holds",
    )


def _unpacked(stored: BinaryIO, size: int, compression: str, origin: str) -> Iterator[bytes]:
    """Decompress all members or frames, piece by piece; a bomb is cut off before it fills memory or disk."""
    import zstandard

    limit = max(_FREE_OUTPUT, _MAX_RATIO * size)
    unpacked, output = 0, bytearray()
    try:
        for piece in _gunzip(stored) if compression == "gzip" else _unzstd(stored):
            output += piece
            unpacked += len(piece)
            if unpacked > limit:
                raise DataError(
                    "the compressed file unpacks to far more than text ever does",
                    where=origin,
                    expected=f"at most {_MAX_RATIO} bytes for each of its {size:,} bytes",
                    found=f"more than {limit:,} bytes",
                    cause="a decompression bomb",
                    next="if you trust it, unpack it yourself and give the plain file",
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
        ) from None
    except (OSError, zlib.error, zstandard.ZstdError) as error:
        raise DataError(
            f"the {compression} file is damaged", where=origin, cause=str(error), next="fetch the file again"
        ) from error
    if output:
        yield bytes(output)


def _gunzip(stored: BinaryIO) -> Iterator[bytes]:
    with gzip.open(stored) as file:
        yield from _read(file)


def _unzstd(stored: BinaryIO) -> Iterator[bytes]:
    """Frame by frame: zstandard's own stream reader takes a cut-off file for a complete one."""
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


class _Before(NamedTuple):
    """What stands in a file before the block that is looked at."""

    offset: int = 0
    lines: int = 0
    ascii: bool = True


def text_blocks(pieces: Iterable[bytes], origin: str) -> Iterator[str]:
    """The text in blocks of whole lines: strict UTF-8; every block ends in a line break, and so does the last.

    A byte order mark at the start is dropped; one elsewhere is text. Blank lines at the end of a file mean nothing.

    Args:
        pieces: The unpacked bytes of a text file.
        origin: The path as the caller gave it, for messages.

    Raises:
        DataError: The bytes are not UTF-8, hold a NUL, or hold nothing but white space; a line is longer than
            `LONGEST_LINE`.
    """
    before, blank, found = _Before(), "", ""
    for data in _whole_lines(pieces, origin):
        text = _decode(data, before, origin)
        before = _Before(before.offset + len(data), before.lines + data.count(b"\n"), before.ascii and _ascii(data))
        if not found.strip():
            found = text[:1] + text.strip()[:1]
        text = blank + text
        kept = _without_blank_end(text)
        blank = text[len(kept) :]
        _check_line(len(blank), before.lines, origin)
        yield kept
    if not found.strip():
        raise _empty(origin, "only white space" if found else "only a byte order mark")


def _whole_lines(pieces: Iterable[bytes], origin: str) -> Iterator[bytes]:
    """The same bytes, cut after line feeds."""
    begun: list[bytes] = []  # pieces of a line that has not ended yet
    length = lines = 0
    for piece in pieces:
        end = piece.rfind(b"\n") + 1
        if end:
            yield b"".join([*begun, piece[:end]])
            lines += piece.count(b"\n")
            begun, length = [], 0
        begun.append(piece[end:])
        length += len(piece) - end
        _check_line(length, lines, origin)
    if length:
        yield b"".join(begun)


def _check_line(length: int, lines: int, origin: str) -> None:
    if length > LONGEST_LINE:
        raise DataError(
            f"a line is longer than {LONGEST_LINE >> 20} MiB",
            where=f"{origin}, line {lines + 1}",
            cause="not a text file of rows, or its line breaks are lost",
        )


def _without_blank_end(text: str) -> str:
    """Without the blank lines at its end; what is left ends in a line break, or is empty."""
    end = len(text)
    while text.endswith(("\n\n", "\n\r\n"), 0, end):
        end -= 2 if text.endswith("\r\n", 0, end) else 1
    if text[:end] in ("\n", "\r\n"):
        return ""
    return text[:end] if text.endswith("\n", 0, end) else text + "\n"


def _decode(data: bytes, before: _Before, origin: str) -> str:
    if before.offset == 0 and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(
            "the file is UTF-16, not UTF-8",
            where=f"{origin}, line 1, byte offset 0",
            found=f"the UTF-16 byte order mark {data[:2].hex(' ')}",
            next=_iconv("UTF-16", origin),
        )
    nul = data.find(0)
    if nul >= 0:
        raise DataError(
            "the file is binary: it holds a NUL byte",
            where=_byte_place(data, nul, before, origin),
            expected="text in UTF-8",
            cause="UTF-16 without a byte order mark" if data.count(0) > len(data) // 4 else "not a text file",
            next=_iconv("UTF-16LE", origin) if data.count(0) > len(data) // 4 else None,
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _bad_byte(data, error, before, origin) from None
    return text if before.offset else text.removeprefix("\ufeff")


def _ascii(data: bytes) -> bool:
    return data.removeprefix(codecs.BOM_UTF8).isascii()


def _bad_byte(data: bytes, error: UnicodeDecodeError, before: _Before, origin: str) -> DataError:
    advice = "find where that line comes from, and write it as UTF-8"
    if re.match(rb"\xed[\xa0-\xbf]", data[error.start :]):
        cause = "half of a surrogate pair: a program wrote UTF-16 code units as UTF-8"
    elif not (before.ascii and _ascii(data[: error.start])):
        cause = "a damaged character, or a line from another source: the text before it is UTF-8"
    elif re.search(rb"[\x80-\x9f]", data):  # control codes in Latin-1, curly quotes in Windows-1252
        cause, advice = "probably saved as Windows-1252", _iconv("WINDOWS-1252", origin)
    else:
        cause, advice = "probably saved as Latin-1 (ISO-8859-1)", _iconv("ISO-8859-1", origin)
    return DataError(
        "the file is not UTF-8",
        where=_byte_place(data, error.start, before, origin),
        found=f"the byte 0x{data[error.start]:02x}",
        cause=cause,
        next=advice,
    )


def _byte_place(data: bytes, offset: int, before: _Before, origin: str) -> str:
    unpacked = " of the unpacked file" if Path(origin).suffix.lower() in COMPRESSIONS else ""
    line = before.lines + data.count(b"\n", 0, offset) + 1
    return f"{origin}, line {line}, byte offset {before.offset + offset}{unpacked}"


def _iconv(encoding: str, origin: str) -> str:
    if origin == "standard input":
        return f"COMMAND | iconv -f {encoding} -t UTF-8 | acceptor …"
    path = Path(origin)
    cat = {".gz": "gzip -dc", ".zst": "zstd -dc"}.get(path.suffix.lower())
    form = Path(path.stem).suffix if cat else path.suffix
    source = f"{cat} {shlex.quote(origin)} | iconv" if cat else f"iconv {shlex.quote(origin)}"
    return f"{source} -f {encoding} -t UTF-8 > in-utf8{form}"


def _empty(origin: str, found: str) -> DataError:
    return DataError("the file is empty", where=origin, expected="at least one row", found=found)
