"""Text made safe for where it is shown: on a terminal, in JSON, in Markdown, in a page."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
import sys
from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]
"""A JSON object: the result of ``to_dict``, the output of ``--json``, and a file's content before it is checked."""


def plain(value: Any) -> str:
    """The value as text; unprintable characters become escapes, such as x08 for a backspace."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(value))


def plain_lines(text: str) -> str:
    """`plain`, line by line; line feeds stay."""
    return "\n".join(map(plain, text.split("\n")))


def shell(word: Any) -> str:
    """The value as one word of a command to be copied, quoted for a shell where needed."""
    text = plain(word)
    text = f"./{text}" if text.startswith("-") else text
    if "'" in text and not set(text) & set('"$`\\!'):
        return f'"{text}"'  # easier to read than an escaped '
    return shlex.quote(text)


def as_json(content: Any) -> str:
    """One line of JSON that is safe on a terminal and in a page.

    Unprintable characters and ``<``, ``>``, ``&`` are written as JSON escapes, so parsing gives every character back.
    """
    text = json.dumps(content, ensure_ascii=False)
    if text.isprintable() and not re.search("[<>&]", text):
        return text
    return "".join(
        f"\\u{ord(char):04x}" if char in "<>&" else char if char.isprintable() else json.dumps(char)[1:-1]
        for char in text
    )


def in_ascii(line: str) -> str:
    """A line of JSON with escapes for all non-ASCII characters; parsing gives every character back."""
    return "".join(char if char.isascii() else json.dumps(char)[1:-1] for char in line)


def decode_argument(text: str) -> str:
    """A command-line argument as UTF-8 text: in the C locale Python gives its bytes as surrogates."""
    try:
        return text.encode(sys.getfilesystemencoding(), "surrogateescape").decode("utf-8")
    except UnicodeError:
        return text


def markdown(value: Any) -> str:
    """The value as plain text in Markdown or HTML: characters that could be markup become entities."""
    special = r"[^\w .,:;/()+=%-]|(?<![^\W_])_|_(?![^\W_])"  # an underscore within a word is no markup
    return re.sub(special, lambda found: f"&#{ord(found[0])};", plain(value))


def short(cell: str) -> str:
    """A cell for a message: control characters escaped, long text cut."""
    return repr(cell if len(cell) <= 40 else cell[:40] + "…")


def cut(label: str, most: int) -> str:
    """A label for a figure or a table: control characters escaped, cut to at most ``most`` characters."""
    label = plain(label)
    return label if len(label) <= most else label[: most - 1] + "…"


def rows_of(count: int) -> str:
    """A number of rows, for people."""
    return f"{count:,} row{'s' * (count != 1)}"


def listed(names: Sequence[str], most: int = 8) -> str:
    """The first names, and how many there are if some are left out."""
    return ", ".join(names[:most]) + (f", … ({len(names)} in all)" if len(names) > most else "")


def content_source(text: str) -> str:
    """A script or style sheet of a page, as the page's Content-Security-Policy allows it: by its hash."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
