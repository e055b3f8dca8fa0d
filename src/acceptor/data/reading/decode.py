"""Decodes the bytes of a text file to text: strict UTF-8, in blocks of whole lines."""

from __future__ import annotations

import codecs
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from acceptor.data.reading.unpack import READ_COMPRESSIONS, empty_file, untarred
from acceptor.errors import DataError

STANDARD_INPUT = "standard input"
UNPACK = {".gz": "gzip -dc", ".zst": "zstd -dc", ".bz2": "bzip2 -dc", ".xz": "xz -dc", ".zip": "unzip -p"}
LONGEST_LINE = 64 << 20  # bytes


class _Before(NamedTuple):
    """What came before the current block of a file."""

    offset: int = 0
    lines: int = 0
    ascii: bool = True


def text_blocks(pieces: Iterable[bytes], origin: str) -> Iterator[str]:
    """The text in blocks of whole lines: strict UTF-8; every block ends in a line break, and so does the last.

    A byte order mark at the start is dropped; one elsewhere is text. Blank lines at the end of a file are dropped.

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
        raise empty_file(origin, "only white space" if found else "only a byte order mark")


def _whole_lines(pieces: Iterable[bytes], origin: str) -> Iterator[bytes]:
    """The same bytes, cut after line feeds."""
    pending: list[bytes] = []  # pieces of a line that has not ended yet
    length = lines = 0
    for piece in pieces:
        end = piece.rfind(b"\n") + 1
        if end:
            yield b"".join([*pending, piece[:end]])
            lines += piece.count(b"\n")
            pending, length = [], 0
        pending.append(piece[end:])
        length += len(piece) - end
        _check_line(length, lines, origin)
    if length:
        yield b"".join(pending)


def _check_line(length: int, lines: int, origin: str) -> None:
    if length > LONGEST_LINE:
        raise DataError(
            f"a line is longer than {LONGEST_LINE >> 20} MiB",
            where=f"{origin}, line {lines + 1}",
            cause="not a text file of rows, or its line breaks are lost",
            code="E-DATA-FORMAT",
        )


def _without_blank_end(text: str) -> str:
    """The text without blank lines at its end; it ends in a line break, or is empty."""
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
            code="E-DATA-ENCODING",
        )
    if before.offset == 0:
        _refuse_placeholder(data[:512], origin)
    if 0 in data:
        raise _binary(data, before, origin)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _bad_byte(data, error, before, origin) from None
    return text if before.offset else text.removeprefix("\ufeff")


def _binary(data: bytes, before: _Before, origin: str) -> DataError:
    """The error for bytes with a NUL among them."""
    packed, advice = _is_packed(origin), None
    cause = "compressed content that is not text" if packed else "not a text file"
    for encoding, nul in (("UTF-16LE", 1), ("UTF-16BE", 0)):  # where the NUL of a Latin letter is
        if data[nul::2].count(0) > len(data) // 4 > data[1 - nul :: 2].count(0):
            cause, advice = "UTF-16 without a byte order mark", _iconv(encoding, origin)
    return DataError(
        f"the {'unpacked ' * packed}file is binary: it holds a NUL byte",
        where=_byte_place(data, data.find(0), before, origin),
        expected="text in UTF-8",
        cause=cause,
        next=advice,
        code="E-DATA-ENCODING",
    )


def _refuse_placeholder(head: bytes, origin: str) -> None:
    """Refuses a tar archive, a Git LFS pointer or a web page in place of the file."""
    if head[257:262] == b"ustar":
        raise DataError(
            "this is a tar archive, not a file of rows",
            where=origin,
            next="COMMAND | tar -xO | acceptor …" if origin == STANDARD_INPUT else untarred(origin),
            code="E-DATA-FORMAT",
        )
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        raise DataError(
            "this is a Git LFS pointer, not the file", where=origin, next="git lfs pull", code="E-DATA-FORMAT"
        )
    if re.match(rb"\s*<(!doctype html|html)\b", head, re.IGNORECASE):
        raise DataError(
            "this is a web page, not a file of rows",
            where=origin,
            cause="a download that failed",
            next="fetch the file again",
            code="E-DATA-FORMAT",
        )


def _ascii(data: bytes) -> bool:
    return data.removeprefix(codecs.BOM_UTF8).isascii()


def _bad_byte(data: bytes, error: UnicodeDecodeError, before: _Before, origin: str) -> DataError:
    advice = "find where that line comes from, and write it as UTF-8"
    if re.match(rb"\xed[\xa0-\xbf]", data[error.start :]):
        cause = "half of a surrogate pair: a program wrote UTF-16 code units as UTF-8"
    elif not (before.ascii and _ascii(data[: error.start])):
        cause = "a damaged character, or a line from another source: the text before it is UTF-8"
    elif (high := len(re.findall(rb"[\x80-\xff]", data))) > 8 and high > len(re.findall(rb"[A-Za-z]", data)):
        cause = (
            "an older encoding of another script: Windows-1251 or KOI8-R (Cyrillic), GB18030, Big5, Shift_JIS, EUC-KR"
        )
        advice = _iconv("ENCODING", origin)
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
        code="E-DATA-ENCODING",
    )


def _is_packed(origin: str) -> bool:
    return Path(origin).suffix.lower() in READ_COMPRESSIONS


def _byte_place(data: bytes, offset: int, before: _Before, origin: str) -> str:
    unpacked = " of the unpacked file" if _is_packed(origin) else ""
    line = before.lines + data.count(b"\n", 0, offset) + 1
    return f"{origin}, line {line}, byte offset {before.offset + offset}{unpacked}"


def _iconv(encoding: str, origin: str) -> str:
    return filtered(origin, f"iconv -f {encoding} -t UTF-8", "in-utf8")


def filtered(origin: str, program: str, name: str) -> str:
    """The command that sends a file's text, unpacked where it is packed, through a program into the file ``name``."""
    if origin == STANDARD_INPUT:
        return f"COMMAND | {program} | acceptor …"
    path = Path(origin)
    unpack = UNPACK.get(path.suffix.lower())
    form = Path(path.stem).suffix if unpack else path.suffix
    read = f"{unpack} {shlex.quote(origin)} | {program}" if unpack else f"{program} < {shlex.quote(origin)}"
    return f"{read} > {name}{form}"


def renamed(origin: str, form: str) -> str:
    """The command that gives a file the name of another format; its compression stays."""
    if origin == STANDARD_INPUT:
        return f"COMMAND > FILE{form}"
    packed = Path(origin).suffix.lower()
    if packed == ".zip":  # the name is that of the file within
        return f"{UNPACK[packed]} {shlex.quote(origin)} > FILE{form}"
    return f"mv {shlex.quote(origin)} FILE{form}{packed if packed in UNPACK else ''}"
