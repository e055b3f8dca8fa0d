"""`acceptor pairs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acceptor.cli.options import (
    DATA,
    OUTPUT,
    OUTPUTS,
    AsJson,
    Device,
    JudgePath,
    Overwrite,
    Precision,
    Quiet,
    Separator,
    columns_of,
    refuse_vain_overwrite,
    separator_of,
)
from acceptor.cli.output import answer

EXAMPLES = (
    "acceptor pairs runs/starter-minilm starter",
    "acceptor pairs runs/starter-minilm path/to/blimp -o verdicts.tsv",
)


def pairs(
    run: JudgePath,
    suite: Annotated[
        str,
        typer.Argument(metavar="SUITE", help="a file of pairs (BLiMP's JSONL, CSV, TSV), a folder, starter, or plain"),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help=f"file for each pair's verdicts ({OUTPUTS})", rich_help_panel=OUTPUT),
    ] = None,
    good: Annotated[
        str | None, typer.Option(help="the label that means acceptable [known names]", rich_help_panel=DATA)
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(help="role=column,…: sentence_good=a,sentence_bad=b,phenomenon=c,term=d", rich_help_panel=DATA),
    ] = None,
    separator: Separator = None,
    device: Device = None,
    precision: Precision = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Score minimal pairs: how often the acceptable sentence has the higher margin, by phenomenon.

    The margin is here the log-odds of the label that means acceptable.
    """
    from acceptor.cli import render
    from acceptor.data.reading.input_files import files_in, refuse_inputs
    from acceptor.data.writing.write import check_output, write_table
    from acceptor.evaluation.pairs import pairs
    from acceptor.judging.load import load

    refuse_vain_overwrite(overwrite, out, option="-o FILE")
    if out:
        check_output(out, overwrite=overwrite)
        refuse_inputs([out], [*files_in(run), *files_in(Path(suite) if Path(suite).exists() else None)])
    report = pairs(
        load(run, device=device, precision=precision),
        suite,
        good=good,
        columns=columns_of(columns),
        separator=separator_of(separator),
    )
    text = [*render.pairs_text(report)]
    if out:
        write_table(report.frame, out)
        text.append(f"\nverdicts of all pairs: {out}")
    answer(report.to_dict(), text, as_json)
