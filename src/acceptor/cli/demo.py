"""`acceptor demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acceptor.cli.options import OUTPUT, AsJson, Overwrite, Quiet
from acceptor.cli.output import answer
from acceptor.storage.files import user_path

EXAMPLES = (
    "acceptor demo",
    "acceptor demo --out runs/mine --quiet",
)


def demo(
    out: Annotated[Path, typer.Option(help="the run folder to make", rich_help_panel=OUTPUT)] = Path("runs/demo"),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train a judge of English in a few minutes, without a network, and try it on twenty plain pairs of sentences.

    The corpus and the encoder come with Acceptor. Resumes if it was stopped; a finished run is tried again.
    """
    from acceptor.cli import render
    from acceptor.config import TrainConfig
    from acceptor.evaluation.pairs import pairs
    from acceptor.judging.load import load
    from acceptor.report.html import write_own_report
    from acceptor.runs.checkpoint import has_checkpoint
    from acceptor.runs.folder import is_finished
    from acceptor.runs.report_file import REPORT_PAGE
    from acceptor.training.train import train

    out = user_path(out)
    if overwrite or not is_finished(out):
        config = TrainConfig(encoder="minilm")
        train("starter", out=out, config=config, overwrite=overwrite, resume=not overwrite and has_checkpoint(out))
    if overwrite or not (out / REPORT_PAGE).exists():
        write_own_report(out)
    judge = load(out)
    found = pairs(judge, "plain")
    good, bad = (found.frame[column].to_list() for column in ("sentence_good", "sentence_bad"))
    text = [*render.demo_text(good, judge(good), bad, judge(bad), found), *render.demo_next(out)]
    answer(found.to_dict(), text, as_json)
