"""`acceptor doctor`."""

from __future__ import annotations

from acceptor.cli.options import AsJson
from acceptor.cli.output import answer

EXAMPLES = (
    "acceptor doctor",
    "acceptor doctor --json",
)


def doctor(as_json: AsJson = False) -> None:
    """Show what is installed and what determines speed on this machine, why, and how to change it."""
    from acceptor.bench.machine import doctor
    from acceptor.cli import render

    rows = doctor()
    content = [dict(zip(("name", "finding", "note"), row, strict=True)) for row in rows]
    answer(content, [render.table(("what", "finding", "why, and how to switch it"), rows)], as_json)
