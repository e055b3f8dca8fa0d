"""`acceptor ensemble`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acceptor.cli.options import OUTPUT, AsJson, Overwrite, Quiet
from acceptor.cli.output import answer
from acceptor.errors import UsageError
from acceptor.storage.files import user_path

EXAMPLES = (
    "acceptor ensemble runs/starter-mpnet-seeds",
    "acceptor ensemble runs/a runs/b runs/c --out runs/best",
)


def ensemble(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN", help="two or more run folders; or a folder of seeds, for all of them")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="the run folder to make [RUN-ensemble, if RUN is a folder of seeds]", rich_help_panel=OUTPUT),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Make one judge of several runs: the mean of their logits. It gains little; with N runs, N times as slow."""
    from acceptor.cli import render
    from acceptor.experiments.ensemble import ensemble as joining
    from acceptor.report.html import write_own_report

    run = joining(runs, out=out or _beside(runs), overwrite=overwrite)
    write_own_report(run.folder)
    answer(run.to_dict(), render.ensemble_text(run), as_json)


def _beside(runs: list[str]) -> Path:
    """A folder beside that of seeds. Runs that are given one by one may be any part of a set, so they have no name."""
    if len(runs) > 1:
        raise UsageError(
            "the runs of an ensemble have no name in common", next="name its folder: --out RUN", code="E-USAGE-OUTPUT"
        )
    seeds = user_path(runs[0]).absolute()
    return seeds.with_name(f"{seeds.name}-ensemble")
