"""Robust standard streams: they may be closed, full, disconnected, or unable to encode a character.

Errors on standard error (progress, log lines) are ignored. An error on standard output is raised, because it holds the
result; if its reader has closed the pipe, later output is dropped.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from typing import Any, TextIO

from acceptor.errors import ResourceError

PLAIN = {
    "·": "-", "…": "...", "—": "--", "–": "-", "×": "x", "±": "+/-", "≤": "<=", "≥": ">=", "→": "->", "←": "<-",
    "‘": "'", "’": "'", "“": '"', "”": '"', "„": '"', "•": "*", "≈": "~", "−": "-", "─": "-", "━": "=", "│": "|",
    "┃": "|", "✓": "v", "✗": "x", "\N{NO-BREAK SPACE}": " ", "\N{NARROW NO-BREAK SPACE}": " ", "σ": "s", "Δ": "D",
    "τ": "t", "κ": "k", "ᵀ": "T",
}  # fmt: skip
"""Replacements for Acceptor's own characters if a stream cannot encode them; others are written as escapes."""


class ReaderGone(Exception):  # noqa: N818 - not an error
    """The reader of standard output has closed it."""


class _Output(io.FileIO):
    """Standard output. The first failure is raised as one of our errors; later writes are dropped."""

    failed = False

    def write(self, data: Any) -> int:
        """Writes all of ``data``, also to a non-blocking pipe."""
        if self.failed:
            return memoryview(data).nbytes
        try:
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        except OSError as error:
            self.failed = True
            if error.errno in (errno.EPIPE, errno.ECONNRESET):
                raise ReaderGone from None
            raise ResourceError(
                "the answer cannot be written to standard output",
                cause=error.strerror,
                next="redirect it to another place; the files that the command has written are complete",
                code="E-RESOURCE-WRITE",
            ) from error
        return written


class _ErrorStream(io.FileIO):
    """Standard error. Text that cannot be written is dropped."""

    def write(self, data: Any) -> int:
        """Writes as much as fits."""
        try:
            return super().write(data) or memoryview(data).nbytes
        except OSError:
            return memoryview(data).nbytes


def set_up_streams() -> None:
    """Makes the three standard streams usable. Streams that a caller has replaced are left alone."""
    for number in (0, 1, 2):
        _open_null_if_closed(number)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as the process lives
    if sys.platform == "win32" and sys.stdout is not None and sys.stdout.isatty():
        return  # Python itself writes all characters to a Windows console
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        sys.stdout = _text_stream(_Output(1, "w", closefd=False), sys.stdout)
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = _text_stream(_ErrorStream(2, "w", closefd=False), sys.stderr)


def _open_null_if_closed(number: int) -> None:
    """Opens the null device if a standard stream is closed; otherwise the next opened file would get its descriptor."""
    try:
        os.fstat(number)
    except OSError:
        null = os.open(os.devnull, os.O_RDWR)
        if null != number:
            os.dup2(null, number)
            os.close(null)
        os.set_inheritable(number, True)


def _text_stream(raw: io.FileIO, before: TextIO | None) -> TextIO:
    """A text stream over ``raw`` with the settings of ``before``; it can write every character."""
    codecs.register_error("acceptor", in_plain_characters)
    encoding = getattr(before, "encoding", None) or "utf-8"
    errors = getattr(before, "errors", None) or "strict"
    if errors in ("strict", "surrogateescape", "backslashreplace"):  # any other was set by the user (PYTHONIOENCODING)
        errors = "acceptor"
    if before is not None:
        before.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors=errors, line_buffering=raw.fileno() == 2 or raw.isatty()
    )


def in_plain_characters(error: UnicodeError) -> tuple[str, int]:
    """An error handler for `codecs.register_error`: replaces characters that cannot be encoded."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(PLAIN.get(char) or char.encode("unicode_escape").decode("ascii") for char in lost), error.end
