"""The web page of a judge: a server sends its files as they are, an export puts them into one file."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
SERVED = {
    "index.html": "text/html",
    "page.css": "text/css",
    **dict.fromkeys(
        (
            "main-server.js",
            "page.js",
            "judging.js",
            "pairs.js",
            "files.js",
            "history.js",
            "show.js",
            "tables.js",
            "headers.js",
            "texts.js",
            "strings.js",
            "decision.js",
            "server.js",
        ),
        "text/javascript",
    ),
}
"""The files that a server sends, with their media types; ``index.html`` is the page."""
INSIDE = (
    "strings.js",
    "decision.js",
    "headers.js",
    "texts.js",
    "tables.js",
    "show.js",
    "tokenizer.js",
    "local.js",
    "history.js",
    "judging.js",
    "pairs.js",
    "files.js",
    "page.js",
    "main-local.js",
)
"""The scripts of the page with the judge inside; each imports from those before it."""


def read(name: str) -> str:
    """The text of one of the page's files."""
    return (FOLDER / name).read_text("utf-8")
