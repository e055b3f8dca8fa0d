"""`acceptor predict`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from acceptor.cli.options import (
    DATA,
    MACHINE,
    OUTPUT,
    OUTPUTS,
    AsJson,
    Columns,
    Device,
    JudgePath,
    Overwrite,
    Precision,
    Quiet,
    Separator,
    columns_of,
    refuse_vain_overwrite,
    separator_of,
    shard_of,
)
from acceptor.cli.output import answer
from acceptor.errors import DataError, UsageError

logger = logging.getLogger(__name__)

Out = Annotated[
    str | None,
    typer.Option("--out", "-o", help=f"file to write ({OUTPUTS}); - for JSON lines", rich_help_panel=OUTPUT),
]
AllScores = Annotated[
    bool, typer.Option("--all-scores", help="every label's probability and logit too", rich_help_panel=OUTPUT)
]
Where = Annotated[
    str | None,
    typer.Option(
        help="write only these rows: \"verdict = 'acceptable' and probability >= .8\"", rich_help_panel=OUTPUT
    ),
]
SplitSentences = Annotated[
    str | None,
    typer.Option(
        "--split-sentences",
        metavar="LANGUAGE",
        help="the texts are documents in en, de, …: judge their sentences",
        rich_help_panel=DATA,
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(
        help="K/N: run as job K of N, by blocks of 262,144 rows; then run once without it, to join",
        rich_help_panel=MACHINE,
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="CLUSTER",
        help="judge on Ray into a folder of parts: local, auto or HOST:PORT",
        rich_help_panel=MACHINE,
    ),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Ray's judging processes [one a GPU, else a CPU]", rich_help_panel=MACHINE)
]
SpreadsheetSafe = Annotated[
    bool,
    typer.Option(
        "--spreadsheet-safe",
        help="in a .csv, escape texts that a spreadsheet reads as formulas",
        rich_help_panel=OUTPUT,
    ),
]

EXAMPLES = (
    "acceptor predict runs/starter-minilm sentences.txt -o verdicts.jsonl",
    "acceptor predict judge.onnx a.csv -o ok.csv --where \"verdict = 'acceptable'\"",
    "acceptor predict runs/starter-minilm - -o - < sentences.txt",
)

if TYPE_CHECKING:
    from acceptor.data.table import Table
    from acceptor.judging.judge import Judge
    from acceptor.judging.rows import PredictSettings
    from acceptor.judging.tally import Tally


class _PredictArguments(TypedDict):
    """Arguments of `predict` with and without Ray."""

    device: str | None
    precision: str | None
    overwrite: bool


def predict(
    run: JudgePath,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="sentences: files, folders, patterns; - for lines on stdin")
    ],
    out: Out = None,
    columns: Columns = None,
    separator: Separator = None,
    all_scores: AllScores = False,
    where: Where = None,
    split: SplitSentences = None,
    shard: Shard = None,
    ray: Ray = None,
    workers: Workers = None,
    device: Device = None,
    precision: Precision = None,
    spreadsheet_safe: SpreadsheetSafe = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Judge the sentences of one file and show the verdicts; with -o, of any number of files of any size.

    The output file keeps all columns of the input.
    """
    from acceptor.judging.arguments import check_spreadsheet_safe
    from acceptor.judging.rows import PredictSettings

    settings = PredictSettings(columns_of(columns), where, all_scores, spreadsheet_safe, split, separator_of(separator))
    check_spreadsheet_safe(settings, out or "no file")
    _check_ray(ray, workers, shard, split, out)
    refuse_vain_overwrite(overwrite, out not in (None, "-"), option="-o FILE")
    if out == "-" and as_json:
        raise UsageError(
            "-o - writes JSON lines, so it excludes --json",
            found="-o - --json",
            next="leave --json out; or give a file, -o FILE, and --json prints the counts of its rows",
            code="E-USAGE-CONFLICT",
        )
    if out is None:
        need: dict[str, object] = {"--where": where, "--split-sentences": split, "--shard": shard, "--ray": ray}
        need |= {"more than one file": files[1:], "stdin": files == ["-"]}
        if name := next((name for name, given in need.items() if given), None):
            raise UsageError(
                f"{name} needs an output", expected="-o FILE, or -o - for JSON lines", code="E-USAGE-OUTPUT"
            )
        _predict_on_terminal(run, files[0], settings, device, precision, as_json)
        return
    how: _PredictArguments = {"device": device, "precision": precision, "overwrite": overwrite}
    if ray:
        from acceptor.integrations import ray as on_ray

        tally = on_ray.predict(run, files, out, settings, cluster=ray, workers=workers, **how)
    else:
        from acceptor.judging.predict import predict as predict_files

        tally = predict_files(run, files, out=out, **vars(settings), shard=shard_of(shard), **how)
    _print_tally(tally, out, f"{out}/_rejected" if ray else f"{out}.rejected.jsonl", shard, as_json)


def _print_tally(tally: Tally, out: str, rejected: str, shard: str | None, as_json: bool) -> None:
    """Prints how many rows were judged and rejected, of all or of a shard. Exits with 1 if none could be judged."""
    if shard:
        text = f"shard {shard} is done ({tally}); when all are: the same command without --shard"
        answer({"shard": shard, **tally.to_dict()}, [text], as_json)
    elif out == "-":
        lost = tally.rejected + tally.unread
        logger.log(logging.WARNING if lost else logging.INFO, "%s", tally)
        if lost and not tally.written + tally.left_out:
            raise typer.Exit(1)
    else:
        content = {**tally.to_dict(), "out": out}
        tally.check_any_judged(rejected)
        answer(content, [f"verdicts: {out}", f"{tally}; {tally.judged:,} judged"], as_json)


def _check_ray(ray: str | None, workers: int | None, shard: str | None, split: str | None, out: str | None) -> None:
    if workers and not ray:
        raise UsageError(
            "--workers needs --ray",
            next="add --ray local; without Ray the number of threads is OMP_NUM_THREADS",
            code="E-USAGE-CONFLICT",
        )
    if ray and shard:
        raise UsageError(
            "--ray divides the work itself, so it excludes --shard",
            found=f"--shard {shard}",
            next="leave one of them out",
            code="E-USAGE-CONFLICT",
        )
    if ray and split:
        raise UsageError(
            "with --ray every row is one sentence",
            found=f"--split-sentences {split}",
            next="split the documents without --ray",
            code="E-USAGE-CONFLICT",
        )
    if ray and out == "-":
        raise UsageError(
            "with --ray the output is a folder, not standard output",
            expected="-o FOLDER.jsonl",
            found="-o -",
            code="E-USAGE-CONFLICT",
        )


def _predict_on_terminal(
    run: Path, file: str, settings: PredictSettings, device: str | None, precision: str | None, as_json: bool
) -> None:
    from acceptor.data.reading.read import read_table
    from acceptor.judging.load import load

    try:
        table = read_table(file, **settings.reading)
    except DataError as error:
        if error.code == "E-DATA-TEXT":
            advice = (error.details.get("next"), "judge the other rows: -o FILE")
            error.add("next", "; or ".join(filter(None, advice)))
        raise
    judge = load(run, device=device, precision=precision)
    logger.info("%s: %s · %s rows", table.origin, table.schema, f"{len(table):,}")
    print_verdicts(judge, table, as_json, all_scores=settings.all_scores)


def print_verdicts(judge: Judge, table: Table, as_json: bool, *, all_scores: bool) -> None:
    """Judges a table and prints its texts, labels and verdicts; all columns in JSON."""
    from acceptor.cli import render
    from acceptor.judging.rows import judged_table

    frame = judged_table(judge, table, all_scores=all_scores)
    shown = [
        name  # as it is called in the file
        for name, role in zip(frame.columns, table.frame.columns, strict=False)
        if role in ("sentence", "second", "label")
    ]
    text = render.verdict_table(frame, judge.labels, shown, all_scores=all_scores)
    answer({"verdicts": frame.to_dicts()}, [text], as_json)
