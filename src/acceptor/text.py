"""Text that nobody vouches for, made inert before it is shown: on a terminal, in JSON, in Markdown."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]
"""An object of JSON: what ``to_dict`` gives, what ``--json`` prints and what files hold before they are checked."""


def plain(value: Any) -> str:
    """The value as text with everything unprintable spelled out: a backspace becomes its code, x08."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(value))


def plain_lines(text: str) -> str:
    """`plain`, line by line; line feeds stay."""
    return "\n".join(map(plain, text.split("\n")))


def shell(word: Any) -> str:
    """The value as one word of a command that is shown to be copied: quoted where a shell would read more into it."""
    text = plain(word)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def as_json(content: Any) -> str:
    """One line of JSON that neither a terminal nor a page takes for anything else.

    Unprintable characters and ``<``, ``>``, ``&`` are written as escapes. They stand in strings only, so whoever
    parses it gets every character back.
    """
    text = json.dumps(content, ensure_ascii=False)
    if text.isprintable() and not re.search("[<>&]", text):
        return text
    return "".join(
        f"\\u{ord(char):04x}" if char in "<>&" else char if char.isprintable() else json.dumps(char)[1:-1]
        for char in text
    )


def in_ascii(line: str) -> str:
    """A line of JSON with escapes for all that is not ASCII; whoever parses it gets every character back."""
    return "".join(char if char.isascii() else json.dumps(char)[1:-1] for char in line)


def decode_argument(text: str) -> str:
    """An argument as it was typed: in the C locale Python hands on UTF-8 as halves of surrogate pairs."""
    try:
        return text.encode(sys.getfilesystemencoding(), "surrogateescape").decode("utf-8")
    except UnicodeError:
        return text


def markdown(value: Any) -> str:
    """The value as words in Markdown or HTML: what could be markup there becomes an entity."""
    special = r"[^\w .,:;/()+=%-]|(?<![^\W_])_|_(?![^\W_])"  # an underscore within a word is no markup
    return re.sub(special, lambda found: f"&#{ord(found[0])};", plain(value))


def short(cell: str) -> str:
    """A cell as it looks in a message: control characters escaped, long text cut."""
    return repr(cell if len(cell) <= 40 else cell[:40] + "…")


def listed(names: Sequence[str], most: int = 8) -> str:
    """The first names, and how many there are where that is not all of them."""
    return ", ".join(names[:most]) + (f", … ({len(names)} in all)" if len(names) > most else "")
