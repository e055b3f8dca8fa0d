"""`acceptor distil`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from acceptor.cli.options import (
    DATA,
    OUTPUT,
    TRAINING,
    AsJson,
    Extra,
    Overwrite,
    Quiet,
    Test,
    Validation,
    refuse_vain_share,
    takes_reading,
    takes_settings,
)
from acceptor.cli.output import advice_only_in_the_answer, answer

EXAMPLES = (
    "acceptor distil starter --teacher runs/starter-mpnet --encoder minilm",
    "acceptor distil train.tsv --teacher runs/a --teacher runs/b --text raw.txt",
)


@takes_reading
@takes_settings
def distil(
    data: Annotated[str, typer.Argument(metavar="DATA", help="a corpus (cola, starter), a file or a folder")],
    teacher: Annotated[
        list[str], typer.Option(help="a run that teaches; several: repeat the option", rich_help_panel=TRAINING)
    ],
    text: Annotated[
        list[str] | None,
        typer.Option(help="a file of natural sentences, one a line; several: repeat the option", rich_help_panel=DATA),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="the run folder to make [runs/DATA-ENCODER-distilled]", rich_help_panel=OUTPUT)
    ] = None,
    validation: Validation = None,
    test: Test = None,
    extra: Extra = None,
    reading: Any = None,
    settings: Any = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train a small encoder on the probabilities of larger judges; prints the report. Resumes if it was stopped."""
    from acceptor.cli import render
    from acceptor.config import TrainConfig
    from acceptor.data.load import load_data
    from acceptor.experiments.distil import distil as distilling
    from acceptor.report.html import write_own_report
    from acceptor.runs.out_path import default_set

    config = TrainConfig(**settings)
    examples = load_data(data, validation=validation, test=test, extra=extra, **reading)
    refuse_vain_share(settings, examples)
    out = out or default_set(data, config.encoder, "distilled")
    with advice_only_in_the_answer():
        run = distilling(examples, teachers=teacher, text=text or (), out=out, config=config, overwrite=overwrite)
    if run.judge.runtime.is_main_process:
        write_own_report(run.folder)
        answer(run.to_dict(), render.run_text(run), as_json)
