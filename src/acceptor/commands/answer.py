"""What a command says on stdout: one JSON object, or text."""

from __future__ import annotations

from typing import Any

import typer

from acceptor.text import as_json as inert_json


def answer(content: Any, text: Any, as_json: bool) -> None:
    """Prints ``content`` as JSON, or the parts of ``text``."""
    if as_json:
        typer.echo(inert_json(content))
    else:
        from acceptor.terminal import show

        show(*text)
