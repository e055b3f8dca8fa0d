"""`acceptor search`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acceptor.commands.answer import answer
from acceptor.commands.options import AsJson, Columns, Device, Folder, columns_of


def search(
    context: typer.Context,
    data: Annotated[str, typer.Argument(metavar="DATA", help="a corpus (cola, starter), a file or a folder")],
    out: Annotated[Path | None, typer.Option(help="the folder of the search [runs/DATA-ENCODER-search]")] = None,
    trials: Annotated[int, typer.Option(help="trainings to try")] = 30,
    seeds: Annotated[int, typer.Option(help="seeds to train the best settings with; 0: none")] = 5,
    processes: Annotated[int, typer.Option(help="trainings at once, each on its GPU or its share of the cores")] = 1,
    encoder: Annotated[str | None, typer.Option(help="folder, hub name, minilm or mpnet")] = None,
    validation: Annotated[Path | None, typer.Option(help="a file to validate on")] = None,
    test: Annotated[Path | None, typer.Option(help="a file for the seeds to be tested on; no trial sees it")] = None,
    folder: Folder = None,
    columns: Columns = None,
    labels: Annotated[str | None, typer.Option(help="labels as written, in the order of ids: a,b")] = None,
    metric: Annotated[str | None, typer.Option(help="what is searched for: mcc, accuracy or f1 [mcc]")] = None,
    select: Annotated[str | None, typer.Option(help="weights of the last or best epoch [last]")] = None,
    max_length: Annotated[int | None, typer.Option(help="longest input in tokens [128]")] = None,
    seed: Annotated[int | None, typer.Option(help="of the sampler and of all trials [2018]")] = None,
    split: Annotated[str | None, typer.Option(help="given, stratified, notebook [given if any]")] = None,
    device: Device = None,
    precision: Annotated[str | None, typer.Option(help="fp32 or bf16 [by the device]")] = None,
    as_json: AsJson = False,
) -> None:
    """Look for settings on validation, then train seeds of the best. Goes on after a stop; joins one under way."""
    from acceptor import terminal
    from acceptor.config import TrainConfig
    from acceptor.data.load import load_data
    from acceptor.search import search_settings

    given = {name: context.params.get(name) for name in TrainConfig.model_fields}
    config = TrainConfig(**{name: value for name, value in given.items() if value is not None})
    examples = load_data(
        data,
        validation=validation,
        test=test,
        folder=folder,
        columns=columns_of(columns),
        labels=labels.split(",") if labels else None,
    )
    out = out or Path("runs") / f"{Path(data).name.split('.')[0]}-{Path(config.encoder).name}-search"
    found = search_settings(examples, out=out, trials=trials, seeds=seeds, config=config, processes=processes)
    answer(found.to_dict(), terminal.search_text(found), as_json)
