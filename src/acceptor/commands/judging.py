"""`acceptor evaluate`, `predict` and `judge`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acceptor.commands.answer import answer
from acceptor.commands.options import (
    AsJson,
    Columns,
    Device,
    Folder,
    Overwrite,
    Precision,
    RunPath,
    columns_of,
    shard_of,
)
from acceptor.errors import UsageError
from acceptor.text import plain

if TYPE_CHECKING:
    from acceptor.evaluation.evaluate import Report


def evaluate(
    run: RunPath,
    data: Annotated[str, typer.Argument(metavar="DATA", help="a file; or a corpus, for its test split")],
    folder: Folder = None,
    columns: Columns = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="also score each value of a column; or length, label; or a,b,c of 0 and 1; can be repeated"),
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="a file or folder of features of the same rows, such as CoLA's phenomena")
    ] = None,
    per_batch: Annotated[
        int | None, typer.Option(min=2, help="also score every N examples, as the chapter does")
    ] = None,
    figures: Annotated[Path | None, typer.Option(help="folder for the per-batch figure")] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="file for all verdicts (.tsv, .csv, .jsonl, .parquet)")
    ] = None,
    device: Device = None,
    precision: Precision = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Score a run on labelled sentences: MCC with its interval, confusion, parts."""
    from acceptor import terminal
    from acceptor.data.load import load_split
    from acceptor.data.write import check_output, write_table
    from acceptor.evaluation.evaluate import evaluate
    from acceptor.judge import load

    if predictions:
        check_output(predictions, overwrite=overwrite)
    judge = load(run, device=device, precision=precision)
    split = load_split(data, judge.labels, columns=columns_of(columns), folder=folder)
    report = evaluate(judge, split)
    content, text = report.to_dict(), [*terminal.report_text(report)]
    _slice(report, by or [], annotations, content, text)
    if per_batch:
        batches = report.per_batch(per_batch)
        content["per_batch"] = [scores.to_dict() for scores in batches]
        text += [
            "",
            terminal.scores_table(f"batch of {per_batch}", {str(i): s for i, s in enumerate(batches, 1)}),
        ]
        if figures:
            from acceptor.report.figures import per_batch_figure, save_figure

            title = f"{run.name} on {Path(split.table.origin).name}"
            save_figure(per_batch_figure(batches, report.scores, per_batch, title), figures, "per_batch")
            text.append(f"\nfigure: {figures / 'per_batch.svg'}")
    if predictions:
        write_table(report.predictions(), predictions)
        text.append(f"\nverdicts: {predictions}")
    answer(content, text, as_json)


def _slice(report: Report, by: list[str], annotations: Path | None, content: dict[str, Any], text: list[Any]) -> None:
    """Adds the slices that were asked for to what is answered."""
    from acceptor import terminal
    from acceptor.data.annotations import read_annotations
    from acceptor.evaluation.slices import slices

    parts = {name: slices(report, name) for name in by}
    told: list[Any] = []
    if annotations:
        joined = read_annotations(annotations, report.split)
        content["annotations"] = joined.to_dict(report.split)
        told += terminal.annotations_text(content["annotations"])
        parts |= {name: slices(report, features) for name, features in joined.features.items()}
    if parts:
        content["slices"] = {name: [part.to_dict() for part in found] for name, found in parts.items()}
    text += told
    for name, found in parts.items():
        text += ["", terminal.slices_table(name, found)]


def predict(
    run: RunPath,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE…", help="sentences: files, folders, patterns; - for lines on stdin")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="file to write (.tsv .csv .jsonl .parquet); - for JSON lines")
    ] = None,
    columns: Columns = None,
    all_scores: Annotated[bool, typer.Option("--all-scores", help="write every label's probability and logit")] = False,
    where: Annotated[str | None, typer.Option(help='write these rows only: "probability >= .8"')] = None,
    shard: Annotated[str | None, typer.Option(help="K/N: the K-th of N jobs; then once without it, to join")] = None,
    device: Device = None,
    precision: Precision = None,
    spreadsheet_safe: Annotated[
        bool, typer.Option("--spreadsheet-safe", help="a .csv in which no text is taken for a formula, not exact")
    ] = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Judge sentences: one file on the terminal; any number of any size into a file, all columns kept."""
    if spreadsheet_safe and (out is None or out.suffix != ".csv"):
        raise UsageError("--spreadsheet-safe is for CSV", expected="-o FILE.csv", found=str(out or "no file"))
    if out is None:
        if where or shard or all_scores or files[1:] or files == ["-"]:
            raise UsageError("this needs an output", expected="-o FILE, or -o - for JSON lines on stdout")
        _predict_on_terminal(run, files[0], columns, device, precision, as_json)
        return
    from acceptor import corpus

    settings = corpus.Settings(columns_of(columns), where, all_scores, spreadsheet_safe)
    tally = corpus.predict(
        run, files, out, settings, device=device, precision=precision, shard=shard_of(shard), overwrite=overwrite
    )
    if tally is None:
        answer({"shard": shard}, [f"shard {shard} is done; when all are: the same command without --shard"], as_json)
    elif str(out) == "-":
        typer.echo(str(tally), err=True)
    else:
        content = {**vars(tally), "out": str(out)}
        answer(content, [f"{tally.written} verdicts: {out}", f"{tally}; {tally.judged:,} judged"], as_json)


def _predict_on_terminal(
    run: Path, file: str, columns: str | None, device: str | None, precision: str | None, as_json: bool
) -> None:
    from acceptor import terminal
    from acceptor.data.read import read_table
    from acceptor.judge import annotate, load

    judge = load(run, device=device, precision=precision)
    frame = annotate(judge, read_table(file, columns=columns_of(columns)))
    answer({"verdicts": frame.to_dicts()}, [terminal.verdict_table(frame, judge.labels)], as_json)


def judge(
    run: RunPath,
    sentences: Annotated[
        list[str] | None, typer.Argument(metavar="[SENTENCE]…", help="none: an interactive prompt")
    ] = None,
    device: Device = None,
    precision: Precision = None,
    as_json: AsJson = False,
) -> None:
    """Judge sentences given on the command line, or typed one a line."""
    from acceptor import terminal
    from acceptor.data.read import read_table
    from acceptor.judge import annotate, load

    acceptor = load(run, device=device, precision=precision)
    if sentences:
        frame = annotate(acceptor, read_table(sentences))
        answer({"verdicts": frame.to_dicts()}, [terminal.verdict_table(frame, acceptor.labels)], as_json)
        return
    if sys.stdin.isatty():
        typer.echo(plain(f"{acceptor!r}; one sentence a line, an empty line ends"), err=True)
    for line in sys.stdin:
        if not line.strip():
            break
        verdict = acceptor([line.rstrip("\n")])[0]
        content = {"sentence": line.rstrip("\n"), **verdict.to_dict()}
        answer(content, [f"{verdict.label} {verdict.probability:.3f}"], as_json)
