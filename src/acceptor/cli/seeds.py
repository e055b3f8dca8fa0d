"""`acceptor seeds`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from acceptor.cli.options import (
    OUTPUT,
    TRAINING,
    AsJson,
    Extra,
    Overwrite,
    Processes,
    Quiet,
    Test,
    Validation,
    refuse_vain_share,
    takes_reading,
    takes_settings,
)
from acceptor.cli.output import answer
from acceptor.errors import UsageError

EXAMPLES = (
    "acceptor seeds starter --encoder minilm --seeds 5",
    "acceptor seeds train.tsv --test test.tsv --processes 2 --report",
)


@takes_reading
@takes_settings
def seeds(
    data: Annotated[str, typer.Argument(metavar="DATA", help="a corpus (cola, starter), a file or a folder")],
    out: Annotated[
        Path | None, typer.Option(help="the folder of all runs [runs/DATA-ENCODER-seeds]", rich_help_panel=OUTPUT)
    ] = None,
    seeds: Annotated[
        str,
        typer.Option(help="how many, counted from --seed; or the seeds themselves: 1,5,9", rich_help_panel=TRAINING),
    ] = "10",
    vary: Annotated[
        str,
        typer.Option(
            help="what the seed changes: init (random weights, dropout, split), order (of examples), both",
            rich_help_panel=TRAINING,
        ),
    ] = "both",
    processes: Processes = 1,
    validation: Validation = None,
    test: Test = None,
    extra: Extra = None,
    reading: Any = None,
    settings: Any = None,
    report: Annotated[
        bool, typer.Option("--report", help="also write report.html about all runs", rich_help_panel=OUTPUT)
    ] = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train with several seeds; report all scores, mean, spread, collapsed runs. Resumes if it was stopped."""
    from acceptor.cli import render
    from acceptor.config import TrainConfig
    from acceptor.data.load import load_data
    from acceptor.experiments.seeds import train_seeds
    from acceptor.runs.out_path import default_set

    if vary not in ("init", "order", "both"):
        raise UsageError(f"--vary cannot be {vary!r}", expected="init, order or both", code="E-USAGE-OPTION")
    numbers = _numbers(seeds)
    config = TrainConfig(**settings)
    examples = load_data(data, validation=validation, test=test, extra=extra, **reading)
    refuse_vain_share(settings, examples)
    out = out or default_set(data, config.encoder, "seeds")
    found = train_seeds(
        examples,
        out=out,
        seeds=numbers,
        config=config,
        processes=processes,
        vary=vary,  # type: ignore[arg-type]
        overwrite=overwrite,
    )
    if report:
        from acceptor.report.html import write_own_report

        write_own_report(found.folder)
    answer(found.to_dict(), render.seeds_text(found), as_json)
    if found.count("failed"):
        raise typer.Exit(1)


def _numbers(text: str) -> int | list[int]:
    """The value of --seeds: a count, or a list with commas (one seed alone: ``7,``)."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() and len(part) < 20 for part in parts):
        raise UsageError(
            "--seeds cannot be read", expected="how many (10), or the seeds (1,5,9)", found=text, code="E-USAGE-OPTION"
        )
    return [int(part) for part in parts] if "," in text else int(text)
