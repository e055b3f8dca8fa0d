"""Standard input, output and error as the command line finds them: closed, full, cut off, or unable to say a letter.

What goes to standard error (progress, log lines) never stops the work. Standard output holds the answer: where it
cannot be written that is an error, and where its reader has left, nothing more is said.
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
"""What stands for our own characters where a stream's encoding lacks them; others are written as their code."""


class ReaderGone(Exception):  # noqa: N818 - no error: the reader has all that it wants
    """Whoever read our standard output has closed it."""


class _Output(io.FileIO):
    """Standard output. What happens to it first is raised in our words; later writes are dropped without a word."""

    failed = False

    def write(self, data: Any) -> int:
        """All of ``data``, also where the other end is not waited for by itself."""
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
                next="send it elsewhere; the files that the command has written are complete",
                code="E-RESOURCE-WRITE",
            ) from error
        return written


class _Notes(io.FileIO):
    """Standard error: what cannot be written there is lost, and nothing else is."""

    def write(self, data: Any) -> int:
        """As much as there is room for."""
        try:
            return super().write(data) or memoryview(data).nbytes
        except OSError:
            return memoryview(data).nbytes


def set_up_streams() -> None:
    """Makes the three standard streams usable, whatever they are. Streams that somebody replaced are left alone."""
    for number in (0, 1, 2):
        _occupy(number)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as the process lives
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        sys.stdout = _over(_Output(1, "w", closefd=False), sys.stdout)
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = _over(_Notes(2, "w", closefd=False), sys.stderr)


def _occupy(number: int) -> None:
    """Puts the null device where a standard stream was closed: else the next file to be opened would get its number."""
    try:
        os.fstat(number)
    except OSError:
        null = os.open(os.devnull, os.O_RDWR)
        if null != number:
            os.dup2(null, number)
            os.close(null)
        os.set_inheritable(number, True)


def _over(raw: io.FileIO, before: TextIO | None) -> TextIO:
    """A text stream over ``raw`` that is as the one before, but has an answer for every character."""
    codecs.register_error("acceptor", in_plain_characters)
    encoding = getattr(before, "encoding", None) or "utf-8"
    errors = getattr(before, "errors", None) or "strict"
    if errors in ("strict", "surrogateescape", "backslashreplace"):  # any other is the user's (PYTHONIOENCODING)
        errors = "acceptor"
    if before is not None:
        before.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors=errors, line_buffering=raw.fileno() == 2 or raw.isatty()
    )


def in_plain_characters(error: UnicodeError) -> tuple[str, int]:
    """For `codecs.register_error`: what stands for characters that an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(PLAIN.get(char) or char.encode("unicode_escape").decode("ascii") for char in lost), error.end
