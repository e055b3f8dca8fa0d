"""`acceptor judge`."""

from __future__ import annotations

import io
import itertools
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from acceptor.cli.options import (
    AsJson,
    Device,
    JudgePath,
    Precision,
    Quiet,
    Why,
)
from acceptor.cli.output import answer, write_output
from acceptor.cli.predict import print_verdicts
from acceptor.cli.prompt import run_prompt, verdict_of
from acceptor.errors import UsageError
from acceptor.text import decode_argument, shell

logger = logging.getLogger(__name__)


EXAMPLES = (
    'acceptor judge runs/starter-minilm "The cats sleep." "The cats sleeps."',
    'acceptor judge runs/starter-minilm "The cats sleeps." --why occlusion',
    "acceptor judge runs/starter-minilm",
)


def judge(
    run: JudgePath,
    sentences: Annotated[
        list[str] | None, typer.Argument(metavar="SENTENCE", help="none: an interactive prompt")
    ] = None,
    why: Why = None,
    device: Device = None,
    precision: Precision = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Judge sentences given on the command line, or typed one a line."""
    from acceptor.data.reading.read import read_table
    from acceptor.judging.load import load

    sentences = [decode_argument(sentence) for sentence in sentences or []]
    if why is not None:
        _explain(run, sentences, why, device, precision, as_json)
        return
    acceptor = load(run, device=device, precision=precision)
    if sentences:
        print_verdicts(acceptor, read_table(sentences), as_json, all_scores=True)
        return
    if acceptor.inputs == "pairs":
        raise UsageError(
            "this judge was trained on pairs of sentences; a typed line is one sentence",
            next=f"put them in a file with two columns: acceptor predict {shell(run)} FILE",
            code="E-USAGE-PAIRS",
        )
    if sys.stdin.isatty():
        run_prompt(acceptor, as_json)
        return
    blank = 0
    for line in _piped_lines():
        if not line.strip():
            blank += 1
            continue
        write_output(*verdict_of(acceptor, line), as_json)
    if blank:
        logger.warning("%d blank %s skipped", blank, "line" if blank == 1 else "lines")


def _piped_lines() -> Iterator[str]:
    """The lines of standard input."""
    from acceptor.data.reading.decode import text_blocks

    stream = getattr(sys.stdin, "buffer", None) or io.BytesIO(sys.stdin.read().encode())
    if first := stream.readline():  # line by line: the writer may wait for each verdict
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
            "--why needs the sentences on the command line",
            next=f'acceptor judge {shell(run)} "…" --why {why}',
            code="E-USAGE-CONFLICT",
        )
    check_method(why)
    explained = explain(load(run, device=device, precision=precision), sentences, method=why)
    text = [part for one in explained for part in render.explanation_text(one)]
    answer({"explanations": [one.to_dict() for one in explained]}, text, as_json)
