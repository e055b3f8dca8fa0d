"""`acceptor export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from acceptor.cli.options import DATA, OUTPUT, AsJson, Overwrite, Quiet, RunPath, takes_reading
from acceptor.cli.output import answer

EXAMPLES = (
    "acceptor export runs/starter-minilm -o judge.onnx",
    "acceptor export runs/starter-minilm -o small.onnx --precision int8",
)


@takes_reading
def export(
    run: RunPath,
    out: Annotated[Path, typer.Option("--out", "-o", help="the file to write, judge.onnx", rich_help_panel=OUTPUT)],
    precision: Annotated[
        str, typer.Option(help="fp32, or int8: smaller and faster, and some verdicts change", rich_help_panel=OUTPUT)
    ] = "fp32",
    verify: Annotated[
        str | None,
        typer.Option(
            help="labelled sentences to compare verdicts on: a file; or a corpus, its test split", rich_help_panel=DATA
        ),
    ] = None,
    reading: Any = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write a run as one ONNX file for judging without torch; refused if logits differ by more than 1e-4."""
    from acceptor.cli import render
    from acceptor.data.load import load_split
    from acceptor.data.reading.input_files import files_in, refuse_inputs
    from acceptor.exporting.export import export
    from acceptor.judging.load import load
    from acceptor.runs.export_file import export_file_of

    judge = load(run, device="cpu", precision="fp32")
    split = load_split(verify, judge.labels, **reading, written=judge.written) if verify else None
    refuse_inputs([out, export_file_of(out)], [*files_in(run), *([split.table.origin] if split else [])])
    found = export(judge, out, precision=precision, verify=split, overwrite=overwrite)
    answer(found.to_dict(), render.export_text(found, pairs=judge.inputs == "pairs"), as_json)
