"""What several commands take: their options, and how those that hold more than a word are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acceptor.errors import UsageError

RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="a run folder")]
Columns = Annotated[str | None, typer.Option(help="role=column,…: sentence=text,label=3 (names or 1-based numbers)")]
Folder = Annotated[Path | None, typer.Option("--data", help="folder of a named corpus' files")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]
Device = Annotated[str | None, typer.Option(help="cuda, mps or cpu [the fastest present]")]
Precision = Annotated[
    str | None,
    typer.Option(help="fp32; bf16; int8; lossless: bf16, close calls again in fp32 [lossless if bf16 is fast]"),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace what stands at the output path")]

Why = Annotated[str | None, typer.Option(help="show what each word weighs: occlusion or gradients")]


def columns_of(text: str | None) -> dict[str, str] | None:
    """What --columns says: role to column."""
    if text is None:
        return None
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(role and equals and column for role, equals, column in pairs):
        raise UsageError("--columns cannot be read", expected="sentence=text,label=3", found=text)
    return {role.strip(): column.strip() for role, _, column in pairs}


def shard_of(text: str | None) -> tuple[int, int] | None:
    """What --shard says: this job's number, from 1, and how many there are."""
    if text is None:
        return None
    number, slash, of = text.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise UsageError("--shard cannot be read", expected="K/N with K from 1 to N: 3/16", found=text)
    return int(number), int(of)
