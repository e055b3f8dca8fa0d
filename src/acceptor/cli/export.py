"""`acceptor export`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from acceptor.cli.options import DATA, OUTPUT, AsJson, Overwrite, Quiet, RunPath, takes_reading
from acceptor.cli.output import answer
from acceptor.errors import UsageError
from acceptor.storage.files import user_path

EXAMPLES = (
    "acceptor export runs/starter-minilm -o judge.onnx --verify starter",
    "acceptor export runs/starter-minilm -o judge/ --bake",
    "acceptor export runs/starter-minilm -o judge.html --verify starter",
)

Out = Annotated[
    str,
    typer.Option(
        "--out",
        "-o",
        metavar="PATH",
        help="what to write: judge.onnx, a file; judge/, a Hugging Face folder; or judge.html, a page",
        rich_help_panel=OUTPUT,
    ),
]
ExportPrecision = Annotated[
    str | None,
    typer.Option(
        help="fp32, or int8: smaller and faster, and some verdicts change [fp32; int8 in a page]",
        rich_help_panel=OUTPUT,
    ),
]
Bake = Annotated[
    bool,
    typer.Option(
        "--bake",
        help="write temperature and threshold into the weights, so that other programs give the same verdicts",
        rich_help_panel=OUTPUT,
    ),
]
Verify = Annotated[
    str | None,
    typer.Option(
        help="labelled sentences to compare verdicts on: a file; or a corpus, its test split", rich_help_panel=DATA
    ),
]
Runtime = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", help="for a page: npm's folder with onnxruntime-web [node_modules]", rich_help_panel=OUTPUT
    ),
]


@takes_reading
def export(
    run: RunPath,
    out: Out,
    precision: ExportPrecision = None,
    bake: Bake = False,
    verify: Verify = None,
    runtime: Runtime = None,
    reading: Any = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write a run as one ONNX file, a Hugging Face folder or a page.

    In fp32 it is refused if logits differ by more than 1e-4; in int8, if the MCC on --verify is significantly lower or
    not defined.
    """
    from acceptor.cli import render
    from acceptor.data.load import load_split
    from acceptor.data.reading.input_files import files_in, refuse_inputs
    from acceptor.exporting.export import export
    from acceptor.exporting.page import export_page
    from acceptor.judging.load import load
    from acceptor.runs.export_file import export_file_of

    path = user_path(out)
    if not path.name:
        raise UsageError(
            "the output has no name", expected="judge.onnx, judge/ or judge.html", found=out, code="E-USAGE-OUTPUT"
        )
    is_page = path.suffix.lower() == ".html"
    _check_form(is_page, out, bake, runtime)
    judge = load(run, device="cpu", precision="fp32")
    split = load_split(verify, judge.labels, **reading, written=judge.written) if verify else None
    refuse_inputs([path, export_file_of(path)], [*files_in(run), *([split.table.origin] if split else [])])
    if is_page:
        runtime = runtime or Path("node_modules")
        name, precision = run.resolve().name, precision or "int8"
        found = export_page(
            judge, path, name=name, precision=precision, verify=split, runtime=runtime, overwrite=overwrite
        )
    else:
        found = export(judge, out, precision=precision or "fp32", bake=bake, verify=split, overwrite=overwrite)
    text = render.export_text(found, sentence=_sentence_for(run, judge.labels), pairs=judge.inputs == "pairs")
    answer(found.to_dict(), text, as_json)


def _check_form(is_page: bool, out: str, bake: bool, runtime: Path | None) -> None:
    """Refuses options that the form of the output has no use for."""
    if is_page and bake:
        raise UsageError(
            "a page is not baked: it has the temperature and the threshold itself",
            next="leave --bake out",
            code="E-USAGE-CONFLICT",
        )
    if runtime and not is_page:
        raise UsageError(
            "only a page has a runtime in it",
            expected="-o judge.html",
            found=f"-o {out} --runtime {runtime}",
            next="leave --runtime out; or write a page",
            code="E-USAGE-CONFLICT",
        )


def _sentence_for(run: Path, labels: Sequence[str]) -> str:
    """One of those that the run was scored on, or one like them; a Hugging Face folder has none."""
    from acceptor.data.table import example_of
    from acceptor.runs.predictions import PREDICTIONS_FILE, read_predictions

    known = (run / PREDICTIONS_FILE).is_file()
    return example_of(read_predictions(run)["sentence"], labels) if known else "…"
