"""`acceptor report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acceptor.cli.options import OUTPUT, AsJson, Quiet
from acceptor.cli.output import answer

EXAMPLES = (
    "acceptor report runs/starter-minilm",
    "acceptor report runs/starter-minilm runs/starter-mpnet -o both.html --why 5",
)


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="run folders, or folders of seeds")],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", help="the page to write [RUN/report.html; of several: report.html]", rich_help_panel=OUTPUT
        ),
    ] = None,
    why: Annotated[
        int, typer.Option(metavar="N", min=0, help="explain the N most confident errors", rich_help_panel=OUTPUT)
    ] = 0,
    figures: Annotated[
        bool,
        typer.Option(
            help="also write SVG and PNG figures: to RUN/figures; for a page NAME.html elsewhere, NAME-figures",
            rich_help_panel=OUTPUT,
        ),
    ] = True,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write one self-contained HTML page about a run, or several side by side.

    By default the page of one run is written into its folder; the files of the training are not changed.
    """
    from acceptor.data.reading.input_files import files_in, refuse_inputs
    from acceptor.report.html import write_report
    from acceptor.runs.report_file import REPORT_PAGE

    out = out or (runs[0] / REPORT_PAGE if len(runs) == 1 else Path(REPORT_PAGE))
    read = [path for run in runs for path in files_in(run)]
    refuse_inputs([out], [path for path in read if path.name != REPORT_PAGE])
    page = write_report(runs, out, why=why, figures=figures)
    size = page.stat().st_size
    content = {"report": str(page), "runs": [str(run) for run in runs], "bytes": size}
    answer(content, [f"written: {page} ({size / 1e6:.1f} MB); open it in a browser"], as_json)
