"""`acceptor corpora`."""

from __future__ import annotations

from acceptor.cli.options import AsJson
from acceptor.cli.output import answer

EXAMPLES = (
    "acceptor corpora",
    "acceptor corpora --json",
)


def corpora(as_json: AsJson = False) -> None:
    """List the corpora that have a name."""
    from acceptor.cli import render
    from acceptor.data.corpora import CORPORA

    answer(CORPORA, [render.table(("corpus", "what"), CORPORA.items(), wide="what")], as_json)
