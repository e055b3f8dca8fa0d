"""`acceptor evaluate`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acceptor.cli.options import (
    DATA,
    OUTPUT,
    OUTPUTS,
    AsJson,
    Device,
    JudgePath,
    OfColumn,
    Overwrite,
    Precision,
    Quiet,
    Why,
    is_column,
    refuse_vain_overwrite,
    takes_reading,
)
from acceptor.cli.output import answer
from acceptor.errors import UsageError, check_installed

if TYPE_CHECKING:
    from acceptor.data.annotations import Annotations as Joined
    from acceptor.data.table import Split
    from acceptor.evaluation.evaluate import Report
    from acceptor.judging.judge import Judge


By = Annotated[
    list[str] | None,
    typer.Option(
        help="also score each value of a column; or by length or label; or columns a,b,c of 0 and 1; repeatable",
        rich_help_panel=OUTPUT,
    ),
]
Annotations = Annotated[
    Path | None,
    typer.Option(help="a file or folder of features of the same rows, such as CoLA's phenomena", rich_help_panel=DATA),
]
PerBatch = Annotated[
    int | None,
    typer.Option(min=2, help="also score every N examples, as the notebook chapter does", rich_help_panel=OUTPUT),
]
Figures = Annotated[Path | None, typer.Option(help="folder for the per-batch figure", rich_help_panel=OUTPUT)]
Predictions = Annotated[Path | None, typer.Option(help=f"file for all verdicts ({OUTPUTS})", rich_help_panel=OUTPUT)]
Errors = Annotated[int | None, typer.Option(min=1, help="show the N most confident errors", rich_help_panel=OUTPUT)]

logger = logging.getLogger(__name__)

PER_BATCH = "per_batch"  # the name of the figure's files

EXAMPLES = (
    "acceptor evaluate runs/starter-minilm starter --by phenomenon",
    "acceptor evaluate runs/starter-minilm test.tsv --errors 20 --why occlusion",
    "acceptor evaluate judge.onnx test.tsv --predictions verdicts.tsv",
)


@takes_reading
def evaluate(
    run: JudgePath,
    data: Annotated[str, typer.Argument(metavar="DATA", help="a file; or a corpus (its test split is used)")],
    reading: Any = None,
    of_column: OfColumn = None,
    by: By = None,
    annotations: Annotations = None,
    per_batch: PerBatch = None,
    figures: Figures = None,
    predictions: Predictions = None,
    errors: Errors = None,
    why: Why = None,
    device: Device = None,
    precision: Precision = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Score a run on labelled sentences: MCC with its interval, confusion matrix, slices."""
    from acceptor.cli import render
    from acceptor.data.annotations import read_annotations
    from acceptor.data.load import load_split
    from acceptor.data.reading.input_files import files_in, refuse_inputs
    from acceptor.data.writing.write import refuse_breaks, write_table
    from acceptor.evaluation.evaluate import blank_predictions, evaluate
    from acceptor.evaluation.slices import rows_by
    from acceptor.judging.load import load

    refuse_vain_overwrite(overwrite, predictions, figures, option="--predictions FILE")
    _check_outputs(predictions, figures, per_batch, overwrite=overwrite)
    _check_why(why, shown=errors is not None)
    judge = load(run, device=device, precision=precision)
    split = load_split(data, judge.labels, **reading, of_column=is_column(of_column), written=judge.written)
    _refuse_why_of_pairs(why, split)
    if predictions:
        refuse_inputs([predictions], [split.table.origin, *files_in(run), *files_in(annotations)])
        refuse_breaks(blank_predictions(split), predictions)  # columns and cells that cannot be written
    _warn_of_a_length(by or [], split)
    for name in by or []:
        rows_by(split, name)  # refuses what is no column of groups, before the split is judged
    joined = read_annotations(annotations, split) if annotations else None
    report = evaluate(judge, split)
    if predictions:
        write_table(report.predictions(), predictions)
    content, text = report.to_dict(), [*render.report_text(report)]
    _slice(report, by or [], joined, content, text)
    if per_batch:
        _per_batch(report, per_batch, figures, f"{run.name} on {Path(split.table.origin).name}", content, text)
    if errors:
        content["errors"], lines = _errors(judge, report, errors, why)
        text += ["", *lines]
    if predictions:
        text.append(f"\nverdicts: {predictions}")
    answer(content, text, as_json)


def _warn_of_a_length(by: list[str], split: Split) -> None:
    if "length" in by and "length" in split.table.frame.columns:
        logger.warning(
            "--by length is the column of that name; for bands of words give it another name: --columns other=length"
        )


def _check_outputs(predictions: Path | None, figures: Path | None, per_batch: int | None, *, overwrite: bool) -> None:
    from acceptor.data.writing.write import check_free, check_output

    if predictions:
        check_output(predictions, overwrite=overwrite)
    if figures:
        if not per_batch:
            raise UsageError(
                "--figures draws the scores of --per-batch", next="add --per-batch N", code="E-USAGE-CONFLICT"
            )
        check_installed("matplotlib")
        for suffix in (".svg", ".png"):
            check_free(figures / f"{PER_BATCH}{suffix}", overwrite=overwrite)


def _slice(report: Report, by: list[str], joined: Joined | None, content: dict[str, Any], text: list[Any]) -> None:
    """Adds the requested slices to the output."""
    from acceptor.cli import render
    from acceptor.evaluation.slices import slices

    found = {name: slices(report, name) for name in by}
    if joined:
        content["annotations"] = joined.to_dict(report.split)
        text += render.annotations_text(content["annotations"])
        found |= {name: slices(report, features) for name, features in joined.features.items()}
    if found:
        content["slices"] = {name: [part.to_dict() for part in some] for name, some in found.items()}
    for name, some in found.items():
        text += ["", render.slices_table(name, some)]


def _per_batch(
    report: Report, size: int, figures: Path | None, title: str, content: dict[str, Any], text: list[Any]
) -> None:
    """Adds the scores of each batch of ``size`` examples, and their figure if requested."""
    from acceptor.cli import render

    batches = report.per_batch(size)
    content["per_batch"] = [scores.to_dict() for scores in batches]
    text += ["", render.scores_table(f"batch of {size}", {str(i): s for i, s in enumerate(batches, 1)})]
    if figures:
        from acceptor.report.figures import per_batch_figure, save_figure
        from acceptor.storage.files import explain_full_disk, explain_write_errors

        with explain_write_errors(figures), explain_full_disk(figures):
            save_figure(per_batch_figure(batches, report.scores, size, title), figures, PER_BATCH)
        text.append(f"\nfigure: {figures / PER_BATCH}.svg")


def _check_why(why: str | None, *, shown: bool) -> None:
    if why is None:
        return
    from acceptor.evaluation.words import check_method

    if not shown:
        raise UsageError(
            "--why needs errors to explain: --errors is missing", next="add --errors 20", code="E-USAGE-CONFLICT"
        )
    check_method(why)


def _refuse_why_of_pairs(why: str | None, split: Split) -> None:
    if why is not None and split.seconds is not None:
        raise UsageError(
            "--why explains single sentences; these are pairs", next="leave --why out", code="E-USAGE-PAIRS"
        )


def _errors(judge: Judge, report: Report, k: int, why: str | None) -> tuple[list[dict[str, Any]], list[Any]]:
    """The worst errors as data and as text, with the weights of their words."""
    from acceptor.cli import render

    worst = report.worst(k)
    rows = worst.to_dicts()
    if why is None or not rows:
        return rows, [*render.errors_text(worst)]
    from acceptor.evaluation.words import explain

    explained = explain(judge, worst["sentence"].to_list(), method=why)
    for row, one in zip(rows, explained, strict=True):
        row |= {"words": one.words, "weights": one.weights, "method": why, "completeness_error": one.error}
    return rows, [*render.errors_text(worst, explained)]
