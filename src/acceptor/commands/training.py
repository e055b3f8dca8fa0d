"""`acceptor train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acceptor.commands.answer import answer
from acceptor.commands.options import AsJson, Columns, Device, Folder, Overwrite, columns_of
from acceptor.commands.report import REPORT
from acceptor.errors import UsageError


def train(
    context: typer.Context,
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="a corpus (cola, starter), a file or a folder; or a run to --resume")
    ],
    out: Annotated[Path | None, typer.Option(help="the run folder to make [runs/DATA-ENCODER]")] = None,
    encoder: Annotated[str | None, typer.Option(help="folder, hub name, minilm or mpnet")] = None,
    validation: Annotated[Path | None, typer.Option(help="a file to validate on")] = None,
    test: Annotated[Path | None, typer.Option(help="a file to test on; it chooses nothing")] = None,
    folder: Folder = None,
    columns: Columns = None,
    labels: Annotated[str | None, typer.Option(help="labels as written, in the order of ids: a,b")] = None,
    preset: Annotated[
        str | None, typer.Option(help="notebook: the chapter's settings, its weight decay made real")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="passes over train [4]")] = None,
    batch_size: Annotated[int | None, typer.Option(help="sentences per optimizer step [32]")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="peak learning rate [2e-05]")] = None,
    warmup: Annotated[float | None, typer.Option(help="share of steps that climb to the peak [0.1]")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="decay of weight matrices [0.01]")] = None,
    max_grad_norm: Annotated[float | None, typer.Option(help="clip gradients, 0 does not [1.0]")] = None,
    max_length: Annotated[int | None, typer.Option(help="longest input in tokens [128]")] = None,
    seed: Annotated[int | None, typer.Option(help="of head, dropout, order, split [2018]")] = None,
    split: Annotated[str | None, typer.Option(help="given, stratified, notebook [given if any]")] = None,
    validation_share: Annotated[float | None, typer.Option(help="share cut from train [0.1]")] = None,
    order: Annotated[str | None, typer.Option(help="bucketed or random batches [bucketed]")] = None,
    metric: Annotated[str | None, typer.Option(help="mcc, accuracy or f1 [mcc]")] = None,
    select: Annotated[str | None, typer.Option(help="weights of the last or best epoch [last]")] = None,
    calibrate: Annotated[
        bool | None, typer.Option("--calibrate/--no-calibrate", help="fit temperature and threshold on validation [no]")
    ] = None,
    on_nan: Annotated[str | None, typer.Option(help="stop, or skip steps that are not finite [stop]")] = None,
    device: Device = None,
    precision: Annotated[str | None, typer.Option(help="fp32 or bf16 [by the device]")] = None,
    compile: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="torch.compile in a few static shapes [no]")
    ] = None,
    overwrite: Overwrite = False,
    resume: Annotated[bool, typer.Option("--resume", help="go on with a training that was stopped")] = False,
    allow_change: Annotated[bool, typer.Option("--allow-change", help="... with another learning rate, say")] = False,
    as_json: AsJson = False,
) -> None:
    """Fine-tune an encoder and write a run folder; prints the report."""
    from acceptor import run as runs
    from acceptor import terminal
    from acceptor.config import PRESETS, TrainConfig
    from acceptor.data.corpora import CORPORA
    from acceptor.data.load import load_data
    from acceptor.out import default_out, is_run
    from acceptor.report.html import write_report

    if preset is not None and preset not in PRESETS:
        raise UsageError(f"no preset is called {preset!r}", expected=", ".join(PRESETS))
    given = {name: context.params[name] for name in TrainConfig.model_fields}
    settings = {name: value for name, value in given.items() if value is not None}
    settings = (PRESETS[preset] if preset else {}) | settings
    place = Path(data).expanduser()
    if resume and (is_run(place) or (out is None and data not in CORPORA and not place.exists())):
        taken = [f"--{name}" for name in ("out", "validation", "test", "columns", "labels") if context.params[name]]
        taken += ["--data"] * (folder is not None) + ["--overwrite"] * overwrite
        if taken:
            raise UsageError(
                f"{data} is a run, whose data are known: " + ", ".join(taken), next=f"acceptor train {data} --resume"
            )
        run = runs.resume(data, changes=settings, allow_change=allow_change)
    else:
        config = TrainConfig(**settings)
        examples = load_data(
            data,
            validation=validation,
            test=test,
            folder=folder,
            columns=columns_of(columns),
            labels=labels.split(",") if labels else None,
        )
        out = out or default_out(data, config.encoder, resume=resume)
        run = runs.train(
            examples, out=out, config=config, overwrite=overwrite, resume=resume, allow_change=allow_change
        )
    if run.judge.runtime.leads:
        write_report([run.folder], run.folder / REPORT)
        answer(run.to_dict(), terminal.run_text(run), as_json)
