"""What a command says on stdout: one JSON object, or text."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import typer

from acceptor.cli.streams import ReaderGone
from acceptor.text import as_json as inert_json
from acceptor.text import in_ascii


def answer(content: Any, text: Any, as_json: bool) -> None:
    """Prints ``content`` as JSON, or the parts of ``text``, after the work: nobody has to be there to read it."""
    with contextlib.suppress(ReaderGone):
        say(content, text, as_json)


def say(content: Any, text: Any, as_json: bool) -> None:
    """The same in the middle of work.

    Raises:
        ReaderGone: Nobody reads any more.
        ResourceError: It cannot be written.
    """
    if as_json:
        line = inert_json(content)
        typer.echo(line if _says_all(sys.stdout.encoding) else in_ascii(line))
    else:
        from acceptor.cli.render.tables import show

        show(*text)
    sys.stdout.flush()


def _says_all(encoding: str | None) -> bool:
    """True where every character can be written; JSON must not lose any."""
    return (encoding or "utf-8").lower().startswith("utf")
