"""`acceptor compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acceptor.cli.options import DATA, OUTPUT, AsJson, Quiet
from acceptor.cli.output import answer

EXAMPLES = (
    "acceptor compare runs/starter-minilm runs/starter-mpnet",
    "acceptor compare runs/base-seeds runs/new-seeds --split test --metric f1",
)


def compare(
    base: Annotated[Path, typer.Argument(metavar="BASE", help="the baseline: a run folder, or a folder of seeds")],
    others: Annotated[list[Path], typer.Argument(metavar="RUN", help="runs to compare with it")],
    data: Annotated[
        str | None, typer.Option(help="a file or corpus to judge with all [their own splits]", rich_help_panel=DATA)
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="test or validation [test if all have it]", rich_help_panel=DATA)
    ] = None,
    metric: Annotated[str, typer.Option(help="mcc, accuracy, f1 or balanced_accuracy", rich_help_panel=OUTPUT)] = "mcc",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Compare runs on the same sentences: paired difference, interval, p, smallest detectable difference."""
    from acceptor.cli import render
    from acceptor.evaluation.compare import compare

    found = compare(base, *others, data=data, split=split, metric=metric)
    answer({"comparisons": [one.to_dict() for one in found]}, render.comparison_text(found), as_json)
