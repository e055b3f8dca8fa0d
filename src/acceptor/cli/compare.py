"""`acceptor compare`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from acceptor.cli.options import DATA, OUTPUT, AsJson, Quiet, is_address, takes_reading_of_a_file
from acceptor.cli.output import answer
from acceptor.errors import UsageError, check_installed

EXAMPLES = (
    "acceptor compare runs/starter-minilm runs/starter-mpnet",
    "acceptor compare runs/base-seeds runs/new-seeds --split test --metric f1",
    "acceptor compare runs/cola http://127.0.0.1:8000 --data dev.tsv",
)


@takes_reading_of_a_file
def compare(
    base: Annotated[str, typer.Argument(metavar="BASE", help="the baseline: a run folder, or a folder of seeds")],
    others: Annotated[
        list[str], typer.Argument(metavar="RUN", help="runs to compare with it; or servers: [KIND+]http://HOST:PORT")
    ],
    data: Annotated[
        str | None, typer.Option(help="a file or corpus to judge with all [their own splits]", rich_help_panel=DATA)
    ] = None,
    reading: Any = None,
    split: Annotated[
        str | None, typer.Option(help="test or validation [test if all have it]", rich_help_panel=DATA)
    ] = None,
    metric: Annotated[str, typer.Option(help="mcc, accuracy, f1 or balanced_accuracy", rich_help_panel=OUTPUT)] = "mcc",
    price_per_hour: Annotated[
        float | None,
        typer.Option(min=0, help="a server's price: shows the cost of a thousand sentences", rich_help_panel=OUTPUT),
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Compare runs on the same sentences: paired difference, interval, p, smallest detectable difference.

    A server is compared by its verdicts, and timed: one of acceptor serve, or of the KINDs tei (Text Embeddings
    Inference), v2 (Open Inference Protocol) and classify (vLLM). Its labels must be those of BASE.
    """
    from acceptor.cli import render
    from acceptor.evaluation.compare import compare

    others = [one if "://" in one or not is_address(one) else f"http://{one}" for one in others]
    if not any("://" in one for one in (base, *others)):
        if price_per_hour is not None:
            raise UsageError("--price-per-hour needs a server", found="only runs", code="E-USAGE-CONFLICT")
        found = compare(base, *others, data=data, reading=reading, split=split, metric=metric)
        answer({"comparisons": [one.to_dict() for one in found]}, render.comparison_text(found), as_json)
        return
    check_installed("httpx")
    from acceptor.serve.others import compare_with_servers

    if split is not None:
        raise UsageError("a server has no splits", next="leave --split out", code="E-USAGE-CONFLICT")
    found, speeds = compare_with_servers(
        base, others, data=data, reading=reading, metric=metric, price_per_hour=price_per_hour
    )
    content = {"comparisons": [one.to_dict() for one in found], "servers": [one.to_dict() for one in speeds]}
    answer(content, [*render.comparison_text(found), *render.speeds_text(speeds)], as_json)
