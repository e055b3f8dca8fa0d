"""`acceptor bench`."""

from __future__ import annotations

from typing import Annotated

import typer

from acceptor.cli.options import DATA, MACHINE, TRAINING, AsJson, Quiet
from acceptor.cli.output import answer
from acceptor.errors import UsageError

EXAMPLES = (
    "acceptor bench",
    "acceptor bench --encoder minilm --only judge --rounds 1",
)


def bench(
    encoder: Annotated[
        list[str] | None,
        typer.Option(help="encoders to train; the first also judges [minilm]", rich_help_panel=TRAINING),
    ] = None,
    data: Annotated[
        str, typer.Option(help="a file or a folder of labelled sentences, or starter", rich_help_panel=DATA)
    ] = "starter",
    only: Annotated[str | None, typer.Option(help="train or judge [both]", rich_help_panel=TRAINING)] = None,
    rounds: Annotated[int, typer.Option(min=1, help="how often each method is measured", rich_help_panel=TRAINING)] = 3,
    rows: Annotated[
        int, typer.Option(min=1000, help="sentences in the file that is judged", rich_help_panel=DATA)
    ] = 20_000,
    device: Annotated[str, typer.Option(help="cpu or cuda, for training", rich_help_panel=MACHINE)] = "cpu",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Measure speed against the notebook chapter's loop, the Hugging Face Trainer and pipeline, and ONNX Runtime.

    It takes minutes.
    """
    from acceptor.bench.compare import bench
    from acceptor.cli import render

    if only not in (None, "train", "judge"):
        raise UsageError(f"--only cannot be {only!r}", expected="train or judge", code="E-USAGE-OPTION")
    parts = ("train", "judge") if only is None else (only,)
    result = bench(encoder or ["minilm"], data=data, rounds=rounds, parts=parts, rows=rows, device=device)
    answer(result, render.bench_text(result), as_json)
