"""From a path to the bytes and the text of a file: its format, its compression, its encoding.

What the name promises is checked against the first bytes. A file is read whole or refused, never in part.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import re
import shlex
import zlib
from collections.abc import Iterator
from pathlib import Path

from acceptor.errors import DataError, nearest

_FORMATS = {
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
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}

_FREE_OUTPUT = 16 << 20  # bytes that any compressed file may unpack to
_MAX_RATIO = 200  # beyond them: bytes out per byte in. Text packs at 2 to 20; a bomb at 1,000 or more


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
    stored = _stored_bytes(path, origin)
    form, compression = _format_of(path, origin)
    if not stored:
        raise _empty(origin, "0 bytes")
    _check_magic(stored, compression or form, origin)
    data = stored
    if compression:
        data = _unpack(stored, compression, origin)
        _check_magic(data, form, origin)
    return form, data, hashlib.sha256(stored).hexdigest()


def _stored_bytes(path: Path, origin: str) -> bytes:
    try:
        return path.read_bytes()
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
        raise DataError("the file cannot be read", where=origin, cause=str(error)) from error


def _format_of(path: Path, origin: str) -> tuple[str, str | None]:
    """The format and the compression that the file's name promises."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = _COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    inner = suffixes[:-1] if compression else suffixes
    if not inner or inner[-1] not in _FORMATS:
        raise DataError(
            "the file's name does not tell its format",
            where=origin,
            expected=f"a name ending in {' '.join(_FORMATS)}, each also with {' or '.join(_COMPRESSIONS)}",
            found="".join(path.suffixes) or "no extension",
            next="rename the file after what it holds",
        )
    return _FORMATS[inner[-1]], compression


def magic(data: bytes) -> str | None:
    """The binary format that the first bytes give away, or None."""
    if data[:2] == b"\x1f\x8b":
        return "gzip"
    if re.match(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", data):  # a frame, or a skippable frame
        return "zstd"
    if data[:4] == b"PK\x03\x04":
        return "zip"
    if data[:4] == b"PAR1" and (data[-4:] == b"PAR1" or b"\0" in data[:4096]):  # text may begin with PAR1
        return "parquet"
    return "arrow" if data[:8] == b"ARROW1\0\0" else None


def _check_magic(data: bytes, promised: str, origin: str) -> None:
    found = magic(data)
    if found == promised or (found is None and promised in ("tsv", "csv", "jsonl", "arrow")):
        return  # an Arrow stream has no magic number; pyarrow checks it
    raise DataError(
        f"the file is not what its name says: not {promised}" + (f" but {found}" if found else ""),
        where=origin,
        expected=f"{promised} data, after the file's name",
        found=f"{found or 'unknown'} data: the first bytes are {data[:4].hex(' ')}",
        cause="an Excel workbook or a zip archive" if found == "zip" else None,
        next="unpack or export it to .tsv, .csv or .jsonl" if found == "zip" else "rename it after what it holds",
    )


def _unpack(stored: bytes, compression: str, origin: str) -> bytes:
    """Decompress all members or frames; a bomb is cut off before it fills the memory."""
    import zstandard

    limit = max(_FREE_OUTPUT, _MAX_RATIO * len(stored))
    output = bytearray()
    try:
        for piece in _gunzip(stored) if compression == "gzip" else _unzstd(stored):
            output += piece
            if len(output) > limit:
                raise DataError(
                    "the compressed file unpacks to far more than text ever does",
                    where=origin,
                    expected=f"at most {_MAX_RATIO} bytes for each of its {len(stored):,} bytes",
                    found=f"more than {limit:,} bytes",
                    cause="a decompression bomb",
                    next="if you trust it, unpack it yourself and give the plain file",
                )
    except EOFError:
        raise DataError(
            f"the {compression} file is cut short",
            where=origin,
            found=f"its {len(stored):,} bytes end in mid-stream, after {len(output):,} unpacked bytes",
            cause="an interrupted download or copy",
            next="fetch the file again",
        ) from None
    except (OSError, zlib.error, zstandard.ZstdError) as error:
        raise DataError(
            f"the {compression} file is damaged", where=origin, cause=str(error), next="fetch the file again"
        ) from error
    return bytes(output)


def _gunzip(stored: bytes) -> Iterator[bytes]:
    with gzip.open(io.BytesIO(stored)) as file:
        while piece := file.read(1 << 20):
            yield piece


def _unzstd(stored: bytes) -> Iterator[bytes]:
    """Frame by frame: zstandard's own stream reader takes a cut-off file for a complete one."""
    import zstandard

    frame = None
    for start in range(0, len(stored), 1024):  # small, because 1 KiB may already unpack to 32 MiB
        piece = stored[start : start + 1024]
        while piece:
            frame = frame or zstandard.ZstdDecompressor().decompressobj()
            yield frame.decompress(piece)
            piece = frame.unused_data if frame.eof else b""
            frame = None if frame.eof else frame
    if frame:
        raise EOFError


def decode(data: bytes, origin: str) -> str:
    """Decode strict UTF-8. A byte order mark at the start is dropped; one elsewhere is text.

    Args:
        data: The unpacked bytes of a text file.
        origin: The path as the caller gave it, for messages.

    Raises:
        DataError: The bytes are not UTF-8, hold a NUL, or hold nothing but white space.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
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
            where=_byte_place(data, nul, origin),
            expected="text in UTF-8",
            cause="UTF-16 without a byte order mark" if data.count(0) > len(data) // 4 else "not a text file",
            next=_iconv("UTF-16LE", origin) if data.count(0) > len(data) // 4 else None,
        )
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise _bad_byte(data, error, origin) from None
    if not text.strip():
        raise _empty(origin, "only white space" if text else "only a byte order mark")
    return text


def _bad_byte(data: bytes, error: UnicodeDecodeError, origin: str) -> DataError:
    advice = "find where that line comes from, and write it as UTF-8"
    if re.match(rb"\xed[\xa0-\xbf]", data[error.start :]):
        cause = "half of a surrogate pair: a program wrote UTF-16 code units as UTF-8"
    elif not data[: error.start].removeprefix(codecs.BOM_UTF8).isascii():
        cause = "a damaged character, or a line from another source: the text before it is UTF-8"
    elif re.search(rb"[\x80-\x9f]", data):  # control codes in Latin-1, curly quotes in Windows-1252
        cause, advice = "probably saved as Windows-1252", _iconv("WINDOWS-1252", origin)
    else:
        cause, advice = "probably saved as Latin-1 (ISO-8859-1)", _iconv("ISO-8859-1", origin)
    return DataError(
        "the file is not UTF-8",
        where=_byte_place(data, error.start, origin),
        found=f"the byte 0x{data[error.start]:02x}",
        cause=cause,
        next=advice,
    )


def _byte_place(data: bytes, offset: int, origin: str) -> str:
    unpacked = " of the unpacked file" if Path(origin).suffix.lower() in _COMPRESSIONS else ""
    line = data.count(b"\n", 0, offset) + 1
    return f"{origin}, line {line}, byte offset {offset}{unpacked}"


def _iconv(encoding: str, origin: str) -> str:
    path = Path(origin)
    cat = {".gz": "gzip -dc", ".zst": "zstd -dc"}.get(path.suffix.lower())
    form = Path(path.stem).suffix if cat else path.suffix
    source = f"{cat} {shlex.quote(origin)} | iconv" if cat else f"iconv {shlex.quote(origin)}"
    return f"{source} -f {encoding} -t UTF-8 > in-utf8{form}"


def _empty(origin: str, found: str) -> DataError:
    return DataError("the file is empty", where=origin, expected="at least one row", found=found)
