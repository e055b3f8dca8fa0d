"""`acceptor evaluate`, `predict` and `judge`."""

from __future__ import annotations

import io
import itertools
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import typer

from acceptor.cli.options import (
    OUTPUTS,
    AsJson,
    Columns,
    Device,
    JudgePath,
    OfColumn,
    Overwrite,
    Precision,
    Separator,
    Why,
    columns_of,
    is_column,
    separator_of,
    shard_of,
    takes_reading,
)
from acceptor.cli.output import answer, say
from acceptor.errors import UsageError, check_installed
from acceptor.text import plain, shell, typed

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from acceptor.data.table import Table
    from acceptor.evaluation.evaluate import Report
    from acceptor.judging.judge import Judge
    from acceptor.judging.rows import PredictSettings
    from acceptor.judging.tally import Tally


class _How(TypedDict):
    """What judging with and without Ray take alike."""

    device: str | None
    precision: str | None
    overwrite: bool


@takes_reading
def evaluate(
    run: JudgePath,
    data: Annotated[str, typer.Argument(metavar="DATA", help="a file; or a corpus, for its test split")],
    reading: Any = None,
    of_column: OfColumn = None,
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
    predictions: Annotated[Path | None, typer.Option(help=f"file for all verdicts ({OUTPUTS})")] = None,
    errors: Annotated[int | None, typer.Option(min=1, help="show the N errors of which the judge was surest")] = None,
    why: Why = None,
    device: Device = None,
    precision: Precision = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Score a run on labelled sentences: MCC with its interval, confusion, parts."""
    from acceptor.cli import render
    from acceptor.data.load import load_split
    from acceptor.data.reading.inputs import files_in, refuse_inputs
    from acceptor.data.writing.write import check_output, write_table
    from acceptor.evaluation.evaluate import evaluate
    from acceptor.judging.load import load

    if predictions:
        check_output(predictions, overwrite=overwrite)
    if figures:
        check_installed("matplotlib")
    _check_why(why, shown=errors is not None)
    judge = load(run, device=device, precision=precision)
    split = load_split(data, judge.labels, **reading, of_column=is_column(of_column), written=judge.written)
    if predictions:
        refuse_inputs([predictions], [split.table.origin, *files_in(run), *files_in(annotations)])
    report = evaluate(judge, split)
    content, text = report.to_dict(), [*render.report_text(report)]
    _slice(report, by or [], annotations, content, text)
    if per_batch:
        _per_batch(report, per_batch, figures, f"{run.name} on {Path(split.table.origin).name}", content, text)
    if errors:
        content["errors"], lines = _errors(judge, report, errors, why)
        text += ["", *lines]
    if predictions:
        write_table(report.predictions(), predictions)
        text.append(f"\nverdicts: {predictions}")
    answer(content, text, as_json)


def _slice(report: Report, by: list[str], annotations: Path | None, content: dict[str, Any], text: list[Any]) -> None:
    """Adds the slices that were asked for to what is answered."""
    from acceptor.cli import render
    from acceptor.data.annotations import read_annotations
    from acceptor.evaluation.slices import slices

    parts = {name: slices(report, name) for name in by}
    told: list[Any] = []
    if annotations:
        joined = read_annotations(annotations, report.split)
        content["annotations"] = joined.to_dict(report.split)
        told += render.annotations_text(content["annotations"])
        parts |= {name: slices(report, features) for name, features in joined.features.items()}
    if parts:
        content["slices"] = {name: [part.to_dict() for part in found] for name, found in parts.items()}
    text += told
    for name, found in parts.items():
        text += ["", render.slices_table(name, found)]


def _per_batch(
    report: Report, size: int, figures: Path | None, title: str, content: dict[str, Any], text: list[Any]
) -> None:
    """Adds the scores of every run of ``size`` examples, and their figure where it is asked for."""
    from acceptor.cli import render

    batches = report.per_batch(size)
    content["per_batch"] = [scores.to_dict() for scores in batches]
    text += ["", render.scores_table(f"batch of {size}", {str(i): s for i, s in enumerate(batches, 1)})]
    if figures:
        from acceptor.report.figures import per_batch_figure, save_figure

        save_figure(per_batch_figure(batches, report.scores, size, title), figures, "per_batch")
        text.append(f"\nfigure: {figures / 'per_batch.svg'}")


def _check_why(why: str | None, *, shown: bool) -> None:
    if why is None:
        return
    from acceptor.evaluation.words import check_method

    if not shown:
        raise UsageError("--why weighs the words of errors, and none are shown", next="add --errors 20")
    check_method(why)


def _errors(judge: Judge, report: Report, k: int, why: str | None) -> tuple[list[dict[str, Any]], list[Any]]:
    """The worst errors as data and as text, with the weights of their words."""
    from acceptor.cli import render

    worst = report.worst(k)
    rows = worst.to_dicts()
    if why is None or not rows:
        return rows, [*render.errors_text(worst)]
    if "second" in worst.columns:
        raise UsageError("--why weighs the words of single sentences; these are pairs", next="leave --why out")
    from acceptor.evaluation.words import explain

    explained = explain(judge, worst["sentence"].to_list(), method=why)
    for row, one in zip(rows, explained, strict=True):
        row |= {"words": one.words, "weights": one.weights, "method": why, "completeness_error": one.error}
    return rows, [*render.errors_text(worst, explained)]


def predict(
    run: JudgePath,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE…", help="sentences: files, folders, patterns; - for lines on stdin")
    ],
    out: Annotated[str | None, typer.Option("--out", "-o", help=f"file to write ({OUTPUTS}); - for JSON lines")] = None,
    columns: Columns = None,
    separator: Separator = None,
    all_scores: Annotated[bool, typer.Option("--all-scores", help="also every label's probability and logit")] = False,
    where: Annotated[str | None, typer.Option(help='write these rows only: "probability >= .8"')] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split-sentences", metavar="LANGUAGE", help="texts are documents in en, de, …: judge their sentences"
        ),
    ] = None,
    shard: Annotated[str | None, typer.Option(help="K/N: the K-th of N jobs; then once without it, to join")] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="CLUSTER", help="judge on Ray into a folder of parts: local, auto or HOST:PORT"),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Ray's judging processes [one a GPU, else a CPU]")] = None,
    device: Device = None,
    precision: Precision = None,
    spreadsheet_safe: Annotated[
        bool, typer.Option("--spreadsheet-safe", help="a .csv in which no text is taken for a formula, not exact")
    ] = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Judge sentences: one file on the terminal; any number of any size into a file, all columns kept."""
    from acceptor.judging.predict import check_spreadsheet_safe
    from acceptor.judging.rows import PredictSettings

    settings = PredictSettings(columns_of(columns), where, all_scores, spreadsheet_safe, split, separator_of(separator))
    check_spreadsheet_safe(settings, out or "no file")
    _check_ray(ray, workers, shard, split, out)
    if out is None:
        if where or split or shard or ray or files[1:] or files == ["-"]:
            raise UsageError(
                "this needs an output", expected="-o FILE, or -o - for JSON lines on stdout", code="E-USAGE-OPTION"
            )
        _predict_on_terminal(run, files[0], settings, device, precision, as_json)
        return
    how: _How = {"device": device, "precision": precision, "overwrite": overwrite}
    if ray:
        from acceptor.integrations import ray as on_ray

        tally = on_ray.predict(run, files, out, settings, cluster=ray, workers=workers, **how)
    else:
        from acceptor.judging.predict import predict as predict_files

        tally = predict_files(run, files, out=out, **vars(settings), shard=shard_of(shard), **how)
    _print_tally(tally, out, f"{out}/_rejected" if ray else f"{out}.rejected.jsonl", shard, as_json)


def _print_tally(tally: Tally, out: str, rejected: str, shard: str | None, as_json: bool) -> None:
    """What became of all rows, or of a shard's. Exit code 1 where none could be judged."""
    if shard:
        text = f"shard {shard} is done ({tally}); when all are: the same command without --shard"
        answer({"shard": shard, **tally.to_dict()}, [text], as_json)
    elif out == "-":
        typer.echo(str(tally), err=True)
        if tally.rejected and not tally.written + tally.left_out:
            raise typer.Exit(1)
    else:
        content = {**tally.to_dict(), "out": out}
        tally.check_any_judged(rejected)
        answer(content, [f"{tally.written} verdicts: {out}", f"{tally}; {tally.judged:,} judged"], as_json)


def _check_ray(ray: str | None, workers: int | None, shard: str | None, split: str | None, out: str | None) -> None:
    if workers and not ray:
        raise UsageError("--workers are Ray's", next="add --ray local; without Ray the threads are OMP_NUM_THREADS")
    if ray and shard:
        raise UsageError("--ray shares the work itself", found=f"--shard {shard}", next="leave one of them out")
    if ray and split:
        raise UsageError(
            "Ray's workers take rows as sentences", found=f"--split-sentences {split}", next="cut them without --ray"
        )
    if ray and out == "-":
        raise UsageError("Ray's workers do not write to this terminal", expected="-o FOLDER.jsonl", found="-o -")


def _predict_on_terminal(
    run: Path, file: str, settings: PredictSettings, device: str | None, precision: str | None, as_json: bool
) -> None:
    from acceptor.data.reading.read import read_table
    from acceptor.judging.load import load

    judge = load(run, device=device, precision=precision)
    table = read_table(file, **settings.reading)
    logger.info("%s: %s · %s rows", table.origin, table.schema, f"{len(table):,}")
    _print_verdicts(judge, table, as_json, all_scores=settings.all_scores)


def _print_verdicts(judge: Judge, table: Table, as_json: bool, *, all_scores: bool) -> None:
    """Judges a table, and shows its texts, labels and verdicts; all columns in JSON."""
    from acceptor.cli import render
    from acceptor.judging.rows import judged_table

    frame = judged_table(judge, table, all_scores=all_scores)
    shown = [
        name  # as it is called in the file
        for name, role in zip(frame.columns, table.frame.columns, strict=False)
        if role in ("sentence", "second", "label")
    ]
    answer({"verdicts": frame.to_dicts()}, [render.verdict_table(frame, judge.labels, shown)], as_json)


def judge(
    run: JudgePath,
    sentences: Annotated[
        list[str] | None, typer.Argument(metavar="[SENTENCE]…", help="none: an interactive prompt")
    ] = None,
    why: Why = None,
    device: Device = None,
    precision: Precision = None,
    as_json: AsJson = False,
) -> None:
    """Judge sentences given on the command line, or typed one a line."""
    from acceptor.data.reading.read import read_table
    from acceptor.judging.load import load

    sentences = [typed(sentence) for sentence in sentences or []]
    if why is not None:
        _explain(run, sentences, why, device, precision, as_json)
        return
    acceptor = load(run, device=device, precision=precision)
    if sentences:
        _print_verdicts(acceptor, read_table(sentences), as_json, all_scores=True)
        return
    if acceptor.inputs == "pairs":
        raise UsageError(
            "this judge learnt pairs of sentences; what is typed is one sentence a line",
            next=f"put them in a file with two columns: acceptor predict {shell(run)} FILE",
        )
    blank = 0
    for line in _typed_lines(acceptor):
        if not line.strip():
            blank += 1
            continue
        verdict = acceptor([line])[0]
        mark = "  (not all of it is known to the encoder)" if verdict.unknown else ""
        content = {"sentence": line, **verdict.to_dict()}
        say(content, [f"{verdict.label} {verdict.probability:.3f}{mark}"], as_json)
    if blank:
        typer.echo(f"{blank} blank {'line' if blank == 1 else 'lines'} passed over", err=True)


def _typed_lines(judge: Judge) -> Iterator[str]:
    """The lines of standard input: at a terminal up to the first blank one, from a pipe or a file all of them."""
    from acceptor.data.reading.decode import text_blocks

    if sys.stdin.isatty():
        typer.echo(plain(f"{judge!r}; one sentence a line, an empty line ends"), err=True)
        yield from itertools.takewhile(str.strip, (line.rstrip("\r\n") for line in sys.stdin))
        return
    stream = getattr(sys.stdin, "buffer", None) or io.BytesIO(sys.stdin.read().encode())
    if first := stream.readline():  # line by line: whoever writes may wait for the answer
        for block in text_blocks(itertools.chain([first], iter(stream.readline, b"")), "standard input"):
            yield from (line.removesuffix("\r") for line in block.removesuffix("\n").split("\n") if block)


def _explain(
    run: Path, sentences: list[str], why: str, device: str | None, precision: str | None, as_json: bool
) -> None:
    from acceptor.cli import render
    from acceptor.evaluation.words import check_method, explain
    from acceptor.judging.load import load

    if not sentences:
        raise UsageError(
            "--why needs the sentences on the command line", next=f'acceptor judge {shell(run)} "…" --why {why}'
        )
    check_method(why)
    explained = explain(load(run, device=device, precision=precision), sentences, method=why)
    text = [part for one in explained for part in render.explanation_text(one)]
    answer({"explanations": [one.to_dict() for one in explained]}, text, as_json)
