"""`acceptor search`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from acceptor.cli.options import (
    OUTPUT,
    TRAINING,
    AsJson,
    Extra,
    Processes,
    Quiet,
    Test,
    Validation,
    refuse_vain_share,
    takes_reading,
    takes_settings,
)
from acceptor.cli.output import answer

EXAMPLES = (
    "acceptor search starter --encoder minilm --trials 20 --seeds 3",
    "acceptor search train.tsv --validation dev.tsv --test test.tsv",
)


@takes_reading
@takes_settings
def search(
    data: Annotated[str, typer.Argument(metavar="DATA", help="a corpus (cola, starter), a file or a folder")],
    out: Annotated[
        Path | None, typer.Option(help="the folder of the search [runs/DATA-ENCODER-search]", rich_help_panel=OUTPUT)
    ] = None,
    trials: Annotated[int, typer.Option(help="trainings to try", rich_help_panel=TRAINING)] = 30,
    seeds: Annotated[
        int, typer.Option(help="number of seeds to train with the best settings; 0: none", rich_help_panel=TRAINING)
    ] = 5,
    processes: Processes = 1,
    validation: Validation = None,
    test: Test = None,
    extra: Extra = None,
    reading: Any = None,
    settings: Any = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Search settings on validation, then train seeds of the best. Resumes if stopped; joins a running search."""
    from acceptor.cli import render
    from acceptor.config import TrainConfig
    from acceptor.data.load import load_data
    from acceptor.experiments.search import search_settings
    from acceptor.runs.out_path import default_set

    config = TrainConfig(**settings)
    examples = load_data(data, validation=validation, test=test, extra=extra, **reading)
    refuse_vain_share(settings, examples)
    out = out or default_set(data, config.encoder, "search")
    found = search_settings(examples, out=out, trials=trials, seeds=seeds, config=config, processes=processes)
    answer(found.to_dict(), render.search_text(found), as_json)
    if found.file.best is None or (found.seeds and found.seeds.count("failed")):  # no score, or not of every seed
        raise typer.Exit(1)
