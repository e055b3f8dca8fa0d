"""`acceptor train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from acceptor.cli.options import (
    OUTPUT,
    READING,
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
from acceptor.cli.output import advice_only_in_the_answer, answer
from acceptor.errors import UsageError
from acceptor.storage.files import user_path
from acceptor.text import shell

Out = Annotated[Path | None, typer.Option(help="the run folder to make [runs/DATA-ENCODER]", rich_help_panel=OUTPUT)]
CrossValidation = Annotated[
    str | None,
    typer.Option(
        "--cv",
        help="cross-validate: hold out each value of a column (source) in turn, or k parts; --on-collapse is restart "
        "if it is not given",
        rich_help_panel=TRAINING,
    ),
]
WarmupText = Annotated[
    list[str] | None,
    typer.Option(
        help="first train the encoder on this file of natural sentences, without labels; repeatable",
        rich_help_panel=TRAINING,
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="resume a training that was stopped", rich_help_panel=TRAINING)]
AllowChange = Annotated[
    bool,
    typer.Option("--allow-change", help="resume with another learning rate and the like", rich_help_panel=TRAINING),
]

EXAMPLES = (
    "acceptor train starter --encoder minilm",
    "acceptor train train.tsv --encoder minilm --columns sentence=text,label=3",
    "acceptor train cola --data path/to/cola --preset notebook",
)


@takes_reading
@takes_settings
def train(
    context: typer.Context,
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="a corpus (cola, starter), a file or a folder; or a run to --resume")
    ],
    out: Out = None,
    validation: Validation = None,
    test: Test = None,
    extra: Extra = None,
    reading: Any = None,
    settings: Any = None,
    cv: CrossValidation = None,
    warmup_text: WarmupText = None,
    processes: Processes = 1,
    overwrite: Overwrite = False,
    resume: Resume = False,
    allow_change: AllowChange = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Fine-tune an encoder and write a run folder; prints the report."""
    from acceptor.cli import render
    from acceptor.config import TrainConfig
    from acceptor.data.load import load_data
    from acceptor.report.html import write_own_report
    from acceptor.runs.out_path import check_out, default_out, default_set, refuse_within
    from acceptor.training import train as training

    _check(cv, processes, warmup_text, resumes=resume or allow_change, given=validation or test)
    _check_resume(resume, allow_change)
    if cv is None and resume and _names_a_run(data, out):
        _refuse_known(context, data)
        with advice_only_in_the_answer():
            run = training.resume(data, changes=settings, allow_change=allow_change)
    else:
        config = TrainConfig(**settings)
        examples = load_data(data, validation=validation, test=test, extra=extra, **reading)
        if cv is not None:
            out = out or default_set(data, config.encoder, "cv")
            _cross_validate(examples, cv, out, config, processes, overwrite, as_json)
            return
        refuse_vain_share(settings, examples)
        out = user_path(out or default_out(data, config.encoder, resume=resume))  # a shell leaves --out=~/run alone
        if warmup_text:
            check_out(out, overwrite=overwrite, resume=resume)
            refuse_within(out, warmup_text)
            config = _warmed_up(warmup_text, examples, out, config, overwrite=overwrite)
        with advice_only_in_the_answer():
            run = training.train(
                examples, out=out, config=config, overwrite=overwrite, resume=resume, allow_change=allow_change
            )
    if run.judge.runtime.is_main_process:
        write_own_report(run.folder)
        answer(run.to_dict(), render.run_text(run), as_json)


def _check(cv: str | None, processes: int, warmup_text: list[str] | None, *, resumes: bool, given: Path | None) -> None:
    """Refuses options that exclude each other."""
    if cv is not None and warmup_text:
        raise UsageError(
            "--cv and --warmup-text do not go together",
            next="warm up first, then cross-validate with that encoder: acceptor train … --warmup-text FILE --out RUN; "
            "acceptor train … --cv source --encoder RUN-warmup",
            code="E-USAGE-CONFLICT",
        )
    if cv is not None and given:
        raise UsageError(
            "a cross-validation holds out parts of the training data, and uses no other split",
            found=str(given),
            next="leave --validation and --test out",
            code="E-USAGE-CONFLICT",
        )
    if cv is not None and resumes:
        raise UsageError(
            "--cv resumes by itself", next="give the same command again, without --resume", code="E-USAGE-CONFLICT"
        )
    if cv is None and processes != 1:
        raise UsageError(
            "--processes is for --cv",
            next="one training in several processes: torchrun --nproc-per-node N -m acceptor train …",
            code="E-USAGE-CONFLICT",
        )


def _check_resume(resume: bool, allow_change: bool) -> None:
    if allow_change and not resume:
        raise UsageError("--allow-change is for --resume", next="add --resume, too", code="E-USAGE-CONFLICT")


def _warmed_up(text: list[str], examples: Any, out: Path, config: Any, *, overwrite: bool) -> Any:
    """The settings with an encoder that was trained on raw text first, in a folder beside the run."""
    from acceptor.experiments.warmup import warm_up
    from acceptor.runs.out_path import folder_beside

    folder = folder_beside(out, "warmup", ["*"])  # a run folder, which `warm_up` checks
    own = config.model_copy(update={"epochs": None, "learning_rate": None, "calibrate": False})
    encoder = warm_up(text, data=examples, out=folder, config=own, overwrite=overwrite)
    return config.model_copy(update={"encoder": str(encoder), "reinit_layers": 0})


def _names_a_run(data: str, out: Path | None) -> bool:
    """True if DATA, given with --resume, is a run folder or cannot be data."""
    from acceptor.data.corpora import CORPORA
    from acceptor.runs.folder import refuse_set
    from acceptor.runs.out_path import is_run

    path = user_path(data)
    refuse_set(path)
    return is_run(path) or (out is None and data not in CORPORA and not path.exists())


def _refuse_known(context: typer.Context, run: str) -> None:
    """Refuses options for data: a resumed run uses its own data."""
    known = ("out", "validation", "test", "extra", *READING, "warmup_text", "overwrite")
    given = ["data" if name == "folder" else name for name in known if context.params[name]]
    if given:
        options = [f"--{name.replace('_', '-')}" for name in given]
        raise UsageError(
            "a training is resumed with the data and the folder of its start",
            where=run,
            expected="no " + " and no ".join(options),
            next=f"acceptor train {shell(run)} --resume",
            code="E-USAGE-CONFLICT",
        )


def _cross_validate(
    examples: Any, cv: str, out: Path, config: Any, processes: int, overwrite: bool, as_json: bool
) -> None:
    from acceptor.cli import render
    from acceptor.experiments.folds import cross_validate

    folds = cross_validate(
        examples,
        by=int(cv) if cv.isdecimal() else cv,
        out=out,
        config=config,
        processes=processes,
        overwrite=overwrite,
    )
    answer(folds.to_dict(), render.folds_text(folds), as_json)
    if folds.count("failed"):
        raise typer.Exit(1)
