"""`acceptor judge`."""

from __future__ import annotations

import functools
import io
import itertools
import logging
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from acceptor.cli.options import (
    AsJson,
    Device,
    Precision,
    Quiet,
    Why,
    is_address,
)
from acceptor.cli.output import answer, write_output
from acceptor.cli.predict import print_verdicts
from acceptor.cli.prompt import Ask, Explain, answer_of, run_prompt
from acceptor.errors import AcceptorError, UsageError, check_installed
from acceptor.text import decode_argument, shell

if TYPE_CHECKING:
    from acceptor.evaluation.words import Explanation
    from acceptor.judging.decision import Decision

logger = logging.getLogger(__name__)


EXAMPLES = (
    'acceptor judge runs/starter-minilm "The cats sleep." "The cats sleeps."',
    "acceptor judge runs/starter-minilm",
    'acceptor judge http://127.0.0.1:8000 "The cats sleeps." --why occlusion',
)


def judge(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="a run folder; an exported judge: FILE.onnx; a server: http://HOST:PORT"),
    ],
    sentences: Annotated[
        list[str] | None, typer.Argument(metavar="SENTENCE", help="none: an interactive prompt")
    ] = None,
    why: Why = None,
    device: Device = None,
    precision: Precision = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Judge sentences given on the command line, or typed one a line.

    With --json, sentences on the command line make one object, with a row for each under "verdicts"; from a pipe each
    line makes one such row, an object on a line of its own.
    """
    from acceptor.data.reading.read import read_arguments

    sentences = [decode_argument(sentence) for sentence in sentences or []]
    table = read_arguments(sentences) if sentences else None
    if why is not None:
        _check_why(run, sentences, why)
    if is_address(run):
        _judge_by_server(run, sentences, why, (device, precision), as_json)
        return
    from acceptor.evaluation.words import explain
    from acceptor.judging.load import load

    acceptor = load(run, device=device, precision=precision)
    if why is not None:
        _print_explanations(explain(acceptor, sentences, method=why), as_json)
    elif table is not None:
        print_verdicts(acceptor, table, as_json, all_scores=True)
    else:
        _check_single(acceptor.inputs, f"put them in a file with two columns: acceptor predict {shell(run)} FILE")
        _judge_lines(acceptor, run, acceptor.labels, acceptor.decision, functools.partial(explain, acceptor), as_json)


def _judge_by_server(
    url: str, sentences: list[str], why: str | None, machine: tuple[str | None, str | None], as_json: bool
) -> None:
    """The same for a server, whose machine is its own."""
    check_installed("httpx")
    import polars as pl

    from acceptor.cli import render
    from acceptor.judging.decision import Decision
    from acceptor.serve.client import Client

    if why == "gradients" or any(machine):
        raise UsageError(
            "a server chooses its device and precision, and explains by occlusion",
            found=" ".join(["--why gradients"] * (why == "gradients") + ["--device or --precision"] * any(machine)),
            next="leave these options out",
            code="E-USAGE-CONFLICT",
        )
    with Client(url) as client:
        about = client.models()[0]
        if why is not None:
            _print_explanations(client.explain(sentences), as_json)
        elif sentences:
            frame = client.annotate(pl.DataFrame({"sentence": sentences}), all_scores=True)
            text = render.verdict_table(frame, about["labels"], all_scores=True)
            answer({"verdicts": frame.to_dicts()}, [text], as_json)
        else:
            _check_single(about["inputs"], f"in Python: acceptor.Client({url!r})(sentences, seconds)")
            decision = Decision(about["temperature"], about["threshold"])
            _judge_lines(client, url, about["labels"], decision, client.explain, as_json)


def _judge_lines(
    judge: Ask, where: str, labels: Sequence[str], decision: Decision, explain: Explain, as_json: bool
) -> None:
    """Judges typed lines, or piped ones."""
    if sys.stdin.isatty():
        run_prompt(judge, where, labels, decision, explain, as_json)
        return
    blank = 0
    for number, line in enumerate(_piped_lines(), 1):
        if not line.strip():
            blank += 1
            continue
        try:
            [verdict] = judge([line])
        except AcceptorError as error:  # which knows only that it was the first of one
            if error.code.startswith("E-DATA"):
                error.add("where", f"standard input, line {number}")
            raise
        if as_json and verdict.truncated:  # the text says so itself
            logger.warning("standard input, line %d is longer than the judge reads: its end is not judged", number)
        write_output(*answer_of(line, verdict, labels, decision), as_json)
    if blank:
        logger.warning("%d blank %s skipped", blank, "line" if blank == 1 else "lines")


def _check_single(inputs: str | None, instead: str) -> None:
    """Refuses a judge of pairs.

    Raises:
        UsageError: It is one.
    """
    if inputs == "pairs":
        raise UsageError(
            "this judge was trained on pairs of sentences; a typed line is one sentence",
            next=instead,
            code="E-USAGE-PAIRS",
        )


def _piped_lines() -> Iterator[str]:
    """The lines of standard input."""
    from acceptor.data.reading.decode import text_blocks

    stream = getattr(sys.stdin, "buffer", None) or io.BytesIO(sys.stdin.read().encode())
    if first := stream.readline():  # line by line: the writer may wait for each verdict
        for block in text_blocks(itertools.chain([first], iter(stream.readline, b"")), "standard input"):
            yield from (line.removesuffix("\r") for line in block.removesuffix("\n").split("\n") if block)


def _check_why(run: str, sentences: list[str], why: str) -> None:
    """Refuses an explanation of nothing, or by an unknown method, before the judge is loaded.

    Raises:
        UsageError: It is one.
    """
    from acceptor.evaluation.words import check_method

    if not sentences:
        raise UsageError(
            "--why needs the sentences on the command line",
            next=f'acceptor judge {shell(run)} "…" --why {why}',
            code="E-USAGE-CONFLICT",
        )
    check_method(why)


def _print_explanations(explained: list[Explanation], as_json: bool) -> None:
    from acceptor.cli import render

    text = [part for one in explained for part in render.explanation_text(one)]
    answer({"explanations": [one.to_dict() for one in explained]}, text, as_json)
