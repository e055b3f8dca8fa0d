"""The output of a command on stdout: one JSON object, or text."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import Any

import typer

from acceptor.cli.streams import ReaderGone
from acceptor.text import as_json as inert_json
from acceptor.text import in_ascii


def answer(content: Any, text: Any, as_json: bool) -> None:
    """Prints ``content`` as JSON, or else the parts of ``text``, when the work is done. A closed stdout is ignored."""
    with contextlib.suppress(ReaderGone):
        write_output(content, text, as_json)


def write_output(content: Any, text: Any, as_json: bool) -> None:
    """Like `answer`, but before the work is done: a closed stdout raises.

    Raises:
        ReaderGone: stdout has been closed by its reader.
        ResourceError: It cannot be written.
    """
    if as_json:
        line = inert_json(content)
        typer.echo(line if _encodes_everything(sys.stdout.encoding) else in_ascii(line))
    else:
        from acceptor.cli.render.tables import show

        show(*text)
    sys.stdout.flush()


@contextlib.contextmanager
def advice_only_in_the_answer() -> Iterator[None]:
    """Keeps the advice of a training out of the log, for commands whose answer has it as its last line."""
    log = logging.getLogger("acceptor.training.advice")
    log.disabled = True
    try:
        yield
    finally:
        log.disabled = False


def _encodes_everything(encoding: str | None) -> bool:
    """True if the encoding has every character: JSON must not lose any."""
    return (encoding or "utf-8").lower().startswith("utf")
